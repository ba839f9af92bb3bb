// `builder store …`: looks after the store of this host, also while nodes use it.

import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { MeshError } from "../../src/core/error.ts";
import { defaultStore } from "../../src/node/config.ts";
import { openHostStore, type StoreTools } from "../../src/node/store-tools.ts";
import { age, size } from "../flags.ts";
import { formatAge, formatBytes } from "../render.ts";

interface StoreFlags {
  readonly store?: string;
}

/** Adds the command and its parts. */
export function addStoreCommand(program: Command): void {
  const store = program.command("store").description("Look after the store of this machine.");
  const part = (name: string, what: string) =>
    store
      .command(name)
      .description(what)
      .option("--store <folder>", "where blobs and results are kept");

  part("stats", "Show how much is stored and how old it is.")
    .option("--json", "print the figures for programs")
    .action((flags: StoreFlags & { readonly json?: boolean }) =>
      withStore(flags, async (tools) => {
        const stats = tools.stats();
        say(flags.json ? JSON.stringify(stats) : renderStats(stats, Date.now()));
      }),
    );

  part("verify", "Read every blob and say which are not what they are named.")
    .option("--repair", "remove what is damaged, and results that name lost blobs")
    .action((flags: StoreFlags & { readonly repair?: boolean }) =>
      withStore(flags, (tools) => verify(tools, flags.repair ?? false)),
    );

  part("gc", "Let the least recently used blobs go. Blobs in use stay.")
    .requiredOption("--max <size>", "bytes to keep at most", size)
    .option("--older-than <age>", "only blobs not used for so long, such as 7d", age, 300_000)
    .action((flags: StoreFlags & { readonly max: number; readonly olderThan: number }) =>
      withStore(flags, async (tools) => {
        const freed = tools.shrink(flags.max, flags.olderThan);
        const { bytes } = tools.stats();
        say(`Freed ${formatBytes(freed)}; ${formatBytes(bytes)} are stored.`);
        if (bytes > flags.max) say("The rest was used too recently to go, or is held by a build.");
      }),
    );

  part("export", "Write a blob, or the outputs of a cached action, to new files.")
    .argument("[digest]", "blob: HASH/SIZE, or FUNCTION:HASH/SIZE")
    .option("--action <digest>", "the outputs of this action's result instead")
    .option("--instance <name>", "instance name of the action", "")
    .requiredOption("--to <path>", "new file, or new folder for an action")
    .action((blob: string | undefined, flags: ExportFlags) =>
      withStore(flags, async (tools) => {
        if ((blob === undefined) === (flags.action === undefined)) {
          throw new MeshError("INVALID_ARGUMENT", "Name a blob, or an action with --action.");
        }
        if (flags.action === undefined) await tools.exportBlob(blob ?? "", flags.to);
        else {
          const files = await tools.exportAction(flags.instance, flags.action, flags.to);
          say(`${files} files`);
        }
      }),
    );
}

interface ExportFlags extends StoreFlags {
  readonly action?: string;
  readonly instance: string;
  readonly to: string;
}

async function withStore(flags: StoreFlags, work: (tools: StoreTools) => Promise<void>) {
  const folder = flags.store ?? defaultStore(process.env["XDG_CACHE_HOME"]);
  if (!existsSync(join(folder, "index"))) {
    throw new MeshError("NOT_FOUND", `There is no store in ${folder}. Name one with --store.`);
  }
  const tools = openHostStore(folder, Date.now);
  try {
    await work(tools);
  } finally {
    await tools.close();
  }
}

async function verify(tools: StoreTools, repair: boolean): Promise<void> {
  const progress = process.stderr.isTTY === true;
  const report = await tools.verify(repair, (checked) => {
    if (progress && checked % 1000 === 0) process.stderr.write(`\r${checked} checked`);
  });
  if (progress) process.stderr.write("\r");
  for (const key of report.damaged) say(`damaged: ${key}`);
  if (report.uncounted > 0) say(`${report.uncounted} files were not counted; they are now.`);
  const bad = report.damaged.length + report.incomplete;
  say(
    `${report.checked} checked (${formatBytes(report.bytes)}), ${report.damaged.length} damaged, ` +
      `${report.incomplete} results incomplete${bad > 0 && repair ? "; removed" : ""}.`,
  );
  // Nodes treat incomplete results as misses by themselves; damage is what people must know.
  if (report.damaged.length > 0) process.exitCode = 1;
}

function renderStats(stats: ReturnType<StoreTools["stats"]>, nowMs: number): string {
  const lines = [
    `Blobs: ${stats.blobs} (${formatBytes(stats.bytes)})`,
    ...stats.sizes.map(({ bytesMax, blobs }) => {
      const upTo = Number.isFinite(bytesMax) ? `up to ${formatBytes(bytesMax)}` : "larger";
      return `  ${upTo}: ${blobs}`;
    }),
    `Results: ${stats.results}`,
  ];
  const { oldestUseMs, newestUseMs } = stats;
  if (oldestUseMs !== undefined && newestUseMs !== undefined) {
    lines.push(`Last used: ${formatAge(nowMs - newestUseMs)} to ${formatAge(nowMs - oldestUseMs)}`);
  }
  return lines.join("\n");
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
