// What of all that a command asked for was outside its specification. The one place that knows what
// counts: everything that the sandbox shows anyway is inside, whether or not it is the same on all
// machines; everything that it would hide is outside, if it was there.
//
// Names that lead nowhere are nobody's business. In the workspace such a name would have been
// filled in, and elsewhere the sandbox hides everything, so it leads nowhere on every machine.

import type { AuditedFile, AuditTrace } from "../sandbox/audit-trace.ts";

/** What the action was to keep to. */
export interface ActionSpec {
  /** Where it ran; absolute, without symlinks, as are the next two. */
  readonly execRoot: string;
  /** The folder around it, in which its standard output is. */
  readonly scratch: string;
  readonly workspace: string;
  /** Whether a path of the exec root is or lies in an output, or in a folder of outputs. */
  readonly isOutput: (path: string) => boolean;
  /** Whether the exec root has a path now that it has ended. */
  readonly isThere: (path: string) => boolean;
  /** True where the action may use the network. */
  readonly network: boolean;
  /**
   * True for a command of the user's own. What the tools of a language leave lying about beside
   * their outputs, or find in the machine's `/tmp`, nobody can declare.
   */
  readonly isCommand: boolean;
}

/** What kind of thing was found, and with it what there is to do about it. */
export type FindingKind =
  /** A file of the workspace that is no input. */
  | "input"
  /** A file of the workspace, named by its absolute path: nowhere else does that lead to it. */
  | "absolute"
  /** A file of the exec root that was made and is no output. */
  | "output"
  /** A file of this machine that the sandbox hides. */
  | "hidden"
  /** A file of this machine that was written, made, or removed. */
  | "written"
  /** An address. */
  | "network"
  /** A call behind which nothing could be followed, or a trace that is not whole. */
  | "blind"
  /** Inside, but other machines may have other content. */
  | "machine"
  /** A folder of the workspace was listed, and holds files that are no inputs. */
  | "listing";

/** One thing, however often and by whomever. */
export interface Finding {
  readonly kind: FindingKind;
  /** Relative to the workspace where it is in it; else absolute; or an address, or a call. */
  readonly what: string;
  /** What was done, in words, sorted: `read`, `written`. */
  readonly how: readonly string[];
  readonly count: number;
  readonly programs: readonly string[];
}

/** Kinds that are worth knowing and break nothing. */
const noticeKinds: ReadonlySet<FindingKind> = new Set(["machine", "listing"]);

/** Whether an action with this finding is not hermetic. */
export function isUndeclared({ kind }: Finding): boolean {
  return !noticeKinds.has(kind);
}

/** What is outside the specification, and what depends on this machine: by kind, then by name. */
export function findOutside(trace: AuditTrace, spec: ActionSpec): Finding[] {
  const made = madeByItself(trace);
  const isOfListing = createListings(trace);
  const files = trace.files.flatMap((file) => {
    if (isOfListing(file)) return [];
    const judged = judgeFile(file, spec, made);
    return judged === undefined ? [] : [found(judged, wordsOf(file), file)];
  });
  const addresses = addressesOutside(trace, spec, made).map((one) =>
    found({ kind: "network", what: one.address }, [inWords[one.verb]], one),
  );
  const blind = trace.blind.map((one) => found({ kind: "blind", what: one.call }, ["called"], one));
  const lost = { kind: "blind", what: "files beyond those that are kept" } as const;
  const rest = trace.isWhole ? [] : [found(lost, ["used"], { count: 1, program: "the command" })];
  return mergeFindings([...files, ...addresses, ...blind, ...rest]);
}

/** Each thing once, whoever did it how often; by kind, then by name. */
export function mergeFindings(findings: readonly Finding[]): Finding[] {
  const merged = new Map<string, Finding>();
  for (const one of findings) {
    const key = `${one.kind}\0${one.what}`;
    const known = merged.get(key);
    const how = sortedUnion(known?.how ?? [], one.how);
    const programs = sortedUnion(known?.programs ?? [], one.programs);
    merged.set(key, { ...one, how, programs, count: (known?.count ?? 0) + one.count });
  }
  return [...merged.values()].sort(byKindAndName);
}

function found(
  judged: Judged,
  how: readonly string[],
  { count, program }: { readonly count: number; readonly program: string },
): Finding {
  return { ...judged, how, count, programs: [program] };
}

const inWords = { connect: "connected", bind: "bound", lookup: "looked up" } as const;

const kindOrder: readonly FindingKind[] = [
  ...(["input", "absolute", "output", "hidden", "written"] as const),
  ...(["network", "blind", "machine", "listing"] as const),
];

function byKindAndName(a: Finding, b: Finding): number {
  const order = kindOrder.indexOf(a.kind) - kindOrder.indexOf(b.kind);
  return order !== 0 ? order : a.what < b.what ? -1 : 1;
}

function sortedUnion(a: readonly string[], b: readonly string[]): string[] {
  return [...new Set([...a, ...b])].sort();
}

function wordsOf({ ops, uncopied }: AuditedFile): string[] {
  return uncopied ? [...ops, "not copied"] : [...ops];
}

/**
 * Whoever lists a folder may look at each of its files, as `ls -l` does, and use none: then the
 * listing is what there is to tell.
 */
function createListings(trace: AuditTrace): (file: AuditedFile) => boolean {
  const listed = new Set(
    trace.files
      .filter(({ ops, undeclared }) => ops.has("listed") && undeclared)
      .map(({ path, program }) => `${program}\0${path}`),
  );
  return ({ path, ops, program, undeclared }) => {
    const onlyLooked = undeclared && [...ops].every((op) => op === "looked");
    return onlyLooked && listed.has(`${program}\0${path.slice(0, path.lastIndexOf("/"))}`);
  };
}

/** Paths that the action made, besides those that were there. */
function madeByItself(trace: AuditTrace): (path: string) => boolean {
  const made = new Set(trace.files.filter(({ ops }) => ops.has("created")).map(({ path }) => path));
  return (path) => {
    for (let at = path; at !== ""; at = at.slice(0, at.lastIndexOf("/"))) {
      if (made.has(at)) return true;
    }
    return false;
  };
}

interface Judged {
  readonly kind: FindingKind;
  readonly what: string;
}

const changing = ["written", "created", "removed", "changed"] as const;

function judgeFile(
  file: AuditedFile,
  spec: ActionSpec,
  made: (path: string) => boolean,
): Judged | undefined {
  const { path } = file;
  const inside = below(path, spec.execRoot);
  if (inside !== undefined) return judgeInside(file, inside, spec);
  if (below(path, spec.scratch) !== undefined) return undefined;
  const inWorkspace = below(path, spec.workspace);
  if (inWorkspace !== undefined) return judgeAbsolute(file, inWorkspace);
  return judgeHost(file, spec, made);
}

function judgeInside(file: AuditedFile, path: string, spec: ActionSpec): Judged | undefined {
  if (file.undeclared || file.uncopied) {
    if (!file.isFolder) return { kind: "input", what: path };
    // What is used of a folder is told by itself.
    if (file.ops.has("listed")) return { kind: "listing", what: path === "" ? "." : path };
    return undefined;
  }
  const writes = file.ops.has("written") || (file.ops.has("created") && !file.isFolder);
  // What Python keeps for its next start, which is elsewhere.
  if (/(^|\/)__pycache__(\/|$)/.test(path)) return undefined;
  if (!writes || !spec.isCommand || spec.isOutput(path) || !spec.isThere(path)) return undefined;
  return { kind: "output", what: path };
}

function judgeAbsolute({ ops, isFolder }: AuditedFile, path: string): Judged | undefined {
  // Programs walk down to where they are; a folder that is only passed through holds nothing.
  const onlyLooked = [...ops].every((op) => op === "looked");
  if (isFolder && onlyLooked) return undefined;
  return { kind: "absolute", what: path === "" ? "." : path };
}

function judgeHost(
  file: AuditedFile,
  spec: ActionSpec,
  made: (path: string) => boolean,
): Judged | undefined {
  const { path, ops, isFolder } = file;
  const changes = changing.some((op) => ops.has(op));
  const onlyLooked = [...ops].every((op) => op === "looked");
  // The way down to where it runs.
  if (onlyLooked && isFolder && (isAbove(path, spec.execRoot) || isAbove(path, spec.workspace))) {
    return undefined;
  }
  if (isPrivate(path)) {
    if (!spec.isCommand || made(path) || privateFolders.includes(path) || (isFolder && onlyLooked))
      return undefined;
    return { kind: changes ? "written" : "hidden", what: path };
  }
  if (harmless.test(path)) return undefined;
  if (/^\/(proc|sys)(\/|$)/.test(path)) {
    return { kind: /^\/proc\/\d/.test(path) ? "hidden" : "machine", what: path };
  }
  if (changes) return { kind: "written", what: path };
  if (below(path, "/etc") !== undefined) {
    const isOfMachine = !isFolder && !sharedConfiguration.test(path);
    return isOfMachine ? { kind: "machine", what: path } : undefined;
  }
  return systemPath.test(path) ? undefined : { kind: "hidden", what: path };
}

/** What the sandbox shows of the system, read-only (native/inside.c). */
const systemPath = /^\/(usr|bin|sbin|lib|lib32|lib64|libx32|opt|nix)?(\/|$)/;
/** Folders that each action has for itself. */
const privateFolders = ["/tmp", "/var/tmp", "/dev/shm"];
/** Devices that the sandbox has, and what tells of the process itself and of nothing else. */
const harmless = new RegExp(
  "^/dev(/(null|zero|full|random|urandom|tty|ptmx|std(in|out|err)|fd|pts(/.*)?))?$|" +
    "^/proc$|^/proc/(self|thread-self)(/(fd|fdinfo|task|exe|cwd|comm|cmdline)(/.*)?)?$|" +
    "^/proc/filesystems$",
);
/** Configuration of tools: as much a part of them as their programs. */
const sharedConfiguration = new RegExp(
  "^/etc/(ld\\.so\\.(cache|conf|preload)|alternatives|java[^/]*|python[^/]*|perl|locale\\.alias|" +
    "ssl/openssl\\.cnf|ca-certificates|magic|inputrc|npmrc|terminfo)",
);

function isPrivate(path: string): boolean {
  return privateFolders.some((folder) => below(path, folder) !== undefined);
}

function addressesOutside(
  trace: AuditTrace,
  spec: ActionSpec,
  made: (path: string) => boolean,
): AuditTrace["addresses"] {
  if (spec.network) return [];
  // Whoever opens a port of his own may speak to it: the sandbox has a loopback, too.
  const serves = trace.addresses.some(
    ({ verb, address }) => verb === "bind" && /^[\d[]/.test(address),
  );
  return trace.addresses.filter(({ verb, address }) => {
    if (verb === "bind") return false;
    const path = /^unix (\/.*)$/.exec(address)?.[1];
    if (path !== undefined) return below(path, spec.execRoot) === undefined && !made(path);
    return !(serves && /^(127\.|\[::1\]|\[::ffff:127\.)/.test(address));
  });
}

/** The path relative to a folder, "" for itself; undefined where it is not below. */
function below(path: string, folder: string): string | undefined {
  if (path === folder) return "";
  return path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : undefined;
}

function isAbove(path: string, other: string): boolean {
  return path === "/" || other === path || other.startsWith(`${path}/`);
}
