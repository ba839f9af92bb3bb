// `builder remote watch|top|actions|why|profile|logs|cancel`: what the machines do, and why.

import type { Command } from "commander";
import { MeshError } from "../../src/core/error.ts";
import {
  cancelAt,
  fetchActions,
  fetchBuildProfile,
  fetchExplanation,
  fetchFigures,
  fetchLog,
} from "../../src/node/insight-client.ts";
import { wholeNumber } from "../flags.ts";
import { addNodeFlags, chosenEndpoint, type NodeChoice } from "../node-flags.ts";
import { buildProfileLines } from "../render-build.ts";
import { actionLines, logLines, silentLine, topLines, whyLines } from "../render-figures.ts";

interface JsonFlags extends NodeChoice {
  readonly json?: boolean;
}

interface ActionsFlags extends JsonFlags {
  readonly running?: boolean;
  readonly queued?: boolean;
  readonly failed?: boolean;
  readonly slow?: boolean;
  readonly ended?: boolean;
  readonly limit: number;
  readonly skip: number;
}

interface LogsFlags extends JsonFlags {
  readonly follow?: boolean;
  readonly all?: boolean;
  readonly search?: string;
  readonly limit: number;
}

const filters = ["running", "queued", "failed", "slow", "ended"] as const;
/** Columns of a pipe: whoever reads there has room. */
const pipeColumns = 120;
/** How often a log that is followed is asked for more, ms. */
const followMs = 1000;

/** Adds the commands to `builder remote`. */
export function addLookCommands(remote: Command): void {
  const part = (name: string, what: string) => addNodeFlags(remote.command(name).description(what));
  part("watch", "Show workers, queue, throughput and what runs, every second, until q.")
    .option("--json", "print the figures for programs, one line a second")
    .action(watch);
  part("top", "Show every host and worker: load, queue, times, steals, links; until q.")
    .option("--json", "print the figures once, for programs")
    .action(top);
  part("actions", "List actions: the unfinished ones, or by one of these flags.")
    .option("--running", "those that run, the oldest first")
    .option("--queued", "those that wait, the oldest first")
    .option("--ended", "those that ended, the last first")
    .option("--failed", "those that failed, the last first")
    .option("--slow", "those that ran longest")
    .option("--limit <n>", "how many", wholeNumber(1, 1000), 50)
    .option("--skip <n>", "pass over so many", wholeNumber(0, 999), 0)
    .option("--json", "print them for programs")
    .action(listActions);
  part("why", "Say why an action waits, ran where it ran, or was not in the cache.")
    .argument("<action>", "its digest or 6 digits of it, its operation, or a part of its target")
    .option("--json", "print it for programs")
    .action(why);
  part("profile", "Say where the time of a build went: phases, waits in turn, slowest actions.")
    .argument("<invocation>", "its id, or of a UUID 6 digits or more")
    .option("--json", "print it for programs, with the picture that the dashboard draws")
    .action(profile);
  part("logs", "Show the last log lines of a host, or of all (needs the right admin).")
    .argument("[node]", "name or peer id of a host; the asked one when left out")
    .option("--follow", "go on with new lines until Ctrl-C")
    .option("--all", "of all hosts, in one order")
    .option("--search <text>", "only lines that contain it, whatever the case, or of that level")
    .option("--limit <n>", "how many of the last ones", wholeNumber(1, 1000), 100)
    .option("--json", "print one JSON object a line")
    .action(logs);
  part("cancel", "Give up an operation, or every action of an invocation.")
    .argument("<what>", "an operation's name or an invocation's id")
    .action(cancel);
}

async function watch(flags: JsonFlags): Promise<void> {
  const { awayLines, watchFigures, watchLines } = await import("../watch-view.ts");
  const { showLive } = await import("../live-screen.ts");
  const endpoint = chosenEndpoint(flags);
  await showLive({
    fetch: async () => {
      const [figures, running] = await Promise.all([
        fetchFigures(endpoint),
        fetchActions(endpoint, { filter: "running", limit: 20, skip: 0 }),
      ]);
      return { figures, running };
    },
    draw: watchLines,
    away: awayLines,
    line: (found) => (flags.json ? JSON.stringify(found) : watchFigures(found).join(" · ")),
  });
}

async function top(flags: JsonFlags): Promise<void> {
  const endpoint = chosenEndpoint(flags);
  if (flags.json === true || process.stdout.isTTY !== true) {
    const figures = await fetchFigures(endpoint);
    print(flags.json ? [JSON.stringify(figures)] : topLines(figures, pipeColumns));
    return;
  }
  const { awayLines } = await import("../watch-view.ts");
  const { showLive } = await import("../live-screen.ts");
  await showLive({
    fetch: () => fetchFigures(endpoint),
    draw: (figures, { columns, rows }) => topLines(figures, columns - 1).slice(0, rows - 1),
    away: awayLines,
    line: (figures) => topLines(figures, pipeColumns).join("\n"),
  });
}

async function listActions(flags: ActionsFlags): Promise<void> {
  const filter = filters.find((name) => flags[name] === true) ?? "unfinished";
  const { limit, skip } = flags;
  const list = await fetchActions(chosenEndpoint(flags), { filter, limit, skip });
  print(flags.json ? [JSON.stringify(list)] : actionLines(list, columns()));
}

async function why(action: string, flags: JsonFlags): Promise<void> {
  const told = await fetchExplanation(chosenEndpoint(flags), action);
  print(flags.json ? [JSON.stringify(told)] : whyLines(told, columns()));
}

async function profile(invocation: string, flags: JsonFlags): Promise<void> {
  const build = await fetchBuildProfile(chosenEndpoint(flags), invocation);
  print(flags.json ? [JSON.stringify(build)] : buildProfileLines(build, columns()));
}

async function logs(node: string | undefined, flags: LogsFlags): Promise<void> {
  const endpoint = chosenEndpoint(flags);
  const { limit, all = false, search = "", follow = false } = flags;
  if (all && (follow || node !== undefined)) {
    const text = "--all shows every host once: leave out --follow and the name of a host.";
    throw new MeshError("INVALID_ARGUMENT", text);
  }
  const ask = (after: number) =>
    fetchLog(endpoint, { node: node ?? "", after, limit, all, search });
  let last = 0;
  for (;;) {
    const found = await ask(last);
    const { lines } = found;
    print(flags.json ? lines.map((line) => JSON.stringify(line)) : logLines(found, Date.now()));
    last = lines.at(-1)?.seq ?? last;
    if (!follow) return;
    if (lines.length < limit) await new Promise((wake) => setTimeout(wake, followMs));
  }
}

async function cancel(what: string, flags: NodeChoice): Promise<void> {
  const { operations, silent } = await cancelAt(chosenEndpoint(flags), what);
  const said = operations === 1 ? "1 call was" : `${operations} calls were`;
  print([`${said} told that the action is given up.`, ...silentLine(silent)]);
}

function columns(): number {
  return process.stdout.isTTY === true ? (process.stdout.columns || 80) - 1 : pipeColumns;
}

function print(lines: readonly string[]): void {
  if (lines.length > 0) process.stdout.write(`${lines.join("\n")}\n`);
}
