// RE2 and Abseil: built from nothing, from the cache, after a header was changed, and unchanged;
// beside ninja with the same commands.

import { appendFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { seenBuild, settle, type ToldBuild, toldBuild } from "./build-client.ts";
import type { ClientBench } from "./client.ts";
import { layOut, re2 } from "./code-bases.ts";
import { actionsOf, dependentsOf, findNinja, writeNinjaFile } from "./ninja.ts";
import { median, type Row } from "./table.ts";
import { countedRun, type TimedRun } from "./timed-run.ts";

/** Targets of the code base to build. */
export function wantedTargets(quick: boolean): string[] {
  return quick ? ["//abseil-cpp:strings"] : ["//:patterns", "//re2:testing"];
}

/** Headers that a few and that many sources see. */
function headers(quick: boolean): { few: string; many: string } {
  const strings = "abseil-cpp/absl/strings";
  return quick
    ? { few: `${strings}/str_split.h`, many: `${strings}/ascii.h` }
    : { few: "re2/re2/set.h", many: "re2/re2/re2.h" };
}

/** Two checkouts side by side: one for us, one for ninja. */
interface Bases {
  readonly bench: ClientBench;
  readonly ours: string;
  readonly theirs: string;
  readonly ninja: string;
}

const ninjaMissing = "There is no ninja to measure beside: apt install ninja-build.";

/** Measures. Throws where ninja is missing, or an unchanged or unconcerned action ran. */
export async function* benchCodeBase(bench: ClientBench): AsyncGenerator<Row> {
  const ninja = findNinja();
  if (ninja === undefined) throw new Error(ninjaMissing);
  const at = join(bench.folder, "base");
  const bases = { bench, ours: join(at, "ours"), theirs: join(at, "theirs"), ninja };
  yield* coldRows(bases);
  yield* unchangedRow(bases);
  const { few, many } = headers(bench.quick);
  yield headerRow(bases, few, 5);
  yield headerRow(bases, many, 3);
  rmSync(at, { recursive: true });
}

function layOutBoth({ bench, ours, theirs }: Bases): void {
  for (const folder of [ours, theirs]) {
    rmSync(folder, { recursive: true, force: true });
    layOut(re2, folder);
  }
  writeNinjaFile(theirs, actionsOf(theirs, wantedTargets(bench.quick)));
  // Planning left nothing behind that ninja would see, nor us.
  rmSync(join(theirs, ".builder"), { recursive: true, force: true });
}

function build({ bench, ours }: Bases): ToldBuild {
  const args = ["-j", "2", "--store", storeOf(bench), ...wantedTargets(bench.quick)];
  return toldBuild(args, { cwd: ours, env: bench.env });
}

function runNinja({ bench, theirs, ninja }: Bases): TimedRun {
  return countedRun(ninja, ["-j", "2"], { cwd: theirs, env: bench.env });
}

function storeOf({ folder }: ClientBench): string {
  return join(folder, "base-store");
}

/** Cold, then the same from the cache in a checkout where nothing was ever built. */
async function* coldRows(bases: Bases): AsyncGenerator<Row> {
  const { bench, ours } = bases;
  const rounds: { plain: TimedRun; cold: ToldBuild; cached: ToldBuild }[] = [];
  for (let round = 0; round < (bench.quick ? 3 : 2); round += 1) {
    layOutBoth(bases);
    rmSync(storeOf(bench), { recursive: true, force: true });
    const plain = runNinja(bases);
    const cold = build(bases);
    rmSync(ours, { recursive: true });
    layOut(re2, ours);
    const cached = build(bases);
    expectRan(cached, []);
    rounds.push({ plain, cold, cached });
  }
  const count = rounds[0]?.cold.idsByHow.ran.length ?? 0;
  const wall = (name: "plain" | "cold" | "cached") =>
    median(rounds.map((round) => round[name].wallMs));
  const [cold, plain, cached] = [wall("cold"), wall("plain"), wall("cached")];
  yield {
    what: `RE2 and Abseil cold, 2 slots, ${count} actions`,
    figure: seconds(cold),
    beside: `ninja -j2: ${seconds(plain)}; ${(cold / plain).toFixed(2)}x, wanted: 1.10x`,
  };
  yield {
    what: "the same from the cache, new checkout",
    figure: seconds(cached),
    beside: `1/${(cold / cached).toFixed(0)} of cold, wanted: 1/20`,
  };
}

async function* unchangedRow({ bench, ours }: Bases): AsyncGenerator<Row> {
  const place = { cwd: ours, env: bench.env };
  const args = ["--store", storeOf(bench), ...wantedTargets(bench.quick)];
  seenBuild(args, place);
  settle();
  for (let at = 0; at < 2; at += 1) seenBuild(args, place);
  const printed = Array.from({ length: 11 }, () => seenBuild(args, place).printedMs);
  yield {
    what: "the same, nothing changed: time it prints",
    figure: `${median(printed).toFixed(0)} ms`,
    beside: "wanted: 60 ms more than the example",
  };
}

/** Both checkouts get the same new declaration at the end of a header, and build. */
function headerRow(bases: Bases, header: string, rounds: number): Row {
  const actions = actionsOf(bases.theirs, wantedTargets(bases.bench.quick));
  const dependents = dependentsOf(actions, header);
  // The last build of both is the same; ninja's was before this row's first.
  const times = Array.from({ length: rounds }, (_, round) => {
    for (const folder of [bases.theirs, bases.ours]) {
      appendFileSync(join(folder, header), declaration(round));
    }
    const plain = runNinja(bases);
    const ours = build(bases);
    expectRan(ours, dependents);
    return { plain: plain.wallMs, ours: ours.wallMs };
  });
  const ours = median(times.map((time) => time.ours));
  const plain = median(times.map((time) => time.plain));
  return {
    what: `${header} changed: ${dependents.length} sources see it`,
    figure: seconds(ours),
    beside: `ninja -j2: ${seconds(plain)}; ${(ours / plain).toFixed(2)}x, wanted: 1.10x`,
  };
}

/** It ends up in every object, so that what is made of the objects is made again too. */
function declaration(round: number): string {
  const name = `builder_bench_${round}_${Date.now()}`;
  return `\n#ifndef ${name}\n#define ${name}\n__attribute__((used)) static int ${name}_ = 1;\n#endif\n`;
}

/** Throws unless exactly these compiles ran. */
function expectRan({ idsByHow }: ToldBuild, wanted: readonly string[]): void {
  const ran = idsByHow.ran.filter((id) => id.includes(" CppCompile "));
  if (ran.join("\n") === wanted.join("\n")) return;
  throw new Error(`Other compiles ran than depend on the change:\n${ran.join("\n")}`);
}

/** A time for the table. */
export function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
}
