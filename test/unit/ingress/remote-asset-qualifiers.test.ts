import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import { readQualifiers } from "../../../src/ingress/remote-asset-qualifiers.ts";

const uris = ["https://one.example/a", "https://two.example/a"];
const of = (names: Record<string, string>) =>
  Object.entries(names).map(([name, value]) => ({ name, value }));
const read = (names: Record<string, string>) => readQualifiers(of(names), uris);
const sri = (text: string) => `sha256-${createHash("sha256").update(text).digest("base64")}`;

test("headers for one URI win over those for all, whatever their case", () => {
  const found = read({
    "http_header_url:1:AUTHORIZATION": "two",
    "http_header:Authorization": "all",
    "http_header:Accept": "text/plain",
  });
  expect(found.headersOf(0)).toEqual({ authorization: "all", accept: "text/plain" });
  expect(found.headersOf(1)).toEqual({ authorization: "two", accept: "text/plain" });
  expect(found.unsupported).toEqual([]);
});

test("Bazel's older way of sending credentials reaches only the URI or host it names", () => {
  const headers = {
    "https://one.example/a": { Authorization: "one" },
    "two.example": { Authorization: "two" },
  };
  const found = read({ "bazel.auth_headers": JSON.stringify(headers) });
  expect(found.headersOf(0)).toEqual({ authorization: "one" });
  expect(found.headersOf(1)).toEqual({ authorization: "two" });
});

test("the key of an association knows no order and holds the headers of its URI alone", () => {
  const a = read({
    "http_header_url:0:X-A": "1",
    b: "2",
    "checksum.sri": `${sri("x")} ${sri("y")}`,
  });
  const b = read({ "checksum.sri": ` ${sri("y")}\n${sri("x")}`, b: "2", "http_header:x-a": "1" });
  const sorted = (key: ReturnType<typeof a.keyOf>) => key.map((q) => `${q.name}=${q.value}`).sort();
  expect(sorted(a.keyOf(0))).toEqual(sorted(b.keyOf(0)));
  expect(sorted(a.keyOf(1))).not.toEqual(sorted(a.keyOf(0)));
});

test("what a download cannot honour is named as the API wants it", () => {
  const found = read({
    "vcs.branch": "main",
    directory: "sub",
    "checksum.sri": "md5-AAAA",
    resource_type: "application/x-git",
    "http_header:Range": "bytes=0-1",
    "http_header_url:0:If-None-Match": "x",
    "bazel.canonical_id": "fine",
  });
  expect(found.unsupported).toEqual([
    { field: "qualifiers.name", description: '"vcs.branch" not supported' },
    { field: "qualifiers.name", description: '"directory" not supported' },
    { field: "qualifiers.value", description: 'checksum.sri "md5-AAAA" not supported' },
    { field: "qualifiers.value", description: 'resource_type "application/x-git" not supported' },
    { field: "qualifiers.name", description: '"http_header:range" not supported' },
    { field: "qualifiers.name", description: '"http_header:if-none-match" not supported' },
  ]);
});

test("archives are content that a download brings", () => {
  expect(read({ resource_type: "application/gzip" }).unsupported).toEqual([]);
});

test.each([
  [
    [
      { name: "a", value: "1" },
      { name: "a", value: "1" },
    ],
    /"a" is given twice/,
  ],
  [of({ "http_header:X": "1", "http_header:x": "2" }), /given twice/],
  [of({ "": "1" }), /no name/],
  [of({ "http_header:bad name": "1" }), /no HTTP header/],
  [of({ "http_header:x": "1\r\nHost: evil" }), /no HTTP header/],
  [of({ "http_header_url:2:x": "1" }), /does not name/],
  [of({ "bazel.auth_headers": "[" }), /wants JSON/],
  [of({ "bazel.auth_headers": '{"a": ["b"]}' }), /wants JSON/],
  [of({ "bazel.auth_headers": '{"one.example": {"b": 1}}' }), /wants JSON/],
])("malformed ones are refused: %j", (qualifiers, why) => {
  expect(() => readQualifiers(qualifiers, uris)).toThrow(why);
});
