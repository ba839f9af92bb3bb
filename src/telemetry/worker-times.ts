// How long each worker takes for every part of an action, from notes: a machine with a slow disk or
// a bad line shows in what it takes beside the command itself.

import type { PeerId } from "../core/action.ts";
import type { Note } from "../core/note.ts";

/** Median and 95th percentile of the last actions, ms. */
export interface Times {
  readonly p50Ms: number;
  readonly p95Ms: number;
}

/** One worker, as the actions of this node saw it since the node started. */
export interface WorkerTimes {
  readonly peer: PeerId;
  readonly worker: string;
  /** Actions that it ended. */
  readonly ended: number;
  /** Actions that it took as a guest. */
  readonly stolen: number;
  /** Actions that it took and did not end. */
  readonly lost: number;
  readonly fetch: Times;
  readonly setUp: Times;
  readonly run: Times;
  readonly store: Times;
}

/** Bounds: samples of each worker, and workers; who was not heard of longest is forgotten. */
const bounds = { samples: 128, workers: 1000 };

interface Kept {
  readonly peer: PeerId;
  worker: string;
  ended: number;
  stolen: number;
  lost: number;
  /** A ring of fetch, set-up, run and store. */
  readonly samples: (readonly [number, number, number, number])[];
}

/** Keeps the times; feed it every note. */
export function createWorkerTimes(): {
  onNote(note: Note): void;
  read(): readonly WorkerTimes[];
} {
  const keptByPeer = new Map<PeerId, Kept>();

  function keptOf(peer: PeerId, worker: string): Kept {
    const kept = keptByPeer.get(peer) ?? {
      ...{ peer, worker, ended: 0, stolen: 0, lost: 0, samples: [] },
    };
    kept.worker = worker;
    keptByPeer.delete(peer);
    keptByPeer.set(peer, kept);
    const [oldest] = keptByPeer.keys();
    if (keptByPeer.size > bounds.workers && oldest !== undefined) keptByPeer.delete(oldest);
    return kept;
  }

  return {
    onNote: (note) => {
      if (note.name === "worker-lost" && keptByPeer.has(note.peer)) {
        keptOf(note.peer, note.worker).lost += note.actions;
      }
      if (note.name === "action-bound" && note.stolen) keptOf(note.peer, note.worker).stolen += 1;
      if (note.name !== "action-done") return;
      const kept = keptOf(note.peer, note.worker);
      const { spans, runMs } = note;
      if (spans !== undefined) {
        const at = kept.ended % bounds.samples;
        kept.samples[at] = [spans.fetchMs, spans.setUpMs, runMs, spans.storeMs];
      }
      kept.ended += 1;
    },
    read: () => [...keptByPeer.values()].map(toTimes),
  };
}

function toTimes({ samples, ...rest }: Kept): WorkerTimes {
  const times = (part: 0 | 1 | 2 | 3): Times => {
    const sorted = samples.map((sample) => sample[part]).sort((a, b) => a - b);
    const at = (share: number) => sorted[Math.ceil(share * sorted.length) - 1] ?? 0;
    return { p50Ms: at(0.5), p95Ms: at(0.95) };
  };
  return { ...rest, fetch: times(0), setUp: times(1), run: times(2), store: times(3) };
}
