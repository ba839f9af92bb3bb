import { expect, test } from "vitest";
import { MeshError } from "../../../src/core/error.ts";
import { aloneForLong, joinInTime, NotJoinedError } from "../../../src/node/boot-order.ts";

/** A clock that jumps to the end of every sleep. */
function clockOf(onSleep: () => void = () => undefined) {
  let nowMs = 5_000;
  const sleep = async (ms: number) => {
    nowMs += ms;
    onSleep();
  };
  return { now: () => nowMs, sleep };
}

const limits = { joinWithinMs: 30_000, aloneMsMax: 60_000 };

test("a machine that nobody answers tries again, and gives up in time", async () => {
  const clock = clockOf();
  let tries = 0;
  const join = async () => {
    tries += 1;
    throw new MeshError("UNAVAILABLE", "nobody answers");
  };
  await expect(joinInTime(join, limits, clock)).rejects.toThrow(NotJoinedError);
  expect(tries).toBe(15);
  expect(clock.now()).toBeLessThanOrEqual(35_000);
});

test("it joins as soon as somebody answers", async () => {
  let tries = 0;
  const join = async () => {
    tries += 1;
    if (tries < 4) throw new MeshError("UNAVAILABLE", "nobody answers");
    return "in";
  };
  expect(await joinInTime(join, limits, clockOf())).toBe("in");
});

test("an invitation that is used up is not tried again", async () => {
  let tries = 0;
  const join = async () => {
    tries += 1;
    throw new MeshError("UNAUTHENTICATED", "This invitation is used up.");
  };
  await expect(joinInTime(join, limits, clockOf())).rejects.toThrow(
    /did not join and ends: .*used up/,
  );
  expect(tries).toBe(1);
});

test("only time alone and idle without a break counts", async () => {
  let looks = 0;
  const clock = clockOf(() => {
    looks += 1;
  });
  await aloneForLong(() => looks !== 50, limits, clock);
  expect(looks).toBe(110);
});
