// `builder mesh …`: invite machines, put them out, leave, and see how the mesh is.

import type { Command } from "commander";
import { createMeshClient, type MeshClient } from "../../src/build/mesh-client.ts";
import { failureOf } from "../../src/core/error.ts";
import { type IdleMesh, openIdleMesh } from "../../src/node/idle-mesh.ts";
import { examineMesh } from "../../src/node/mesh-doctor.ts";
import { fetchStatus, type Status } from "../../src/node/status.ts";
import { printable } from "../../src/telemetry/logger.ts";
import { age, wholeNumber } from "../flags.ts";
import { formatSpan, renderInvitation } from "../invitation-text.ts";
import { addNodeFlags, chosenEndpoint, chosenStore, type NodeChoice } from "../node-flags.ts";
import { formatAge } from "../render.ts";
import { tableLines } from "../text-table.ts";

interface MeshFlags extends NodeChoice {
  readonly json?: boolean;
}

interface InviteFlags extends MeshFlags {
  readonly role: string;
  readonly uses: number;
  readonly expires: number;
  readonly qr?: boolean;
}

/** Adds the command and its parts. */
export function addMeshCommand(program: Command): void {
  const mesh = program
    .command("mesh")
    .description("Let machines into the mesh, and see how it is.");
  const part = (name: string, what: string) => addNodeFlags(mesh.command(name).description(what));

  part("invite", "Print a line that brings another machine in.")
    .addOption(
      mesh
        .createOption("--role <role>", "an admin can invite and put out, too")
        .choices(["host", "admin"])
        .default("host"),
    )
    .option("--uses <n>", "machines that may use it", wholeNumber(1, 1000), 1)
    .option("--expires <time>", "how long it can be used, such as 30m or 7d (1h)", age, 3_600_000)
    .option("--qr", "show it as a QR code too")
    .action(invite);
  part("members", "List the nodes of the mesh.")
    .option("--json", "print them for programs")
    .action(listMembers);
  part("admit", "Let in the machine that knocks with a code; without one, show who knocks.")
    .argument("[code...]", "the six digits on that machine's screen")
    .action(admit);
  part("revoke", "Put a member out of the mesh, at once and everywhere.")
    .argument("<member>", "its name or peer id")
    .action(revoke);
  part("leave", "Take this machine out of its mesh; its node stops.").action(leave);
  part("info", "Show this machine's membership.")
    .option("--json", "print it for programs")
    .action(showInfo);
  part("doctor", "Say what is wrong with this machine's place in the mesh.").action(examine);
}

async function invite(flags: InviteFlags): Promise<void> {
  const { role, uses, expires, qr = false } = flags;
  const invited = await clientOf(flags).invite({ role, uses, expiresInMs: expires });
  const who = uses === 1 ? "One machine joins" : `Up to ${uses} machines join`;
  say(`${who} within ${formatSpan(expires)} by running there:`);
  process.stdout.write(renderInvitation(invited.link, qr));
  if (role === "admin") say("It gets the mesh's key: it can invite and put out as this node can.");
}

async function listMembers(flags: MeshFlags): Promise<void> {
  const members = await online(
    async () => (await fetchStatus(chosenEndpoint(flags))).members,
    async () => {
      const known = (await openIdleMesh(chosenStore(flags), Date.now)).members();
      return known.map((member) => ({ ...member, state: "unknown", linked: false }));
    },
  );
  process.stdout.write(flags.json ? `${JSON.stringify(members)}\n` : renderMembers(members));
}

function renderMembers(members: Status["members"]): string {
  if (members.length === 0) return "No node is known.\n";
  const width = Math.max(...members.map(({ name }) => name.length));
  const lines = members.map(({ name, state, peer, addresses }) => {
    const where = addresses.length === 0 ? "only dials out" : (addresses[0] ?? "");
    return `${name.padEnd(width)}  ${state.padEnd(11)}  ${peer}  ${where.replace(/\/p2p\/.*/, "")}`;
  });
  return `${lines.map(printable).join("\n")}\n`;
}

async function admit(words: readonly string[], flags: MeshFlags): Promise<void> {
  const client = clientOf(flags);
  if (words.length === 0) {
    process.stdout.write(renderKnocks(await client.knocks()));
    return;
  }
  const { name, address } = await client.admit(words.join(""));
  say(printable(`${name || "The machine"} at ${address} is let in. Answer "y" on its screen.`));
}

function renderKnocks(knocks: Awaited<ReturnType<MeshClient["knocks"]>>): string {
  if (knocks.length === 0) return "Nobody knocks.\n";
  const rows = knocks.map(({ name, address, ageMs }) => [name, address, formatAge(ageMs)]);
  const heads = [{ head: "Who" }, { head: "Where" }, { head: "Since", right: true }];
  return `${tableLines(heads, rows, Number.POSITIVE_INFINITY).join("\n")}\n`;
}

async function revoke(member: string, flags: MeshFlags): Promise<void> {
  const revoked = await onlineOrIdle(flags, (mesh) => mesh.revoke(member));
  say(printable(`${revoked.name || revoked.peer} is out of the mesh (${revoked.peer}).`));
  if (revoked.admin) {
    say("It was an admin and holds the mesh's key: it can let itself in again. Begin a new mesh.");
  }
}

async function leave(flags: MeshFlags): Promise<void> {
  const { authority, name } = await onlineOrIdle(flags, (mesh) => mesh.describe());
  await onlineOrIdle(flags, (mesh) => mesh.leave());
  say(printable(`This machine is no member of "${name}" any more.`));
  if (authority) say("It held the mesh's key: only other admins can invite now.");
}

async function showInfo(flags: MeshFlags): Promise<void> {
  const mesh = await onlineOrIdle(flags, (found) => found.describe());
  if (flags.json) {
    say(JSON.stringify(mesh));
    return;
  }
  const lines = [
    `Mesh: ${mesh.name} (${mesh.id})`,
    `Node: ${mesh.node} (${mesh.peer})`,
    `Roles: ${mesh.roles.join(", ")}`,
    `Member until: ${new Date(mesh.notAfterMs).toISOString().slice(0, 10)}`,
    `Can invite: ${mesh.authority ? "yes" : "no"}`,
    `Work stealing: ${mesh.workStealing ? "on" : "off"}`,
    `Put out so far: ${mesh.revoked}`,
    ...mesh.addresses.map((address) => `Address: ${address}`),
    ...mesh.invites.map(({ role, usesLeft, expiresAtMs }) => {
      const left = formatSpan(expiresAtMs - Date.now());
      return `Open invitation: ${role}, ${usesLeft} uses left, for ${left}`;
    }),
  ];
  say(lines.map(printable).join("\n"));
}

async function examine(flags: MeshFlags): Promise<void> {
  const node = await fetchStatus(chosenEndpoint(flags)).catch(() => undefined);
  const findings = await examineMesh({ store: chosenStore(flags), now: Date.now, node });
  for (const { isFine, text } of findings) say(printable(`${isFine ? "ok" : "!!"}  ${text}`));
  if (findings.some(({ isFine }) => !isFine)) process.exitCode = 1;
}

/** By the node that runs; without one, by what its store keeps. */
function onlineOrIdle<T>(
  flags: MeshFlags,
  act: (mesh: MeshClient | IdleMesh) => T | Promise<T>,
): Promise<T> {
  return online(
    async () => await act(clientOf(flags)),
    async () => await act(await openIdleMesh(chosenStore(flags), Date.now)),
  );
}

async function online<T>(ask: () => Promise<T>, otherwise: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (failureOf(error).code !== "UNAVAILABLE") throw error;
    return await otherwise();
  }
}

function clientOf(flags: MeshFlags): MeshClient {
  return createMeshClient(chosenEndpoint(flags));
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
