// The door to isolated execution, implemented natively per operating system.

import type { Readable, Writable } from "node:stream";

/** What one run may use; each limit that is hit kills the whole process tree. */
export interface SandboxLimits {
  /** Wall time of the command in ms, ≥ 1. */
  readonly wallMs: number;
  /** Memory of the whole tree in bytes. */
  readonly memoryBytes: number;
  /** CPU cores of the whole tree, may be a fraction such as 0.5. */
  readonly cpus: number;
  /** Processes and threads at once. */
  readonly pids: number;
  /** Files that one process has open at once; more are refused to it, which kills nothing. */
  readonly openFiles: number;
  /** Largest single file, stdout and stderr included, in bytes. */
  readonly fileBytes: number;
  /** Of stdout and stderr each, in bytes. What is over is cut off. */
  readonly logBytes: number;
  /** What the exec root may hold beyond its inputs, deleted files that are open included. */
  readonly outputBytes: number;
  /** The same, in files and folders. */
  readonly outputFiles: number;
  /** What /tmp, /var/tmp and /dev/shm hold together, in bytes; it counts as memory, too. */
  readonly tmpBytes: number;
  /** The same, in files and folders. */
  readonly tmpFiles: number;
}

/** A limit that ends an action, as results name it. */
export type PassedLimit = "timeout" | "memory" | (typeof measuredLimits)[number];

/** Those among them that are named like what they limit. */
export const measuredLimits = [
  ...(["pids", "fileBytes", "logBytes", "outputBytes"] as const),
  ...(["outputFiles", "tmpBytes", "tmpFiles"] as const),
] as const;

/** One command to run. All host paths are absolute and made by the caller. */
export interface SandboxRun {
  /** Host folder with the inputs laid out; outputs appear in it. Seen inside as `/work`. */
  readonly execRoot: string;
  /** Folder below the exec root to start in; empty for the exec root itself. */
  readonly workingDirectory: string;
  readonly argv: readonly [string, ...string[]];
  /** The complete environment; nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  /** Host files that receive the output; created by the run. */
  readonly stdoutPath: string;
  readonly stderrPath: string;
  /** What lies in the exec root before the run; nothing unless given. */
  readonly inputs?: { readonly bytes: number; readonly files: number };
  /** Host folder to remove should this process die during the run. */
  readonly scratch: string;
  /**
   * True where a user is to sit at the command: it gets this process's standard input, output and
   * error, a terminal of its own where they are one, and nothing is written to the two files.
   */
  readonly interactive?: boolean;
  /** True where the action asked for the host's network. */
  readonly network: boolean;
  readonly limits: SandboxLimits;
}

/** What a finished run used, for the whole process tree. */
export interface SandboxUsage {
  readonly wallMs: number;
  readonly userCpuMs: number;
  readonly systemCpuMs: number;
  readonly memoryPeakBytes: number;
  /** Undefined where this system does not count it. */
  readonly io?: SandboxIo;
}

/** Reading, writing and waiting of the whole process tree. */
export interface SandboxIo {
  /** Bytes through read and write calls: of files, pipes and sockets alike. */
  readonly readBytes: number;
  readonly writtenBytes: number;
  /** Bytes from and to disk: what was read was not in memory before. */
  readonly diskReadBytes: number;
  readonly diskWrittenBytes: number;
  /** Context switches because a process waited, and because another one had its turn. */
  readonly waits: number;
  readonly preemptions: number;
}

/** How a run ended. A command that fails is a result; only a broken sandbox throws. */
export interface SandboxResult {
  /** Exit code; 128 + signal number for a death by signal. */
  readonly exitCode: number;
  /** The limit that killed it, if one did. */
  readonly limit: PassedLimit | undefined;
  /** True where `signal` aborted it. */
  readonly cancelled: boolean;
  readonly usage: SandboxUsage;
}

/** Runs commands in isolation. */
export interface Sandbox {
  /** What isolates, for people and results: `namespaces+cgroup`, `namespaces+rlimits`, `none`. */
  readonly isolation: string;
  /**
   * User and group on this machine that actions run as; undefined where it is this process's own.
   * Folders of the exec root are handed over by the run, unless the exec root itself was, after all
   * that is in it. Files that the action shall own are not.
   */
  readonly ownerId?: number | undefined;
  /** Throws MeshError where the sandbox itself could not be set up. */
  run(run: SandboxRun, call?: { readonly signal?: AbortSignal }): Promise<SandboxResult>;
  /**
   * Starts a command that stays, in the same isolation and with the same limits for as long as it
   * lives. Undefined where this sandbox cannot stop processes for certain. Throws as `run` does.
   */
  keep?(run: SandboxRun): KeptProcess;
}

/** A command that stays and is spoken to. */
export interface KeptProcess {
  /** Its standard input and output; neither throws at its death. */
  readonly stdin: Writable;
  readonly stdout: Readable;
  /** How it ended; rejects where the sandbox could not be set up. Nothing of it runs then. */
  readonly ended: Promise<SandboxResult>;
  /**
   * Stops all its processes: from then on its files are as safe to handle as those of a run that
   * ended. Undefined where they would not stop, or where none are left.
   */
  freeze(): Promise<KeptUsage | undefined>;
  /** Lets them go on. */
  thaw(): void;
  /** Ends them, stopped or not. */
  kill(): void;
}

/** What the processes of a kept command that are there have used since they began. */
export interface KeptUsage {
  readonly userCpuMs: number;
  readonly systemCpuMs: number;
  readonly residentBytes: number;
}
