// `bldr` as people and scripts run it, measured.

import { join, resolve } from "node:path";
import { countedRun, type RunPlace, timedRun } from "./timed-run.ts";

const bldr = resolve(import.meta.dirname, "../cli/bin/bldr");

/** One build, as a user sees it. */
export interface SeenBuild {
  /** The whole process. */
  readonly wallMs: number;
  /** What it printed itself. */
  readonly printedMs: number;
}

/** Builds and reads the line about the time. */
export function seenBuild(args: readonly string[], place: RunPlace): SeenBuild {
  const { wallMs, said } = timedRun(bldr, ["build", ...args], place);
  const [, minutes = "0", amount, unit] =
    /Build completed in (?:(\d+)m )?([\d.]+)(ms|s)/.exec(said) ?? [];
  if (amount === undefined) throw new Error(`bldr printed no time:\n${said.slice(-2000)}`);
  const ms = Number(amount) * (unit === "s" ? 1000 : 1);
  return { wallMs, printedMs: 60_000 * Number(minutes) + ms };
}

/** One build, as its events tell it. */
export interface ToldBuild {
  readonly wallMs: number;
  /** Of the client: what runs in sandboxes is not its child. */
  readonly cpuMs: number;
  /** Actions by how they ended. */
  readonly idsByHow: Readonly<Record<"ran" | "cached" | "kept", readonly string[]>>;
}

/** Builds with `--json`. */
export function toldBuild(args: readonly string[], place: RunPlace): ToldBuild {
  const { wallMs, cpuMs, stdout } = countedRun(bldr, ["build", "--json", ...args], place);
  const events: { kind?: string; how?: string; id?: string }[] = stdout
    .split("\n")
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line));
  const ids = (wanted: string) =>
    events
      .filter(({ kind, how }) => kind === "action" && how === wanted)
      .map(({ id }) => id ?? "")
      .sort();
  return { wallMs, cpuMs, idsByHow: { ran: ids("ran"), cached: ids("cached"), kept: ids("kept") } };
}

/** Waits until files that were just written are old enough for their looks to be trusted. */
export function settle(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2500);
}

/** The bare start of the same Node. */
export function bareNodeMs(place: RunPlace): number {
  const node = join(resolve(import.meta.dirname, ".."), "node_modules/node/bin/node");
  return timedRun(node, ["-e", "0"], place).wallMs;
}
