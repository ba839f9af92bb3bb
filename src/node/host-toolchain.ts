// The tools of this host, read once and again when they changed; and whether they are still those
// that a worker told the mesh of.

import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { kits, readSystemToolchain } from "../rules/system-toolchain.ts";
import { type Look, lookAt } from "../workspace/look.ts";

/** What a host has; plain values, for it is handed to worker processes. */
export interface HostToolchain {
  /** The name of every kit that is here, such as `cpp-gcc-12-…`. */
  readonly names: readonly string[];
  /** The one that stands for all tools together; empty where there are none. */
  readonly whole: string;
  /** Every file that was looked at, and how it was before it was read. */
  readonly seen: readonly (readonly [path: string, look: Look])[];
}

/** The tools of a host as they are now. */
export interface HostTools {
  /** Looked at now. */
  current(): HostToolchain;
  /** Looked at within the last second: for what is asked often. */
  recent(): HostToolchain;
  /** As they were when last looked at; for those who may not look. */
  last(): HostToolchain;
}

const lookAgainMs = 1000;

/** Reads the tools when first asked; `root` is the machine's "/". */
export function openHostTools({ now }: { readonly now: () => number }, root = "/"): HostTools {
  let known: HostToolchain | undefined;
  let lookedAtMs = Number.NEGATIVE_INFINITY;
  function current(): HostToolchain {
    lookedAtMs = now();
    if (known === undefined || !isAsSeen(known)) known = readHostToolchain(root);
    return known;
  }

  return {
    current,
    recent: () => (known !== undefined && now() - lookedAtMs < lookAgainMs ? known : current()),
    last: () => known ?? current(),
  };
}

/** Whether a host's tools are still those it is known to have. */
export interface ToolWatch {
  /** Looks; true once any file of them is another. */
  changed(): boolean;
  stop(): void;
}

/** Looks every second, and when asked; `onChanged` is called once. */
export function watchTools(toolchain: HostToolchain, onChanged: () => void): ToolWatch {
  let isChanged = false;
  const changed = () => {
    if (isChanged || isAsSeen(toolchain)) return isChanged;
    isChanged = true;
    onChanged();
    return true;
  };
  const timer = setInterval(changed, lookAgainMs);
  timer.unref();
  return { changed, stop: () => clearInterval(timer) };
}

/** False once any of the files that a toolchain was named by is another. */
function isAsSeen({ seen }: Pick<HostToolchain, "seen">): boolean {
  return seen.every(([path, look]) => lookAt(path) === look);
}

function readHostToolchain(root: string): HostToolchain {
  const hashByPath = new Map<string, string>();
  const toolchain = readSystemToolchain((path) => {
    const hash = hashByPath.get(path) ?? hashOfFile(path);
    hashByPath.set(path, hash);
    return hash;
  }, root);
  const names = kits.flatMap((kit) => toolchain.nameOf(kit) ?? []);
  return { names, whole: toolchain.nameOf("system") ?? "", seen: [...toolchain.seen()] };
}

function hashOfFile(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex");
}
