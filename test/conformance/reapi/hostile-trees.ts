// Input trees that no honest client makes: they end in a refusal, soon.

import {
  type Digest,
  Directory,
  GetTreeRequest,
} from "../../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { type ActionSpec, executeToEnd, putAction, stdoutOf } from "./actions.ts";
import { cas } from "./calls.ts";
import type { Case } from "./case.ts";
import { put, putDirectory, unique } from "./content.ts";
import { check, nameOfCode, same } from "./expectations.ts";
import { checkStillServes } from "./still-serves.ts";
import type { Target } from "./target.ts";

const needs = ["execution"] as const;
const malformed = ["INVALID_ARGUMENT", "FAILED_PRECONDITION"];
const tooMuch = [...malformed, "RESOURCE_EXHAUSTED"];

/** Fails unless the action is refused as malformed. */
async function checkRefused(target: Target, spec: ActionSpec, what: string, codes = malformed) {
  const { code, message } = await executeToEnd(target, await putAction(target, spec));
  const name = nameOfCode(code);
  check(codes.includes(name), `${what} ended with ${name} (${message}), not ${codes.join(", ")}`);
}

/** A Directory with one file whose name is these bytes, which need not be UTF-8. */
function directoryNaming(name: Uint8Array, digest: Digest): Buffer {
  const stand = "n".repeat(name.length);
  const files = [{ name: stand, digest }];
  const bytes = Buffer.from(Directory.encode(Directory.fromPartial({ files })).finish());
  Buffer.from(name).copy(bytes, bytes.indexOf(stand));
  return bytes;
}

/** Cases of wrong input trees. */
export const hostileTreeCases: readonly Case[] = [
  {
    name: "names with a slash, a dot, two dots, NUL or nothing are refused",
    client: "hostile client",
    rule: "REAPI: names in a Directory are single path segments",
    needs,
    run: async (target) => {
      const digest = await put(target, "x");
      const names = ["/", "a/b", "../up", "/etc/passwd", ".", "..", "", "a\0b"];
      for (const name of names) {
        const shown = JSON.stringify(name);
        const file = await putDirectory(target, { files: [{ name, digest }] });
        await checkRefused(target, { run: "true", inputRoot: file }, `a file named ${shown}`);
        const link = await putDirectory(target, { symlinks: [{ name, target: "t" }] });
        await checkRefused(target, { run: "true", inputRoot: link }, `a symlink named ${shown}`);
        const inner = await putDirectory(target, {});
        const folder = await putDirectory(target, { directories: [{ name, digest: inner }] });
        await checkRefused(target, { run: "true", inputRoot: folder }, `a folder named ${shown}`);
      }
    },
  },
  {
    name: "a name that is not UTF-8 is refused",
    client: "hostile client",
    rule: "protobuf: strings are UTF-8; REAPI: names in a Directory",
    needs,
    run: async (target) => {
      const digest = await put(target, "x");
      const bytes = directoryNaming(Buffer.from([0x66, 0xff, 0xfe, 0x80]), digest);
      const inputRoot = await put(target, bytes);
      await checkRefused(target, { run: "true", inputRoot }, "a name of ff fe 80");
    },
  },
  {
    name: "names that are unsorted or occur twice are refused",
    client: "hostile client",
    rule: "REAPI: the nodes of a Directory are sorted and unique",
    needs,
    run: async (target) => {
      const digest = await put(target, "x");
      const files = (...names: string[]) => names.map((name) => ({ name, digest }));
      const [first] = files("a");
      const inner = await putDirectory(target, {});
      const wrong: Record<string, Parameters<typeof Directory.fromPartial>[0]> = {
        "unsorted files": { files: files("b", "a") },
        "a file twice": { files: files("a", "a") },
        "a file and a folder of one name": {
          files: first === undefined ? [] : [first],
          directories: [{ name: "a", digest: inner }],
        },
        "a file and a symlink of one name": {
          files: first === undefined ? [] : [first],
          symlinks: [{ name: "a", target: "/" }],
        },
        "unsorted folders": {
          directories: [
            { name: "b", digest: inner },
            { name: "a", digest: inner },
          ],
        },
      };
      for (const [what, directory] of Object.entries(wrong)) {
        const inputRoot = await putDirectory(target, directory);
        await checkRefused(target, { run: "true", inputRoot }, what);
      }
    },
  },
  {
    name: "an input without a digest, or with a wrong size, is refused",
    client: "hostile client",
    rule: "REAPI: FileNode.digest",
    needs,
    run: async (target) => {
      const digest = await put(target, unique());
      const longer = { ...digest, sizeBytes: digest.sizeBytes + 1 };
      const negative = { ...digest, sizeBytes: -1 };
      for (const file of [
        { name: "a" },
        { name: "a", digest: longer },
        { name: "a", digest: negative },
      ]) {
        const inputRoot = await putDirectory(target, { files: [file] });
        await checkRefused(target, { run: "true", inputRoot }, JSON.stringify(file));
      }
    },
  },
  {
    name: "a folder of 100,000 files is laid out or refused, not choked on",
    client: "hostile client",
    rule: "every message has a bound",
    needs,
    alone: true,
    deadlineMs: 90_000,
    run: async (target) => {
      const digest = await put(target, "x");
      const files = Array.from({ length: 100_000 }, (_, at) => {
        return { name: `${at}`.padStart(6, "0"), digest };
      });
      const inputRoot = await putDirectory(target, { files });
      const action = await putAction(target, { run: "ls | wc -l", inputRoot });
      const { code, response } = await executeToEnd(target, action);
      const result = response?.result;
      if (code === 0 && result !== undefined) {
        same((await stdoutOf(target, result)).trim(), "100000", "the number of files");
      } else {
        check(tooMuch.includes(nameOfCode(code)), `it ended with ${nameOfCode(code)}`);
      }
      await checkStillServes(target);
    },
  },
  {
    name: "a tree that doubles at each of 40 levels ends in an answer",
    client: "hostile client",
    rule: "REAPI: trees are over digests; their paths may be far more",
    needs,
    alone: true,
    deadlineMs: 60_000,
    run: async (target) => {
      let digest = await putDirectory(target, {
        files: [{ name: "f", digest: await put(target, unique()) }],
      });
      for (let level = 0; level < 40; level += 1) {
        const directories = ["a", "b"].map((name) => ({ name, digest }));
        digest = await putDirectory(target, { directories });
      }
      const request = GetTreeRequest.fromPartial({
        instanceName: target.instance,
        rootDigest: digest,
        digestFunction: 1,
      });
      const pages = await target.calls.collect(cas.getTree, request);
      const folders = pages.flatMap(({ directories }) => directories);
      check(folders.length <= 41, `GetTree sent ${folders.length} folders of 41`);
      await checkRefused(target, { run: "true", inputRoot: digest }, "the action", tooMuch);
      await checkStillServes(target);
    },
  },
  {
    name: "a tree 3,000 folders deep ends in an answer",
    client: "hostile client",
    rule: "paths have a bound on every file system",
    needs,
    alone: true,
    deadlineMs: 60_000,
    run: async (target) => {
      let digest = await putDirectory(target, {
        symlinks: [{ name: "l", target: unique(8).toString("hex") }],
      });
      for (let level = 0; level < 3000; level += 1) {
        digest = await putDirectory(target, { directories: [{ name: "deep", digest }] });
      }
      const action = await putAction(target, { run: "true", inputRoot: digest });
      const { code } = await executeToEnd(target, action);
      check([...tooMuch, "OK"].includes(nameOfCode(code)), `it ended with ${nameOfCode(code)}`);
      await checkStillServes(target);
    },
  },
];
