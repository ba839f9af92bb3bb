// Two files that should be the same: where they part, and what that looks like.

/** Where two files part. */
export interface Difference {
  readonly sizes: readonly [number, number];
  /** Bytes that differ, in the part that both have. */
  readonly differing: number;
  /** Of the first byte that differs, build ids aside; where the shorter ends if there is none. */
  readonly offset: number;
  /** True where they differ in nothing but the build id of a program. */
  readonly onlyBuildId: boolean;
  /** Hex dumps of the surroundings of `offset`, a line each 16 bytes. */
  readonly dumps: readonly [readonly string[], readonly string[]];
}

const rowBytes = 16;
/** Rows of a dump: one before the difference, that with it, one behind. */
const rows = 3;

/** How `a` and `b` differ; undefined where they are equal. */
export function compareFiles(a: Buffer, b: Buffer): Difference | undefined {
  if (a.equals(b)) return undefined;
  const ids = buildIds(a);
  const isId = (at: number) => ids.some(([from, to]) => at >= from && at < to);
  const length = Math.min(a.length, b.length);
  let differing = 0;
  let first: number | undefined;
  let firstId: number | undefined;
  for (let at = 0; at < length; at += 1) {
    if (a[at] === b[at]) continue;
    differing += 1;
    if (isId(at)) firstId ??= at;
    else first ??= at;
  }
  const onlyBuildId = first === undefined && firstId !== undefined && a.length === b.length;
  const offset = first ?? (onlyBuildId ? (firstId ?? length) : length);
  return {
    sizes: [a.length, b.length],
    ...{ differing, offset, onlyBuildId, dumps: [dump(a, offset), dump(b, offset)] },
  };
}

/** Where notes with build ids have them: elf(5), `NT_GNU_BUILD_ID` of the owner "GNU". */
function buildIds(bytes: Buffer): (readonly [number, number])[] {
  const found: (readonly [number, number])[] = [];
  if (bytes.subarray(0, 4).toString("latin1") !== "\x7fELF") return found;
  const owner = Buffer.from([3, 0, 0, 0, 0x47, 0x4e, 0x55, 0]);
  for (let at = bytes.indexOf(owner); at >= 0; at = bytes.indexOf(owner, at + 1)) {
    const size = at >= 4 ? bytes.readUInt32LE(at - 4) : 0;
    const start = at + owner.length;
    if (size >= 4 && size <= 64) found.push([start, start + size]);
  }
  return found;
}

function dump(bytes: Buffer, offset: number): string[] {
  const start = Math.max(0, offset - (offset % rowBytes) - rowBytes);
  const lines: string[] = [];
  for (let at = start; at < start + rows * rowBytes && at < bytes.length; at += rowBytes) {
    const row = bytes.subarray(at, at + rowBytes);
    const hex = [...row].map((byte) => byte.toString(16).padStart(2, "0")).join(" ");
    const text = row.toString("latin1").replaceAll(/[^\x20-\x7e]/g, ".");
    lines.push(`${at.toString(16).padStart(8, "0")}  ${hex.padEnd(rowBytes * 3 - 1)}  |${text}|`);
  }
  return lines;
}
