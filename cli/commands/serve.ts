// `builder serve`: a serving node in the foreground. `builder join` runs the same node.

import { type Command, InvalidArgumentError } from "commander";
import { failureOf, MeshError } from "../../src/core/error.ts";
import type { ScalingMode } from "../../src/core/scaling-settings.ts";
import { aloneForLong, type BootLimits, endedItselfCode } from "../../src/node/boot-order.ts";
import type { HostPort, ServeConfig } from "../../src/node/config.ts";
import {
  callerRoles,
  defaultStore,
  formatHostPort,
  isLoopback,
  resolveServeConfig,
} from "../../src/node/config.ts";
import { parseActionLimits } from "../../src/node/limits.ts";
import { type CloudName, loadWishes } from "../../src/node/scaling-config.ts";
import { type ServingNode, serve } from "../../src/node/serve.ts";
import {
  createLog,
  type Level,
  type Log,
  type LogFormat,
  levels,
  logFormats,
} from "../../src/telemetry/logger.ts";
import { hostPort, size, wholeNumber } from "../flags.ts";
import { formatSpan, renderInvitation } from "../invitation-text.ts";
import { addMannersFlags, type MannersFlags, readManners } from "../manners-flags.ts";
import { pageFolder } from "../page-folder.ts";
import { tracesUrl } from "../traces-flag.ts";
import { workerProgram } from "../worker-program.ts";

/** What a serving node can be told on the command line. */
export interface ServeFlags extends MannersFlags {
  readonly remote?: boolean;
  readonly coordinator?: HostPort;
  readonly reapi?: HostPort;
  readonly workersMin?: number;
  readonly workersMax?: number;
  readonly autoscale?: ScalingMode;
  readonly cloud?: CloudName;
  readonly spot?: boolean;
  /** Said by whoever starts machines, never by a flag. */
  readonly mayLead?: boolean;
  readonly slots?: number;
  readonly store?: string;
  readonly storeMax?: number;
  readonly sandbox?: "auto" | "none";
  readonly actionLimits?: ServeConfig["actionLimits"];
  readonly persistentWorkers?: number;
  readonly logLevel?: Level;
  readonly logFormat?: LogFormat;
  readonly printConfig?: boolean;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
  readonly tlsClientCa?: string;
  readonly tokenFile?: string;
  readonly anonymous?: ServeConfig["callers"]["anonymous"];
  readonly insecure?: boolean;
  readonly fetchAllow?: string[];
  readonly name?: string;
  readonly mesh?: HostPort;
  readonly behindNat?: boolean;
  readonly workStealing?: boolean;
  readonly metrics?: HostPort;
  readonly dashboard?: HostPort | true;
  readonly traces?: string;
  readonly qr?: boolean;
}

/** Time as it is. */
export const clock = {
  now: Date.now,
  sleep: (ms: number) => new Promise<void>((wake) => setTimeout(wake, ms)),
};

/** Adds the command. */
export function addServeCommand(program: Command): void {
  const command = program
    .command("serve")
    .description("Start a node with an address for builds and workers that run their actions.")
    .requiredOption("--remote", "serve remote execution");
  addServeFlags(command);
  command.action((flags: ServeFlags) => runWithFlags(flags));
}

/** Adds the flags of a serving node. */
export function addServeFlags(command: Command): void {
  command
    .option("--coordinator <host:port>", "address for builds and status", hostPort("127.0.0.1"))
    .option("--reapi <port>", "a second address, for Remote Execution API clients", hostPort(""))
    .option("--workers-min <n>", "workers to keep alive", wholeNumber(0, 1000))
    .option("--workers-max <n>", "workers never exceeded", wholeNumber(0, 1000))
    .addOption(
      command
        .createOption("--autoscale [mode]", "start and end workers as work comes and goes: on")
        .choices(["off", "advise", "on"])
        .preset("on"),
    )
    .addOption(
      command
        .createOption("--cloud <provider>", "where further workers come from; see remote configure")
        .choices(["aws", "k8s"]),
    )
    .option("--spot", "machines of the cloud may be spot, but the first --on-demand-base")
    .option("--slots <n>", "actions each worker runs at once", wholeNumber(1, 1024))
    .option("--store <folder>", "where blobs and results are kept")
    .option("--store-max <size>", "bytes kept before the least recently used go", size);
  addActionFlags(command);
  command
    .addOption(command.createOption("--log-level <level>", "how much to say").choices([...levels]))
    .addOption(
      command
        .createOption("--log-format <format>", "log lines for people, or JSON for programs")
        .choices([...logFormats]),
    )
    .option("--tls-cert <file>", "serve TLS with this certificate (PEM)")
    .option("--tls-key <file>", "its private key (PEM)")
    .option("--tls-client-ca <file>", "clients must show a certificate of this authority (PEM)")
    .option("--token-file <file>", "callers by bearer token: lines of TOKEN ROLE [NAME]")
    .addOption(
      command
        .createOption("--anonymous <role>", "what callers without token or certificate may do")
        .choices([...callerRoles]),
    )
    .option("--fetch-allow <prefix...>", "URLs that clients may have downloaded (Remote Asset)")
    .option("--name <name>", "what people call this node (this machine's name)")
    .option("--mesh <host:port>", "address for the mesh's other nodes", hostPort("0.0.0.0"))
    .option("--behind-nat", "other machines cannot connect to this one: they come through others")
    .option("--work-stealing", "idle machines of the mesh take work of the others, from now on")
    .option("--no-work-stealing", "each machine does its own work only, from now on")
    .option("--metrics <host:port>", "answer Prometheus here", hostPort("127.0.0.1"))
    .option(
      "--dashboard [host:port]",
      "show the node to browsers here (127.0.0.1:9003)",
      hostPort("127.0.0.1"),
    )
    .option("--traces <url>", "send traces to this OpenTelemetry collector (OTLP/HTTP)")
    .option("--qr", "show the line for other machines as a QR code too")
    .option("--insecure", "plain text on a public address is meant")
    .option("--print-config", "print the resolved configuration and exit");
  addMannersFlags(command);
}

/** Runs a node until it is told to stop. `before` does what must be done before it starts. */
export async function runWithFlags(
  flags: ServeFlags,
  before: (config: ServeConfig, log: Log) => Promise<void> = async () => undefined,
  boot: BootLimits = { joinWithinMs: undefined, aloneMsMax: undefined },
): Promise<void> {
  const config = resolve(flags);
  if (flags.printConfig) {
    process.stdout.write(`${JSON.stringify(config, null, 2)}\n`);
    return;
  }
  const { logLevel, logFormat: format, name: node } = config;
  const log = createLog((line) => process.stdout.write(line), logLevel, {
    ...{ format, node, now: Date.now },
  });
  await before(config, log);
  await run(config, log, { qr: flags.qr ?? false, boot });
}

function resolve(flags: ServeFlags): ServeConfig {
  const { coordinator, storeMax, reapi, printConfig: _, remote: __, qr: ___, ...others } = flags;
  const {
    tlsCert,
    tlsKey,
    tlsClientCa,
    tokenFile,
    anonymous,
    autoscale,
    spot,
    dashboard,
    ...rest
  } = others;
  const manners = readManners(flags);
  const cacheHome = process.env["XDG_CACHE_HOME"];
  // A bare port listens where the coordinator does.
  const host = reapi?.host || coordinator?.host || "127.0.0.1";
  const given = {
    ...rest,
    ...(dashboard === undefined ? {} : { dashboard: dashboardAddress(dashboard) }),
    traces: tracesUrl(flags.traces, process.env),
    scaling: {
      ...(autoscale === undefined ? {} : { autoscale }),
      ...(spot === undefined ? {} : { spot }),
    },
    manners,
    ...resolveTls({ tlsCert, tlsKey, tlsClientCa }),
    callers: {
      ...(tokenFile === undefined ? {} : { tokenFile }),
      ...(anonymous === undefined ? {} : { anonymous }),
    },
    ...(coordinator === undefined ? {} : { coordinator }),
    ...(reapi === undefined ? {} : { reapi: { ...reapi, host } }),
    ...(storeMax === undefined ? {} : { storeBytesMax: storeMax }),
    ...(cacheHome === undefined ? {} : { cacheHome }),
  };
  return resolveServeConfig(given, loadWishes(flags.store ?? defaultStore(cacheHome)));
}

/** A bare flag is `true`. */
function dashboardAddress(given: HostPort | true): HostPort {
  return given === true ? { host: "127.0.0.1", port: 9003 } : given;
}

/** How actions are run. */
function addActionFlags(command: Command): void {
  command
    .addOption(command.createOption("--sandbox <kind>", "isolation").choices(["auto", "none"]))
    .option(
      "--action-limits <list>",
      "the most an action may ask for: max_memory=8GiB,network=off",
      actionLimits,
    )
    .option(
      "--persistent-workers <n>",
      "compilers that each worker keeps running for actions that ask for one",
      wholeNumber(0, 64),
    );
}

function actionLimits(text: string): ServeConfig["actionLimits"] {
  try {
    return parseActionLimits(text);
  } catch (error) {
    throw new InvalidArgumentError(failureOf(error).message);
  }
}

function resolveTls(
  flags: {
    readonly [K in "tlsCert" | "tlsKey" | "tlsClientCa"]: string | undefined;
  },
): { readonly tls?: ServeConfig["tls"] } {
  const { tlsCert: cert, tlsKey: key, tlsClientCa: clientCa } = flags;
  if (cert !== undefined && key !== undefined) return { tls: { cert, key, clientCa } };
  if (cert === undefined && key === undefined && clientCa === undefined) return {};
  throw new MeshError("INVALID_ARGUMENT", "TLS wants both --tls-cert and --tls-key.");
}

async function run(
  config: ServeConfig,
  log: Log,
  { qr, boot }: { readonly qr: boolean; readonly boot: BootLimits },
): Promise<void> {
  log("info", "Remote execution service starting...");
  const node = await serve({ log, now: Date.now, workerProgram, pageFolder }, config);
  log("info", `  Coordinator: ${node.coordinator}`);
  if (node.reapi !== undefined) log("info", `  REAPI endpoint: ${node.reapi}`);
  if (node.metrics !== undefined) log("info", `  Metrics: http://${node.metrics}/metrics`);
  if (node.dashboard !== undefined) log("info", `  Dashboard: ${node.dashboard}`);
  if (config.traces !== undefined) log("info", `  Traces: ${config.traces}`);
  log("info", describePool(config));
  warnIfPublic(config, log);
  const link = node.invitation();
  if (link !== undefined && config.logFormat === "json") {
    // A log that programs keep is no place for it: whoever reads it could join.
    log("info", "Other machines join by the line that `builder mesh invite` prints.");
  } else if (link !== undefined) {
    log("info", "Up to 10 machines join within 24 hours by running there:");
    process.stdout.write(renderInvitation(link, qr));
  }
  await untilToldToStop(node, log, boot);
}

function describePool({ workersMin, autoscale, cloud }: ServeConfig): string {
  const how = { off: "off", advise: "advises", on: "enabled" }[autoscale];
  const where = cloud === undefined ? "" : `, further ones from ${cloud}`;
  return `Worker pool: ${workersMin} worker${workersMin === 1 ? "" : "s"} (autoscale ${how}${where})`;
}

function warnIfPublic(config: ServeConfig, log: Log): void {
  const { coordinator, reapi, metrics, tls, callers, insecure } = config;
  const closed = callers.anonymous === "none";
  if (!insecure && metrics !== undefined && !isLoopback(metrics.host)) {
    const risk = "tells figures and names of workers to everybody who can reach it, in plain text";
    log("warn", `--metrics ${formatHostPort(metrics)} ${risk}; --insecure says that they may.`);
  }
  if (insecure || (tls !== undefined && closed)) return;
  for (const address of [coordinator, reapi]) {
    if (address === undefined || isLoopback(address.host)) continue;
    const risk = closed
      ? "takes tokens and blobs in plain text: whoever listens can use them. Add --tls-cert"
      : `answers everybody who can reach it${tls === undefined ? ", in plain text" : ""}. ` +
        "Use 127.0.0.1, or --tls-cert with --token-file";
    log("warn", `${formatHostPort(address)} ${risk}; --insecure says that you trust that network.`);
  }
}

/** Ctrl-C drains; a second one stops at once. */
async function untilToldToStop(node: ServingNode, log: Log, boot: BootLimits): Promise<void> {
  const told = Promise.withResolvers<void>();
  let signals = 0;
  const onSignal = () => {
    signals += 1;
    if (signals === 1) told.resolve();
    else void node.stop().finally(() => process.exit(130));
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  const ready = node.ready().then(() => log("info", "Remote execution service ready"));
  ready.catch((error: unknown) => log("error", String(error)));
  const alone = aloneForLong(node.isAloneAndIdle, boot, clock).then(() => {
    log("info", `Alone and idle for ${formatSpan(boot.aloneMsMax ?? 0)}: this machine ends.`);
    return endedItselfCode;
  });
  const code = (await Promise.race([told.promise, node.left, alone])) ?? 0;
  log(
    "info",
    "Draining: running actions finish, new ones are refused. Ctrl-C again stops at once.",
  );
  await node.drain();
  log("info", "Stopped");
  process.exit(code);
}
