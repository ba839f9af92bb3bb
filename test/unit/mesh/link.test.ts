import type { Stream } from "@libp2p/interface";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { startLink } from "../../../src/mesh/link.ts";

const options = {
  ...{ messageBytesMax: 1 << 20, outboxBytesMax: 1 << 20 },
  ...{ helloMs: 60_000, heartbeatMs: 2000, silenceMs: 60_000 },
};
const hello = { certificate: new Uint8Array(3), software: "test" };
/** One byte that says that the frame is empty. */
const heartbeat = Uint8Array.of(0);
/** Every second beat asks how long it takes to the peer and back. */
const ping = (id: number) => Uint8Array.of(5, 0x9a, 1, 2, 8, id);

/** A stream that keeps what is sent, and the Hello that a peer would send. */
function fakeStream() {
  const sent: Uint8Array[] = [];
  const target = new EventTarget();
  const stream = Object.assign(target, {
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

test("a heartbeat is sent only where nothing else was", async () => {
  const { stream, sent, receive } = fakeStream();
  const opened = vi.fn();
  const events = { verify: async () => undefined, opened, message: vi.fn(), closed: vi.fn() };
  const link = startLink(stream, hello, events, options);
  await vi.advanceTimersByTimeAsync(0);
  receive(sent[0] as Uint8Array);
  await vi.advanceTimersByTimeAsync(1999);
  expect(opened).toHaveBeenCalledOnce();
  expect(sent).toHaveLength(1);
  await vi.advanceTimersByTimeAsync(2001);
  expect(sent.slice(1)).toEqual([ping(1), heartbeat]);
  await vi.advanceTimersByTimeAsync(2000);
  expect(sent.slice(3)).toEqual([ping(2)]);
  link.send(Uint8Array.of(5));
  await vi.advanceTimersByTimeAsync(2000);
  expect(sent.slice(4)).toEqual([Uint8Array.of(1, 5)]);
  await vi.advanceTimersByTimeAsync(4000);
  expect(sent.slice(5)).toEqual([ping(3), heartbeat]);
  link.close("the test is over");
});
