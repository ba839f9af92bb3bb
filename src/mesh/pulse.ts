// How good a link is, as its owner sees it: how long the answers to questions take. TCP loses
// nothing, so what a line loses shows as answers that come late.
//
// The questions are the link's heartbeat. Its ends take turns: who was asked last asks next, so on
// a quiet link either end says one thing in the time of a heartbeat, a question or its answer.

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

/** When an end asks, in beats of its own clock. */
export interface PulseOptions {
  /** True for the end that opened the link: it asks first, and keeps asking where both ask. */
  readonly isFirst: boolean;
  /** Whose turn it is asks after so many beats of quiet; the other end one beat later. */
  readonly beatsPerHeartbeat: number;
}

/** A link that is never quiet is asked on this often, in heartbeats. */
const heartbeatsPerQuestion = 4;

/** A new link is asked on at every heartbeat so many times: people want to know how good it is. */
const firstQuestions = 4;

/** Asks and listens for one link. `now` is a clock in ms that never goes back. */
export interface Pulse {
  /**
   * Called at every beat with the beats since something was sent. Asks where it is time to; an
   * answer that did not come by then is late.
   */
  beat(quietBeats: number): void;
  /** Takes a frame that is part of this; false for any other. */
  take(frame: Uint8Array): boolean;
  read(): LinkPulse;
}

/** First byte of an Envelope with a Ping (field 19) or a Pong (20); the second is 1 for both. */
const firstBytes = { ping: ((19 << 3) % 128) | 0x80 | 2, pong: ((20 << 3) % 128) | 0x80 | 2 };

/** Makes the pulse of a link; `send` drops what does not fit. */
export function createPulse(
  send: (frame: Uint8Array) => void,
  now: () => number,
  { isFirst, beatsPerHeartbeat }: PulseOptions,
): Pulse {
  /** Times of the last answers; Infinity for one that was late. */
  const times: number[] = [];
  const beatsMax = heartbeatsPerQuestion * beatsPerHeartbeat;
  let id = 0;
  /** Beats since this end asked; the first question comes at the first beat. */
  let beats = isFirst ? beatsPerHeartbeat : 0;
  let isOwnTurn = isFirst;
  let askedAtMs: number | undefined;

  function record(ms: number): void {
    times.push(ms);
    if (times.length > pulseBounds.kept) times.shift();
  }

  return {
    beat: (quietBeats) => {
      beats += 1;
      const isNew = id < firstQuestions && beats >= beatsPerHeartbeat;
      const isQuiet = quietBeats >= beatsPerHeartbeat + (isOwnTurn ? 0 : 1);
      if (!isNew && !isQuiet && beats < beatsMax) return;
      [beats, isOwnTurn] = [0, false];
      if (askedAtMs !== undefined) record(Number.POSITIVE_INFINITY);
      id = (id + 1) % 0xffff_ffff;
      askedAtMs = now();
      send(encode({ $case: "ping", value: { id } }));
    },
    take: (frame) => {
      const [first, second] = frame;
      if (second !== 1 || (first !== firstBytes.ping && first !== firstBytes.pong)) return false;
      const { message } = Envelope.decode(frame);
      if (message?.$case === "ping") {
        send(encode({ $case: "pong", value: message.value }));
        // Where both asked at once, the one that was not first goes on alone.
        isOwnTurn = askedAtMs === undefined || !isFirst;
      }
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
