// Sizes and durations as people write them, shared by Builderfiles and flags.

const bytesByUnit: Readonly<Record<string, number>> = {
  "": 1,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};
const msByUnit: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** `2GiB`, `512 MB`, `1.5KiB` or plain bytes, as whole bytes; undefined for anything else. */
export function parseSize(text: string): number | undefined {
  return parseQuantity(text, bytesByUnit);
}

/** `90s`, `5m`, `250ms`, `1h`, as whole ms; undefined for anything else, a bare number included. */
export function parseDuration(text: string): number | undefined {
  return parseQuantity(text, msByUnit);
}

function parseQuantity(text: string, units: Readonly<Record<string, number>>): number | undefined {
  const match = /^(\d{1,15}(?:\.\d{1,6})?) ?([A-Za-z]*)$/.exec(text.trim());
  const factor = match && Object.hasOwn(units, match[2] ?? "") ? units[match[2] ?? ""] : undefined;
  if (match === null || factor === undefined) return undefined;
  const value = Math.round(Number(match[1]) * factor);
  return Number.isSafeInteger(value) ? value : undefined;
}
