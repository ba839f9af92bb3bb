// Twins that are wrong about blobs and their uploads.

import { status } from "@grpc/grpc-js";
import { byteStream, cas } from "./calls.ts";
import { type Twin, twisted } from "./twin.ts";

const invalid = { code: status.INVALID_ARGUMENT, details: "wrong on purpose" };
const ok = { code: status.OK, details: "" };

const emptySha256 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

const blobTwins: readonly Twin[] = [
  {
    wrong: "forgets the last of several missing blobs",
    topic: "blobs",
    fails: [/^of a mixed list/, /^thousands of digests/],
    twists: () => [
      twisted(cas.findMissingBlobs, {
        response: ({ missingBlobDigests: all }) => [
          { missingBlobDigests: all.length > 5 ? all.slice(0, -1) : all },
        ],
      }),
    ],
  },
  {
    wrong: "says that nothing is missing",
    topic: "blobs",
    fails: [
      /^a blob is missing until/,
      /^of a mixed list/,
      /^the same missing digest/,
      /^thousands of digests/,
      /is refused and not stored$/,
      /^a hash that is not the empty one/,
      /^SHA256 is inferred/,
      /^digest functions of one hash length/,
      /^blobs under/,
    ],
    twists: () => [twisted(cas.findMissingBlobs, { response: () => [{ missingBlobDigests: [] }] })],
  },
  {
    wrong: "says that the empty blob is missing",
    topic: "blobs",
    fails: ["the empty blob is never missing", /^blobs under SHA256/],
    twists: () => [
      twisted(cas.findMissingBlobs, {
        response: ({ missingBlobDigests }, request) => {
          const asked = request?.blobDigests.filter(({ hash }) => hash === emptySha256) ?? [];
          return [{ missingBlobDigests: [...missingBlobDigests, ...asked] }];
        },
      }),
    ],
  },
  {
    wrong: "reads other bytes than were written",
    topic: "blobs",
    fails: [/^a batch is read with each blob/, /nearly 2 MiB/, /^blobs under/],
    twists: () => [
      twisted(cas.batchReadBlobs, {
        response: ({ responses }) => [
          { responses: responses.map((one) => ({ ...one, data: one.data.map((byte) => ~byte) })) },
        ],
      }),
    ],
  },
  {
    wrong: "says OK of every blob in a batch",
    topic: "blobs",
    fails: [
      /^a batch keeps its good blobs/,
      /^a blob under a wrong/,
      /^the right hash/,
      /^blobs under/,
    ],
    twists: () => [
      twisted(cas.batchUpdateBlobs, {
        response: ({ responses }) => [
          { responses: responses.map(({ digest }) => ({ digest, status: undefined })) },
        ],
      }),
    ],
  },
  {
    wrong: "says that lost blobs are empty",
    topic: "blobs",
    fails: [/^a batch is read with each blob/, /^a size that does not belong/],
    twists: () => [
      twisted(cas.batchReadBlobs, {
        response: ({ responses }) => [
          { responses: responses.map((one) => ({ ...one, status: undefined })) },
        ],
      }),
    ],
  },
  {
    wrong: "takes batches of half the advertised size",
    topic: "blobs",
    fails: [/^a batch of exactly the advertised size/],
    twists: () => [
      twisted(cas.batchUpdateBlobs, {
        refuse: ({ requests }) =>
          requests.reduce((sum, { data }) => sum + data.length, 0) > 3 << 20 ? invalid : undefined,
      }),
    ],
  },
  {
    wrong: "asks for a digest function in every call",
    topic: "blobs",
    fails: ["SHA256 is inferred where no digest function is named"],
    twists: () => [
      twisted(cas.findMissingBlobs, {
        refuse: ({ digestFunction }) => (digestFunction === 0 ? invalid : undefined),
      }),
    ],
  },
  {
    wrong: "keeps BLAKE3 and SHA256 under one key",
    topic: "blobs",
    fails: [
      /^digest functions of one hash length/,
      "blobs under BLAKE3 are written, found and read",
    ],
    twists: () => [
      twisted(cas.findMissingBlobs, {
        request: (one) => (one.digestFunction === 9 ? { ...one, digestFunction: 1 as const } : one),
      }),
    ],
  },
];

const readTwins: readonly Twin[] = [
  {
    wrong: "ignores read_limit",
    topic: "byte-stream",
    fails: ["a read ends after read_limit bytes"],
    twists: () => [
      twisted(byteStream.read, {
        request: (one) => ({ ...one, readLimit: Math.min(one.readLimit, 0) }),
      }),
    ],
  },
  {
    wrong: "ignores read_offset",
    topic: "byte-stream",
    fails: [
      /read_offset$/,
      /^a read ends after/,
      /^a limit beyond/,
      /very end/,
      /beyond the end is/,
    ],
    twists: () => [
      twisted(byteStream.read, {
        request: (one) => ({ ...one, readOffset: Math.min(one.readOffset, 0) }),
      }),
    ],
  },
  {
    wrong: "reads nothing from beyond the end, and says OK",
    topic: "byte-stream",
    fails: ["a read from beyond the end is OUT_OF_RANGE"],
    twists: () => [
      twisted(byteStream.read, {
        status: (right, first) =>
          (first?.readOffset ?? 0) > 0 && right.code !== 0 ? { ...right, ...ok } : right,
      }),
    ],
  },
  {
    wrong: "says UNKNOWN of lost blobs",
    topic: "byte-stream",
    fails: ["a blob that is not there is NOT_FOUND"],
    twists: () => [
      twisted(byteStream.read, {
        status: (right, first) =>
          right.code === status.NOT_FOUND &&
          /blobs\/[0-9a-f]{64}\/[0-9]+$/.test(first?.resourceName ?? "")
            ? { ...right, code: status.UNKNOWN }
            : right,
      }),
    ],
  },
  {
    wrong: "reads digest functions in any case",
    topic: "byte-stream",
    fails: ["functions that share a length are named in lower case"],
    twists: () => [
      twisted(byteStream.read, {
        request: (one) => ({ ...one, resourceName: one.resourceName.replace("BLAKE3", "blake3") }),
      }),
    ],
  },
  {
    wrong: "refuses what follows the size of an upload",
    topic: "byte-stream",
    fails: [/^what follows the size/],
    twists: () => [
      twisted(byteStream.write, {
        refuse: ({ resourceName }) => (/\.txt$/.test(resourceName) ? invalid : undefined),
      }),
    ],
  },
  {
    wrong: "splits names by position",
    topic: "byte-stream",
    fails: ["an instance with slashes is part of the name"],
    twists: () => [
      twisted(byteStream.write, {
        refuse: ({ resourceName }) =>
          /^projects\/p\/ins/.test(resourceName) ? invalid : undefined,
      }),
    ],
  },
];

const writeTwins: readonly Twin[] = [
  {
    wrong: "counts one byte too few",
    topic: "writes",
    fails: [/exactly its size$/, /is there ends early and well$/],
    twists: () => [
      twisted(byteStream.write, {
        response: ({ committedSize: size }) => [{ committedSize: size > 1e6 ? size - 1 : size }],
      }),
    ],
  },
  {
    wrong: "says that wrong uploads are stored",
    topic: "writes",
    fails: [
      /other bytes than/,
      /fewer or more/,
      /a gap or a wrong/,
      /changes its name/,
      /without any/,
    ],
    twists: () => [
      twisted(byteStream.write, {
        last: (right) => (right.code === 0 ? undefined : { committedSize: 0 }),
        status: (right) => ({ ...right, ...ok }),
      }),
    ],
  },
  {
    wrong: "wants the name in every message",
    topic: "writes",
    fails: [/^only the first message/],
    twists: () => [
      twisted(byteStream.write, {
        refuse: ({ resourceName }) => (resourceName === "" ? invalid : undefined),
      }),
    ],
  },
  {
    wrong: "refuses an end without bytes",
    topic: "writes",
    fails: [/the end may be an empty message$/, "an empty blob is written as one empty message"],
    twists: () => [
      twisted(byteStream.write, {
        refuse: ({ data, finishWrite }) => (finishWrite && data.length === 0 ? invalid : undefined),
      }),
    ],
  },
];

/** Twins that are wrong about blobs. */
export const storeTwins: readonly Twin[] = [...blobTwins, ...readTwins, ...writeTwins];
