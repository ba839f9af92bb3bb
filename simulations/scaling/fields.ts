// Fields of a scenario, checked one by one; the error names the field and what it may be.

import { MeshError } from "../../src/core/error.ts";

const msByUnit: Readonly<Record<string, number>> = {
  ...{ ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 },
};

/** A time such as `90s`, `1.5h` or a number of ms; undefined where it is none. */
export function readDurationMs(value: unknown): number | undefined {
  if (typeof value === "number") return Number.isFinite(value) ? Math.round(value) : undefined;
  if (typeof value !== "string") return undefined;
  const [, number, unit = ""] = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(value.trim()) ?? [];
  return number === undefined ? undefined : Math.round(Number(number) * (msByUnit[unit] ?? 1));
}

/** The fields of one object. Each may be left out; `refuseOthers` finds misspelt ones. */
export class Fields {
  readonly #values: ReadonlyMap<string, unknown>;
  readonly #file: string;
  readonly #path: string;
  readonly #known = new Set<string>();

  constructor(value: unknown, file: string, path: string) {
    this.#file = file;
    this.#path = path;
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw this.#wrong("", "an object of fields");
    }
    this.#values = new Map(Object.entries(value));
  }

  refuseOthers(): void {
    const other = [...this.#values.keys()].find((name) => !this.#known.has(name));
    if (other === undefined) return;
    const known = [...this.#known].sort().join(", ");
    const what = `${this.#file}: there is no field ${this.#path}${other}; there are ${known}.`;
    throw new MeshError("INVALID_ARGUMENT", what);
  }

  object(name: string): Fields {
    return new Fields(this.#take(name) ?? {}, this.#file, `${this.#path}${name}.`);
  }

  objects(name: string, countMax: number): Fields[] {
    const path = (at: number) => `${this.#path}${name}.${at + 1}.`;
    return this.#list(name, countMax).map((one, at) => new Fields(one, this.#file, path(at)));
  }

  whole(name: string, min: number, max: number, usual: number): number {
    return this.maybeWhole(name, min, max) ?? usual;
  }

  maybeWhole(name: string, min: number, max: number): number | undefined {
    const value = this.#take(name);
    if (value === undefined) return undefined;
    if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) {
      return value;
    }
    throw this.#wrong(name, `a whole number from ${min} to ${max}`);
  }

  wholes(name: string, min: number, max: number, countMax: number): number[] {
    const isRight = (one: unknown) =>
      typeof one === "number" && Number.isInteger(one) && one >= min && one <= max;
    const list = this.#list(name, countMax);
    return list.map((one) => {
      if (typeof one === "number" && isRight(one)) return one;
      throw this.#wrong(name, `a list of whole numbers from ${min} to ${max}`);
    });
  }

  /** A share from 0 to 1. */
  maybeShare(name: string): number | undefined {
    const value = this.#take(name);
    if (value === undefined) return undefined;
    if (typeof value === "number" && value >= 0 && value <= 1) return value;
    throw this.#wrong(name, "a share from 0 to 1");
  }

  amount(name: string, usual: number): number {
    const value = this.#take(name);
    if (value === undefined) return usual;
    if (typeof value === "number" && value >= 0 && value <= 1e6) return value;
    throw this.#wrong(name, "an amount from 0 to 1000000");
  }

  truth(name: string, usual: boolean): boolean {
    const value = this.#take(name) ?? usual;
    if (typeof value === "boolean") return value;
    throw this.#wrong(name, "true or false");
  }

  text(name: string, usual: string): string {
    const value = this.#take(name) ?? usual;
    if (typeof value === "string" && value.length <= 1000) return value;
    throw this.#wrong(name, "a text of at most 1000 characters");
  }

  choice<T extends string>(name: string, choices: readonly T[], usual: T): T {
    const value = this.#take(name);
    if (value === undefined) return usual;
    const found = choices.find((one) => one === value);
    if (found !== undefined) return found;
    throw this.#wrong(name, `one of ${choices.join(", ")}`);
  }

  duration(name: string, minMs: number, maxMs: number, usual: number): number {
    const value = this.#take(name);
    return value === undefined ? usual : this.#durationMs(name, value, minMs, maxMs);
  }

  /** One time, or two: from, to. */
  durations(name: string, minMs: number, maxMs: number, usual: readonly number[]): number[] {
    const value = this.#take(name);
    if (value === undefined) return [...usual];
    const list = Array.isArray(value) ? value : [value];
    if (list.length < 1 || list.length > 2) throw this.#wrong(name, "one or two times");
    return list.map((one) => this.#durationMs(name, one, minMs, maxMs));
  }

  #durationMs(name: string, value: unknown, minMs: number, maxMs: number): number {
    const ms = readDurationMs(value);
    if (ms !== undefined && ms >= minMs && ms <= maxMs) return ms;
    throw this.#wrong(name, `a time such as 45s, from ${minMs} ms to ${maxMs / 1000} s`);
  }

  #list(name: string, countMax: number): readonly unknown[] {
    const value = this.#take(name) ?? [];
    if (Array.isArray(value) && value.length <= countMax) return value;
    throw this.#wrong(name, `a list of at most ${countMax}`);
  }

  #take(name: string): unknown {
    this.#known.add(name);
    return this.#values.get(name) ?? undefined;
  }

  #wrong(name: string, wanted: string): MeshError {
    const where = `${this.#path}${name}` || "the whole";
    return new MeshError("INVALID_ARGUMENT", `${this.#file}: ${where} wants ${wanted}.`);
  }
}
