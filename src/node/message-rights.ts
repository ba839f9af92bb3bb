// What a member may say, by what its certificate makes it: a worker is believed about itself, and
// never gives out work or leads.

import type { Member } from "../mesh/identity.ts";
import type { PeerMessage } from "../wire/mesh-codec.ts";

/** Messages of nodes that serve. */
const forHosts: ReadonlySet<PeerMessage["kind"]> = new Set([
  ...(["offer", "bound", "gone", "cancel", "granted", "lease", "drain"] as const),
]);

/** Why a member may not say this; undefined where it may. */
export function overreach(member: Member, message: PeerMessage): string | undefined {
  const isHost = member.roles.includes("host");
  if (!isHost && forHosts.has(message.kind)) return `a worker sent ${message.kind}`;
  if (message.kind !== "load") return undefined;
  if (!isHost && message.serves) return "a worker said that it serves";
  // Whose worker one is decides what it may claim unasked, so nobody chooses it.
  const home = member.sponsor ?? member.peerId;
  return message.home === home ? undefined : `${isHost ? "a host" : "a worker"} named another home`;
}
