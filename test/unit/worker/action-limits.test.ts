import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { fieldTable, findField } from "../../../src/builderfile/fields.ts";
import type { SandboxLimits } from "../../../src/sandbox/sandbox.ts";
import {
  type LimitCeilings,
  limitNames,
  readActionLimits,
} from "../../../src/worker/action-limits.ts";

const defaults = {
  ...{ wallMs: 60_000, memoryBytes: 1000, cpus: 4, pids: 10, openFiles: 20, outputBytes: 30 },
  ...{ outputFiles: 40, tmpFiles: 50, logBytes: 60 },
};

function read(
  properties: Record<string, string> = {},
  ceilings: LimitCeilings = {},
  timeoutMs?: number,
) {
  const given = new Map(Object.entries(properties));
  return readActionLimits(given, timeoutMs, { defaults, ceilings });
}

test("an action that asks for nothing has the defaults; temporary files as much as memory", () => {
  expect(read()).toEqual({
    limits: { ...defaults, tmpBytes: 1000, fileBytes: 30 },
    network: false,
  });
});

test("every limit is a property of its field's name, but for the timeout, which REAPI has", () => {
  const properties: Record<string, string> = {};
  for (const [at, { limit, field }] of limitNames.entries()) {
    if (limit !== "wallMs") properties[`builder.${field}`] = String(at + 100);
  }
  const { limits } = read(properties, {}, 7);
  for (const [at, { limit }] of limitNames.entries()) {
    expect(limits[limit]).toBe(limit === "wallMs" ? 7 : at + 100);
  }
  expect(limits.fileBytes).toBe(limits.outputBytes);
});

test("every limit has a field in a Builderfile's `hermetic`", () => {
  const fields = findField(fieldTable, "hermetic")?.fields ?? [];
  const names = fields.map(({ name }) => name).filter((name) => name !== "network");
  expect(limitNames.map(({ field }) => field).sort()).toEqual(names.sort());
});

describe("a ceiling", () => {
  test("refuses who asks for more, and says what is given", () => {
    const ceilings = { memoryBytes: 8 * 2 ** 30, wallMs: 5000 };
    const most = String(8 * 2 ** 30);
    expect(read({ "builder.max_memory": most }, ceilings).limits.memoryBytes).toBe(8 * 2 ** 30);
    expect(() => read({ "builder.max_memory": String(16 * 2 ** 30) }, ceilings)).toThrow(
      "asks for max_memory 16 GiB, and this worker gives at most 8 GiB (--action-limits)",
    );
    expect(() => read({}, ceilings, 6000)).toThrow(/timeout 6000 ms.*at most 5000 ms/);
  });

  test("lowers what those get who do not ask; nobody ever gets more than it", () => {
    const amount = fc.integer({ min: 1, max: 2000 });
    fc.assert(
      fc.property(amount, fc.option(amount), (ceiling, asked) => {
        for (const { limit, field } of limitNames) {
          const properties = asked === null ? {} : { [`builder.${field}`]: String(asked) };
          let limits: SandboxLimits;
          try {
            limits = read(properties, { [limit]: ceiling }, asked ?? undefined).limits;
          } catch {
            expect(asked).toBeGreaterThan(ceiling);
            continue;
          }
          expect(limits[limit]).toBeLessThanOrEqual(ceiling);
        }
      }),
    );
  });
});

test("the network is given to who asks by either name, unless the node's owner forbids it", () => {
  for (const name of ["builder.network", "network"]) {
    expect(read({ [name]: "on" }).network).toBe(true);
    expect(read({ [name]: "on" }, { network: true }).network).toBe(true);
    expect(() => read({ [name]: "on" }, { network: false })).toThrow(
      /--action-limits network=off.*hermetic\.network/,
    );
    expect(read({ [name]: "off" }, { network: false }).network).toBe(false);
  }
  expect(read({}, { network: false }).network).toBe(false);
});

test("what is no number above 0 is refused by name", () => {
  for (const bad of ["0", "-1", "lots", "1e3", "", "Infinity"]) {
    expect(() => read({ "builder.max_log": bad })).toThrow(/builder\.max_log wants a number/);
  }
});
