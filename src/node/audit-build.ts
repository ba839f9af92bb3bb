// `bldr build --hermetic-audit`: every action of a build runs under the audit's tracer, and what it
// does outside its specification is told by target. Nothing of it is kept: no result, no output.

import { existsSync, lstatSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { join, posix } from "node:path";
import { type Finding, findOutside, mergeFindings } from "../audit/outside-spec.ts";
import { type Remedy, remediesFor } from "../audit/remedies.ts";
import { looksBraced } from "../builderfile/parse-braced.ts";
import type { BuildAction } from "../rules/build-action.ts";
import { ruleFor } from "../rules/languages.ts";
import type { BuildPlan } from "../rules/plan.ts";
import { coveredBy, makersOf } from "../rules/rule.ts";
import type { AuditTrace } from "../sandbox/audit-trace.ts";
import { AuditingSandbox } from "../sandbox/auditing-sandbox.ts";
import type { SandboxRun } from "../sandbox/sandbox.ts";
import { findSandboxProgram } from "../sandbox/sandbox-program.ts";
import { fixedPart, isGlob } from "../workspace/source-files.ts";
import type { PlacedTarget, Workspace } from "../workspace/workspace.ts";
import { planUnkept, type UnkeptDeps, type UnkeptRequest } from "./unkept-build.ts";

/** What is audited, and how. */
export interface AuditRequest extends UnkeptRequest {
  /** Run the wanted tests too. */
  readonly test: boolean;
  readonly testArgs: readonly string[];
}

/** A target, with what its actions did outside their specification. */
export interface AuditedTarget {
  readonly label: string;
  /** Actions of it that ran. */
  readonly actions: number;
  readonly findings: readonly Finding[];
  readonly remedies: readonly Remedy[];
}

/** How an audit ended. */
export interface Audit {
  /** In the order of the build, those of which an action ran. */
  readonly targets: readonly AuditedTarget[];
  /** Actions that failed, and those that were not tried because of them. */
  readonly failed: number;
  readonly skipped: number;
}

/** Audits every action that the wanted targets need. */
export async function auditBuild(deps: UnkeptDeps, request: AuditRequest): Promise<Audit> {
  const { workspace } = request;
  const { root } = workspace;
  const { plan, run } = planUnkept(deps, request, request);
  const { stateFolder } = deps;
  const program = await findSandboxProgram({ stateFolder, arch: process.arch, program: "audit" });
  const audited: AuditedAction[] = [];
  const executor = await deps.open(async ({ build }) => {
    const onTrace = (trace: AuditTrace, done: SandboxRun) => {
      audited.push({ build, findings: findOutside(trace, specOf(build, done, root)) });
    };
    return new AuditingSandbox({
      program,
      workspace: root,
      skipped: skippedOf(build, root),
      onTrace,
    });
  });
  try {
    const { failed, skipped } = await run(executor);
    return { targets: targetsOf(plan, audited, workspace), failed, skipped };
  } finally {
    await executor.close();
  }
}

function specOf(build: BuildAction, run: SandboxRun, workspace: string) {
  const execRoot = realpathSync(run.execRoot);
  return {
    ...{ execRoot, workspace: realpathSync(workspace), scratch: realpathSync(run.scratch) },
    isOutput: coveredBy(build.keep.length > 0 ? build.keep : build.outputs),
    isThere: (path: string) =>
      lstatSync(join(execRoot, path), { throwIfNoEntry: false }) !== undefined,
    network: build.hermetic.network,
    isCommand: build.mnemonic === "Custom" || build.mnemonic === "TestRun",
  };
}

/** What an earlier build left in the workspace of the action's own outputs is no input of it. */
function skippedOf(build: BuildAction, root: string): string[] {
  if (build.keep.length === 0) return [".builder", ...build.outputs];
  const left = build.keep.flatMap((glob) => {
    if (!isGlob(glob)) return [glob];
    const folder = fixedPart(glob);
    if (!existsSync(join(root, folder))) return [];
    const covers = coveredBy([glob]);
    return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      .map((name) => posix.join(folder, name))
      .filter(covers);
  });
  return [".builder", ...left];
}

interface AuditedAction {
  readonly build: BuildAction;
  readonly findings: readonly Finding[];
}

function targetsOf(
  plan: BuildPlan,
  audited: readonly AuditedAction[],
  workspace: Workspace,
): AuditedTarget[] {
  const makerOf = makersOf(workspace.targets(), ruleFor);
  const placedByLabel = new Map(plan.targets.map(({ node }) => [node.label, node]));
  const labels = [...new Set(audited.map(({ build }) => build.target))];
  return labels.map((label) => {
    const own = audited.filter(({ build }) => build.target === label);
    const inBuild = own.filter(({ build }) => build.mnemonic !== "TestRun");
    const made = new Set(inBuild.flatMap(({ findings }) => findings.map(({ what }) => what)));
    const findings = mergeFindings(own.flatMap((action) => action.findings));
    const placed = placedByLabel.get(label);
    // Actions that several targets share belong to none of them: there is no line to change.
    const remedies =
      placed === undefined
        ? []
        : remediesFor(findings, {
            ...{ placed, makerOf, isBraced: isBraced(workspace.root, placed) },
            isOfRun: (path) => !made.has(path),
          });
    return { label, actions: own.length, findings, remedies };
  });
}

function isBraced(root: string, { target }: PlacedTarget): boolean {
  const { file } = target.place;
  return file.endsWith(".bldr") || looksBraced(readFileSync(join(root, file), "utf8"));
}
