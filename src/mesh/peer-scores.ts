// Peers that are left alone for a while: those that lied, longer each time, and those that were too
// slow, briefly.

import type { PeerId } from "../core/action.ts";

/** Who may be asked now. */
export interface PeerScores {
  usable(peer: PeerId): boolean;
  /** It sent what was wrong; answers for how many ms it is left alone. */
  lied(peer: PeerId): number;
  /** It did not answer in time; answers for how many ms it is left alone. */
  slow(peer: PeerId): number;
  /** It answered: its slowness is forgotten, its lies are not. */
  answered(peer: PeerId): void;
}

/** Spans in ms for which a peer is left alone, doubled with each repetition up to `maxMs`. */
export const leaveAloneMs = { lied: 60_000, slow: 1000, slowMax: 60_000, max: 3_600_000 };

/** Bound: peers remembered; the one not heard of for longest is forgotten first. */
const peersMax = 4096;

interface Score {
  lies: number;
  slows: number;
  untilMs: number;
}

/** An empty memory. `now` is in ms. */
export function createPeerScores(now: () => number): PeerScores {
  const scoreByPeer = new Map<PeerId, Score>();

  function scoreOf(peer: PeerId): Score {
    const score = scoreByPeer.get(peer) ?? { lies: 0, slows: 0, untilMs: 0 };
    scoreByPeer.delete(peer);
    scoreByPeer.set(peer, score);
    const [oldest] = scoreByPeer.keys();
    if (scoreByPeer.size > peersMax && oldest !== undefined) scoreByPeer.delete(oldest);
    return score;
  }

  return {
    usable: (peer) => (scoreByPeer.get(peer)?.untilMs ?? 0) <= now(),
    lied: (peer) => {
      const score = scoreOf(peer);
      const spanMs = Math.min(leaveAloneMs.lied * 2 ** score.lies, leaveAloneMs.max);
      score.lies += 1;
      score.untilMs = now() + spanMs;
      return spanMs;
    },
    slow: (peer) => {
      const score = scoreOf(peer);
      const spanMs = Math.min(leaveAloneMs.slow * 2 ** score.slows, leaveAloneMs.slowMax);
      score.slows += 1;
      score.untilMs = Math.max(score.untilMs, now() + spanMs);
      return spanMs;
    },
    answered: (peer) => {
      const score = scoreByPeer.get(peer);
      if (score !== undefined) score.slows = 0;
    },
  };
}
