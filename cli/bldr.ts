#!/usr/bin/env node
// `bldr`: builds and tests what a Builderfile describes.

import { enableCompileCache } from "node:module";

enableCompileCache();
const { createProgram, runProgram } = await import("./program.ts");
const { addBuildCommands } = await import("./commands/build.ts");
const { addRunCommand } = await import("./commands/run.ts");
const { addShellCommand } = await import("./commands/shell.ts");
const { addWhyCommand } = await import("./commands/why.ts");

const program = createProgram("bldr", "Builds and tests what a Builderfile describes.");
addBuildCommands(program);
addRunCommand(program);
addShellCommand(program);
addWhyCommand(program);
await runProgram(program);
