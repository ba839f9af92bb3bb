#!/usr/bin/env node
// `builder`: nodes of the mesh.

import { enableCompileCache } from "node:module";

enableCompileCache();
const { createProgram, runProgram } = await import("./program.ts");
const { addRemoteCommand } = await import("./commands/remote.ts");
const { addServeCommand } = await import("./commands/serve.ts");
const { addStoreCommand } = await import("./commands/store.ts");

const program = createProgram("builder", "Runs nodes of the build mesh and shows how they are.");
addServeCommand(program);
addRemoteCommand(program);
addStoreCommand(program);
await runProgram(program);
