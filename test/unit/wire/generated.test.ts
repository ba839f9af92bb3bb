import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import * as reapi from "../../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";

const root = new URL("../../..", import.meta.url).pathname;

function filesBelow(folder: string): Map<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
  const sources = names.filter((name) => name.endsWith(".ts")).sort();
  return new Map(sources.map((name) => [name, readFileSync(join(folder, name), "utf8")]));
}

test("the committed code is what proto/ generates", () => {
  const out = mkdtempSync(join(tmpdir(), "generated-"));
  execFileSync(process.execPath, [join(root, "tools/generate-proto.ts"), out]);
  const fresh = filesBelow(out);
  rmSync(out, { recursive: true });
  expect(fresh.size).toBeGreaterThan(10);
  expect(filesBelow(join(root, "src/wire/gen"))).toEqual(fresh);
});

test("numbers that clients depend on are the published ones", () => {
  expect(reapi.DigestFunction_Value).toMatchObject({
    SHA256: 1,
    SHA256TREE: 8,
    BLAKE3: 9,
    GITSHA1: 10,
  });
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
  const action = reapi.Action.fromPartial({ doNotCache: true, salt: new Uint8Array([1]) });
  // Field 7 (varint) and field 9 (bytes) of Action.
  expect(hex(reapi.Action.encode(action).finish())).toBe("38014a0101");
  const command = reapi.Command.fromPartial({ outputPaths: ["o"], workingDirectory: "w" });
  // Field 6 and field 7 of Command.
  expect(hex(reapi.Command.encode(command).finish())).toBe("3201773a016f");
});
