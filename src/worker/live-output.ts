// Shows what a command writes while it runs, to people who watch. Most commands end before the
// first look, and cost nothing.

import { open } from "node:fs/promises";

/** A piece of a command's output. */
export interface OutputPart {
  readonly stream: "stdout" | "stderr";
  /** Where in the output the bytes belong. */
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** The first look, in ms after the start. */
const firstLookMs = 400;
/** The time between looks, in ms. */
const lookMs = 200;
/** Bound: bytes of one piece. */
const partBytesMax = 64 << 10;
/** Bound: of output that comes faster than it can be shown, only so many newest bytes are. */
const behindBytesMax = 256 << 10;

/** Follows both output files of a command until stopped, which shows the rest. */
export function tailOutput(
  files: { readonly stdoutPath: string; readonly stderrPath: string },
  onOutput: (part: OutputPart) => void,
): { stop(): Promise<void> } {
  const tails = [
    { stream: "stdout" as const, path: files.stdoutPath, at: 0 },
    { stream: "stderr" as const, path: files.stderrPath, at: 0 },
  ];
  let stopped = false;
  let looking: Promise<void> | undefined;
  let timer: NodeJS.Timeout;

  async function look(): Promise<void> {
    for (const tail of tails) for (const part of await newParts(tail)) onOutput(part);
  }

  function lookAfter(ms: number): void {
    timer = setTimeout(() => {
      looking = look().then(() => {
        if (!stopped) lookAfter(lookMs);
      });
    }, ms);
  }

  lookAfter(firstLookMs);
  return {
    stop: async () => {
      stopped = true;
      clearTimeout(timer);
      if (looking === undefined) return;
      await looking;
      await look();
    },
  };
}

/** What was written since the last look. A file that cannot be read shows nothing. */
async function newParts(tail: {
  readonly stream: "stdout" | "stderr";
  readonly path: string;
  at: number;
}): Promise<OutputPart[]> {
  const file = await open(tail.path).catch(() => undefined);
  if (file === undefined) return [];
  try {
    const { size } = await file.stat();
    tail.at = Math.max(tail.at, size - behindBytesMax);
    const parts: OutputPart[] = [];
    while (tail.at < size) {
      const length = Math.min(partBytesMax, size - tail.at);
      const { bytesRead, buffer } = await file.read(Buffer.alloc(length), 0, length, tail.at);
      if (bytesRead === 0) return parts;
      const bytes = buffer.subarray(0, bytesRead);
      parts.push({ stream: tail.stream, offset: tail.at, bytes });
      tail.at += bytesRead;
    }
    return parts;
  } catch {
    return [];
  } finally {
    await file.close();
  }
}
