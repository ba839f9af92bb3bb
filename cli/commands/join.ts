// `builder join`: become a member of a mesh and serve for it.

import type { Command } from "commander";
import { becomeMember } from "../../src/node/become-member.ts";
import { joinInTime } from "../../src/node/boot-order.ts";
import type { ServeConfig } from "../../src/node/config.ts";
import { findMeshes } from "../../src/node/lan.ts";
import { type Log, printable } from "../../src/telemetry/logger.ts";
import { age } from "../flags.ts";
import { addServeFlags, clock, runWithFlags, type ServeFlags } from "./serve.ts";

interface JoinFlags extends ServeFlags {
  readonly lan?: boolean;
  readonly bootJoinWithin?: number;
  readonly bootAloneMax?: number;
}

/** Adds the command. */
export function addJoinCommand(program: Command): void {
  const command = program
    .command("join")
    .description("Join a mesh by an invitation, or come back to it, and serve.")
    .argument("[link]", "the invitation: builder://join/…; left out: the mesh of last time");
  command.option("--lan", "show the meshes of this network, and how to join one");
  command
    .option("--boot-join-within <time>", "end, with code 4, where it could not join by then", age)
    .option("--boot-alone-max <time>", "end, with code 4, once alone and idle for so long", age);
  addServeFlags(command);
  command.action(async (link: string | undefined, flags: JoinFlags) => {
    if (flags.lan) {
      process.stdout.write(renderMeshes(await findMeshes(() => undefined)));
      return;
    }
    const { bootJoinWithin: joinWithinMs, bootAloneMax: aloneMsMax, ...rest } = flags;
    const boot = { joinWithinMs, aloneMsMax };
    const before = async ({ store, name }: ServeConfig, log: Log) => {
      const join = () => becomeMember(link, { store, name, now: Date.now, log });
      const mesh = await joinInTime(join, boot, clock);
      log("info", `Member "${mesh.node}" of the mesh "${mesh.name}"`);
    };
    // A machine that was started to be one worker is one worker, and the mesh's. Any other is
    // somebody's, whose network is not the mesh's to use until its owner says so.
    const isBooted = joinWithinMs !== undefined;
    const booted = { workersMin: 1, ...rest, mayLead: false };
    const own = { ...rest, actionLimits: { network: false, ...rest.actionLimits } };
    await runWithFlags(isBooted ? booted : own, before, boot);
  });
}

function renderMeshes(meshes: Awaited<ReturnType<typeof findMeshes>>): string {
  if (meshes.length === 0) {
    return (
      "No mesh was heard within 3 s. Its nodes tell of themselves once work stealing is on, " +
      "and not through every router; `builder mesh invite` on one works from anywhere.\n"
    );
  }
  const lines = meshes.map(({ name, nodes }) => {
    const where = nodes.map(({ node, host }) => `${node} (${host})`).join(", ");
    return printable(`${name}: ${where}`);
  });
  const how = "To join one, run `builder mesh invite` there and paste its line here.";
  return `${lines.join("\n")}\n${how}\n`;
}
