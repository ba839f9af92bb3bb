// Why two builds differ, and what to write against it. What was varied alone and made a difference
// is known; the rest is told by how the bytes look.

import type { BuildAction } from "../rules/build-action.ts";
import type { Difference } from "./compare-files.ts";

/** What alone makes an action come out differently. */
export type Varied =
  | "path"
  | "time"
  | "cores"
  | "order"
  | "pids"
  /** Nothing at all: two runs under the same conditions differ. */
  | "chance"
  /** Only all of it together. */
  | "together";

/** What is told of a difference. */
export interface Cause {
  /** A sentence. */
  readonly text: string;
  /** What mends it: a line of the Builderfile, or what to change in a command. */
  readonly remedy: string;
}

/** What the bytes around a difference belong to. */
interface Surroundings {
  readonly bytes: Buffer;
  readonly difference: Difference;
  readonly action: Pick<BuildAction, "mnemonic" | "argv">;
}

interface Look {
  readonly among: readonly Varied[];
  readonly looks: (around: Surroundings) => boolean;
  readonly text: string;
  readonly remedy: string;
}

const clock: readonly Varied[] = ["time", "chance", "together"];

/** What is known by its looks; the first that fits. */
const looksLike: readonly Look[] = [
  {
    among: clock,
    looks: ({ bytes, difference: { offset } }) => inArchiveTime(bytes, offset),
    text: "the time of a member of an archive",
    remedy: "ar with D: `ar rcsD`; it writes no times, users and modes",
  },
  {
    among: clock,
    looks: ({ bytes, difference: { offset } }) =>
      bytes.subarray(0, 2).equals(Buffer.from([0x1f, 0x8b])) && offset >= 4 && offset < 8,
    text: "the time in a gzip header",
    remedy: "`gzip -n`",
  },
  {
    among: clock,
    looks: ({ bytes }) => bytes.subarray(0, 4).toString("latin1") === "PK\x03\x04",
    text: "the time of a file in a zip archive (or jar, wheel)",
    remedy: "`touch -d @0` the files and `zip -X`, or `jar --date=1980-01-01T00:00:02Z`",
  },
  {
    among: clock,
    looks: ({ bytes }) => bytes.subarray(257, 262).toString("latin1") === "ustar",
    text: "times or owners in a tar archive",
    remedy: "`tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner`",
  },
  {
    among: clock,
    looks: ({ action }) =>
      action.mnemonic === "CppCompile" || calls(action, /\b(cc|gcc|g\+\+|clang)/),
    text: "the time of the build: __DATE__, __TIME__ or __TIMESTAMP__",
    remedy:
      "let it see SOURCE_DATE_EPOCH, which every action has; or leave it out (-Wdate-time finds it)",
  },
  {
    among: ["path"],
    looks: ({ action }) =>
      action.mnemonic === "CppCompile" || calls(action, /\b(cc|gcc|g\+\+|clang)/),
    text: "the folder of the build, in debug information or by __FILE__",
    remedy:
      "under env: `PWD: /proc/self/cwd`; or -ffile-prefix-map=FOLDER=. where the folder is known",
  },
  {
    among: ["chance", "together"],
    looks: ({ bytes, difference: { offset } }) =>
      /[0-9a-f]{8}-[0-9a-f]{4}-[1-9a-f][0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}/i.test(
        textAround(bytes, offset, 40),
      ),
    text: "a UUID",
    remedy: "make it of the content (uuid5, a hash), or leave it out",
  },
  {
    among: ["chance", "together"],
    looks: ({ difference }) => difference.onlyBuildId,
    text: "the build id of a program",
    remedy: "link_flags: -Wl,--build-id=sha1, which is made of the content, or -Wl,--build-id=none",
  },
];

const inWords: Readonly<Record<Varied, Cause>> = {
  path: {
    text: "the folder it is built in",
    remedy: "have paths written relative to that folder (-ffile-prefix-map, --remap-path-prefix)",
  },
  time: {
    text: "the clock",
    remedy: "take the time from SOURCE_DATE_EPOCH, which every action has, or leave it out",
  },
  cores: {
    text: "the number of cores",
    remedy: "give the number of threads, do not ask the machine (-j1, -flto=1, --threads=1)",
  },
  order: {
    text: "the order in which folders list their files",
    remedy: "sort what is listed: `find … | LC_ALL=C sort`, `$(sort $(wildcard …))`, `sorted(…)`",
  },
  pids: {
    text: "the id of a process",
    remedy: "use names that stay the same instead of $$ or getpid()",
  },
  chance: {
    text: "random numbers, addresses in memory, hash order, or which thread is first",
    remedy: 'give a seed (-frandom-seed=NAME; under env: `PYTHONHASHSEED: "0"`), or sort',
  },
  together: {
    text: "something that shows only now and then",
    remedy: "verify again, and look at the bytes",
  },
};

/** Why an output differs. `varied` is what alone makes a difference; `bytes` is one of the files. */
export function likelyCause(
  varied: readonly Varied[],
  difference: Difference,
  bytes: Buffer,
  action: Pick<BuildAction, "mnemonic" | "argv">,
): Cause {
  const around = { bytes, difference, action };
  const found = looksLike.find(
    ({ among, looks }) => varied.some((one) => among.includes(one)) && looks(around),
  );
  if (found !== undefined) return { text: found.text, remedy: found.remedy };
  const known = varied.map((one) => inWords[one]);
  return {
    text: known.map(({ text }) => text).join("; "),
    remedy: known.map(({ remedy }) => remedy).join("; "),
  };
}

function calls({ argv }: Pick<BuildAction, "argv">, program: RegExp): boolean {
  return program.test(argv.join(" "));
}

/** Whether an offset is in the time of a member's header: ar(5), 60 bytes from each even place. */
function inArchiveTime(bytes: Buffer, offset: number): boolean {
  if (bytes.subarray(0, 8).toString("latin1") !== "!<arch>\n") return false;
  for (let at = 8; at + 60 <= bytes.length; ) {
    if (offset >= at + 16 && offset < at + 28) return true;
    const size = Number(bytes.subarray(at + 48, at + 58).toString("latin1"));
    if (!Number.isSafeInteger(size) || size < 0) return false;
    at += 60 + size + (size % 2);
  }
  return false;
}

function textAround(bytes: Buffer, offset: number, reach: number): string {
  return bytes.subarray(Math.max(0, offset - reach), offset + reach).toString("latin1");
}
