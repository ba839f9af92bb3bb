// What a serving node is told, checked once and frozen. `builder serve --print-config` prints it.

import { availableParallelism, homedir, hostname } from "node:os";
import { join } from "node:path";
import { MeshError } from "../core/error.ts";
import type { ScalingMode } from "../core/scaling-settings.ts";
import type { CallerOptions } from "../ingress/callers.ts";
import { parseOriginRules } from "../ingress/remote-asset-origins.ts";
import { rightsByRole } from "../ingress/roles.ts";
import type { TlsFiles } from "../ingress/transport-security.ts";
import type { Level, LogFormat } from "../telemetry/logger.ts";
import type { LimitCeilings } from "../worker/action-limits.ts";
import { defaultManners, type MannersConfig } from "./manners.ts";
import { type CloudName, fleetSize, type ScalingWishes } from "./scaling-config.ts";

/** A socket address to listen on or to reach. */
export interface HostPort {
  readonly host: string;
  /** 0 to 65535; 0 lets the system choose when listening. */
  readonly port: number;
}

/** Everything a serving node can be told. */
export interface ServeConfig {
  /** The address people and clients are given: REAPI and status. Default 127.0.0.1:9000. */
  readonly coordinator: HostPort;
  /** A second address with REAPI alone, for clients that are configured with one. */
  readonly reapi: HostPort | undefined;
  /** Worker processes started first, 0 to 1000. Default 2. */
  readonly workersMin: number;
  /** Worker processes never exceeded, those that are ending included. At least `workersMin`. */
  readonly workersMax: number;
  /** Actions each worker runs at once, 1 to 1024. Default: the cores shared among workers. */
  readonly slots: number;
  /** The store's folder, shared by every node of this host. */
  readonly store: string;
  /** Bytes the store may hold before the least recently used blobs go. Default 10 GiB. */
  readonly storeBytesMax: number;
  /** `auto` isolates or refuses; `none` is for users who said so. */
  readonly sandbox: "auto" | "none";
  readonly logLevel: Level;
  /** Lines for people, or for programs. Default `pretty`. */
  readonly logFormat: LogFormat;
  /** PEM files for TLS; undefined: plain text. */
  readonly tls: TlsFiles | undefined;
  /** Who may do what. */
  readonly callers: CallerOptions;
  /** URL prefixes that Remote Asset clients may have downloaded, or `*`; none: nothing. */
  readonly fetchAllow: readonly string[];
  /** Whether builds on this machine that name no node find this one. */
  readonly findable: boolean;
  /** How the workers of this host give way to its owner. */
  readonly manners: MannersConfig;
  /** The most that one action may ask for; one that asks for more is refused. Default: no end. */
  readonly actionLimits: LimitCeilings;
  /** Processes that each worker may keep for actions that ask for one. Default 0: none. */
  readonly persistentWorkers: number;
  /** This node's name for people, and its mesh's where it begins one; at most 64 characters. */
  readonly name: string;
  /** Where other nodes dial this one; undefined: as far as its mesh reaches, port of last time. */
  readonly mesh: HostPort | undefined;
  /** True where other machines cannot connect to this one: they come through others then. */
  readonly behindNat: boolean;
  /** Whether workers come and go, at the start. */
  readonly autoscale: ScalingMode;
  /** False for a machine that was started for the mesh, and goes again: it does not coordinate. */
  readonly mayLead: boolean;
  /** Of scaling, what the command line says; it counts more than what is configured. */
  readonly scaling: ScalingWishes;
  /** Where further machines come from; undefined: worker processes of this host. */
  readonly cloud: CloudName | undefined;
  /** Whether idle workers take work from other hosts, for the whole mesh; undefined: as it is. */
  readonly workStealing: boolean | undefined;
  /** Where Prometheus is answered; undefined: nowhere. */
  readonly metrics: HostPort | undefined;
  /** Where the dashboard is served; undefined: nowhere. */
  readonly dashboard: HostPort | undefined;
  /** URL of an OTLP/HTTP collector for traces; undefined: none are made. */
  readonly traces: string | undefined;
  /** True where plain text on a public address is what the user wants. */
  readonly insecure: boolean;
}

/** What is said of it; the rest is as usual. */
type GivenConfig = Partial<Omit<ServeConfig, "callers">> & {
  readonly callers?: Partial<CallerOptions>;
  readonly cacheHome?: string;
};

/** What callers can be allowed, from nothing to everything. */
export const callerRoles = Object.keys(rightsByRole);

/** Where this project keeps what can be made again: `$XDG_CACHE_HOME/builder`. */
export function cacheFolder(cacheHome: string | undefined): string {
  return join(cacheHome || join(homedir(), ".cache"), "builder");
}

/** Where the store is unless told: `$XDG_CACHE_HOME/builder/store`. */
export function defaultStore(cacheHome: string | undefined): string {
  return join(cacheFolder(cacheHome), "store");
}

/**
 * Fills defaults and checks what depends on each other; `configured` is what the store keeps about
 * scaling. INVALID_ARGUMENT names the flag.
 */
export function resolveServeConfig(
  given: GivenConfig,
  configured: ScalingWishes = {},
): ServeConfig {
  const scaling = { ...given.scaling, ...sizeOf(given) };
  const { cloud } = given;
  if (scaling.spot && cloud !== "aws") {
    throw new MeshError("INVALID_ARGUMENT", "--spot is about machines of --cloud aws.");
  }
  const {
    mode,
    min: workersMin,
    max: workersMax,
  } = fleetSize({ ...configured, ...scaling }, cloud);
  if (cloud !== undefined && given.workStealing === false) {
    throw new MeshError(
      "INVALID_ARGUMENT",
      "--cloud wants work stealing: its machines get their work so. Leave --no-work-stealing out.",
    );
  }
  // Workers that come and go share the cores as if all were there.
  const workers = mode === "on" && cloud === undefined ? workersMax : workersMin;
  // Only for what is wrong with them.
  parseOriginRules(given.fetchAllow ?? []);
  const manners = given.manners ?? defaultManners;
  checkManners(manners);
  checkDashboard({ ...given, callers: callersOf(given) });
  return Object.freeze({
    coordinator: given.coordinator ?? { host: "127.0.0.1", port: 9000 },
    reapi: given.reapi,
    workersMin,
    workersMax,
    slots: given.slots ?? Math.max(1, Math.floor(availableParallelism() / Math.max(1, workers))),
    store: given.store ?? defaultStore(given.cacheHome),
    storeBytesMax: given.storeBytesMax ?? 10 * 2 ** 30,
    sandbox: given.sandbox ?? "auto",
    logLevel: given.logLevel ?? "info",
    logFormat: given.logFormat ?? "pretty",
    tls: given.tls,
    callers: callersOf(given),
    fetchAllow: given.fetchAllow ?? [],
    findable: given.findable ?? true,
    manners,
    actionLimits: given.actionLimits ?? {},
    persistentWorkers: given.persistentWorkers ?? 0,
    name: (given.name ?? hostname()).slice(0, 64),
    mesh: given.mesh,
    behindNat: given.behindNat ?? false,
    // A machine of a cloud gets its work by taking it.
    workStealing: given.workStealing ?? (cloud === undefined ? undefined : true),
    metrics: given.metrics,
    dashboard: given.dashboard,
    traces: given.traces,
    autoscale: mode,
    mayLead: given.mayLead ?? true,
    scaling,
    cloud,
    insecure: given.insecure ?? false,
  });
}

/** True where callers show tokens or certificates that the node's owner gave out. */
export function knowsCallers({ callers, tls }: Pick<GivenConfig, "callers" | "tls">): boolean {
  return callers?.tokenFile !== undefined || tls?.clientCa !== undefined;
}

/**
 * Who gives out tokens or certificates means that they are needed. Else everybody builds and looks,
 * and what the node is told to do comes from its owner alone.
 */
function callersOf(given: GivenConfig): CallerOptions {
  const { tokenFile, anonymous } = given.callers ?? {};
  return { tokenFile, anonymous: anonymous ?? (knowsCallers(given) ? "none" : "writer") };
}

function sizeOf({ workersMin, workersMax }: GivenConfig): ScalingWishes {
  return {
    ...(workersMin === undefined ? {} : { workersMin }),
    ...(workersMax === undefined ? {} : { workersMax }),
  };
}

function checkDashboard({ dashboard, callers, insecure }: GivenConfig): void {
  if (dashboard === undefined || isLoopback(dashboard.host) || insecure) return;
  if (callers?.tokenFile !== undefined && callers.anonymous === "none") return;
  throw new MeshError(
    "INVALID_ARGUMENT",
    `--dashboard ${formatHostPort(dashboard)} would show this node to everybody who can reach it. ` +
      "Add --token-file, or --insecure where that is meant.",
  );
}

function checkManners({ cpusMax, nice }: MannersConfig): void {
  if (cpusMax === undefined || nice > 0) return;
  throw new MeshError(
    "INVALID_ARGUMENT",
    "--max-cpu tells actions from other programs by their niceness: it wants --nice 1 or more.",
  );
}

/** `host:port` as text; IPv6 hosts in brackets. */
export function formatHostPort({ host, port }: HostPort): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** True where only this machine can connect. */
export function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || /^127\./.test(host);
}
