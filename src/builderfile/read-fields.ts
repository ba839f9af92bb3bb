// Raw fields by their names in a table, read one by one.

import { type Field, fieldNames, findField } from "./fields.ts";
import { type Problem, ProblemError, type RawField } from "./model.ts";
import { hint } from "./suggest.ts";

/** Fields by their name in the table, each once; others are problems. `prefix` is for messages. */
export function collectFields(
  fields: readonly RawField[],
  table: readonly Field[],
  prefix: string,
  problems: Problem[],
): Map<string, RawField> {
  const byName = new Map<string, RawField>();
  for (const field of fields) {
    const known = findField(table, field.name);
    if (known === undefined) {
      const near = hint(field.name, fieldNames(table));
      const message = `There is no field ${prefix}${field.name}.${near}`;
      problems.push({ place: field.place, message });
    } else if (byName.has(known.name)) {
      const message = `Field ${prefix}${known.name} is given twice.`;
      problems.push({ place: field.place, message });
    } else {
      byName.set(known.name, field);
    }
  }
  return byName;
}

/** Reads fields one by one; a wrong one is reported and reads as absent. */
export class FieldReader {
  readonly #fields: ReadonlyMap<string, RawField>;
  readonly #problems: Problem[];

  constructor(fields: ReadonlyMap<string, RawField>, problems: Problem[]) {
    this.#fields = fields;
    this.#problems = problems;
  }

  /** What `read` makes of a field; undefined where it is not given or wrong. */
  get<T>(name: string, read: (value: RawField["value"]) => T): T | undefined {
    const field = this.#fields.get(name);
    if (field === undefined) return undefined;
    try {
      return read(field.value);
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      this.#problems.push(error.problem);
      return undefined;
    }
  }
}
