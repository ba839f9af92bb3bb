// The mesh side of a serving node: its membership, who is let in and who is put out, and where
// other nodes dial it.

import { join } from "node:path";
import type { PeerId } from "../core/action.ts";
import { knockDefaults } from "../core/knocks.ts";
import type { MemberRecord } from "../core/message.ts";
import type { Note } from "../core/note.ts";
import type { MeshControl } from "../ingress/mesh-control.ts";
import { announceOnLan } from "../mesh/discovery.ts";
import { createKnockDoor } from "../mesh/knock-door.ts";
import type { SignedRevocation } from "../mesh/revocations.ts";
import { throughOthers } from "../mesh/transport.ts";
import type { Log } from "../telemetry/logger.ts";
import { encodeMessage } from "../wire/mesh-codec.ts";
import { type HostPort, isLoopback, type ServeConfig } from "./config.ts";
import { type EnteredMesh, enterMesh } from "./enter-mesh.ts";
import { cutOff, hearRevocations } from "./hear-revocations.ts";
import { type Member, startMember } from "./member.ts";
import { createMeshControl, describeMesh, letsOthersIn } from "./mesh-control.ts";

type MemberDeps = Parameters<typeof startMember>[0];
type MemberOptions = Parameters<typeof startMember>[1];

/** A member that serves, and what its owner can do with the mesh. */
export interface ServingMember {
  readonly state: EnteredMesh;
  readonly member: Member;
  /** The nodes that serve, this one first. */
  known(): readonly MemberRecord[];
  readonly control: MeshControl;
  /** True where other machines can dial this node. */
  readonly isPublic: boolean;
  /** Tells the local network of this node; `coordinator` is where builds reach it. */
  announce(coordinator: HostPort, isTls: boolean): void;
  /** Resolves once its owner took it out of the mesh; the node is to stop then. */
  readonly left: Promise<void>;
  stop(): Promise<void>;
}

/** Enters the mesh of the store and starts the member that serves for it, with this core. */
export async function startServingMember(
  deps: Pick<MemberDeps, "log" | "now" | "perform" | "onOutput">,
  config: ServeConfig,
  coreOf: (state: EnteredMesh) => Promise<MemberOptions["core"]>,
): Promise<ServingMember> {
  const { log, now } = deps;
  const { name } = config;
  // A node for one build alone keeps out of the mesh of this machine.
  const folder = join(config.store, config.findable ? "mesh" : "mesh-private");
  const state = await enterMesh(folder, { name, meshName: name, now });
  decideWorkStealing(state, config, now());
  const running: { member?: Member } = {};
  const startedAtMs = now();
  const left = Promise.withResolvers<void>();

  const own = (): MemberRecord => ({
    ...{ peer: state.self.peerId, name: state.self.name, version: 1, left: false },
    ...{ addresses: running.member?.mesh.addresses() ?? [], incarnation: startedAtMs },
  });
  const known = () => [own(), ...othersKnown(running.member)];
  const gatekeeper = createGatekeeper({ log, state, member: () => running.member });
  const memory = createMemory(state, () => othersKnown(running.member));
  const door = createKnockDoor({
    meshId: state.credential.meshId,
    invite: letsOthersIn(state) ? () => inviteKnocker(state) : undefined,
    admins: () => adminsLinked(running.member),
    log,
    now,
  });
  const memberDeps: MemberDeps = {
    ...deps,
    ...gatekeeper,
    admit: state.admission(known),
    door,
    perform: (effect) => {
      if (effect.kind === "note") memory.onNote(effect.note, now());
      deps.perform(effect);
    },
  };
  try {
    const core = await coreOf(state);
    const options = { state, config, core: { ...core, ...partInMesh(state, config) } };
    const { member, isPublic } = await listen(memberDeps, options);
    running.member = member;
    const control = createMeshControl({
      state,
      addresses: member.mesh.addresses,
      members: known,
      putOut: gatekeeper.putOut,
      door,
      stopSoon: left.resolve,
    });
    let announcement: { stop(): void } | undefined;
    const announce = (coordinator: HostPort, isTls: boolean) => {
      const says = announced(state, coordinator, isTls);
      if (isPublic && config.findable) announcement = announceOnLan(log, says);
    };
    const stop = async () => {
      announcement?.stop();
      memory.close();
      await member.stop();
      state.release();
    };
    return { state, member, known, control, isPublic, announce, left: left.promise, stop };
  } catch (error) {
    state.release();
    throw error;
  }
}

function announced(state: EnteredMesh, coordinator: HostPort, tls: boolean) {
  const { name: meshName, id: meshId, node, peer } = describeMesh(state);
  const remotePort = isLoopback(coordinator.host) ? 0 : coordinator.port;
  return { meshName, meshId, node, peer, port: state.port(), remotePort, tls };
}

/** What its core is told: it serves, and whom it knew when it stopped. */
function partInMesh(state: EnteredMesh, { mayLead }: ServeConfig) {
  const { workStealing: on, workStealingVersion: version } = state.settings();
  const known = state.members().filter(({ peer }) => peer !== state.self.peerId);
  const election = { mayLead };
  const membership = { serves: true, known, workStealing: { on, version }, election };
  return { name: state.self.name, serves: true, membership };
}

/** The newcomer asks its owner once more before it uses it, so it lasts as long as a knock. */
function inviteKnocker({ invites }: EnteredMesh): Uint8Array {
  return invites.create({ role: "host", uses: 1, expiresInMs: knockDefaults.waitMs }).secret;
}

function adminsLinked(member: Member | undefined): string[] {
  const linked = member?.mesh.peers().map(member.mesh.memberOf) ?? [];
  return linked.flatMap((other) => (other?.roles.includes("admin") ? [other.name] : []));
}

/** Hints for whoever comes next; what a member says of itself counts more. */
function othersKnown(member: Member | undefined): MemberRecord[] {
  const others = member?.core.members ?? [];
  return others.map(({ peer, name, addresses }) => {
    return { peer, name, addresses, incarnation: 0, version: 0, left: false };
  });
}

/** What changes within so many ms is written once; others known are hints, and disks are slow. */
const memoryMs = 200;

/** Keeps for the next start what the mesh has come to. */
function createMemory(state: EnteredMesh, others: () => MemberRecord[]) {
  let timer: NodeJS.Timeout | undefined;
  const write = () => {
    timer = undefined;
    state.saveMembers(others());
  };
  return {
    onNote: (note: Note, nowMs: number): void => {
      if (note.name.startsWith("member-")) timer ??= setTimeout(write, memoryMs);
      if (note.name !== "work-stealing") return;
      const settings = { workStealing: note.on, workStealingVersion: nowMs };
      state.saveSettings({ ...state.settings(), ...settings });
    },
    /** Writes what waits. */
    close: (): void => {
      if (timer === undefined) return;
      clearTimeout(timer);
      write();
    },
  };
}

const again = "To come back it wants a new invitation: builder mesh invite on a member.";

/** Knows who is out, tells every peer, and cuts off. */
function createGatekeeper(of: {
  readonly log: Log;
  readonly state: EnteredMesh;
  readonly member: () => Member | undefined;
}) {
  const { log, state } = of;
  const tell = (peer: PeerId, signed: SignedRevocation) =>
    of.member()?.mesh.send(peer, encodeMessage({ kind: "revocation", ...signed }));
  const putOut = (peer: PeerId, signed: SignedRevocation) => {
    const member = of.member();
    if (member === undefined) return;
    for (const other of member.mesh.peers()) tell(other, signed);
    if (peer === state.self.peerId) {
      log("error", `${state.self.name} was put out of the mesh and works alone now. ${again}`);
      return;
    }
    cutOff(member, peer);
  };
  return {
    putOut,
    ...hearRevocations(log, state.revocations, putOut),
    onLinked: (peer: PeerId) => {
      for (const signed of state.revocations.all()) tell(peer, signed);
    },
  };
}

/** What the owner says now counts from now on, for every member. */
function decideWorkStealing(state: EnteredMesh, config: ServeConfig, nowMs: number): void {
  const settings = state.settings();
  const { workStealing } = config;
  if (workStealing === undefined || workStealing === settings.workStealing) return;
  // Later than what was decided before, by whose clock ever.
  const workStealingVersion = Math.max(nowMs, settings.workStealingVersion + 1);
  state.saveSettings({ ...settings, workStealing, workStealingVersion });
}

/**
 * Listens where the owner said, else where it did last time, so that members find it again; else
 * beside the coordinator's port. A mesh of one machine stays on loopback.
 */
async function listen(
  deps: MemberDeps,
  of: {
    readonly state: EnteredMesh;
    readonly config: ServeConfig;
    readonly core: MemberOptions["core"];
  },
): Promise<{ readonly member: Member; readonly isPublic: boolean }> {
  const { state, config, core } = of;
  const isJoined = state.settings().workStealing || state.members().length > 0;
  // Machines of a cloud come from outside.
  const reaches = isJoined || config.cloud !== undefined;
  const host = config.mesh?.host ?? (reaches ? "0.0.0.0" : "127.0.0.1");
  const wanted = config.mesh?.port ?? (reaches ? state.port() || portBeside(config) : 0);
  const isPublic = !/^(127\.|::1$|localhost$)/.test(host);
  const on = (port: number) =>
    startMember(deps, {
      credential: state.credential,
      listen: [
        `/${host.includes(":") ? "ip6" : "ip4"}/${host}/tcp/${port}`,
        ...(config.behindNat ? [throughOthers] : []),
      ],
      relays: isPublic && !config.behindNat,
      core,
    });
  const member = await on(wanted).catch((error: unknown) => {
    if (config.mesh !== undefined || wanted === 0) throw error;
    deps.log("warn", `Port ${wanted} is taken; nodes will dial another one.`);
    return on(0);
  });
  const port = /\/tcp\/(\d+)/.exec(member.mesh.addresses()[0] ?? "")?.[1];
  if (reaches && port !== undefined) state.savePort(Number(port));
  return { member, isPublic };
}

/** Two above the coordinator's: the next one is where people put REAPI; 0 where it is taken. */
function portBeside({ coordinator, reapi }: ServeConfig): number {
  const port = coordinator.port + 2;
  return coordinator.port === 0 || port > 65_535 || port === reapi?.port ? 0 : port;
}
