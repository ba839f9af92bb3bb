// A build of this machine that is looked at and not kept: an audit, a comparison.

import { availableParallelism } from "node:os";
import { defaultStore } from "../src/node/config.ts";
import type { UnkeptDeps, UnkeptRequest } from "../src/node/unkept-build.ts";
import type { BuildFlags } from "./build-flags.ts";
import {
  interruptedCode,
  interruptible,
  openHere,
  openSession,
  reportOf,
  wantedTargets,
} from "./build-session.ts";
import { openLocal } from "./chosen-node.ts";

/** What was found: as it is printed, and whether nothing is wrong. */
export interface Findings {
  readonly text: string;
  readonly isGood: boolean;
}

/** Shows progress, prints what `look` finds, and returns 0 where nothing is wrong, else 1. */
export async function lookLocally(
  flags: BuildFlags,
  what: { readonly names: readonly string[]; readonly test: boolean },
  look: (deps: UnkeptDeps, request: UnkeptRequest) => Promise<Findings>,
): Promise<number> {
  const workspace = openHere();
  const wanted = wantedTargets(workspace, what.names, what.test);
  const session = await openSession(flags, "stderr");
  const { output, signal } = session;
  const shown = output.show();
  const report = reportOf(session, Date.now());
  const atOnce = flags.jobs ?? workspace.space().jobs ?? availableParallelism();
  try {
    return await interruptible(session, async () => {
      const found = await look(
        {
          open: (sandboxFor) => openLocal({ ...flags, atOnce }, sandboxFor),
          stateFolder: flags.store ?? defaultStore(process.env["XDG_CACHE_HOME"]),
          emit: (event) => {
            shown.take(event);
            // Its lines for people; as JSON the findings speak for themselves.
            if (flags.json !== true) report.emit(event);
          },
          now: Date.now,
        },
        { workspace, wanted, signal, jobs: 2 * atOnce, env: process.env },
      );
      shown.stop();
      if (signal.aborted) return interruptedCode;
      process.stdout.write(found.text);
      return found.isGood ? 0 : 1;
    });
  } finally {
    shown.stop();
    await session.close();
  }
}
