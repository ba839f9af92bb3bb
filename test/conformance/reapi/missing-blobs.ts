// Executing what is not all there: clients upload exactly what the refusal names and try again.

import type { DigestFunction } from "../../../src/core/digest.ts";
import {
  Action,
  Command,
  type Digest,
} from "../../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import {
  actionOf,
  commandOf,
  type Ending,
  executeToEnd,
  putAction,
  ranAgain,
  violationsOf,
} from "./actions.ts";
import type { Case } from "./case.ts";
import {
  absent,
  type Blob,
  blobOf,
  put,
  putAll,
  putDirectory,
  putTree,
  tailOf,
  unique,
} from "./content.ts";
import { check, nameOfCode, Skipped, same } from "./expectations.ts";
import type { Target } from "./target.ts";

const needs = ["execution"] as const;

/** Fails unless the end is a FAILED_PRECONDITION that names exactly these blobs. */
function checkNamed(end: Ending, digests: readonly Digest[], fn: DigestFunction = "sha256"): void {
  same(nameOfCode(end.code), "FAILED_PRECONDITION", "the status");
  const expected = digests.map((digest) => `blobs/${tailOf({ digest, fn })}`).sort();
  same(violationsOf(end.details).sort(), expected, "the subjects of the violations");
}

/** The three messages of an action, not uploaded. */
async function messages(target: Target, run: string, fn: DigestFunction = "sha256") {
  const spec = { run, fn };
  const command = await blobOf(Command.encode(commandOf(target, spec)).finish(), fn);
  const salted = { symlinks: [{ name: "l", target: unique(8).toString("hex") }] };
  const root = await putDirectory(target, salted, fn);
  const action = actionOf(target, spec, command.digest, root);
  return { command, action: await blobOf(Action.encode(action).finish(), fn), root };
}

const has = (blobs: readonly Blob[]) => blobs.map(({ digest }) => digest);

/** Cases of missing blobs. */
export const missingBlobCases: readonly Case[] = [
  {
    name: "an action that nobody uploaded is FAILED_PRECONDITION and named",
    client: "Pants",
    rule: "Pants relies on the answer to learn what to upload",
    needs,
    run: async (target) => {
      const gone = await absent();
      checkNamed(await executeToEnd(target, gone), [gone]);
    },
  },
  {
    name: "a missing command is named, and after its upload the action runs",
    client: "Bazel",
    rule: "REAPI: PreconditionFailure MISSING blobs/hash/size",
    needs,
    run: async (target) => {
      const { command, action } = await messages(target, `: ${unique(8).toString("hex")}`);
      await putAll(target, [action]);
      checkNamed(await executeToEnd(target, action.digest), has([command]));
      await putAll(target, [command]);
      await ranAgain(target, action.digest);
    },
  },
  {
    name: "a missing input root is named",
    client: "Bazel",
    rule: "REAPI: PreconditionFailure MISSING blobs/hash/size",
    needs,
    run: async (target) => {
      const inputRoot = await absent();
      const action = await putAction(target, { run: "true", inputRoot });
      checkNamed(await executeToEnd(target, action), [inputRoot]);
    },
  },
  {
    name: "missing files and folders deep in the inputs are named, and after an upload it runs",
    client: "Bazel",
    rule: "REAPI: PreconditionFailure MISSING blobs/hash/size",
    needs,
    run: async (target) => {
      const files = [await blobOf(unique()), await blobOf(unique())];
      const named = files.map(({ digest }, at) => ({ name: `f${at}`, digest }));
      const deep = await putDirectory(target, { files: named });
      const middle = await putDirectory(target, { directories: [{ name: "d", digest: deep }] });
      const directories = [{ name: "m", digest: middle }];
      const inputRoot = await putDirectory(target, { directories });
      const action = await putAction(target, { run: "cat m/d/f0", inputRoot });
      checkNamed(await executeToEnd(target, action), has(files));
      await putAll(target, files);
      await ranAgain(target, action);
    },
  },
  {
    name: "a missing folder in the inputs is named",
    client: "Bazel",
    rule: "REAPI: PreconditionFailure MISSING blobs/hash/size",
    needs,
    run: async (target) => {
      const gone = await absent();
      const inputRoot = await putDirectory(target, { directories: [{ name: "d", digest: gone }] });
      const action = await putAction(target, { run: "true", inputRoot });
      checkNamed(await executeToEnd(target, action), [gone]);
    },
  },
  {
    name: "what is missing comes as exactly one detail with violations of three parts",
    client: "Pants",
    rule: "Pants: any other detail, type or subject is fatal",
    needs,
    run: async (target) => {
      const inputRoot = await absent();
      const action = await putAction(target, { run: "true", inputRoot });
      const { details } = await executeToEnd(target, action);
      same(details.length, 1, "the number of details");
      const url = details[0]?.typeUrl ?? "";
      check(url.endsWith("/google.rpc.PreconditionFailure"), `the detail is ${url}`);
      const subjects = violationsOf(details);
      const wrong = subjects.filter((subject) => !/^blobs\/[0-9a-f]+\/[0-9]+$/.test(subject));
      same(wrong, [], "the subjects of another form");
      check(subjects.length > 0, "nothing is named");
    },
  },
  {
    name: "a violation names a function that cannot be inferred",
    client: "Bazel",
    rule: "REAPI: MISSING blobs/blake3/hash/size",
    needs,
    run: async (target) => {
      if (!target.capabilities.executionCapabilities?.digestFunctions.includes(9)) {
        throw new Skipped("BLAKE3 is not served");
      }
      const gone = await absent("blake3");
      checkNamed(await executeToEnd(target, gone, { digestFunction: 9 }), [gone], "blake3");
    },
  },
  {
    name: "a missing input ends an action even where the command does not read it",
    client: "every client",
    rule: "REAPI: all of the input root is there before the command runs",
    needs,
    run: async (target) => {
      const gone = await absent();
      const tool = await put(target, "x");
      const files = [
        { name: "a", digest: tool },
        { name: "b", digest: gone },
      ];
      const action = await putAction(target, {
        run: "true",
        inputRoot: await putDirectory(target, { files }),
      });
      checkNamed(await executeToEnd(target, action), [gone]);
    },
  },
  {
    name: "messages that are none are refused, not retried for ever",
    client: "hostile client",
    rule: "REAPI: a malformed Action or Command is INVALID_ARGUMENT",
    needs,
    run: async (target) => {
      const codes = ["INVALID_ARGUMENT", "FAILED_PRECONDITION"];
      const noise = await put(target, Buffer.concat([Buffer.from([0xff, 0xff]), unique()]));
      const root = await putTree(target, {});
      const action = Action.encode(actionOf(target, { run: "" }, noise, root)).finish();
      for (const digest of [noise, await put(target, action)]) {
        const { code } = await executeToEnd(target, digest);
        check(codes.includes(nameOfCode(code)), `it ended with ${nameOfCode(code)}`);
      }
      const empty = await putAction(target, { run: [] });
      const { code } = await executeToEnd(target, empty);
      check(codes.includes(nameOfCode(code)), `no arguments ended with ${nameOfCode(code)}`);
      const inputRoot = await put(target, Buffer.concat([Buffer.from([0xff, 0xff]), unique()]));
      const end = await executeToEnd(target, await putAction(target, { run: "true", inputRoot }));
      check(
        codes.includes(nameOfCode(end.code)),
        `a noisy root ended with ${nameOfCode(end.code)}`,
      );
    },
  },
];
