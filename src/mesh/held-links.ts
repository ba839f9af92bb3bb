// Which link with each peer counts: of two one stays, and a direct one takes the place of one
// through a relay without a break.

import type { Connection } from "@libp2p/interface";
import type { PeerId } from "../core/action.ts";
import type { Log } from "../telemetry/logger.ts";
import type { Member } from "./identity.ts";
import { abort, type Link } from "./link.ts";
import { isRelayed } from "./transport.ts";

/** An open link. */
export interface HeldLink {
  readonly link: Link;
  /** The peer that dialled; decides which of two simultaneous links stays. */
  readonly initiator: PeerId;
  readonly connection: Connection;
  readonly member: Member;
}

/** The links of one node, one a peer. */
export interface HeldLinks {
  /** The one that counts. */
  of(peer: PeerId): HeldLink | undefined;
  peers(): PeerId[];
  /** Takes an open link on; true where it counts from now on. */
  hold(peer: PeerId, held: HeldLink): boolean;
  /** Whether what comes over a link is heard: it counts, or did until a moment ago. */
  hears(peer: PeerId, link: Link): boolean;
  /** A link ended. */
  release(peer: PeerId, link: Link, why: string): void;
}

/** How long a link that a direct one replaced is still heard, in ms: the other end moves, too. */
const retireMs = 3000;

/** No links yet. `linked` and `unlinked` strictly alternate for each peer. */
export function createHeldLinks(deps: {
  readonly log: Log;
  readonly linked: (peer: PeerId) => void;
  readonly unlinked: (peer: PeerId) => void;
}): HeldLinks {
  const heldByPeer = new Map<PeerId, HeldLink>();
  /** Links through a relay that a direct one replaced. */
  const retiringByPeer = new Map<PeerId, HeldLink>();

  function endRetiring(peer: PeerId): void {
    const old = retiringByPeer.get(peer);
    retiringByPeer.delete(peer);
    if (old === undefined) return;
    old.link.close("replaced by a direct link");
    abort(old.connection, "replaced by a direct link");
    deps.log("debug", `The relayed connection to ${peer} is closed`);
  }

  /** Ends it once both ends surely use the direct one; who had begun to ask over it asks again. */
  function retire(peer: PeerId, old: HeldLink): void {
    deps.log("info", `The link to ${old.member.name || peer} is direct now, past the relay`);
    endRetiring(peer);
    retiringByPeer.set(peer, old);
    setTimeout(() => retiringByPeer.get(peer) === old && endRetiring(peer), retireMs).unref();
  }

  return {
    of: (peer) => heldByPeer.get(peer),
    peers: () => [...heldByPeer.keys()],
    hold: (peer, held) => {
      const other = heldByPeer.get(peer);
      if (other === undefined) {
        heldByPeer.set(peer, held);
        deps.linked(peer);
      } else if (isRelayed(other.connection) && !isRelayed(held.connection)) {
        heldByPeer.set(peer, held);
        retire(peer, other);
      } else if (other.initiator === held.initiator || held.initiator < other.initiator) {
        // A newer dial of the same end replaces its older one; of two crossing dials one stays.
        heldByPeer.set(peer, held);
        other.link.close("replaced by a newer link");
      } else {
        held.link.close("another link is kept");
      }
      return heldByPeer.get(peer) === held;
    },
    hears: (peer, link) =>
      heldByPeer.get(peer)?.link === link || retiringByPeer.get(peer)?.link === link,
    release: (peer, link, why) => {
      if (heldByPeer.get(peer)?.link !== link) return;
      heldByPeer.delete(peer);
      // A member that was put out is not heard on the old one either, nor does a new dial find it.
      endRetiring(peer);
      deps.log("debug", `The link to ${peer} ended: ${why}`);
      deps.unlinked(peer);
    },
  };
}
