import { type ActionSpec, executeToEnd, putAction, ran } from "./actions.ts";
import type { Case } from "./case.ts";
import { unique } from "./content.ts";
import { check, isServiceError, nameOfCode, same } from "./expectations.ts";
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

/** Cases of wrong commands. */
export const hostileCommandCases: readonly Case[] = [
  {
    name: "working directories and outputs that leave the exec root are refused",
    client: "hostile client",
    rule: "REAPI: paths of a Command are relative and stay below the input root",
    needs,
    run: async (target) => {
      for (const path of ["..", "a/../..", "/etc", "/", "../../etc/passwd"]) {
        const commands = [{ workingDirectory: path }, { outputPaths: [path] }];
        for (const command of [
          ...commands,
          { outputFiles: [path] },
          { outputDirectories: [path] },
        ]) {
          await checkRefused(target, { run: "true", command }, JSON.stringify(command));
        }
      }
    },
  },
  {
    name: "an output that a symlink leads outside is not followed",
    client: "hostile client",
    rule: "outputs come from the exec root alone",
    needs,
    run: async (target) => {
      const run = "ln -s /etc out; true";
      const action = await putAction(target, { run, command: { outputPaths: ["out/passwd"] } });
      const { response } = await executeToEnd(target, action);
      same(response?.result?.outputFiles.length ?? 0, 0, "the number of files from outside");
    },
  },
  {
    name: "NUL in arguments or in the environment, and names with = are refused",
    client: "hostile client",
    rule: "no operating system can pass them on",
    needs,
    run: async (target) => {
      await checkRefused(target, { run: ["/bin/echo", "a\0b"] }, "an argument with NUL");
      await checkRefused(target, { run: "true", env: { "A\0": "b" } }, "a variable with NUL");
      await checkRefused(target, { run: "true", env: { A: "b\0c" } }, "a value with NUL");
      await checkRefused(target, { run: "true", env: { "A=B": "c" } }, "a variable with =");
    },
  },
  {
    name: "a command line of 10 MiB ends in an answer",
    client: "hostile client",
    rule: "every message has a bound; operating systems bound arguments",
    needs,
    alone: true,
    deadlineMs: 60_000,
    run: async (target) => {
      for (const sizes of [[10 << 20], Array.from({ length: 10 << 10 }, () => 1024), [3 << 20]]) {
        const run = ["/bin/true", ...sizes.map((size) => "x".repeat(size))];
        const { code, response } = await executeToEnd(target, await putAction(target, { run }));
        const failed = response?.result !== undefined && response.result.exitCode !== 0;
        check(
          (code === 0 && failed) || tooMuch.includes(nameOfCode(code)),
          `${sizes.length} arguments ended with ${nameOfCode(code)}`,
        );
      }
      await checkStillServes(target);
    },
  },
  {
    name: "platforms beyond all reason are refused, and never run",
    client: "hostile client",
    rule: "every message has a bound",
    needs,
    run: async (target) => {
      const many = Array.from({ length: 10_000 }, (_, at) => {
        return { name: `p${`${at}`.padStart(5, "0")}`, value: "v" };
      });
      const long = [{ name: "n".repeat(100_000), value: "v".repeat(100_000) }];
      for (const properties of [many, long]) {
        const action = { platform: { properties } };
        await checkRefused(
          target,
          { run: "true", action },
          `${properties.length} properties`,
          tooMuch,
        );
      }
    },
  },
  {
    name: "an Execute without an action, or with one named badly, is refused",
    client: "hostile client",
    rule: "REAPI: ExecuteRequest.action_digest",
    needs,
    run: async (target) => {
      for (const digest of [
        { hash: "", sizeBytes: 0 },
        { hash: "zz", sizeBytes: 5 },
        { hash: unique(32).toString("hex"), sizeBytes: -5 },
      ]) {
        const end = await executeToEnd(target, digest);
        same(nameOfCode(end.code), "INVALID_ARGUMENT", `the status of ${JSON.stringify(digest)}`);
      }
    },
  },
  {
    name: "an action that fills its stdout ends in an answer",
    client: "hostile client",
    rule: "every stream has a bound",
    needs,
    alone: true,
    deadlineMs: 60_000,
    run: async (target) => {
      const action = await putAction(target, { run: "timeout 5 yes", timeoutMs: 8000 });
      await executeToEnd(target, action);
      const { result } = await ran(target, { run: "true" });
      same(result.exitCode, 0, "exit_code of the next action");
    },
  },
  {
    name: "an action that forks for ever is stopped",
    client: "hostile client",
    rule: "an action is bounded by its sandbox",
    needs,
    alone: true,
    deadlineMs: 60_000,
    run: async (target) => {
      const run = "i=0; while [ $i -lt 5000 ]; do sleep 30 & i=$((i+1)); done; wait";
      const action = await putAction(target, { run, timeoutMs: 3000 });
      const { code } = await executeToEnd(target, action).catch((error: unknown) => {
        if (isServiceError(error)) return { code: error.code };
        throw error;
      });
      check(nameOfCode(code) !== "INTERNAL", "it ended with INTERNAL");
      same((await ran(target, { run: "true" })).result.exitCode, 0, "exit_code of the next action");
    },
  },
];
