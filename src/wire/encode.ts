// Encodes messages with one writer that keeps its buffer. A new writer for each begins with 128
// bytes and doubles: of a message of some hundred bytes, most of the time went into allocating.

import { BinaryWriter } from "@bufbuild/protobuf/wire";

/** What encodes one type of message: every generated type does. */
export interface Encoder<T> {
  encode(message: T, writer?: BinaryWriter): BinaryWriter;
}

/** Bound: a writer whose buffer grew with a message larger than this is not kept. */
const keptBytesMax = 1 << 20;

let kept: BinaryWriter | undefined;

/** The bytes of a message. They are the caller's own. */
export function encodeBytes<T>(type: Encoder<T>, message: T): Uint8Array {
  const writer = kept ?? new BinaryWriter();
  // Whoever throws half-way leaves a writer behind that holds half a message.
  kept = undefined;
  const bytes = type.encode(message, writer).finish();
  if (bytes.length <= keptBytesMax) kept = writer;
  return bytes;
}
