// Fewer window updates, and windows as wide as long lines want. The yamux library gives credit back
// for every frame it receives, each time with a sealed packet and a system call of its own, which
// doubles the cost of small messages. The protocol wants credit only before the window runs out
// (yamux specification, "Flow Control").

import type { Stream } from "@libp2p/interface";

/** What the library's streams have besides libp2p's interface. */
interface YamuxStream {
  recvWindow: number;
  recvWindowCapacity: number;
  state: number;
  /** How long the line takes there and back, in ms; -1 while that is not known. */
  getRTT(): number;
  sendWindowUpdate(): void;
}

/** The library's number for a stream that both ends have acknowledged. */
const established = 3;

/**
 * Makes an established stream give credit once half of its window is used. A stream of another
 * muxer, or of a version of the library that has changed, stays as it is. With `rttMs` its window
 * grows where it is used up within a few times that: the library knows how, but measures only with
 * heartbeats of its own, which links do without.
 */
export function spareWindowUpdates(stream: Stream, rttMs?: () => number | undefined): void {
  if (!isYamux(stream)) return;
  if (rttMs !== undefined) stream.getRTT = () => rttMs() ?? -1;
  const update = stream.sendWindowUpdate.bind(stream);
  stream.sendWindowUpdate = () => {
    const plenty = stream.recvWindowCapacity > stream.recvWindow / 2;
    if (stream.state !== established || !plenty) update();
  };
}

function isYamux(stream: object): stream is YamuxStream {
  return (
    "recvWindow" in stream &&
    typeof stream.recvWindow === "number" &&
    "recvWindowCapacity" in stream &&
    typeof stream.recvWindowCapacity === "number" &&
    "state" in stream &&
    typeof stream.state === "number" &&
    "getRTT" in stream &&
    typeof stream.getRTT === "function" &&
    "sendWindowUpdate" in stream &&
    typeof stream.sendWindowUpdate === "function"
  );
}
