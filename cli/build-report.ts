// What `bldr` prints while it builds: few lines, every figure measured, failures once and whole.

import type { BuildEvent } from "../src/build/build-event.ts";
import { printable } from "../src/telemetry/logger.ts";
import { formatAge, formatBytes, formatMs } from "./render.ts";

/** Where lines go and what they are about. */
export interface BuildReportOptions {
  readonly write: (text: string) => void;
  readonly warn: (text: string) => void;
  /** Events as JSON lines instead of text. */
  readonly json: boolean;
  /** The node in use; undefined for a local build. */
  readonly remote: string | undefined;
  /** When the program started, Unix ms: the time that a user waits. */
  readonly startedAtMs: number;
  readonly now: () => number;
}

/** Renders one build. */
export interface BuildReport {
  begin(): void;
  emit(event: BuildEvent): void;
}

type ActionEvent = Extract<BuildEvent, { kind: "action" }>;
type TargetEvent = Extract<BuildEvent, { kind: "target" }>;

/** Creates the report of one build. */
export function createBuildReport(options: BuildReportOptions): BuildReport {
  const { write, warn, now } = options;
  const info = (text: string) => write(`[INFO] ${text}\n`);
  const workers = new Set<string>();
  let uploaded = 0;
  let shownUpload = false;
  const newest = { storedAtMs: 0 };

  function showUpload(): void {
    if (shownUpload || uploaded === 0 || options.remote === undefined) return;
    shownUpload = true;
    info(`Uploading inputs... (${formatBytes(uploaded)})`);
  }

  function onAction(event: ActionEvent): void {
    showUpload();
    if (event.how === "ran" && event.worker !== "" && !workers.has(event.worker)) {
      workers.add(event.worker);
      const hermetic = event.isolation === "none" ? "not isolated" : `hermetic: ${event.isolation}`;
      info(`Executing on ${event.worker} (${hermetic})`);
    }
    const failed = event.exitCode !== 0 || event.failure !== "";
    if (event.mnemonic === "TestRun") {
      const how = event.how === "ran" ? formatMs(event.ms) : "cached";
      info(`${failed ? "FAILED" : "PASSED"} ${event.target} (${how})`);
    }
    if (failed) showFailure(event);
    else if (event.stderr.trim() !== "") warn(withNewline(event.stderr));
  }

  function showFailure(event: ActionEvent): void {
    const why = event.failure === "" ? `exit code ${event.exitCode}` : event.failure;
    warn(withNewline(event.stdout));
    warn(withNewline(event.stderr));
    warn(`[ERROR] ${printable(event.id)} failed: ${printable(why)}\n`);
  }

  function onTarget(event: TargetEvent): void {
    newest.storedAtMs = Math.max(newest.storedAtMs, event.storedAtMs);
    if (!event.ok || !event.cached) return;
    const name = event.label.slice(event.label.lastIndexOf(":") + 1);
    info(`Cache hit: ${name} (stored ${formatAge(now() - event.storedAtMs)})`);
  }

  function onFinished(event: Extract<BuildEvent, { kind: "finished" }>): void {
    const ms = now() - options.startedAtMs;
    if (event.ok) info(`Build completed in ${formatMs(ms)}`);
    else {
      const rest = event.skipped > 0 ? `, ${event.skipped} not tried` : "";
      warn(`[ERROR] Build failed in ${formatMs(ms)}: ${event.failed} failed${rest}\n`);
    }
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
      if (event.kind === "action") onAction(event);
      if (event.kind === "target") onTarget(event);
      if (event.kind === "finished") onFinished(event);
    },
  };
}

function withNewline(text: string): string {
  return text === "" || text.endsWith("\n") ? text : `${text}\n`;
}
