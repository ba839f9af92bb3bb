// `bldr build`, `bldr test`, `bldr clean`.

import { rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import type { Download } from "../../src/build/build-run.ts";
import { build } from "../../src/build/builder.ts";
import type { EndpointFlags } from "../../src/build/endpoint.ts";
import type { ActionExecutor } from "../../src/build/executor.ts";
import { MeshError } from "../../src/core/error.ts";
import { defaultStore, formatHostPort } from "../../src/node/config.ts";
import { chooseTargets } from "../../src/workspace/target-pattern.ts";
import {
  labelOf,
  openWorkspace,
  type PlacedTarget,
  type Workspace,
} from "../../src/workspace/workspace.ts";
import { createBuildReport } from "../build-report.ts";
import { hostPort, wholeNumber } from "../flags.ts";
import { refuseLater } from "../program.ts";
import { reportOptions, requestOf } from "../unchanged-answer.ts";
import { workerProgram } from "../worker-program.ts";

interface BuildFlags extends EndpointFlags {
  /** True without a value, else `HOST:PORT` or `local`. */
  readonly remote?: true | string;
  readonly jobs: number;
  readonly keepGoing?: boolean;
  readonly json?: boolean;
  readonly download: Download;
  readonly store?: string;
  readonly sandbox?: "auto" | "none";
}

const defaultNode = "127.0.0.1:9000";
const localStoreBytesMax = 10 * 2 ** 30;
const later = ["--hermetic-audit", "--watch", "--profile [file]", "--explain"];

function nodeName(text: string): string {
  if (text === "local" || text.includes("://")) return text;
  return formatHostPort(hostPort("127.0.0.1")(text));
}

/** Adds the three commands. */
export function addBuildCommands(program: Command): void {
  const buildCommand = program
    .command("build")
    .argument("[targets...]", "app, //folder:app, //folder/...; all of this folder's when left out")
    .description("Build targets.");
  const testCommand = program
    .command("test")
    .argument("[targets...]", "test targets; all of this folder's when left out")
    .description("Build and run tests.");
  for (const command of [buildCommand, testCommand]) {
    command
      .option(
        "--remote [node]",
        "run on a node: HOST:PORT, grpcs://HOST:PORT, or `local` for one just for this build",
        nodeName,
      )
      .option("--tls-ca <file>", "authority of the node's certificate (PEM)")
      .option("--tls-cert <file>", "client certificate to show (PEM)")
      .option("--tls-key <file>", "its private key (PEM)")
      .option("--token-file <file>", "file with a token for the node; else BUILDER_TOKEN")
      .option(
        "-j, --jobs <n>",
        "actions at once",
        wholeNumber(1, 10_000),
        4 * availableParallelism(),
      )
      .option("-k, --keep-going", "go on with what does not depend on a failure")
      .option("--json", "print every event as one JSON object a line")
      .option("--store <folder>", "where blobs and results are kept on this machine")
      .addOption(
        program
          .createOption("--download <what>", "outputs that come to the workspace")
          .choices(["all", "top", "none"])
          .default("top"),
      )
      .addOption(program.createOption("--sandbox <kind>", "isolation").choices(["auto", "none"]));
    refuseLater(command, later);
    const test = command === testCommand;
    command.action((names: string[], flags: BuildFlags) => run(names, flags, test));
  }
  program
    .command("clean")
    .description("Forget what was built here: removes .builder of this workspace.")
    .action(() => {
      const { root } = openWorkspace(process.cwd(), process.env);
      rmSync(join(root, ".builder"), { recursive: true, force: true });
    });
}

async function run(names: readonly string[], flags: BuildFlags, test: boolean): Promise<void> {
  checkEndpointFlags(flags);
  const node = await chooseNode(flags);
  const shown = { json: flags.json ?? false, node: node.address ?? "" };
  const report = createBuildReport(reportOptions(shown));
  const abort = new AbortController();
  process.once("SIGINT", () => abort.abort());
  try {
    report.begin();
    const summary = await build(
      { executorFor: node.executorFor, emit: report.emit, now: Date.now },
      {
        folder: process.cwd(),
        request: requestOf(process.cwd(), process.argv.slice(2)),
        choose: () => {
          const workspace = openWorkspace(process.cwd(), process.env);
          return { workspace, wanted: choose(workspace, names, test) };
        },
        test,
        jobs: flags.jobs,
        keepGoing: flags.keepGoing ?? false,
        download: flags.download,
        env: process.env,
        shown,
        signal: abort.signal,
      },
    );
    if (!summary.ok) process.exitCode = 1;
  } finally {
    await node.close();
  }
}

/** Says what would otherwise be ignored. */
function checkEndpointFlags({ remote, tlsCa, tlsCert, tlsKey, tokenFile }: BuildFlags): void {
  const given = [tlsCa, tlsCert, tlsKey, tokenFile].some((flag) => flag !== undefined);
  if (!given || (remote !== undefined && remote !== "local")) return;
  throw new MeshError(
    "INVALID_ARGUMENT",
    "--tls-ca, --tls-cert, --tls-key and --token-file are for a node: add --remote=HOST:PORT.",
  );
}

function choose(workspace: Workspace, names: readonly string[], test: boolean): PlacedTarget[] {
  const { targets, named } = chooseTargets(workspace, names.length > 0 ? names : [":*"]);
  if (!test) return [...targets];
  const tests = targets.filter(({ target }) => target.type === "test");
  const other = targets.find(
    (placed) => placed.target.type !== "test" && named.has(labelOf(placed)),
  );
  if (other !== undefined) {
    throw new MeshError(
      "INVALID_ARGUMENT",
      `${other.target.name} is no test; its type is ${other.target.type}. Build it with bldr build.`,
    );
  }
  if (tests.length === 0) throw new MeshError("NOT_FOUND", "There is no test target here.");
  return tests;
}

/** Where actions run; nothing is opened or loaded before the first one must. */
async function chooseNode(flags: BuildFlags): Promise<{
  readonly address: string | undefined;
  executorFor(place: { readonly remote: boolean }): Promise<ActionExecutor>;
  close(): Promise<void>;
}> {
  const local = once(async () => {
    const { createLocalExecutor } = await import("../../src/node/local-executor.ts");
    return createLocalExecutor(
      { now: Date.now },
      {
        store: flags.store ?? defaultStore(process.env["XDG_CACHE_HOME"]),
        storeBytesMax: localStoreBytesMax,
        sandbox: flags.sandbox ?? "auto",
        slots: availableParallelism(),
      },
    );
  });
  if (flags.remote === undefined) {
    return {
      address: undefined,
      executorFor: () => local.get(),
      close: () => local.close((executor) => executor.close()),
    };
  }
  const own = flags.remote === "local" ? await startOwnNode(flags) : undefined;
  const address = own?.address ?? (flags.remote === true ? defaultNode : flags.remote);
  const remote = once(async () => {
    const { createRemoteExecutor } = await import("../../src/build/remote-executor.ts");
    const { software } = await import("../../src/node/version.ts");
    const { readEndpoint } = await import("../../src/build/endpoint.ts");
    const token = own === undefined ? process.env["BUILDER_TOKEN"] : undefined;
    const endpoint = readEndpoint(address, flags, token);
    return createRemoteExecutor(endpoint, software, async () => {
      const { openHostStore } = await import("../../src/node/host-store.ts");
      const folder = flags.store ?? defaultStore(process.env["XDG_CACHE_HOME"]);
      return openHostStore({ now: Date.now }, { folder, bytesMax: localStoreBytesMax });
    });
  });
  return {
    address,
    executorFor: (place) => (place.remote ? remote.get() : local.get()),
    close: async () => {
      await remote.close((executor) => executor.close());
      await local.close((executor) => executor.close());
      await own?.stop();
    },
  };
}

/** `--remote=local`: a serving node with a single worker, for the time of this build. */
async function startOwnNode(flags: BuildFlags) {
  const { serve } = await import("../../src/node/serve.ts");
  const { resolveServeConfig } = await import("../../src/node/config.ts");
  const { createLog } = await import("../../src/telemetry/logger.ts");
  const log = createLog((line) => process.stderr.write(line), "warn");
  const cacheHome = process.env["XDG_CACHE_HOME"];
  const config = resolveServeConfig({
    coordinator: { host: "127.0.0.1", port: 0 },
    workersMin: 1,
    workersMax: 1,
    slots: availableParallelism(),
    logLevel: "warn",
    ...(flags.store === undefined ? {} : { store: flags.store }),
    ...(flags.sandbox === undefined ? {} : { sandbox: flags.sandbox }),
    ...(cacheHome === undefined ? {} : { cacheHome }),
  });
  const node = await serve({ log, now: Date.now, workerProgram }, config);
  return { address: node.coordinator, stop: () => node.drain() };
}

/** Makes a thing when first asked for, and undoes it only if it was made. */
function once<T>(make: () => Promise<T>) {
  let made: Promise<T> | undefined;
  return {
    get: () => {
      made ??= make();
      return made;
    },
    close: async (undo: (thing: T) => Promise<void>) => {
      if (made !== undefined) await made.then(undo);
    },
  };
}
