import { expect, test } from "vitest";
import { isPublicAddress, parseOriginRules } from "../../../src/ingress/remote-asset-origins.ts";

const grant = (prefixes: string[], url: string) => parseOriginRules(prefixes).grantOf(new URL(url));

test.each([
  ["https://github.com/", "https://github.com/a/b"],
  ["https://github.com", "https://github.com/"],
  ["https://github.com:443", "https://GitHub.com/x"],
  ["https://h/folder", "https://h/folder"],
  ["https://h/folder", "https://h/folder/x?y=1"],
  ["https://h/folder/", "https://h/%66older/x"],
  ["https://h/", "https://h/group%2Fproject"],
  ["http://127.0.0.1:8080/", "http://0x7f.1:8080/x"],
])("%s allows %s", (prefix, url) => {
  expect(grant([prefix], url)).toBe("any-address");
});

test.each([
  ["https://github.com", "https://github.com.evil.example/"],
  ["https://github.com", "https://github.com@evil.example/"],
  ["https://github.com/", "http://github.com/"],
  ["https://github.com/", "https://github.com:444/"],
  ["https://github.com/", "https://api.github.com/"],
  ["https://h/folder", "https://h/folder-of-others/x"],
  ["https://h/folder/", "https://h/folder/../secret"],
  ["https://h/folder/", "https://h/folder/%2e%2e/secret"],
  ["https://h/folder/", "https://h/folder/..%2fsecret"],
  ["https://h/folder/", "https://h/folder/..%5csecret"],
  ["https://h/folder/", "https://h/folder/%zz"],
  ["*", "file:///etc/passwd"],
  ["*", "ftp://h/x"],
])("%s does not allow %s", (prefix, url) => {
  expect(grant([prefix], url)).toBeUndefined();
});

test("a star allows every host, but only where it is open to the world", () => {
  expect(grant(["*"], "https://h/x")).toBe("public-address");
  expect(grant(["*", "https://h/"], "https://h/x")).toBe("any-address");
  expect(grant([], "https://h/x")).toBeUndefined();
});

test.each([
  "github.com",
  "ftp://h/",
  "https://",
  "https://user@h/",
  "https://h/?q",
  "https://h/#f",
  "https://h/a%2fb/",
  "**",
  "",
])("%j is no prefix", (prefix) => {
  expect(() => parseOriginRules([prefix])).toThrow(/--fetch-allow .* is no URL prefix/);
});

test.each(["8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450:4001::1"])(
  "%s is public",
  (address) => {
    expect(isPublicAddress(address)).toBe(true);
  },
);

test.each([
  "0.0.0.0",
  "10.1.2.3",
  "100.64.0.1",
  "127.0.0.1",
  "127.255.255.254",
  "169.254.169.254",
  "172.16.0.1",
  "172.31.255.255",
  "192.168.1.1",
  "198.19.0.1",
  "224.0.0.1",
  "255.255.255.255",
  "::",
  "::1",
  "::ffff:127.0.0.1",
  "::ffff:8.8.8.8",
  "64:ff9b::7f00:1",
  "fc00::1",
  "fd12::1",
  "fe80::1",
  "ff02::1",
  "2001:db8::1",
  "2002:7f00:1::",
  "2001:0:1::",
  "no address",
])("%s is not", (address) => {
  expect(isPublicAddress(address)).toBe(false);
});
