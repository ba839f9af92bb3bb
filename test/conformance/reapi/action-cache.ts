// The action cache: what is stored comes back, what is incomplete does not, hints stay hints.

import { digestFunctions } from "../../../src/core/digest.ts";
import {
  type ActionResult,
  type Digest,
  Tree,
  UpdateActionResultRequest,
} from "../../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { toWireFunction } from "../../../src/wire/reapi.ts";
import { cachedResult } from "./actions.ts";
import { actionCache } from "./calls.ts";
import type { Case } from "./case.ts";
import { absent, fetchBlob, prefixOf, put, unique } from "./content.ts";
import { check, isServiceError, refused, Skipped, same, sameBytes } from "./expectations.ts";
import type { Target } from "./target.ts";

type Result = Parameters<typeof ActionResult.fromPartial>[0];

function update(
  target: Target,
  actionDigest: Digest,
  result: Result,
  fields: Parameters<typeof UpdateActionResultRequest.fromPartial>[0] = {},
): Promise<ActionResult> {
  const request = UpdateActionResultRequest.fromPartial({
    instanceName: target.instance,
    actionDigest,
    actionResult: result,
    digestFunction: 1,
    ...fields,
  });
  return target.calls.unary(actionCache.updateActionResult, request);
}

/** Refused at once, or stored and never served. */
async function checkNotServed(target: Target, result: Result, what: string): Promise<void> {
  const action = await put(target, unique());
  await update(target, action, result).catch((error: unknown) => {
    if (!isServiceError(error)) throw error;
  });
  await refused(cachedResult(target, action), "NOT_FOUND", what);
}

/** What is stored and served. */
const storedCases: readonly Case[] = [
  {
    name: "a result that nobody stored is NOT_FOUND",
    client: "every client",
    rule: "REAPI: GetActionResult",
    run: async (target) => {
      await refused(cachedResult(target, await absent()), "NOT_FOUND", "an unknown action");
    },
  },
  {
    name: "a stored result comes back",
    client: "Please",
    rule: "REAPI: UpdateActionResult, GetActionResult",
    needs: ["cache writes"],
    run: async (target) => {
      const action = await put(target, unique());
      const output = await put(target, unique(2000));
      const stdoutDigest = await put(target, unique());
      await update(target, action, {
        exitCode: 0,
        outputFiles: [
          { path: "dir/ünï.txt", digest: output, isExecutable: true },
          { path: "z", digest: output },
        ],
        outputSymlinks: [{ path: "link", target: "dir" }],
        stdoutDigest,
        executionMetadata: { worker: "here" },
      });
      const found = await cachedResult(target, action);
      const paths = found.outputFiles.map(({ path, isExecutable }) => [path, isExecutable]);
      const expected = [
        ["dir/ünï.txt", true],
        ["z", false],
      ];
      same(paths, expected, "the output files");
      same(found.outputFiles[0]?.digest, output, "the digest of the output");
      same(found.stdoutDigest, stdoutDigest, "stdout_digest");
      same(found.outputSymlinks[0]?.target, "dir", "the target of the symlink");
      same(found.executionMetadata?.worker, "here", "execution_metadata.worker");
    },
  },
  {
    name: "a newer result takes the place of the older",
    client: "every client",
    rule: "REAPI: UpdateActionResult overwrites",
    needs: ["cache writes"],
    run: async (target) => {
      const action = await put(target, unique());
      for (const worker of ["first", "second"]) {
        await update(target, action, {
          stdoutDigest: await put(target, unique()),
          executionMetadata: { worker },
        });
        const found = await cachedResult(target, action);
        same(found.executionMetadata?.worker, worker, "execution_metadata.worker");
      }
    },
  },
  {
    name: "a result without any field is still a hit",
    client: "every client",
    rule: "some layers drop a message of defaults",
    needs: ["cache writes"],
    run: async (target) => {
      const action = await put(target, unique());
      await update(target, action, {});
      same((await cachedResult(target, action)).exitCode, 0, "exit_code");
    },
  },
  {
    name: "a served result has execution_metadata",
    client: "Buck2",
    rule: "Buck2 fails without ActionResult.execution_metadata",
    needs: ["cache writes"],
    run: async (target) => {
      const action = await put(target, unique());
      await update(target, action, { stdoutDigest: await put(target, unique()) });
      const { executionMetadata } = await cachedResult(target, action);
      check(executionMetadata !== undefined, "execution_metadata is not set");
    },
  },
  {
    name: "stdout that a client stored inline comes back",
    client: "BuildStream/recc",
    rule: "REAPI: ActionResult.stdout_raw",
    needs: ["cache writes"],
    run: async (target) => {
      const action = await put(target, unique());
      await update(target, action, { stdoutRaw: Buffer.from("said inline") });
      const { stdoutRaw, stdoutDigest } = await cachedResult(target, action);
      const bytes = stdoutRaw.length > 0 ? stdoutRaw : await fetchBlob(target, stdoutDigest);
      same(Buffer.from(bytes).toString(), "said inline", "stdout");
    },
  },
];

/** Completeness. */
const completeCases: readonly Case[] = [
  {
    name: "a result whose output is lost is not served",
    client: "Bazel",
    rule: "REAPI: GetActionResult SHOULD check what the result names",
    needs: ["cache writes"],
    run: async (target) => {
      const outputFiles = [{ path: "a", digest: await absent() }];
      await checkNotServed(target, { outputFiles }, "a result with a lost output file");
      const stdoutDigest = await absent();
      await checkNotServed(target, { stdoutDigest }, "a result with a lost stdout");
      const stderrDigest = await absent();
      await checkNotServed(target, { stderrDigest }, "a result with a lost stderr");
    },
  },
  {
    name: "a result is not served where a folder, or a file in it, is lost",
    client: "Bazel",
    rule: "REAPI: completeness reaches into the Tree messages",
    needs: ["cache writes"],
    run: async (target) => {
      const lost = { outputDirectories: [{ path: "d", treeDigest: await absent() }] };
      await checkNotServed(target, lost, "a result with a lost Tree");
      const tree = Tree.fromPartial({ root: { files: [{ name: "f", digest: await absent() }] } });
      const treeDigest = await put(target, Tree.encode(tree).finish());
      const hollow = { outputDirectories: [{ path: "d", treeDigest }] };
      await checkNotServed(target, hollow, "a result with a lost file inside a folder");
    },
  },
  {
    name: "a folder whose Tree is no Tree is not served",
    client: "hostile client",
    rule: "REAPI: OutputDirectory.tree_digest names a Tree",
    needs: ["cache writes"],
    run: async (target) => {
      const noise = Buffer.concat([Buffer.from([0xff, 0xff]), unique()]);
      const outputDirectories = [{ path: "d", treeDigest: await put(target, noise) }];
      await checkNotServed(target, { outputDirectories }, "a result with noise for a Tree");
    },
  },
];

/** Inline hints. */
const inlineCases: readonly Case[] = [
  {
    name: "outputs that were wished inline are right where they come",
    client: "Bazel",
    rule: "REAPI: inline_stdout, inline_stderr, inline_output_files are hints",
    needs: ["cache writes"],
    run: async (target) => {
      const [out, err, file] = [unique(100), unique(100), unique(100)];
      const action = await put(target, unique());
      const digest = await put(target, file);
      await update(target, action, {
        stdoutDigest: await put(target, out),
        stderrDigest: await put(target, err),
        outputFiles: [{ path: "f", digest }],
      });
      const wishes = { inlineStdout: true, inlineStderr: true, inlineOutputFiles: ["f", "none"] };
      const found = await cachedResult(target, action, wishes);
      const given = [found.stdoutRaw, found.stderrRaw, found.outputFiles[0]?.contents];
      [out, err, file].forEach((expected, at) => {
        const bytes = given[at] ?? new Uint8Array();
        if (bytes.length > 0) sameBytes(bytes, expected, "what came inline");
      });
      same(found.outputFiles[0]?.digest, digest, "the digest beside it");
    },
  },
  {
    name: "an answer stays below 4 MiB whatever was wished inline",
    client: "moon",
    rule: "gRPC clients receive 4 MiB; moon takes a larger answer for a miss",
    needs: ["cache writes"],
    run: async (target) => {
      const action = await put(target, unique());
      const outputFiles = [];
      for (let at = 0; at < 6; at += 1) {
        outputFiles.push({ path: `f${at}`, digest: await put(target, unique(1 << 20)) });
      }
      await update(target, action, {
        outputFiles,
        stdoutDigest: await put(target, unique(5 << 20)),
      });
      const inlineOutputFiles = outputFiles.map(({ path }) => path);
      const found = await cachedResult(target, action, { inlineStdout: true, inlineOutputFiles });
      same(found.outputFiles.length, 6, "the number of output files");
    },
  },
];

/** What keeps entries apart, and what is refused. */
const keyCases: readonly Case[] = [
  {
    name: "a result belongs to its instance",
    client: "siso",
    rule: "REAPI: instances have caches of their own",
    needs: ["cache writes"],
    run: async (target) => {
      const action = await put(target, unique());
      await update(target, action, { stdoutDigest: await put(target, unique()) });
      const other = { ...target, instance: `${prefixOf(target.instance)}other/instance` };
      const error = await refused(
        cachedResult(other, action),
        ["NOT_FOUND", "PERMISSION_DENIED", "INVALID_ARGUMENT", "FAILED_PRECONDITION"],
        "the result of another instance",
      );
      if (error.code !== 5) throw new Skipped(`instances are limited: ${error.details}`);
    },
  },
  {
    name: "a result belongs to its digest function",
    client: "Buck2",
    rule: "REAPI: SHA256, SHA256TREE and BLAKE3 have 64 digits each",
    needs: ["cache writes"],
    run: async (target) => {
      if (!target.capabilities.cacheCapabilities?.digestFunctions.includes(9)) {
        throw new Skipped("BLAKE3 is not served");
      }
      const action = await put(target, unique());
      await update(target, action, { stdoutDigest: await put(target, unique()) });
      const other = cachedResult(target, action, { digestFunction: 9 });
      await refused(other, "NOT_FOUND", "the result of another digest function");
    },
  },
  {
    name: "an update without an action or a result is refused",
    client: "hostile client",
    rule: "REAPI: UpdateActionResult",
    needs: ["cache writes"],
    run: async (target) => {
      const action = await put(target, unique());
      const none = UpdateActionResultRequest.fromPartial({ instanceName: target.instance });
      const { updateActionResult } = actionCache;
      const whole = { ...none, actionDigest: action };
      const code = "INVALID_ARGUMENT";
      await refused(target.calls.unary(updateActionResult, none), code, "an empty update");
      await refused(target.calls.unary(updateActionResult, whole), code, "an update of nothing");
      const bad = { hash: "no hash", sizeBytes: -1 };
      await refused(update(target, bad, { exitCode: 0 }), code, "an action named badly");
      const stdoutDigest = bad;
      const codes = [code, "FAILED_PRECONDITION"] as const;
      await refused(update(target, action, { stdoutDigest }), codes, "an output named badly");
    },
  },
];

/** One case for every digest function that this suite can compute. */
const functionCases: readonly Case[] = digestFunctions.map((fn) => ({
  name: `results under ${fn.toUpperCase()} are stored and served`,
  client: "every client" as const,
  rule: "REAPI: every advertised digest function is served",
  needs: ["cache writes"] as const,
  run: async (target) => {
    const digestFunction = toWireFunction(fn);
    if (!target.capabilities.cacheCapabilities?.digestFunctions.includes(digestFunction)) {
      throw new Skipped(`${fn.toUpperCase()} is not served`);
    }
    const action = await put(target, unique(), fn);
    const stdoutDigest = await put(target, unique(), fn);
    await update(target, action, { stdoutDigest }, { digestFunction });
    const found = await cachedResult(target, action, { digestFunction });
    same(found.stdoutDigest, stdoutDigest, "stdout_digest");
  },
}));

/** Cases of the action cache. */
export const actionCacheCases: readonly Case[] = [
  ...storedCases,
  ...completeCases,
  ...inlineCases,
  ...keyCases,
  ...functionCases,
];
