#!/usr/bin/env node
// `bldr`: builds and tests what a Builderfile describes.

import { answerUnchanged } from "./unchanged-answer.ts";

if (!answerUnchanged()) void runWhole();

/** Loads the rest of the program: only where the quickest answer is not one. */
async function runWhole(): Promise<void> {
  const { createProgram, runProgram } = await import("./program.ts");
  const { addBuildCommands } = await import("./commands/build.ts");
  const { addLanguageCommands } = await import("./commands/language.ts");
  const { addCompdbCommand } = await import("./commands/compdb.ts");
  const { addCompletionCommand } = await import("./commands/completion.ts");
  const { addDiffActionsCommand } = await import("./commands/diff-actions.ts");
  const { addGraphCommand } = await import("./commands/graph.ts");
  const { addInitCommand } = await import("./commands/init.ts");
  const { addRunCommand } = await import("./commands/run.ts");
  const { addShellCommand } = await import("./commands/shell.ts");
  const { addVerifyCommand } = await import("./commands/verify.ts");
  const { addWhyCommand } = await import("./commands/why.ts");
  const { addQueryCommand } = await import("./commands/query.ts");
  const program = createProgram("bldr", "Builds and tests what a Builderfile describes.");
  addBuildCommands(program);
  addRunCommand(program);
  addShellCommand(program);
  addWhyCommand(program);
  addVerifyCommand(program);
  addDiffActionsCommand(program);
  addCompletionCommand(program);
  addInitCommand(program);
  addQueryCommand(program);
  addGraphCommand(program);
  addCompdbCommand(program);
  addLanguageCommands(program);
  await runProgram(program);
}
