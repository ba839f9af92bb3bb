// Execute: the stream of operations and the result at its end.

import {
  type ExecutedActionMetadata,
  ExecutionStage_Value,
} from "../../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { fromTimestamp } from "../../../src/wire/reapi.ts";
import { executeRequest, metadataOf, putAction, ran, stagesOf, stdoutOf } from "./actions.ts";
import { execution } from "./calls.ts";
import type { Case } from "./case.ts";
import { fetchBlob, missingOf } from "./content.ts";
import { check, present, same } from "./expectations.ts";

const needs = ["execution"] as const;

/** Cases of Execute. */
export const executionCases: readonly Case[] = [
  {
    name: "an action runs and says what it wrote",
    client: "every client",
    rule: "REAPI: Execute",
    needs,
    run: async (target) => {
      const { result } = await ran(target, { run: "echo out; echo err >&2" });
      same(result.exitCode, 0, "exit_code");
      same(await stdoutOf(target, result), "out\n", "stdout");
      const raw = Buffer.from(result.stderrRaw);
      const stderr = raw.length > 0 ? raw : await fetchBlob(target, result.stderrDigest);
      same(stderr.toString(), "err\n", "stderr");
    },
  },
  {
    name: "stages only go forward, and the last one is COMPLETED",
    client: "Bazel",
    rule: "REAPI: ExecutionStage; only EXECUTING may go back to QUEUED",
    needs,
    run: async (target) => {
      const { operations } = await ran(target, { run: "sleep 0.3" });
      const stages = stagesOf(operations);
      const { QUEUED, EXECUTING, COMPLETED } = ExecutionStage_Value;
      stages.reduce((before, after) => {
        const back = before === EXECUTING && after === QUEUED;
        check(back || after >= before, `stage ${after} follows ${before}`);
        return after;
      }, 0);
      same(stages.at(-1), COMPLETED, "the last stage");
      check(!stages.slice(0, -1).includes(COMPLETED), "COMPLETED comes before the end");
    },
  },
  {
    name: "only the last message is done, and every one names the operation and the action",
    client: "Bazel",
    rule: "REAPI: Operation.name, ExecuteOperationMetadata.action_digest",
    needs,
    run: async (target) => {
      const { operations, action } = await ran(target, { run: "sleep 0.2" });
      const done = operations.map((operation) => operation.done);
      same(done.indexOf(true), operations.length - 1, "the index of the first done message");
      same(new Set(operations.map(({ name }) => name)).size, 1, "the number of names");
      check(operations[0]?.name !== "", "the operation has no name");
      for (const operation of operations) {
        check(
          operation.metadata?.typeUrl.endsWith(".v2.ExecuteOperationMetadata") === true,
          `the metadata is ${operation.metadata?.typeUrl}`,
        );
        same(metadataOf(operation).actionDigest?.hash, action.hash, "the hash of action_digest");
      }
    },
  },
  {
    name: "a failing tool is an OK status with its exit code, never Operation.error",
    client: "Bazel",
    rule: "REAPI: the server MUST NOT set Operation.error; the exit code is the result's",
    needs,
    run: async (target) => {
      const { result, operations } = await ran(target, { run: "echo no >&2; exit 3" });
      same(result.exitCode, 3, "exit_code");
      const cases = operations.map((operation) => operation.result?.$case);
      check(!cases.includes("error"), "Operation.error is set");
    },
  },
  {
    name: "an action that another kills ends with 128 and the signal",
    client: "every client",
    rule: "a silent exit code hides what happened",
    needs,
    run: async (target) => {
      const { result } = await ran(target, { run: "kill -TERM $$; sleep 5" });
      same(result.exitCode, 143, "exit_code");
    },
  },
  {
    name: "a result names its worker",
    client: "Buck2",
    rule: "Buck2 fails without ActionResult.execution_metadata",
    needs,
    run: async (target) => {
      const { result } = await ran(target, { run: "true" });
      const metadata = present(result.executionMetadata, "execution_metadata");
      check(metadata.worker !== "", "execution_metadata.worker is empty");
    },
  },
  {
    name: "all times of a result are set and in order",
    client: "Bazel",
    rule: "REAPI: ExecutedActionMetadata; Bazel's profile subtracts them",
    needs,
    run: async (target) => {
      const { result } = await ran(target, { run: "sleep 0.1" });
      checkTimes(present(result.executionMetadata, "execution_metadata"));
    },
  },
  {
    name: "all that a result names can be had",
    client: "Bazel",
    rule: "building without the bytes: a result is a promise",
    needs,
    run: async (target) => {
      const run = "echo out; echo err >&2; echo a > a; : > empty";
      const command = { outputPaths: ["a", "empty"] };
      const { result } = await ran(target, { run, command });
      const named = [
        result.stdoutDigest,
        result.stderrDigest,
        ...result.outputFiles.map(({ digest }) => digest),
      ].filter((digest) => digest !== undefined);
      same(await missingOf(target, named), [], "the missing blobs");
      same(result.outputFiles.length, 2, "the number of output files");
    },
  },
  {
    name: "a long wait brings an update at least every 20 seconds",
    client: "Bazel",
    rule: "--experimental_remote_execution_keepalive puts remote_timeout on each wait",
    needs,
    alone: true,
    deadlineMs: 60_000,
    run: async (target) => {
      const action = await putAction(target, { run: "sleep 22" });
      const stream = target.calls.stream(execution.execute, executeRequest(target, action));
      const longestMs = await longestGapMs(stream);
      check(longestMs < 20_000, `${Math.round(longestMs)} ms passed without a message`);
    },
  },
  {
    name: "outputs wished inline are right, and a large answer still arrives",
    client: "Bazel",
    rule: "REAPI: inline hints of ExecuteRequest; gRPC clients receive 4 MiB",
    needs,
    run: async (target) => {
      const run = "head -c 6000000 /dev/zero; echo small > small; head -c 5000000 /dev/zero > big";
      const command = { outputPaths: ["small", "big"] };
      const wishes = { inlineStdout: true, inlineOutputFiles: ["small", "big"] };
      const { result } = await ran(target, { run, command }, wishes);
      same((await stdoutOf(target, result)).length, 6_000_000, "the length of stdout");
      const small = result.outputFiles.find(({ path }) => path === "small");
      const inline = Buffer.from(small?.contents ?? []).toString();
      check(inline === "" || inline === "small\n", `small came inline as ${inline}`);
      same((await fetchBlob(target, small?.digest)).toString(), "small\n", "small");
    },
  },
];

/** The longest time without a message, in ms. */
async function longestGapMs(stream: AsyncIterable<unknown>): Promise<number> {
  let lastMs = performance.now();
  let longestMs = 0;
  for await (const _ of stream) {
    longestMs = Math.max(longestMs, performance.now() - lastMs);
    lastMs = performance.now();
  }
  return longestMs;
}

const timeFields = [
  "queuedTimestamp",
  "workerStartTimestamp",
  "inputFetchStartTimestamp",
  "inputFetchCompletedTimestamp",
  "executionStartTimestamp",
  "executionCompletedTimestamp",
  "outputUploadStartTimestamp",
  "outputUploadCompletedTimestamp",
  "workerCompletedTimestamp",
] as const satisfies readonly (keyof ExecutedActionMetadata)[];

function checkTimes(metadata: ExecutedActionMetadata): void {
  let before = 0;
  for (const field of timeFields) {
    const ms = fromTimestamp(present(metadata[field], field)) ?? 0;
    check(ms >= before, `${field} is ${before - ms} ms before the time that precedes it`);
    before = ms;
  }
}
