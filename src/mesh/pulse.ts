// How good a link is, as its owner sees it: a question every few seconds, and how long its answer
// takes. TCP loses nothing, so what a line loses shows as answers that come late.

import { Envelope } from "../wire/gen/builder/mesh/v1/mesh.ts";

/** The last questions of one link. */
export interface LinkPulse {
  /** Median time there and back, ms; undefined before the first answer. */
  readonly rttMs: number | undefined;
  /** The longest, ms. */
  readonly rttWorstMs: number | undefined;
  /** Questions that are over, at most `pulseBounds.kept`. */
  readonly asked: number;
  /** Those of them whose answer did not come before the next question. */
  readonly late: number;
}

/** Bound: questions that count. */
export const pulseBounds = { kept: 16 };

/** Asks and listens for one link. `now` is a clock in ms that never goes back. */
export interface Pulse {
  /** Called at every heartbeat: every second one asks; what was not answered by then is late. */
  beat(): void;
  /** Takes a frame that is part of this; false for any other. */
  take(frame: Uint8Array): boolean;
  read(): LinkPulse;
}

/** First byte of an Envelope with a Ping (field 19) or a Pong (20); the second is 1 for both. */
const firstBytes = { ping: ((19 << 3) % 128) | 0x80 | 2, pong: ((20 << 3) % 128) | 0x80 | 2 };

/** Makes the pulse of a link; `send` drops what does not fit. */
export function createPulse(send: (frame: Uint8Array) => void, now: () => number): Pulse {
  /** Times of the last answers; Infinity for one that was late. */
  const times: number[] = [];
  let [id, beats] = [0, 0];
  let askedAtMs: number | undefined;

  function record(ms: number): void {
    times.push(ms);
    if (times.length > pulseBounds.kept) times.shift();
  }

  return {
    beat: () => {
      beats += 1;
      if (beats % 2 === 0) return;
      if (askedAtMs !== undefined) record(Number.POSITIVE_INFINITY);
      id = (id + 1) % 0xffff_ffff;
      askedAtMs = now();
      send(encode({ $case: "ping", value: { id } }));
    },
    take: (frame) => {
      const [first, second] = frame;
      if (second !== 1 || (first !== firstBytes.ping && first !== firstBytes.pong)) return false;
      const { message } = Envelope.decode(frame);
      if (message?.$case === "ping") send(encode({ $case: "pong", value: message.value }));
      if (message?.$case === "pong" && message.value.id === id && askedAtMs !== undefined) {
        record(now() - askedAtMs);
        askedAtMs = undefined;
      }
      return true;
    },
    read: () => {
      const answered = times.filter((ms) => ms < Number.POSITIVE_INFINITY).sort((a, b) => a - b);
      return {
        rttMs: answered[Math.floor(answered.length / 2)],
        rttWorstMs: answered.at(-1),
        asked: times.length,
        late: times.length - answered.length,
      };
    },
  };
}

function encode(message: NonNullable<Envelope["message"]>): Uint8Array {
  return Envelope.encode({ message }).finish();
}
