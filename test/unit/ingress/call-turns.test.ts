import { setImmediate as turnEnds } from "node:timers/promises";
import { expect, test } from "vitest";
import { createCallTurns } from "../../../src/ingress/call-turns.ts";

/** Calls that note in which turn they began, in the order in which they did. */
function callsAt(callsMax: number) {
  const turn = createCallTurns(callsMax);
  const begun: { readonly call: number; readonly inTurn: number }[] = [];
  let inTurn = 0;
  const come = async (call: number) => {
    await turn();
    begun.push({ call, inTurn });
  };
  const pass = async () => {
    await turnEnds();
    inTurn += 1;
  };
  return { begun, come, pass };
}

test("calls that come one by one begin at once", async () => {
  const { begun, come, pass } = callsAt(1);
  for (let call = 0; call < 3; call += 1) {
    await come(call);
    await pass();
  }
  expect(begun.map(({ inTurn }) => inTurn)).toEqual([0, 1, 2]);
});

test("of a burst so many begin in a turn, in their order, and all of them", async () => {
  const { begun, come } = callsAt(3);
  const begunByTurn: number[] = [];
  const turnBegins = () => {
    begunByTurn.push(begun.length);
    if (begun.length < 10) setImmediate(turnBegins);
  };
  setImmediate(turnBegins);
  await Promise.all(Array.from({ length: 10 }, (_, call) => come(call)));
  await turnEnds();
  expect(begun.map(({ call }) => call)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(begunByTurn).toEqual([3, 6, 9, 10]);
});

test("who comes while others wait begins after them", async () => {
  const { begun, come, pass } = callsAt(2);
  const first = [0, 1, 2, 3, 4].map(come);
  await pass();
  const late = come(5);
  await Promise.all([...first, late]);
  expect(begun.map(({ call }) => call)).toEqual([0, 1, 2, 3, 4, 5]);
});

test("what came meanwhile is heard before a burst has all begun", async () => {
  const { begun, come } = callsAt(4);
  let heardAfter = -1;
  // As a message on another connection: an event of the loop of its own.
  setImmediate(() => {
    heardAfter = begun.length;
  });
  await Promise.all(Array.from({ length: 100 }, (_, call) => come(call)));
  expect(heardAfter).toBeLessThanOrEqual(4);
  expect(begun.length).toBe(100);
});
