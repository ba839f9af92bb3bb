// `--hermetic-audit`: a build whose actions are watched instead of kept in.

import { availableParallelism } from "node:os";
import { MeshError } from "../src/core/error.ts";
import { defaultStore } from "../src/node/config.ts";
import { auditAsJson, isHermetic, renderAudit } from "./audit-report.ts";
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

/** What is asked for. */
export interface AuditCall {
  readonly names: readonly string[];
  readonly test: boolean;
  readonly testArgs: readonly string[];
}

/** 0 where every action kept to its specification, 1 where one did not, or failed. */
export async function runAudit(flags: BuildFlags, call: AuditCall): Promise<number> {
  if (process.platform !== "linux") {
    throw new MeshError("FAILED_PRECONDITION", "An audit needs Linux: it traces with ptrace.");
  }
  if (flags.remote !== undefined) {
    const message = "An audit runs on this machine: leave --remote out.";
    throw new MeshError("INVALID_ARGUMENT", message);
  }
  const { auditBuild } = await import("../src/node/audit-build.ts");
  const workspace = openHere();
  const wanted = wantedTargets(workspace, call.names, call.test);
  const session = await openSession(flags, "stderr");
  const { output, signal } = session;
  const shown = output.show();
  const report = reportOf(session, Date.now());
  const atOnce = flags.jobs ?? workspace.space().jobs ?? availableParallelism();
  try {
    return await interruptible(session, async () => {
      const audit = await auditBuild(
        {
          open: (sandboxFor) => openLocal({ ...flags, atOnce }, sandboxFor),
          stateFolder: flags.store ?? defaultStore(process.env["XDG_CACHE_HOME"]),
          emit: (event) => {
            shown.take(event);
            // Its lines for people; as JSON the audit speaks for itself.
            if (flags.json !== true) report.emit(event);
          },
          now: Date.now,
        },
        { ...call, workspace, wanted, signal, jobs: 2 * atOnce, env: process.env },
      );
      shown.stop();
      if (signal.aborted) return interruptedCode;
      process.stdout.write(flags.json === true ? auditAsJson(audit) : renderAudit(audit));
      return isHermetic(audit) ? 0 : 1;
    });
  } finally {
    shown.stop();
    await session.close();
  }
}
