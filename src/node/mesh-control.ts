// What whoever runs a node can do with its mesh: let machines in, put members out, leave, look.

import type { PeerId } from "../core/action.ts";
import { MeshError } from "../core/error.ts";
import type { MeshControl } from "../ingress/mesh-control.ts";
import { formatLink } from "../mesh/invitation.ts";
import type { KnockDoor } from "../mesh/knock-door.ts";
import type { SignedRevocation } from "../mesh/revocations.ts";
import { type MeshState, withoutAuthority } from "./mesh-state.ts";
import { version } from "./version.ts";

/** What a running node lends to its control. */
export interface MeshControlDeps {
  readonly state: MeshState;
  /** Multiaddrs at which others can dial this node. */
  readonly addresses: () => readonly string[];
  /** The nodes that serve, by peer and name. */
  readonly members: () => readonly { readonly peer: PeerId; readonly name: string }[];
  /** Cuts a member off here, and tells every linked peer. */
  readonly putOut: (peer: PeerId, signed: SignedRevocation) => void;
  /** Where machines without an invitation knock. */
  readonly door: Pick<KnockDoor, "waiting" | "admit">;
  /** Begins to stop the node. */
  readonly stopSoon: () => void;
}

/** The control of a running node. */
export function createMeshControl(deps: MeshControlDeps): MeshControl {
  const { state, addresses } = deps;
  const door = () => {
    if (letsOthersIn(state)) return deps.door;
    throw withoutAuthority();
  };
  return {
    invite: ({ role, uses, expiresInMs }) => {
      if (state.authority === undefined) throw withoutAuthority();
      if (role !== "host" && role !== "admin") {
        throw new MeshError("INVALID_ARGUMENT", "An invitation is for a host or an admin.");
      }
      const { secret, expiresAtMs } = state.invites.create({ role, uses, expiresInMs });
      const { meshId } = state.credential;
      const peer = state.self.peerId;
      const dialled = [...addresses()];
      return {
        link: formatLink({ meshId, secret, expiresAtMs, peer, addresses: dialled }),
        expiresAtMs,
      };
    },
    revoke: async (member) => {
      const found = findMember(member, [...state.admitted(), ...deps.members()]);
      if (found.peer === state.self.peerId) {
        const remedy = "Use `builder mesh leave`, or revoke it at another node.";
        throw new MeshError("INVALID_ARGUMENT", `${member} is this node itself. ${remedy}`);
      }
      const signed = await state.revoke(found.peer);
      deps.putOut(found.peer, signed);
      return { ...found, admin: isAdmin(state, found.peer) };
    },
    knocks: () => door().waiting(),
    admit: (code) => door().admit(code),
    leave: () => {
      state.leave();
      deps.stopSoon();
    },
    describe: () => ({ ...describeMesh(state), addresses: [...addresses()] }),
  };
}

/** Whether this node let `peer` in as an admin. */
export function isAdmin(state: MeshState, peer: PeerId): boolean {
  return state.admitted().some((member) => member.peer === peer && member.role === "admin");
}

/** Whether this node may let in machines that knock: not as the guest of another process. */
export function letsOthersIn({ authority, self }: MeshState): boolean {
  return authority !== undefined && self.roles.includes("admin");
}

/** How a mesh stands, as its state tells it; also where no node runs. */
export function describeMesh(state: MeshState): ReturnType<MeshControl["describe"]> {
  const { self, authority, credential } = state;
  const { name, workStealing } = state.settings();
  return {
    name,
    id: Buffer.from(credential.meshId).toString("base64url"),
    peer: self.peerId,
    node: self.name,
    roles: [...self.roles],
    notAfterMs: self.notAfterMs,
    authority: authority !== undefined,
    addresses: [],
    invites: state.invites.open().map((invite) => ({ ...invite })),
    revoked: state.revocations.all().length,
    workStealing,
    version,
  };
}

/** Whom somebody means: a peer id, known or not, or a name that one member alone has. */
export function findMember(
  member: string,
  known: readonly { readonly peer: PeerId; readonly name: string }[],
): { readonly peer: PeerId; readonly name: string } {
  const byPeer = new Map(known.map(({ peer, name }) => [peer, { peer, name }]));
  const exact = byPeer.get(member);
  if (exact !== undefined) return exact;
  const named = [...byPeer.values()].filter(({ name }) => name === member);
  const [first, second] = named;
  if (first !== undefined && second === undefined) return first;
  if (first !== undefined) {
    const peers = named.map(({ peer }) => peer).join(", ");
    throw new MeshError("INVALID_ARGUMENT", `Several are called ${member}: name one of ${peers}.`);
  }
  // Somebody who was let in by another node and is away now.
  if (/^12D3KooW\w{40,60}$/.test(member)) return { peer: member, name: "" };
  throw new MeshError(
    "NOT_FOUND",
    `Nobody here is called ${JSON.stringify(member.slice(0, 80))}. ` +
      "`builder mesh members` lists names and peer ids.",
  );
}
