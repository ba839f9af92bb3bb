// A node as a member of its mesh: core, pump and libp2p host, joined. What else a node does
// (executing, serving, launching) is passed in as `perform`.

import type { PeerId } from "../core/action.ts";
import { failureOf, MeshError } from "../core/error.ts";
import type { Effect } from "../core/machine.ts";
import { NodeCore, type NodeOptions } from "../core/node.ts";
import { createRng, hashText } from "../core/rng.ts";
import type { Admit } from "../mesh/enrolment.ts";
import { peerIdOf } from "../mesh/identity.ts";
import type { KnockDoor } from "../mesh/knock-door.ts";
import { lanLinkOptions, type MeshHost, startMeshHost } from "../mesh/mesh-host.ts";
import { describeNote } from "../telemetry/describe-note.ts";
import type { Log } from "../telemetry/logger.ts";
import {
  decodeMessage,
  encodeMessage,
  type OutputMessage,
  type RevocationMessage,
} from "../wire/mesh-codec.ts";
import { overreach } from "./message-rights.ts";
import { type Pump, startPump } from "./pump.ts";
import { software } from "./version.ts";

/** What a node needs to be let in. */
export interface Credential {
  /** Serialised private key. */
  readonly key: Uint8Array;
  readonly certificate: Uint8Array;
  /** The certificate of the host that vouches for a worker; undefined for a host. */
  readonly sponsor?: Uint8Array;
  readonly meshId: Uint8Array;
}

/** A running member. */
export interface Member {
  readonly core: NodeCore;
  readonly pump: Pump;
  readonly mesh: MeshHost;
  /** Sends live output to the node that takes the calls; dropped where the link is slow. */
  sendOutput(output: OutputMessage): void;
  /** Begins to decide and to speak; what comes earlier waits. */
  begin(): void;
  /** Stops pumping and leaves the mesh. */
  stop(): Promise<void>;
}

/** Effects that are not a member's own business. */
export type OtherEffect = Exclude<Effect, { kind: "send" | "dial" }>;

/** Starts a member. `perform` gets notes too, after they were logged. */
export async function startMember(
  deps: {
    readonly log: Log;
    readonly now: () => number;
    readonly perform: (effect: OtherEffect) => void;
    /** Live output of what this node had executed. */
    readonly onOutput?: (from: PeerId, output: OutputMessage) => void;
    readonly onLinked?: (peer: PeerId) => void;
    /** A member says that somebody is out. */
    readonly onRevocation?: (from: PeerId, revocation: RevocationMessage) => void;
    readonly isRevoked?: (peer: PeerId, issuedAtMs: number) => boolean;
    /** Lets newcomers in; undefined where this node cannot. */
    readonly admit?: Admit | undefined;
    /** Where machines without an invitation knock; undefined where they cannot. */
    readonly door?: KnockDoor | undefined;
  },
  options: {
    readonly credential: Credential;
    readonly listen: readonly string[];
    /** Whether members that nobody can dial are dialled through this one. */
    readonly relays?: boolean;
    readonly core: Omit<NodeOptions, "self">;
  },
): Promise<Member> {
  const { listen, relays = false } = options;
  const self = peerIdOf(options.credential.key);
  const core = new NodeCore({ ...options.core, self }, createRng(hashText(self)));
  let mesh: MeshHost | undefined;

  function perform(effect: Effect): void {
    if (effect.kind === "send") {
      // A message that cannot be sent is lost, which every machine expects.
      mesh?.send(effect.to, encodeMessage(effect.message));
      return;
    }
    if (effect.kind === "dial") {
      mesh?.dial(effect.peer, effect.addresses);
      return;
    }
    if (effect.kind === "note") {
      const { level, text } = describeNote(effect.note);
      deps.log(level, text, effect.note);
    }
    deps.perform(effect);
  }

  const pump = startPump(core, perform, deps.now);
  const tellAddresses = () => {
    if (mesh === undefined || listen.length === 0) return;
    pump.push({ kind: "addresses", addresses: mesh.addresses() });
  };
  mesh = await startMeshHost(
    {
      log: deps.log,
      now: deps.now,
      isRevoked: deps.isRevoked ?? (() => false),
      admit: deps.admit,
      door: deps.door,
      events: {
        linked: (peer) => {
          pump.push({ kind: "linked", peer });
          deps.onLinked?.(peer);
        },
        addressesChanged: tellAddresses,
        unlinked: (peer) => pump.push({ kind: "unlinked", peer }),
        undialled: (peer) => pump.push({ kind: "undialled", peer }),
        message: (from, bytes) => {
          try {
            const message = decodeMessage(bytes);
            if (message === undefined) return;
            const member = mesh?.memberOf(from);
            const wrong = member && overreach(member, message);
            if (wrong !== undefined) throw new MeshError("PERMISSION_DENIED", `${wrong}.`);
            if (message.kind === "revocation") deps.onRevocation?.(from, message);
            else if (message.kind === "output") deps.onOutput?.(from, message);
            else pump.push({ kind: "message", from, message });
          } catch (error) {
            mesh?.disconnect(from, `it broke the protocol: ${failureOf(error).message}`);
          }
        },
      },
    },
    { ...lanLinkOptions, ...options.credential, listen, relays, software },
  );
  const host = mesh;
  return {
    core,
    pump,
    mesh: host,
    sendOutput: (output) => host.send(output.token.ingress, encodeMessage(output)),
    begin: () => {
      pump.push({ kind: "wake" });
      tellAddresses();
      pump.begin();
    },
    stop: async () => {
      pump.stop();
      await host.stop();
    },
  };
}
