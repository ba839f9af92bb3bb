import type { Stream } from "@libp2p/interface";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { startLink } from "../../../src/mesh/link.ts";

const options = {
  ...{ messageBytesMax: 1 << 20, outboxBytesMax: 1 << 20 },
  ...{ helloMs: 60_000, heartbeatMs: 4000, silenceMs: 60_000 },
};
const hello = { certificate: new Uint8Array(3), software: "test" };
/** A frame that asks how long it takes to the peer and back. */
const ping = (id: number) => Uint8Array.of(5, 0x9a, 1, 2, 8, id);

/** A stream that keeps what is sent, and the Hello that a peer would send. */
function fakeStream() {
  const sent: Uint8Array[] = [];
  const target = new EventTarget();
  const stream = Object.assign(target, {
    direction: "outbound",
    writeStatus: "writable",
    writeBufferLength: 0,
    send: (bytes: Uint8Array) => sent.push(bytes) > 0,
    abort: () => undefined,
  });
  const receive = (data: Uint8Array) =>
    target.dispatchEvent(Object.assign(new Event("message"), { data }));
  return { stream: stream as unknown as Stream, sent, receive };
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test("a peer is asked how far it is only where nothing else was said to it", async () => {
  const { stream, sent, receive } = fakeStream();
  const opened = vi.fn();
  const events = { verify: async () => undefined, opened, message: vi.fn(), closed: vi.fn() };
  const link = startLink(stream, hello, events, options);
  await vi.advanceTimersByTimeAsync(0);
  receive(sent[0] as Uint8Array);
  await vi.advanceTimersByTimeAsync(999);
  expect(opened).toHaveBeenCalledOnce();
  expect(sent).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(1);
  expect(sent.slice(1)).toEqual([ping(1)]);
  for (const id of [2, 3, 4]) {
    await vi.advanceTimersByTimeAsync(4000);
    expect(sent.slice(id)).toEqual([ping(id)]);
  }
  // It is known well enough, and the other end's turn, which says nothing.
  await vi.advanceTimersByTimeAsync(4999);
  expect(sent).toHaveLength(5);
  await vi.advanceTimersByTimeAsync(1);
  expect(sent.slice(5)).toEqual([ping(5)]);
  await vi.advanceTimersByTimeAsync(3000);
  link.send(Uint8Array.of(5));
  await vi.advanceTimersByTimeAsync(4999);
  expect(sent.slice(6)).toEqual([Uint8Array.of(1, 5)]);
  await vi.advanceTimersByTimeAsync(1);
  expect(sent.slice(7)).toEqual([ping(6)]);
  link.close("the test is over");
});

test("a peer that says nothing for long enough is gone", async () => {
  const { stream, sent, receive } = fakeStream();
  const closed = vi.fn();
  const events = { verify: async () => undefined, opened: vi.fn(), message: vi.fn(), closed };
  startLink(stream, hello, events, { ...options, silenceMs: 10_000 });
  await vi.advanceTimersByTimeAsync(500);
  receive(sent[0] as Uint8Array);
  await vi.advanceTimersByTimeAsync(10_499);
  expect(closed).not.toHaveBeenCalled();
  await vi.advanceTimersByTimeAsync(1);
  expect(closed).toHaveBeenCalledWith("it fell silent", false);
});
