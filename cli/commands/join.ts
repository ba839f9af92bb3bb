// `builder join`: become a member of a mesh and serve for it.

import type { Command } from "commander";
import { becomeMember } from "../../src/node/become-member.ts";
import type { ServeConfig } from "../../src/node/config.ts";
import type { Log } from "../../src/telemetry/logger.ts";
import { addServeFlags, runWithFlags, type ServeFlags } from "./serve.ts";

/** Adds the command. */
export function addJoinCommand(program: Command): void {
  const command = program
    .command("join")
    .description("Join a mesh by an invitation, or come back to it, and serve.")
    .argument("[link]", "the invitation: builder://join/…; left out: the mesh of last time");
  addServeFlags(command);
  command.action(async (link: string | undefined, flags: ServeFlags) => {
    const before = async ({ store, name }: ServeConfig, log: Log) => {
      const mesh = await becomeMember(link, { store, name, now: Date.now, log });
      log("info", `Member "${mesh.node}" of the mesh "${mesh.name}"`);
    };
    await runWithFlags(flags, before);
  });
}
