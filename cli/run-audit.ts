// `--hermetic-audit`: a build whose actions are watched instead of kept in.

import { MeshError } from "../src/core/error.ts";
import { auditAsJson, isHermetic, renderAudit } from "./audit-report.ts";
import type { BuildFlags } from "./build-flags.ts";
import { lookLocally } from "./local-look.ts";

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
  const render = flags.json === true ? auditAsJson : renderAudit;
  return lookLocally(flags, call, async (deps, request) => {
    const audit = await auditBuild(deps, { ...request, ...call });
    return { text: render(audit), isGood: isHermetic(audit) };
  });
}
