#!/usr/bin/env node
// `builder`: nodes of the mesh. Of the commands only the one that is meant is loaded: who looks how
// a node is does not wait for all that a node is made of.

import type { Command } from "commander";
import { createProgram, runProgram } from "./program.ts";

type Add = (program: Command) => void;

/** Every command, in the order of the help. */
const commands: Readonly<Record<string, () => Promise<Add>>> = {
  serve: async () => (await import("./commands/serve.ts")).addServeCommand,
  join: async () => (await import("./commands/join.ts")).addJoinCommand,
  mesh: async () => (await import("./commands/mesh.ts")).addMeshCommand,
  remote: async () => (await import("./commands/remote.ts")).addRemoteCommand,
  store: async () => (await import("./commands/store.ts")).addStoreCommand,
  simulate: async () => (await import("./commands/simulate.ts")).addSimulateCommand,
  toolchain: async () => (await import("./commands/toolchain.ts")).addToolchainCommand,
};

async function main(): Promise<void> {
  const program = createProgram("builder", "Runs nodes of the build mesh and shows how they are.");
  const [word = ""] = process.argv.slice(2);
  // Whoever asks for help, or says what is no command, is told of all.
  const meant = Object.hasOwn(commands, word) ? [commands[word]] : Object.values(commands);
  for (const load of meant) (await load?.())?.(program);
  await runProgram(program);
}

void main();
