import type { Stream } from "@libp2p/interface";
import { expect, test } from "vitest";
import { readFrames } from "../../../src/mesh/frame-reader.ts";
import { encodeFrame } from "../../../src/wire/frame.ts";

/** The reading side of a stream: what it does with events is all that a reader knows of it. */
function createReadable() {
  const target = new EventTarget();
  return {
    stream: target as unknown as Stream,
    come: (...bytes: readonly number[]) => {
      const data = encodeFrame(Uint8Array.from(bytes));
      target.dispatchEvent(Object.assign(new Event("message"), { data }));
    },
    close: () => target.dispatchEvent(new Event("close")),
  };
}

test("frames come one by one, also those that came before they were asked for", async () => {
  const { stream, come, close } = createReadable();
  const frames = readFrames(stream, 100);
  come(1);
  come(2);
  expect([...(await frames.next(60_000))]).toEqual([1]);
  const second = frames.next(60_000);
  const third = second.then(() => frames.next(60_000));
  // Two at once, while somebody waits for one.
  come(3);
  come(4);
  close();
  expect([...(await second)]).toEqual([2]);
  expect([...(await third)]).toEqual([3]);
  expect([...(await frames.next(60_000))]).toEqual([4]);
  await expect(frames.next(60_000)).rejects.toMatchObject({ code: "UNAVAILABLE" });
  const waiting = createReadable();
  const next = readFrames(waiting.stream, 100).next(60_000);
  waiting.come(5);
  waiting.come(6);
  expect([...(await next)]).toEqual([5]);
});

test("frames that nobody asked for, and oversize ones, end it", async () => {
  const flood = createReadable();
  const frames = readFrames(flood.stream, 100);
  for (let n = 0; n < 100; n += 1) flood.come(n);
  const taken: number[] = [];
  const end = (async () => {
    for (;;) taken.push((await frames.next(60_000))[0] ?? -1);
  })();
  await expect(end).rejects.toMatchObject({ code: "RESOURCE_EXHAUSTED" });
  expect(taken).toEqual([0, 1, 2, 3, 4]);
  const oversize = createReadable();
  oversize.come(...new Uint8Array(101));
  const late = readFrames(oversize.stream, 100);
  oversize.come(...new Uint8Array(101));
  await expect(late.next(60_000)).rejects.toMatchObject({ code: "RESOURCE_EXHAUSTED" });
});

test("what does not come in time is late, and may come after all", async () => {
  const { stream, come } = createReadable();
  const frames = readFrames(stream, 100);
  await expect(frames.next(0)).rejects.toMatchObject({ code: "DEADLINE_EXCEEDED" });
  come(1);
  expect([...(await frames.next(60_000))]).toEqual([1]);
});
