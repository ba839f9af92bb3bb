import { expect, test } from "vitest";
import { Origins } from "../../../src/core/origins.ts";
import { type Maker, remakingDefaults } from "../../../src/core/remaking-options.ts";
import { digestOf } from "../../support/core-values.ts";

const maker = (name: string): Maker => ({ action: digestOf(name), instance: "", toolchain: "" });
const ann = { user: "ann", invocation: "1" };
const names = (count: number, prefix = "b") =>
  Array.from({ length: count }, (_, at) => digestOf(`${prefix}${at}`));

function origins(changes: Partial<typeof remakingDefaults> = {}): Origins {
  return new Origins({ ...remakingDefaults, ...changes });
}

test("the last maker of a blob is found by its invocation and by others of the same user", () => {
  const known = origins();
  known.tell(ann, maker("old"), names(2), 0);
  known.tell(ann, maker("new"), names(1), 1);
  const [first, second] = names(2);
  const found = known.finder(ann, 2);
  expect(found(first!)).toEqual(maker("new"));
  expect(found(second!)).toEqual(maker("old"));
  expect(found(digestOf("other"))).toBeUndefined();
  expect(known.finder({ ...ann, invocation: "2" }, 2)(first!)).toEqual(maker("new"));
  expect(known.finder({ user: "bob", invocation: "1" }, 2)(first!)).toBeUndefined();
  expect(found({ ...first!, fn: "blake3" })).toBeUndefined();
  expect(known.knows(ann, [digestOf("other"), second!])).toBe(true);
  expect(known.knows(ann, [digestOf("other")])).toBe(false);
});

test("users and invocations whose names run together are kept apart", () => {
  const known = origins();
  known.tell({ user: "a", invocation: "/b" }, maker("x"), names(1), 0);
  expect(known.finder({ user: "a/", invocation: "b" }, 0)(names(1)[0]!)).toBeUndefined();
});

test("the invocation heard of least is forgotten where there are too many blobs", () => {
  const known = origins({ blobsMax: 10 });
  known.tell(ann, maker("x"), names(6), 0);
  known.tell({ ...ann, invocation: "2" }, maker("y"), names(6, "c"), 1);
  expect(known.size).toBe(6);
  const found = known.finder(ann, 2);
  expect(found(digestOf("b0"))).toBeUndefined();
  expect(found(digestOf("c0"))).toEqual(maker("y"));
  known.tell({ ...ann, invocation: "2" }, maker("z"), names(100, "d"), 3);
  expect(known.size).toBe(10);
});

test("what was not heard of for long is forgotten, what was heard of is not", () => {
  const known = origins({ invocationMs: 100, invocationsMax: 2 });
  known.tell(ann, maker("x"), names(1), 0);
  known.tell({ ...ann, invocation: "2" }, maker("y"), names(1, "c"), 10);
  known.tell(ann, maker("x"), names(1), 90);
  expect(known.finder(ann, 120)(digestOf("c0"))).toBeUndefined();
  expect(known.finder(ann, 120)(digestOf("b0"))).toEqual(maker("x"));
  for (const invocation of ["3", "4"]) known.tell({ ...ann, invocation }, maker("z"), [], 121);
  expect(known.finder(ann, 122)(digestOf("b0"))).toBeUndefined();
  expect(known.size).toBe(0);
});
