// The process that an action sees: program, arguments, environment, folder; and digest functions.

import { type DigestFunction, digestFunctions } from "../../../src/core/digest.ts";
import { toWireFunction } from "../../../src/wire/reapi.ts";
import { cachedResult, executeToEnd, metadataOf, putAction, ran, stdoutOf } from "./actions.ts";
import type { Case } from "./case.ts";
import { blobOf, fetchBlob, prefixOf } from "./content.ts";
import { check, nameOfCode, present, refused, Skipped, same } from "./expectations.ts";

const needs = ["execution"] as const;

/** The process. */
const runCases: readonly Case[] = [
  {
    name: "the environment is exactly what the command gives",
    client: "Bazel",
    rule: "REAPI: Command.environment_variables, nothing is inherited",
    needs,
    run: async (target) => {
      const env = { A: "1", B: "two words", ÜNÏ: "wörter" };
      const { result } = await ran(target, { run: ["/usr/bin/env"], env });
      const lines = (await stdoutOf(target, result)).trimEnd().split("\n").sort();
      same(lines, ["A=1", "B=two words", "ÜNÏ=wörter"], "the environment");
    },
  },
  {
    name: "arguments arrive as they are",
    client: "every client",
    rule: "REAPI: Command.arguments are no shell text",
    needs,
    run: async (target) => {
      const words = ["", " ", "$HOME", "a b", "*", "ünï", "'", '"', "\n", "-n"];
      const run = ["/bin/sh", "-c", 'for a in "$@"; do printf "[%s]" "$a"; done', "sh", ...words];
      const { result } = await ran(target, { run });
      const expected = words.map((word) => `[${word}]`).join("");
      same(await stdoutOf(target, result), expected, "the arguments");
    },
  },
  {
    name: "a program with a slash is relative to the working directory",
    client: "Bazel",
    rule: "REAPI 2.3: resolution of arguments[0]",
    needs,
    run: async (target) => {
      const script = { bytes: Buffer.from("#!/bin/sh\necho from inside\n"), executable: true };
      const inputs = { folders: { work: { folders: { bin: { files: { tool: script } } } } } };
      const command = { workingDirectory: "work" };
      const { result } = await ran(target, { run: ["bin/tool"], inputs, command });
      same(await stdoutOf(target, result), "from inside\n", "stdout");
    },
  },
  {
    name: "a program without a slash is looked for in the PATH of the command",
    client: "Bazel",
    rule: "REAPI 2.3: resolution of arguments[0]",
    needs,
    run: async (target) => {
      const { result } = await ran(target, {
        run: ["echo", "found"],
        env: { PATH: "/usr/bin:/bin" },
      });
      same(await stdoutOf(target, result), "found\n", "stdout");
    },
  },
  {
    name: "a program that is not there ends the action without a cached success",
    client: "every client",
    rule: "REAPI: what did not run must not be cached",
    needs,
    run: async (target) => {
      const action = await putAction(target, { run: ["/no/such/program"] });
      const { code, response } = await executeToEnd(target, action);
      const exitCode = response?.result?.exitCode ?? 0;
      check(code !== 0 || exitCode !== 0, "it ended with OK and exit code 0");
      await refused(cachedResult(target, action), "NOT_FOUND", "its result");
    },
  },
  {
    name: "an action runs in its working directory, and outputs are relative to it",
    client: "every client",
    rule: "REAPI: Command.working_directory",
    needs,
    run: async (target) => {
      const inputs = { folders: { a: { folders: { b: { files: { here: "" } } } } } };
      const command = { workingDirectory: "a/b", outputPaths: ["out", "../up"] };
      const { result } = await ran(target, { run: "ls > out; echo up > ../up", inputs, command });
      const paths = result.outputFiles.map(({ path }) => path).sort();
      same(paths, ["../up", "out"], "the output paths");
      const out = result.outputFiles.find(({ path }) => path === "out");
      check((await fetchBlob(target, out?.digest)).includes("here"), "it ran somewhere else");
    },
  },
  {
    name: "a working directory that is no folder ends the action",
    client: "every client",
    rule: "REAPI: working_directory must be a folder of the input root",
    needs,
    run: async (target) => {
      const inputs = { files: { file: "" } };
      const command = { workingDirectory: "file" };
      const action = await putAction(target, { run: "true", inputs, command });
      const { code } = await executeToEnd(target, action);
      const codes = ["INVALID_ARGUMENT", "FAILED_PRECONDITION"];
      check(codes.includes(nameOfCode(code)), `it ended with ${nameOfCode(code)}`);
    },
  },
  {
    name: "an instance with slashes executes like any other",
    client: "siso",
    rule: "siso names its instance projects/P/instances/I",
    needs,
    run: async (target) => {
      const instance = `${prefixOf(target.instance)}projects/p/instances/i`;
      const there = { ...target, instance };
      const action = await putAction(there, { run: "echo here" }).catch((error: unknown) => {
        throw new Skipped(`instances are limited: ${error}`);
      });
      const { code, operations, message } = await executeToEnd(there, action);
      same(nameOfCode(code), "OK", `the status (${message})`);
      check(operations.at(-1)?.done === true, "the operation is not done");
    },
  },
];

/** One case for every digest function that this suite can compute. */
const functionCases: readonly Case[] = digestFunctions.map((fn) => ({
  name: `actions are executed under ${fn.toUpperCase()}`,
  client: "every client" as const,
  rule: "REAPI: ExecutionCapabilities.digest_functions",
  needs,
  run: async (target) => {
    const served = target.capabilities.executionCapabilities?.digestFunctions ?? [];
    if (!served.includes(toWireFunction(fn)))
      throw new Skipped(`${fn.toUpperCase()} is not served`);
    const inputs = { folders: { d: { files: { f: "content\n" } } } };
    const command = { outputPaths: ["out"] };
    const { result, operations } = await ran(target, { run: "cp d/f out", inputs, command, fn });
    const [file] = result.outputFiles;
    same(file?.digest, (await blobOf("content\n", fn)).digest, "the digest of the output");
    same((await fetchBlob(target, file?.digest, fn)).toString(), "content\n", "the output");
    const last = present(operations.at(-1), "the last message");
    checkFunction(metadataOf(last).digestFunction, fn);
  },
}));

function checkFunction(told: number, fn: DigestFunction): void {
  check(
    told === toWireFunction(fn) || (told === 0 && fn === "sha256"),
    `the metadata tells digest function ${told}`,
  );
}

/** Cases of processes. */
export const processCases: readonly Case[] = [...runCases, ...functionCases];
