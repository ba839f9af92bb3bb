import { expect, test } from "vitest";
import { Knocks, knockDefaults, type Verdict } from "../../../src/core/knocks.ts";

const { waitingMax, perAddressMax, waitMs, begunMax, wrongCodesMax } = knockDefaults;

/** Knocker number `n`, at an address of its own unless told. */
const knocker = (n: number, address = `10.0.0.${n}`) => ({
  ...{ peer: `peer-${n}`, name: `machine-${n}`, address },
});

/** Knocks of `count` machines whose codes are 000001, 000002 and so on, from 0 ms on. */
function knockedBy(count: number): Knocks {
  const knocks = new Knocks();
  for (let n = 1; n <= count; n += 1) {
    expect(knocks.begin(n, knocker(n), 0)).toBeUndefined();
    expect(knocks.reveal(n, `00000${n}`)).toBeUndefined();
  }
  return knocks;
}

function codeOf(verdict: Verdict): string {
  return verdict.kind === "letIn" ? `let in ${verdict.id}` : verdict.failure.code;
}

test("a code lets in the machine that has it, once, however it is typed", () => {
  for (const typed of ["000002", "000 002", "000-002", " 0-0 0002 "]) {
    const knocks = knockedBy(3);
    expect(knocks.admit(typed)).toEqual({ kind: "letIn", id: 2, knocker: knocker(2) });
    expect(knocks.waiting(5).map(({ name, ageMs }) => [name, ageMs])).toEqual([
      ["machine-1", 5],
      ["machine-3", 5],
    ]);
    expect(codeOf(knocks.admit(typed))).toBe("INVALID_ARGUMENT");
  }
});

test("who has shown no nonce yet is nobody to let in, and counts as knocking all the same", () => {
  const knocks = new Knocks();
  knocks.begin(1, knocker(1), 0);
  expect(knocks.waiting(0)).toEqual([]);
  expect(codeOf(knocks.admit("000001"))).toBe("NOT_FOUND");
  expect(knocks.size).toBe(1);
});

test("after three wrong codes every knock is over, those included that came meanwhile", () => {
  const knocks = knockedBy(2);
  for (let wrong = 1; wrong < wrongCodesMax; wrong += 1) {
    expect(knocks.admit("999999")).toMatchObject({
      ended: [],
      failure: { code: "INVALID_ARGUMENT" },
    });
  }
  knocks.begin(9, knocker(9), 0);
  const last = knocks.admit("999999");
  expect(last).toMatchObject({ ended: [1, 2, 9], failure: { code: "ABORTED" } });
  expect(codeOf(knocks.admit("000001"))).toBe("NOT_FOUND");
  // The next ones begin anew.
  knocks.begin(10, knocker(1), 0);
  knocks.reveal(10, "000001");
  expect(codeOf(knocks.admit("999999"))).toBe("INVALID_ARGUMENT");
  expect(codeOf(knocks.admit("000001"))).toBe("let in 10");
});

test("what is no code at all is no guess", () => {
  const knocks = knockedBy(1);
  for (const typed of ["", "12345", "1234567", "abcdef", "００００００", "1".repeat(100_000)]) {
    expect(codeOf(knocks.admit(typed))).toBe("INVALID_ARGUMENT");
  }
  expect(codeOf(knocks.admit("000001"))).toBe("let in 1");
});

test("a code that another knock has is no code: that newcomer is to knock again", () => {
  const knocks = knockedBy(1);
  knocks.begin(2, knocker(2), 0);
  expect(knocks.reveal(2, "000001")?.code).toBe("ABORTED");
  expect(knocks.size).toBe(1);
  expect(codeOf(knocks.admit("000001"))).toBe("let in 1");
});

test("a peer knocks once, an address three times, and all together as often as there is room", () => {
  const knocks = new Knocks();
  expect(knocks.begin(1, knocker(1), 0)).toBeUndefined();
  expect(knocks.begin(2, knocker(1, "10.9.9.9"), 0)?.message).toMatch(/knocks there already/);
  for (let n = 2; n <= perAddressMax; n += 1) {
    expect(knocks.begin(n + 10, knocker(n, "10.0.0.1"), 0)).toBeUndefined();
  }
  expect(knocks.begin(20, knocker(20, "10.0.0.1"), 0)?.message).toMatch(/3 machines of this/);
  for (let n = knocks.size; n < waitingMax; n += 1) {
    expect(knocks.begin(n + 30, knocker(n + 30), 0)).toBeUndefined();
  }
  expect(knocks.begin(99, knocker(99), 0)?.message).toMatch(/16 machines knock/);
  knocks.end(1);
  expect(knocks.begin(100, knocker(99), 0)).toBeUndefined();
});

test("who knocks until it has somebody's code gets few tries", () => {
  const knocks = new Knocks();
  let id = 0;
  const tryOnce = (nowMs: number) => {
    id += 1;
    const failure = knocks.begin(id, knocker(id), nowMs);
    knocks.end(id);
    return failure;
  };
  for (let n = 0; n < begunMax; n += 1) expect(tryOnce(n)).toBeUndefined();
  expect(tryOnce(waitMs - 1)?.code).toBe("RESOURCE_EXHAUSTED");
  expect(tryOnce(waitMs)).toBeUndefined();
  expect(tryOnce(waitMs)?.code).toBe("RESOURCE_EXHAUSTED");
});

test("a knock ends after ten minutes, and by a clock that jumps", () => {
  const knocks = knockedBy(1);
  expect(knocks.expire(waitMs - 1)).toEqual([]);
  expect(knocks.expire(waitMs)).toEqual([1]);
  expect(codeOf(knocks.admit("000001"))).toBe("NOT_FOUND");
  knocks.begin(2, knocker(2), 10 * waitMs);
  expect(knocks.expire(0)).toEqual([2]);
  expect(knocks.size).toBe(0);
});
