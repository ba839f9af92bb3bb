// What this process and the sandbox program say to each other: a specification in, a line of JSON
// out. native/spec.c and native/sandbox.c are the other side.

import { getSystemErrorName } from "node:util";
import { MeshError } from "../core/error.ts";
import type { CgroupPlace } from "./cgroup.ts";
import { checkCommand, invalid } from "./run-checks.ts";
import { measuredLimits, type SandboxIo, type SandboxResult, type SandboxRun } from "./sandbox.ts";

/** What the program needs to know besides the run itself. */
export interface SandboxSettings {
  readonly cgroups: readonly CgroupPlace[];
  /** User and group of the action on the host; 0 for this process's own. */
  readonly hostId: number;
}

/** Bound: what the program reads at most, 8 MiB; the kernel takes no more than 2 MiB anyway. */
export const specBytesMax = 8 << 20;

/** Writes a run as `key=value` entries, each ended by NUL. INVALID_ARGUMENT names a bad one. */
export function encodeSpec(run: SandboxRun, settings: SandboxSettings): Buffer {
  checkCommand(run);
  const { limits, inputs = { bytes: 0, files: 0 } } = run;
  const entries: (readonly [string, string | number])[] = [
    ["scratch", run.scratch],
    ["execRoot", run.execRoot],
    ["workingDirectory", run.workingDirectory],
    ["stdoutPath", run.stdoutPath],
    ["stderrPath", run.stderrPath],
    ["interactive", run.interactive === true ? 1 : 0],
    ["network", run.network ? 1 : 0],
    ["hostId", settings.hostId],
    ["wallMs", whole("wallMs", limits.wallMs)],
    ["memoryBytes", whole("memoryBytes", limits.memoryBytes)],
    ["cpuMillis", whole("cpus", limits.cpus * 1000)],
    ["pids", whole("pids", limits.pids)],
    ["openFiles", whole("openFiles", limits.openFiles)],
    ["fileBytes", whole("fileBytes", limits.fileBytes)],
    ["logBytes", whole("logBytes", limits.logBytes)],
    ["treeBytes", whole("outputBytes", limits.outputBytes) + inputs.bytes],
    ["treeFiles", whole("outputFiles", limits.outputFiles) + inputs.files],
    ["inputBytes", inputs.bytes],
    ["inputFiles", inputs.files],
    ["tmpBytes", whole("tmpBytes", limits.tmpBytes)],
    ["tmpFiles", whole("tmpFiles", limits.tmpFiles)],
    ...settings.cgroups.map((place) => [`cgroup.${place.hierarchy}`, place.parent] as const),
    ...run.argv.map((word) => ["arg", word] as const),
    ...Object.entries(run.env).map(([name, value]) => ["env", `${name}=${value}`] as const),
  ];
  const text = entries.map(([key, value]) => `${key}=${value}\0`).join("");
  const bytes = Buffer.from(`${text}\0`);
  if (bytes.length <= specBytesMax) return bytes;
  throw invalid(`The command line and environment hold more than ${specBytesMax} bytes.`);
}

/**
 * Reads the program's answer. Throws where it said nonsense, and what `failure` makes of the step
 * that failed and its error number where the sandbox could not be set up.
 */
export function decodeAnswer(line: string, failure = setupFailure): SandboxResult {
  const answer = parse(line);
  const number = (key: string) => {
    const value = answer[key];
    if (typeof value === "number") return value;
    throw new MeshError("UNAVAILABLE", `The sandbox program died without an answer. ${line}`);
  };
  if (typeof answer["failed"] === "string") throw failure(answer["failed"], number("errno"));
  return {
    exitCode: number("exitCode"),
    limit: limitOf(answer["limit"]),
    cancelled: answer["cancelled"] === true,
    usage: {
      wallMs: number("wallUs") / 1000,
      userCpuMs: number("userUs") / 1000,
      systemCpuMs: number("systemUs") / 1000,
      memoryPeakBytes: number("memoryPeakBytes"),
      ...(answer["readBytes"] === undefined ? {} : { io: ioOf(number) }),
    },
  };
}

function ioOf(number: (key: string) => number): SandboxIo {
  return {
    readBytes: number("readBytes"),
    writtenBytes: number("writtenBytes"),
    diskReadBytes: number("diskReadBytes"),
    diskWrittenBytes: number("diskWrittenBytes"),
    waits: number("waits"),
    preemptions: number("preemptions"),
  };
}

/** Why a sandbox could not be set up, for people, by the step that failed and its errno. */
export function setupFailure(step: string, errno: number): MeshError {
  const name = errno > 0 ? getSystemErrorName(-errno) : "unknown error";
  const context = { step, errno: name };
  if (step === "chdir") {
    return new MeshError(
      "INVALID_ARGUMENT",
      `The command's working directory cannot be entered (${name}). Declare it among the inputs.`,
      context,
    );
  }
  // Full disks and exhausted tables pass; a clone that finds no space means a limit on namespaces.
  if (["ENOMEM", "EAGAIN", "EMFILE", "ENFILE"].includes(name) || isFull(step, name)) {
    const message = `This machine has no room for another sandbox (${step}: ${name}).`;
    return new MeshError("RESOURCE_EXHAUSTED", message, context);
  }
  const message = `The sandbox could not be set up (${step}: ${name}). ${remedy(step, name)}`;
  return new MeshError("UNAVAILABLE", message, context);
}

function isFull(step: string, name: string): boolean {
  return (name === "ENOSPC" && step !== "clone") || name === "EDQUOT";
}

function remedy(step: string, name: string): string {
  const without = "or start with --sandbox=none to run actions without isolation";
  const namespaces =
    "kernel.unprivileged_userns_clone=1, user.max_user_namespaces=10000, " +
    "kernel.apparmor_restrict_unprivileged_userns=0";
  if (step === "seccomp") {
    return `It needs a kernel that filters system calls (CONFIG_SECCOMP_FILTER); ${without}.`;
  }
  // What containers answer by default, so that programs fall back to a call that can be filtered.
  if (step === "clone" && name === "ENOSYS") {
    return (
      "It needs Linux 5.12 or newer; where this is newer, a container's security profile forbids " +
      `namespaces: allow them (${containers}), ${without}.`
    );
  }
  if (name === "ENOSYS" || name === "EINVAL") return `It needs Linux 5.12 or newer; ${without}.`;
  if (step === "mount proc") {
    return `The container hides parts of /proc: run it with unmasked /proc (${proc}), ${without}.`;
  }
  if (["EPERM", "EACCES", "ENOSPC", "EUSERS"].includes(name) && !hostSteps.has(step)) {
    return (
      "User namespaces are disabled here. Allow them with sysctl, whichever of these exists: " +
      `${namespaces}; in a container, allow them in its security profile (${containers}); ` +
      `${without}.`
    );
  }
  return `Correct that, ${without}.`;
}

const proc = "docker run --security-opt systempaths=unconfined; Kubernetes: procMount Unmasked";

/** How containers are allowed to make namespaces. */
const containers =
  "docker run --security-opt seccomp=unconfined --security-opt apparmor=unconfined " +
  "--security-opt systempaths=unconfined; Kubernetes: seccompProfile Unconfined, procMount Unmasked";

/** Steps before any namespace exists: their errors are about files of the host. */
const hostSteps = new Set(["stdin", "stdout", "stderr", "chown", "execRoot", "cgroup"]);

/** A limit as a whole number of at least 1; anything beyond what C counts in is as good as none. */
function whole(name: string, value: number): number {
  if (!(value > 0)) throw invalid(`The limit ${name} wants a number above 0, not ${value}.`);
  return Math.min(Math.ceil(value), 2 ** 50);
}

function parse(line: string): Record<string, unknown> {
  try {
    const answer: unknown = JSON.parse(line);
    return typeof answer === "object" && answer !== null ? { ...answer } : {};
  } catch {
    return {};
  }
}

function limitOf(value: unknown): SandboxResult["limit"] {
  const limits = ["timeout", "memory", ...measuredLimits] as const;
  return limits.find((limit) => limit === value);
}
