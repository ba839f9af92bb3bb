// `builder remote scale|drain|configure|decisions|record`: how many workers there are, and why.

import { appendFileSync, readFileSync, writeFileSync } from "node:fs";
import type { Command } from "commander";
import { createMeshClient, type MeshClient } from "../../src/build/mesh-client.ts";
import { failureOf, MeshError } from "../../src/core/error.ts";
import { formatRecord } from "../../src/core/scaling-record.ts";
import {
  cloudSettings,
  loadWishes,
  parseWishes,
  type ScalingWishes,
  saveWishes,
} from "../../src/node/scaling-config.ts";
import { age, wholeNumber } from "../flags.ts";
import { addNodeFlags, chosenEndpoint, chosenStore, type NodeChoice } from "../node-flags.ts";
import { renderDecision } from "../scaling-text.ts";

interface ConfigureFlags extends NodeChoice {
  readonly provider?: "aws" | "k8s" | "local";
  readonly autoscale?: "off" | "advise" | "on";
  readonly workersMin?: number;
  readonly workersMax?: number;
  readonly targetWait?: number;
  readonly idleTime?: number;
  readonly onDemandBase?: number;
  readonly spot?: boolean;
  /** False for `--no-schedule`. */
  readonly schedule?: string[] | false;
  readonly reset?: boolean;
  readonly print?: boolean;
  /** Settings of clouds, by the camel case of their flags. */
  readonly [flag: string]: unknown;
}

/** How often `record --follow` asks, in ms. */
const followMs = 2_000;

/** Adds the commands. */
export function addScalingCommands(remote: Command): void {
  const part = (name: string, what: string) => addNodeFlags(remote.command(name).description(what));
  part("scale", "Keep so many workers at least, whatever the work, until --release.")
    .option("--workers <n>", "workers kept", wholeNumber(0, 1000))
    .option("--release", "as configured again")
    .option("--dry-run", "print the calls that starting one machine would make, and make none")
    .action(scale);
  part("drain", "Let a worker or a host take nothing new; a worker ends then.")
    .argument("<node>", "worker-3, desk/worker-3, a host's name or a machine of a provider")
    .option("--cancel", "let it go on")
    .action(async (node: string, flags: NodeChoice & { readonly cancel?: boolean }) => {
      const { cancel = false } = flags;
      await clientOf(flags).drain(node, cancel);
      say(cancel ? `${node} goes on.` : `${node} takes nothing new; what it runs ends first.`);
    });
  addConfigure(part("configure", "Say where workers come from and how many; kept by the node."));
  part("decisions", "Show what was decided about workers, and why.")
    .option("--json", "print the decisions with what they were made from")
    .action(showDecisions);
  part("record", "Write what arrived, waited and ran, for `builder simulate`.")
    .option("--out <file>", "where to; standard output when left out")
    .option("--follow", "go on until Ctrl-C")
    .action(record);
}

function addConfigure(command: Command): void {
  command
    .addOption(command.createOption("--provider <kind>", "where").choices(["aws", "k8s", "local"]))
    .addOption(command.createOption("--autoscale <mode>", "how").choices(["off", "advise", "on"]))
    .option("--workers-min <n>", "workers kept", wholeNumber(0, 1000))
    .option("--workers-max <n>", "workers never exceeded", wholeNumber(0, 1000))
    .option("--target-wait <time>", "wait that 95 of 100 actions should not exceed (5s)", age)
    .option("--idle-time <time>", "a worker may go once idle for so long (5m)", age)
    .option("--schedule <hours...>", 'workers kept then, such as "mon-fri 08:00-18:00 min=4"')
    .option("--no-schedule", "no schedule any more")
    .option("--spot", "machines may be spot")
    .option("--no-spot", "machines are on demand")
    .option("--on-demand-base <n>", "machines on demand before any is spot", wholeNumber(0, 1000))
    .option("--reset", "forget what was configured before")
    .option("--print", "print what is configured, as JSON");
  for (const { flag, kind, meaning } of cloudSettings) {
    const value = { text: "<text>", list: "<name...>", number: "<n>", file: "<file>" }[kind];
    command.option(`${flag} ${value}`, meaning);
  }
  command.action(configure);
}

async function scale(
  flags: NodeChoice & {
    readonly workers?: number;
    readonly release?: boolean;
    readonly dryRun?: boolean;
  },
): Promise<void> {
  const { workers, release = false, dryRun = false } = flags;
  if (dryRun) {
    // Only here: the clouds' clients are large.
    const { planLaunch } = await import("../../src/node/scaling-plan.ts");
    for (const { call, input } of await planLaunch(await readConfiguration(flags))) {
      say(`${call}\n${JSON.stringify(input, null, 2)}`);
    }
    return;
  }
  if ((workers === undefined) !== release) {
    throw new MeshError("INVALID_ARGUMENT", "scale wants --workers N, or --release.");
  }
  await clientOf(flags).scale(workers);
  say(release ? "As configured again." : `At least ${workers} workers are kept until --release.`);
}

async function configure(flags: ConfigureFlags): Promise<void> {
  const before = flags.reset ? {} : parseWishes(await readConfiguration(flags));
  const next = withFlags(before, flags);
  const json = JSON.stringify(next);
  const isNews = json !== JSON.stringify(before) || flags.reset === true;
  if (isNews) await writeConfiguration(flags, json);
  if (flags.print) say(JSON.stringify(next, null, 2));
  else if (isNews) say("Configured. `--print` shows everything.");
  else say("Nothing was said that is not configured already; see --help.");
}

/** What is configured with what the flags say; INVALID_ARGUMENT names the flag that cannot be. */
function withFlags(before: ScalingWishes, flags: ConfigureFlags): ScalingWishes {
  const { autoscale, workersMin, workersMax, targetWait, idleTime, onDemandBase, spot } = flags;
  const { schedule } = flags;
  const { schedules: _, ...rest } = before;
  const given = {
    ...(schedule === false ? rest : before),
    ...{ autoscale: autoscale ?? before.autoscale, spot: spot ?? before.spot },
    workersMin: workersMin ?? before.workersMin,
    workersMax: workersMax ?? before.workersMax,
    targetWaitMs: targetWait ?? before.targetWaitMs,
    idleMs: idleTime ?? before.idleMs,
    onDemandBase: onDemandBase ?? before.onDemandBase,
    ...(Array.isArray(schedule) ? { schedules: schedule } : {}),
    provider: providerOf(before, flags),
  };
  return parseWishes(JSON.stringify(given));
}

function providerOf(before: ScalingWishes, flags: ConfigureFlags): ScalingWishes["provider"] {
  const said = cloudSettings.flatMap(({ key, flag, of, kind }) => {
    const value = flags[camelCase(flag)];
    return value === undefined ? [] : [{ key, of, value: settingOf(value, flag, kind) }];
  });
  const known = before.provider?.["provider"];
  const provider = flags.provider ?? known ?? said[0]?.of;
  if (provider === undefined) return undefined;
  const kept = provider === known ? before.provider : {};
  return { ...kept, provider, ...Object.fromEntries(said.map(({ key, value }) => [key, value])) };
}

function settingOf(value: unknown, flag: string, kind: string): unknown {
  if (kind === "number") {
    const number = Number(value);
    if (Number.isFinite(number)) return number;
    throw new MeshError("INVALID_ARGUMENT", `${flag} wants a number.`);
  }
  if (kind !== "file") return value;
  try {
    return readFileSync(String(value), "utf8");
  } catch (cause) {
    const message = `The file of ${flag} cannot be read: ${failureOf(cause).message}`;
    throw new MeshError("INVALID_ARGUMENT", message, { cause });
  }
}

function camelCase(flag: string): string {
  return flag.slice(2).replace(/-(\w)/g, (_, letter: string) => letter.toUpperCase());
}

/** Of the node that runs; without one, what its store keeps. */
async function readConfiguration(flags: NodeChoice): Promise<string> {
  return online(
    flags,
    (client) => client.configuration(),
    () => JSON.stringify(loadWishes(chosenStore(flags))),
  );
}

function writeConfiguration(flags: NodeChoice, json: string): Promise<void> {
  return online(
    flags,
    (client) => client.configure(json),
    () => saveWishes(chosenStore(flags), parseWishes(json)),
  );
}

async function online<T>(
  flags: NodeChoice,
  ask: (client: MeshClient) => Promise<T>,
  otherwise: () => T,
): Promise<T> {
  try {
    return await ask(clientOf(flags));
  } catch (error) {
    if (failureOf(error).code !== "UNAVAILABLE" || flags.coordinator !== undefined) throw error;
    return otherwise();
  }
}

async function showDecisions(flags: NodeChoice & { readonly json?: boolean }): Promise<void> {
  const client = clientOf(flags);
  for (let from = 0; ; ) {
    const page = await client.readRecord(from, true);
    for (const line of page.lines) {
      if (flags.json) process.stdout.write(line);
      else say(renderDecision(line));
    }
    if (page.lines.length === 0) {
      if (from === 0) say("Nothing was decided yet.");
      return;
    }
    from = page.next;
  }
}

async function record(
  flags: NodeChoice & { readonly out?: string; readonly follow?: boolean },
): Promise<void> {
  const client = clientOf(flags);
  const { out } = flags;
  const write = (text: string) => {
    if (out === undefined) process.stdout.write(text);
    else appendFileSync(out, text);
  };
  if (out !== undefined) writeFileSync(out, "");
  const format = "builder-scaling-record";
  write(formatRecord({ record: "head", format, version: 1, atMs: Date.now() }));
  let told = 0;
  for (let from = 0; ; ) {
    const page = await client.readRecord(from, false);
    if (page.dropped > told) {
      process.stderr.write(`[WARN] ${page.dropped} lines were forgotten before they were read\n`);
      told = page.dropped;
    }
    write(page.lines.join(""));
    from = page.next;
    if (page.lines.length > 0) continue;
    if (flags.follow !== true) return;
    await new Promise((wake) => setTimeout(wake, followMs));
  }
}

function clientOf(flags: NodeChoice): MeshClient {
  return createMeshClient(chosenEndpoint(flags));
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
