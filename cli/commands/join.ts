// `builder join`: become a member of a mesh and serve for it.

import { createInterface } from "node:readline/promises";
import type { Command } from "commander";
import { MeshError } from "../../src/core/error.ts";
import { becomeMember, checkMayJoin } from "../../src/node/become-member.ts";
import { joinInTime } from "../../src/node/boot-order.ts";
import type { ServeConfig } from "../../src/node/config.ts";
import { knockAround } from "../../src/node/knock-around.ts";
import { findMeshes } from "../../src/node/lan.ts";
import type { Log } from "../../src/telemetry/logger.ts";
import { chooseInvitation, knockAtTerminal, noTerminal, renderMeshes } from "../choose-mesh.ts";
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
  command.option("--lan", "look for meshes in this network and ask which one to join");
  command
    .option("--boot-join-within <time>", "end, with code 4, where it could not join by then", age)
    .option("--boot-alone-max <time>", "end, with code 4, once alone and idle for so long", age);
  addServeFlags(command);
  command.action(async (given: string | undefined, flags: JoinFlags) => {
    const { bootJoinWithin: joinWithinMs, bootAloneMax: aloneMsMax, ...rest } = flags;
    const boot = { joinWithinMs, aloneMsMax };
    const before = async ({ store, name }: ServeConfig, log: Log) => {
      const link = flags.lan === true ? await askWhich(given, { store, name }) : given;
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

/** An invitation to the mesh that somebody at this terminal chooses: pasted, or got by a knock. */
async function askWhich(
  given: string | undefined,
  { store, name }: Pick<ServeConfig, "store" | "name">,
): Promise<string> {
  if (given !== undefined) {
    throw new MeshError("INVALID_ARGUMENT", "Give an invitation or --lan, not both.");
  }
  const meshes = await findMeshes(() => undefined);
  process.stdout.write(renderMeshes(meshes));
  if (process.stdin.isTTY !== true || process.stdout.isTTY !== true) {
    throw noTerminal(meshes);
  }
  const terminal = createInterface({ input: process.stdin, output: process.stdout });
  const gone = new AbortController();
  terminal.once("close", () => gone.abort());
  terminal.once("SIGINT", () => terminal.close());
  try {
    const { signal } = gone;
    const here = {
      ask: (question: string) => terminal.question(question, { signal }),
      say: (line: string) => void process.stdout.write(`${line}\n`),
    };
    const { mesh, link } = await chooseInvitation(meshes, here);
    if (link !== undefined) return link;
    checkMayJoin(store, mesh.id);
    return await knockAtTerminal(
      mesh,
      (onCode) => knockAround(mesh, name, { signal, onCode }),
      here,
    );
  } catch (error) {
    if (!gone.signal.aborted) throw error;
    process.stdout.write("\n");
    throw new MeshError("CANCELLED", "No mesh was joined.");
  } finally {
    terminal.close();
  }
}
