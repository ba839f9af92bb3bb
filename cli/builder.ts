#!/usr/bin/env node
// `builder`: nodes of the mesh.

import { addJoinCommand } from "./commands/join.ts";
import { addMeshCommand } from "./commands/mesh.ts";
import { addRemoteCommand } from "./commands/remote.ts";
import { addServeCommand } from "./commands/serve.ts";
import { addSimulateCommand } from "./commands/simulate.ts";
import { addStoreCommand } from "./commands/store.ts";
import { addToolchainCommand } from "./commands/toolchain.ts";
import { createProgram, runProgram } from "./program.ts";

const program = createProgram("builder", "Runs nodes of the build mesh and shows how they are.");
addServeCommand(program);
addJoinCommand(program);
addMeshCommand(program);
addRemoteCommand(program);
addStoreCommand(program);
addSimulateCommand(program);
addToolchainCommand(program);
void runProgram(program);
