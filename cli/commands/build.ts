// `bldr build`, `bldr test`, `bldr clean`.

import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import type { BuildEvent } from "../../src/build/build-event.ts";
import { MeshError } from "../../src/core/error.ts";
import { addBuildFlags, type BuildFlags } from "../build-flags.ts";
import {
  type BuildRequest,
  type BuildSession,
  buildOnce,
  exitCodeOf,
  interruptible,
  openHere,
  openSession,
  programStartMs,
  wantedTargets,
} from "../build-session.ts";
import { wholeNumber } from "../flags.ts";
import { requestOf } from "../unchanged-answer.ts";

interface TargetFlags extends BuildFlags {
  readonly watch?: boolean;
  readonly testArg?: readonly string[];
  readonly flakyRetries?: number;
  readonly explain?: boolean;
  readonly junit?: string;
  readonly profile?: string;
  readonly hermeticAudit?: boolean;
}

/** Adds the three commands. */
export function addBuildCommands(program: Command): void {
  const buildCommand = program
    .command("build")
    .argument("[targets...]", "app, :app or //folder:app; all of this folder's when left out")
    .description("Build targets.");
  const testCommand = program
    .command("test")
    .argument("[targets...]", "test targets; all of this folder's when left out")
    .description("Build and run tests.")
    .option(
      "--test-arg <arg>",
      "argument for every test, after its own; repeatable",
      (arg: string, before: readonly string[] | undefined) => [...(before ?? []), arg],
    )
    .option(
      "--flaky-retries <n>",
      "try a failed test again so often; else its own flaky_retries",
      wholeNumber(0, 100),
    )
    .option("--junit <file>", "write the results of tests as JUnit XML");
  for (const command of [buildCommand, testCommand]) {
    addBuildFlags(command);
    command.option("--watch", "build again whenever something changes, until Ctrl-C");
    command.option("--profile <file>", "write where the time went, for trace viewers");
    command.option("--explain", "say of each action that runs why its result was not known");
    command.option(
      "--hermetic-audit",
      "run every action here, in sight of the whole machine, and tell what it should have declared",
    );
    const test = command === testCommand;
    command.action((names: string[], flags: TargetFlags) => run(names, flags, test));
  }
  program
    .command("clean")
    .description("Forget what was built here: removes .builder of this workspace.")
    .action(() => {
      const { root } = openHere();
      rmSync(join(root, ".builder"), { recursive: true, force: true });
    });
}

async function run(names: readonly string[], flags: TargetFlags, test: boolean): Promise<void> {
  if (flags.hermeticAudit === true) {
    checkAuditFlags(flags);
    const { runAudit } = await import("../run-audit.ts");
    process.exitCode = await runAudit(flags, { names, test, testArgs: flags.testArg ?? [] });
    return;
  }
  const startedAtMs = programStartMs();
  const request = requestOf(process.cwd(), process.argv.slice(2));
  const choose = (looked?: BuildRequest["looked"]) => {
    const workspace = openHere();
    try {
      return { workspace, wanted: wantedTargets(workspace, names, test) };
    } catch (error) {
      const read = [...workspace.builderfiles()].map(([path, { look }]) => [path, look] as const);
      looked?.(new Map(read));
      throw error;
    }
  };
  // Wrong names are told before a node is started.
  if (flags.remote === "local" && flags.watch !== true) choose();
  const session = await openSession(flags);
  const { watch, junit, profile } = flags;
  const alone = watch !== true && junit === undefined && profile === undefined;
  const base = { request, test, choose, alone };
  try {
    process.exitCode = await interruptible(session, async () => {
      if (flags.watch !== true) return buildAndTell(session, { ...base, startedAtMs }, flags);
      const { watchBuilds } = await import("../watch-builds.ts");
      return watchBuilds(session, openHere().root, startedAtMs, (watched) =>
        buildAndTell(session, { ...base, ...watched, choose: () => choose(watched.looked) }, flags),
      );
    });
  } finally {
    await session.close();
  }
}

/** Says what would otherwise be ignored. */
function checkAuditFlags({ watch, junit, profile, explain, flakyRetries }: TargetFlags): void {
  const given = [watch, junit, profile, explain, flakyRetries].some((flag) => flag !== undefined);
  if (!given) return;
  const message =
    "An audit runs everything once and keeps nothing: leave out --watch, --junit, " +
    "--profile, --explain and --flaky-retries.";
  throw new MeshError("INVALID_ARGUMENT", message);
}

/** Builds once, with the flags of tests; the exit code. */
async function buildAndTell(
  session: BuildSession,
  request: BuildRequest,
  flags: TargetFlags,
): Promise<number> {
  const events: BuildEvent[] = [];
  const { junit, profile } = flags;
  const keep = junit !== undefined || profile !== undefined;
  const summary = await buildOnce(session, {
    ...request,
    testArgs: flags.testArg,
    flakyRetries: flags.flakyRetries,
    explain: flags.explain,
    onEvent: keep ? (event) => events.push(event) : undefined,
  });
  if (junit !== undefined) {
    const { renderJunit } = await import("../junit-report.ts");
    writeReport(junit, renderJunit(events));
  }
  if (profile !== undefined) {
    const { writeProfile } = await import("../profile-report.ts");
    const times = { startMs: request.startedAtMs, endMs: Date.now() };
    const { warn, write } = session.output;
    (flags.json ? warn : write)(writeProfile(profile, events, times));
  }
  return exitCodeOf(session, summary);
}

function writeReport(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new MeshError("INVALID_ARGUMENT", `--junit ${path} cannot be written (${why}).`);
  }
}
