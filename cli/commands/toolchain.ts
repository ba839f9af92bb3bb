// `builder toolchain`: by which names this machine's tools go.

import type { Command } from "commander";
import { openHostTools } from "../../src/node/host-toolchain.ts";

/** Adds the command. */
export function addToolchainCommand(program: Command): void {
  program
    .command("toolchain")
    .description("Print the names of this machine's tools, one for each kind of action.")
    .action(() => {
      const { names } = openHostTools({ now: Date.now }).current();
      for (const name of names) process.stdout.write(`${name}\n`);
    });
}
