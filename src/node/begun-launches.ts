// Launches that were begun and are not listed yet, on disk before the provider hears of them: after
// a crash the same token is used again, which starts nothing twice.

import { join } from "node:path";
import { MeshError } from "../core/error.ts";
import type { BegunLaunch } from "../core/provided-options.ts";
import { readJson, writeJson } from "./state-files.ts";

/** The launches of one node. */
export interface BegunLaunches {
  /** Those of an earlier run that may have started something nobody knows of. */
  readonly left: readonly BegunLaunch[];
  /** Writes one down; on disk when it returns. */
  begin(launch: BegunLaunch): void;
  /** Crosses out those whose end is known. */
  end(tokens: readonly string[]): void;
}

/** One that is older shows in the provider's list if it started anything, in ms. */
const ageMsMax = 3_600_000;
/** Bound: launches without an answer at once. */
const launchesMax = 1_000;

/** Those kept in `folder`. DATA_LOSS names a damaged file. */
export function openBegunLaunches(folder: string, now: () => number): BegunLaunches {
  const path = join(folder, "launches.json");
  const remedy = "Remove it, and look in the provider's list for machines that nobody asked for.";
  const kept = readJson(path, (file) => file.list("launches").map(parseLaunch), remedy) ?? [];
  let launches = kept.filter(({ atMs }) => now() - atMs < ageMsMax);
  const save = () => writeJson(path, { launches });
  return {
    left: launches.map(({ token, market }) => ({ token, market })),
    begin: ({ token, market }) => {
      if (launches.some((launch) => launch.token === token)) return;
      if (launches.length >= launchesMax) {
        throw new MeshError("RESOURCE_EXHAUSTED", "Too many launches wait for their answer.");
      }
      launches = [...launches, { token, market, atMs: now() }];
      save();
    },
    end: (tokens) => {
      const rest = launches.filter(({ token }) => !tokens.includes(token));
      if (rest.length === launches.length) return;
      launches = rest;
      save();
    },
  };
}

function parseLaunch(fields: Parameters<Parameters<typeof readJson>[1]>[0]) {
  const market = fields.text("market");
  if (market !== "on-demand" && market !== "spot") throw new Error(`"market" is wrong`);
  return { token: fields.text("token"), market, atMs: fields.number("atMs") } as const;
}
