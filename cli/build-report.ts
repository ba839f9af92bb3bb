// What `bldr` prints while it builds: few lines, every figure measured, failures once and whole.

import type { BuildEvent } from "../src/build/build-event.ts";
import { shellLine } from "../src/rules/shell-line.ts";
import { formatMs } from "../src/telemetry/duration.ts";
import { printable } from "../src/telemetry/logger.ts";
import { colored } from "./color.ts";
import { formatAge, formatBytes } from "./render.ts";
import { oneLine } from "./text-width.ts";

/** Where lines go and what they are about. */
export interface BuildReportOptions {
  readonly write: (text: string) => void;
  readonly warn: (text: string) => void;
  /** Events as JSON lines instead of text. */
  readonly json: boolean;
  /** Each action's command line and where it ran. */
  readonly verbose: boolean;
  readonly color: { readonly write: boolean; readonly warn: boolean };
  /** The node in use; undefined for a local build. */
  readonly remote: string | undefined;
  /** When the program started, Unix ms: the time that a user waits. */
  readonly startedAtMs: number;
  readonly now: () => number;
  /** Whether the user has ended the build. */
  readonly isInterrupted: () => boolean;
}

/** Renders one build. */
export interface BuildReport {
  begin(): void;
  emit(event: BuildEvent): void;
}

/** Bound: reasons told for one action. */
const reasonsMax = 10;

type Event<K extends BuildEvent["kind"]> = Extract<BuildEvent, { kind: K }>;

/** Creates the report of one build. */
export function createBuildReport(options: BuildReportOptions): BuildReport {
  const { write, warn, now, color } = options;
  const info = (text: string) => write(`${colored("[INFO]", "dim", color.write)} ${text}\n`);
  const error = (text: string) => warn(`${colored("[ERROR]", "red", color.warn)} ${text}\n`);
  const workers = new Set<string>();
  /** Running actions, for what there is to say should they fail. */
  const startedById = new Map<string, Event<"started">>();
  let uploaded = 0;
  let shownUpload = false;

  function showUpload(): void {
    if (shownUpload || uploaded === 0 || options.remote === undefined) return;
    shownUpload = true;
    info(`Uploading inputs... (${formatBytes(uploaded)})`);
  }

  function onAction(event: Event<"action">): void {
    showUpload();
    if (event.how === "ran" && event.worker !== "" && !workers.has(event.worker)) {
      workers.add(event.worker);
      const hermetic = event.isolation === "none" ? "not isolated" : `hermetic: ${event.isolation}`;
      info(`Executing on ${event.worker} (${hermetic})`);
    }
    const started = startedById.get(event.id);
    startedById.delete(event.id);
    if (options.verbose && event.how !== "kept") showVerbose(event, started);
    if (event.why !== undefined) showWhy(event, event.why);
    if (event.mnemonic === "TestRun") info(testLine(event, color.write));
    if (isFailed(event)) showFailure(event, started);
    else if (event.stderr.trim() !== "") warn(rawText(event.stderr, color.warn));
  }

  function showVerbose(event: Event<"action">, started: Event<"started"> | undefined): void {
    const ran = [`on ${event.worker}`, formatMs(event.ms), ...usageText(event.usage)].join(", ");
    const how = event.how === "ran" ? ran : "cache hit";
    info(`${printable(event.id)} (${printable(how)})`);
    if (started !== undefined) write(`  ${commandLine(started)}\n`);
  }

  function showWhy({ id, digest = "" }: Event<"action">, why: readonly string[]): void {
    info(`${printable(id)} ran (action ${digest}):`);
    for (const reason of why.slice(0, reasonsMax)) write(`  ${oneLine(reason)}\n`);
    const more = why.length - reasonsMax;
    if (more > 0) write(`  and ${more} more\n`);
  }

  function showFailure(event: Event<"action">, started: Event<"started"> | undefined): void {
    const why = event.failure === "" ? `exit code ${event.exitCode}` : event.failure;
    warn(rawText(event.stdout, color.warn));
    warn(rawText(event.stderr, color.warn));
    error(`${printable(event.id)} failed: ${printable(why)}`);
    if (event.again || started === undefined) return;
    const action = event.id.slice(event.target.length + 1);
    const words = ["bldr", "shell", event.target, "--action", action];
    const note = colored("[INFO]", "dim", color.warn);
    warn(`${note} Look inside: ${printable(shellLine(words))}\n`);
  }

  function onTarget(event: Event<"target">): void {
    if (!event.ok || !event.cached) return;
    const name = event.label.slice(event.label.lastIndexOf(":") + 1);
    info(`Cache hit: ${name} (stored ${formatAge(now() - event.storedAtMs)})`);
  }

  function onFinished(event: Event<"finished">): void {
    const ms = now() - options.startedAtMs;
    if (event.ok) info(`Build completed in ${formatMs(ms)}`);
    else if (options.isInterrupted()) error(`Build interrupted after ${formatMs(ms)}`);
    else {
      const rest = event.skipped > 0 ? `, ${event.skipped} not tried` : "";
      error(`Build failed in ${formatMs(ms)}: ${event.failed} failed${rest}`);
    }
    if (event.flaky > 0) info(`${event.flaky} flaky: passed only when tried again`);
    if (event.ok && event.ran > 0) info("Cache miss → stored for reuse");
  }

  return {
    begin: () => {
      if (options.remote !== undefined && !options.json) {
        info(`Using remote execution (coordinator: ${options.remote})`);
      }
    },
    emit: (event) => {
      if (options.json) {
        write(`${JSON.stringify(event)}\n`);
        return;
      }
      if (event.kind === "uploaded") uploaded += event.bytes;
      if (event.kind === "started") startedById.set(event.id, event);
      if (event.kind === "action") onAction(event);
      if (event.kind === "target") onTarget(event);
      if (event.kind === "finished") onFinished(event);
    },
  };
}

/** `CPU 1.2s`, `memory 210 MB`; nothing where nothing was measured, as without isolation. */
export function usageText(usage: Event<"action">["usage"]): string[] {
  if (usage === undefined || usage.memoryPeakBytes === 0) return [];
  const cpu = `CPU ${formatMs(usage.userCpuMs + usage.systemCpuMs)}`;
  return [cpu, `memory ${formatBytes(usage.memoryPeakBytes)}`];
}

/** Whether an action counts as failed. */
export function isFailed(event: Event<"action">): boolean {
  return event.exitCode !== 0 || event.failure !== "";
}

/** `PASSED //:test (1.2s)`, with the shard where the test has more than one. */
function testLine(event: Event<"action">, color: boolean): string {
  const shard = / shard \d+\/\d+$/.exec(event.id)?.[0] ?? "";
  const how = event.how === "ran" ? formatMs(event.ms) : "cached";
  const name = `${event.target}${shard}`;
  if (isFailed(event)) {
    const again = event.again ? ", trying again" : "";
    return `${colored("FAILED", "red", color)} ${name} (${how}${again})`;
  }
  if (event.attempt === 1) return `${colored("PASSED", "green", color)} ${name} (${how})`;
  const flaky = colored("FLAKY", "yellow", color);
  return `${flaky} ${name} (passed at attempt ${event.attempt}, ${how})`;
}

/** The command as a user would type it at the root of the workspace. */
function commandLine({ argv, workingDirectory }: Event<"started">): string {
  const line = shellLine(argv);
  const there = workingDirectory === "" ? "" : `cd ${shellLine([workingDirectory])} && `;
  return printable(`${there}${line}`);
}

/** What a command wrote, ended by a newline; a colour that it left on is switched off. */
function rawText(text: string, terminal: boolean): string {
  if (text === "") return "";
  const whole = text.endsWith("\n") ? text : `${text}\n`;
  return terminal && text.includes("\x1b") ? `${whole}\x1b[0m` : whole;
}
