// Frames of the blob protocol ⇄ plain values (proto/builder/mesh/v1/blobs.proto). A peer is a
// member and may still lie: every list, size and place is bounded before anybody acts on it.

import { type Digest, type DigestFunction, hashDigits, isHash } from "../core/digest.ts";
import { type Code, codes, MeshError } from "../core/error.ts";
import { encodeBytes } from "./encode.ts";
import { Parts, BlobFrame as WireFrame } from "./gen/builder/mesh/v1/blobs.ts";
import { fromWireFunction, toWireFunction } from "./reapi.ts";
import { fromZstdFrameNow } from "./zstd-frame.ts";

/** Bounds of the blob protocol. */
export const blobBounds = {
  /** Bytes of a frame, its length prefix not counted. */
  frameBytesMax: 1 << 20,
  /** Bytes of blobs in one frame, expanded. */
  partBytesMax: 256 * 1024,
  /** Digests in one request. */
  digestsMax: 10_000,
  /** Bytes of one cached result. */
  resultBytesMax: 1_000_000,
  /** Requests under way on one stream. */
  requestsMax: 64,
  /** Characters of a text. */
  textMax: 4096,
};

/** Bytes of blobs, as places in the request's list. */
export interface PartsFrame {
  readonly kind: "parts";
  readonly id: number;
  readonly pieces: readonly { readonly blob: number; readonly bytes: Uint8Array }[];
}

/** Names an action's result; the same as the action cache's key. */
export interface ResultKey {
  readonly instance: string;
  readonly action: Digest;
}

interface DigestsFrame<Kind> {
  readonly kind: Kind;
  readonly id: number;
  /** 1 to 10,000, all of one function. */
  readonly digests: readonly Digest[];
}

/** Anything one end of a blob stream sends the other. */
export type BlobFrame =
  | DigestsFrame<"want">
  | DigestsFrame<"ask">
  | DigestsFrame<"put">
  | { readonly kind: "getResult"; readonly id: number; readonly key: ResultKey }
  | {
      readonly kind: "putResult";
      readonly id: number;
      readonly key: ResultKey;
      readonly bytes: Uint8Array;
    }
  | { readonly kind: "enough"; readonly id: number }
  | PartsFrame
  | {
      readonly kind: "end" | "missing";
      readonly id: number;
      /** Places in the request's list. */
      readonly missing: readonly number[];
    }
  | {
      readonly kind: "stored";
      readonly id: number;
      readonly refused: readonly number[];
      /** Undefined where nothing was refused. */
      readonly code: Code | undefined;
      readonly message: string;
    }
  | {
      readonly kind: "cachedResult";
      readonly id: number;
      readonly result: { readonly bytes: Uint8Array; readonly storedAtMs: number } | undefined;
    };

/** Frames without bytes of blobs; those have an encoder of their own. */
export type PlainFrame = Exclude<BlobFrame, PartsFrame>;

type Payload = NonNullable<WireFrame["frame"]>;

/** A frame as bytes, its length prefix not included. */
export function encodePlainFrame(frame: PlainFrame): Uint8Array {
  return encodeBytes(WireFrame, { frame: toPayload(frame) });
}

/**
 * All of a Parts frame that stands before its data, length prefix included. The data follows as it
 * is: bytes of blobs are not copied to be sent. `expandedBytes` is 0 where it is not compressed.
 */
export function encodeFramedPartsHead(
  parts: {
    readonly id: number;
    readonly blobs: readonly number[];
    readonly lengths: readonly number[];
    readonly expandedBytes: number;
  },
  dataBytes: number,
): Uint8Array {
  const { blobs, lengths } = parts;
  const value = { ...parts, blobs: [...blobs], lengths: [...lengths], data: new Uint8Array() };
  const fields = encodeBytes(Parts, value);
  const dataHead = [dataTag, ...varint(dataBytes)];
  const message = fields.length + dataHead.length + dataBytes;
  const messageHead = [partsTag, ...varint(message)];
  const prefix = varint(messageHead.length + message);
  return Buffer.concat([
    Uint8Array.from([...prefix, ...messageHead]),
    fields,
    Uint8Array.from(dataHead),
  ]);
}

/** `parts` is field 7 of BlobFrame, `data` field 5 of Parts, both of wire type 2. */
const partsTag = (7 << 3) | 2;
const dataTag = (5 << 3) | 2;

function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return [...bytes, rest];
}

/**
 * Bytes as a frame; undefined for one that a later version knows. INVALID_ARGUMENT says what is
 * wrong with it.
 */
export function decodeBlobFrame(bytes: Uint8Array): BlobFrame | undefined {
  let frame: WireFrame;
  try {
    frame = WireFrame.decode(bytes);
  } catch (cause) {
    throw new MeshError("INVALID_ARGUMENT", "A peer sent bytes that are no BlobFrame.", { cause });
  }
  return frame.frame && fromPayload(frame.frame);
}

function toPayload(frame: PlainFrame): Payload {
  const { id } = frame;
  switch (frame.kind) {
    case "want":
    case "ask":
    case "put":
      return { $case: frame.kind, value: { id, digests: toDigestList(frame.digests) } };
    case "getResult":
      return { $case: "getResult", value: { id, ...toWireKey(frame.key) } };
    case "putResult":
      return { $case: "putResult", value: { id, ...toWireKey(frame.key), result: frame.bytes } };
    case "enough":
      return { $case: "enough", value: { id } };
    case "end":
    case "missing":
      return { $case: frame.kind, value: { id, missing: [...frame.missing] } };
    case "stored": {
      const { refused, code, message } = frame;
      const value = { id, refused: [...refused], code: code ?? "", message: cut(message) };
      return { $case: "stored", value };
    }
    case "cachedResult": {
      const { bytes = new Uint8Array(), storedAtMs = 0 } = frame.result ?? {};
      return { $case: "cachedResult", value: { id, result: bytes, storedAtMs } };
    }
  }
}

function fromPayload(payload: Payload): BlobFrame {
  const { id } = payload.value;
  switch (payload.$case) {
    case "want":
    case "ask":
    case "put":
      return { kind: payload.$case, id, digests: fromDigestList(payload.value.digests) };
    case "getResult":
      return { kind: "getResult", id, key: fromWireKey(payload.value) };
    case "putResult": {
      const bytes = bounded(payload.value.result, blobBounds.resultBytesMax, "bytes of a result");
      return { kind: "putResult", id, key: fromWireKey(payload.value), bytes };
    }
    case "enough":
      return { kind: "enough", id };
    case "parts":
      return { kind: "parts", id, pieces: fromParts(payload.value) };
    case "end":
    case "missing":
      return { kind: payload.$case, id, missing: places(payload.value.missing) };
    case "stored": {
      const { refused, code, message } = payload.value;
      bounded(message, blobBounds.textMax, "characters of a message");
      return { kind: "stored", id, refused: places(refused), code: fromCode(code), message };
    }
    case "cachedResult": {
      const { result, storedAtMs } = payload.value;
      const bytes = bounded(result, blobBounds.resultBytesMax, "bytes of a result");
      const found = bytes.length === 0 ? undefined : { bytes, storedAtMs };
      return { kind: "cachedResult", id, result: found };
    }
  }
}

function fromParts(parts: Extract<Payload, { $case: "parts" }>["value"]): PartsFrame["pieces"] {
  const { blobs, lengths, expandedBytes } = parts;
  bounded(blobs, blobBounds.digestsMax, "pieces in a frame");
  if (expandedBytes > blobBounds.partBytesMax) throw invalid("a frame that expands to too much");
  const { data } = parts;
  const all = expandedBytes === 0 ? data : fromZstdFrameNow(data, expandedBytes);
  const total = lengths.reduce((sum, length) => sum + length, 0);
  if (lengths.length !== blobs.length || lengths.includes(0) || total !== all.length) {
    throw invalid("pieces whose lengths do not add up");
  }
  if (total > blobBounds.partBytesMax) throw invalid("too many bytes in one frame");
  let at = 0;
  return places(blobs).map((blob, index) => {
    const end = at + (lengths[index] ?? 0);
    const bytes = all.subarray(at, end);
    at = end;
    return { blob, bytes };
  });
}

function toDigestList(digests: readonly Digest[]) {
  const fn = digests[0]?.fn ?? "sha256";
  const hashes = Buffer.from(digests.map(({ hash }) => hash).join(""), "hex");
  return { function: toWireFunction(fn), hashes, sizes: digests.map((one) => one.sizeBytes) };
}

function fromDigestList(
  list: Extract<Payload, { $case: "want" }>["value"]["digests"],
): readonly Digest[] {
  if (list === undefined || list.sizes.length === 0) throw invalid("a request without digests");
  bounded(list.sizes, blobBounds.digestsMax, "digests in a request");
  const fn: DigestFunction = fromWireFunction(list.function, undefined);
  const digits = hashDigits[fn];
  const hex = Buffer.from(list.hashes).toString("hex");
  if (hex.length !== digits * list.sizes.length) throw invalid("digests without sizes");
  return list.sizes.map((sizeBytes, at) => {
    return { fn, hash: hex.slice(at * digits, (at + 1) * digits), sizeBytes };
  });
}

function toWireKey({ instance, action }: ResultKey) {
  const name = { function: toWireFunction(action.fn), hash: action.hash };
  return { instance, action: { ...name, sizeBytes: action.sizeBytes } };
}

function fromWireKey(
  key: Pick<Extract<Payload, { $case: "getResult" }>["value"], "instance" | "action">,
): ResultKey {
  const { instance, action } = key;
  bounded(instance, blobBounds.textMax, "characters of an instance name");
  if (action === undefined) throw invalid("no action");
  const fn = fromWireFunction(action.function, action);
  if (!isHash(fn, action.hash) || action.sizeBytes < 0) throw invalid("a malformed action");
  return { instance, action: { fn, hash: action.hash, sizeBytes: action.sizeBytes } };
}

function places(list: readonly number[]): readonly number[] {
  bounded(list, blobBounds.digestsMax, "places");
  if (list.some((place) => place >= blobBounds.digestsMax)) throw invalid("a place past the end");
  return list;
}

function fromCode(text: string): Code | undefined {
  return text === "" ? undefined : (codes.find((code) => code === text) ?? "INTERNAL");
}

function cut(text: string): string {
  return text.slice(0, blobBounds.textMax);
}

function bounded<T extends { readonly length: number }>(value: T, max: number, what: string): T {
  if (value.length > max) throw invalid(`over ${max} ${what}`);
  return value;
}

function invalid(what: string): MeshError {
  return new MeshError("INVALID_ARGUMENT", `A peer sent ${what}.`);
}
