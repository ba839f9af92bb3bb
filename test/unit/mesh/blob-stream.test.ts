import type { Stream } from "@libp2p/interface";
import type { Uint8ArrayList } from "uint8arraylist";
import { expect, test } from "vitest";
import { type BlobStream, startBlobStream } from "../../../src/mesh/blob-stream.ts";
import { decodeBlobFrame, encodeFramedPartsHead } from "../../../src/wire/blob-codec.ts";
import { FrameDecoder } from "../../../src/wire/frame.ts";

/** The other end of nothing: what is sent is kept, one entry a send. */
class KeptStream extends EventTarget {
  readonly sent: Buffer[] = [];
  writeBufferLength = 0;
  maxReadBufferLength = 0;
  breaks = false;
  abort(): void {}
  send(bytes: Uint8Array | Uint8ArrayList): boolean {
    if (this.breaks) throw new Error("the cable is out");
    this.sent.push(Buffer.from(bytes.subarray()));
    return true;
  }
}

function started() {
  const kept = new KeptStream();
  const closed: string[] = [];
  const events = { frame: () => undefined, closed: (why: string) => void closed.push(why) };
  const stream = startBlobStream(kept as unknown as Stream, events, () => undefined);
  return { kept, closed, stream };
}

function sendBytes(stream: BlobStream, bytes: Uint8Array): Promise<void> {
  const one = { id: 1, blobs: [0], lengths: [bytes.length], expandedBytes: 0 };
  return stream.sendParts({ head: encodeFramedPartsHead(one, bytes.length), data: [bytes] });
}

function kinds(sent: readonly Buffer[]): (string | undefined)[] {
  const decoder = new FrameDecoder({ frameBytesMax: 1 << 20 });
  return sent.flatMap((bytes) => [...decoder.push(bytes)].map((one) => decodeBlobFrame(one)?.kind));
}

test("what follows from one event is one write, in its order", async () => {
  const { kept, stream } = started();
  await stream.send({ kind: "enough", id: 1 });
  await sendBytes(stream, Buffer.from("abc"));
  await stream.send({ kind: "end", id: 1, missing: [] });
  expect(kept.sent).toEqual([]);
  await new Promise(setImmediate);
  expect(kept.sent.length).toBe(1);
  expect(kinds(kept.sent)).toEqual(["enough", "parts", "end"]);
});

test("the next event's frames are another write", async () => {
  const { kept, stream } = started();
  for (const id of [1, 2, 3]) {
    await stream.send({ kind: "enough", id });
    await new Promise(setImmediate);
  }
  expect(kept.sent.length).toBe(3);
});

test("no more than 64 KiB wait for others", async () => {
  const { kept, stream } = started();
  for (let at = 0; at < 10; at += 1) await sendBytes(stream, Buffer.alloc(20_000, `${at}`));
  expect(kept.sent.length).toBe(2);
  await new Promise(setImmediate);
  expect(kept.sent.length).toBe(3);
  for (const bytes of kept.sent) expect(bytes.length).toBeLessThan((64 << 10) + 20_100);
  expect(kinds(kept.sent)).toEqual(Array.from({ length: 10 }, () => "parts"));
});

test("a stream that breaks is told of, and takes nothing more", async () => {
  const { kept, closed, stream } = started();
  kept.breaks = true;
  await stream.send({ kind: "enough", id: 1 });
  await new Promise(setImmediate);
  expect(closed).toEqual(["the cable is out"]);
  await expect(stream.send({ kind: "enough", id: 2 })).rejects.toMatchObject({
    code: "UNAVAILABLE",
  });
});
