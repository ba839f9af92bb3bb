// Twins that are wrong about broken uploads, zstd, chunks, trees, results and attacks.

import { status } from "@grpc/grpc-js";
import { Compressor_Value } from "../../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { actionCache, byteStream, cas } from "./calls.ts";
import { type BoundTwist, type Twin, twisted } from "./twin.ts";

const ok = { code: status.OK, details: "" };

const resumeTwins: readonly Twin[] = [
  {
    wrong: "never says that an upload is complete",
    topic: "resume",
    fails: [
      /^QueryWriteStatus of a stored blob/,
      /^QueryWriteStatus never tells the whole/,
      /^a compressed upload of a stored blob/,
    ],
    twists: () => [
      twisted(byteStream.queryWriteStatus, { response: (one) => [{ ...one, complete: false }] }),
    ],
  },
  {
    wrong: "says NOT_FOUND of an upload that never was",
    topic: "resume",
    fails: [/that never was/],
    twists: () => {
      const never = new Set<string>();
      return [
        twisted(byteStream.queryWriteStatus, {
          response: (one, first) => {
            if (one.committedSize > 0) return [one];
            never.add(first?.resourceName ?? "");
            return [];
          },
          status: (right, first) =>
            never.delete(first?.resourceName ?? "") ? { ...right, code: status.NOT_FOUND } : right,
        }),
      ];
    },
  },
];

const compressionTwins: readonly Twin[] = [
  {
    wrong: "sends plain bytes as zstd",
    topic: "compression",
    fails: [/^a compressed read/, /^the offset of a compressed read/],
    twists: () => [
      twisted(byteStream.read, {
        request: (one) => ({
          ...one,
          resourceName: one.resourceName.replace("compressed-blobs/zstd/", "blobs/"),
        }),
      }),
    ],
  },
  {
    wrong: "compresses for clients that do not take it",
    topic: "compression",
    fails: [/only by clients that take zstd$/],
    twists: () => [
      twisted(cas.batchReadBlobs, {
        request: (one) => ({ ...one, acceptableCompressors: [Compressor_Value.ZSTD] }),
      }),
    ],
  },
];

const chunkAndTreeTwins: readonly Twin[] = [
  {
    wrong: "loses the last chunk",
    topic: "chunks",
    fails: [/^the chunks of a blob/, /^blobs are cut where/, /^a small blob/],
    twists: () => [
      twisted(cas.splitBlob, {
        response: (one) => [{ ...one, chunkDigests: one.chunkDigests.slice(0, -1) }],
      }),
    ],
  },
  {
    wrong: "says that any chunks make the blob",
    topic: "chunks",
    fails: [/^chunks in a wrong order/, /^chunks of another size/],
    twists: () => [
      twisted(cas.spliceBlob, {
        last: ({ code }, first) =>
          code === status.INVALID_ARGUMENT ? { blobDigest: first?.blobDigest } : undefined,
        status: (right) => (right.code === status.INVALID_ARGUMENT ? { ...right, ...ok } : right),
      }),
    ],
  },
  {
    wrong: "ignores page sizes",
    topic: "trees",
    fails: ["pages hold no more folders than were wished for"],
    twists: () => [twisted(cas.getTree, { request: (one) => ({ ...one, pageSize: 0 }) })],
  },
  {
    wrong: "leaves out a folder",
    topic: "trees",
    fails: [
      /^a tree comes with all/,
      /^a folder that occurs/,
      /^a page token/,
      /^of a tree with a lost/,
    ],
    twists: () => [
      twisted(cas.getTree, {
        response: ({ directories, nextPageToken }) => [
          {
            directories: directories.length > 1 ? directories.slice(1) : directories,
            nextPageToken,
          },
        ],
      }),
    ],
  },
];

const cacheTwins: readonly Twin[] = [
  {
    wrong: "leaves out execution_metadata",
    topic: "action-cache",
    fails: ["a served result has execution_metadata"],
    twists: () => [
      twisted(actionCache.getActionResult, {
        response: (one) =>
          one.executionMetadata?.worker === "client"
            ? [{ ...one, executionMetadata: undefined }]
            : [one],
      }),
    ],
  },
  {
    wrong: "has one cache for all instances",
    topic: "action-cache",
    fails: ["a result belongs to its instance"],
    twists: () => {
      const request = <Q extends { instanceName: string }>(one: Q) => ({
        ...one,
        instanceName: "",
      });
      return [
        twisted(actionCache.getActionResult, { request }),
        twisted(actionCache.updateActionResult, { request }),
      ];
    },
  },
  {
    wrong: "drops what was stored inline",
    topic: "action-cache",
    fails: ["stdout that a client stored inline comes back"],
    twists: () => [
      twisted(actionCache.getActionResult, {
        response: (one) => [{ ...one, stdoutRaw: new Uint8Array() }],
      }),
    ],
  },
  {
    wrong: "serves results whose blobs are lost",
    topic: "action-cache",
    fails: [
      /^a result whose output is lost/,
      /^a result is not served where/,
      /^a folder whose Tree/,
    ],
    twists: servesAnything,
  },
];

/** An action cache that believes its clients. */
function servesAnything(): readonly BoundTwist[] {
  type Stored = ReturnType<typeof actionCache.getActionResult.responseDeserialize>;
  const resultByKey = new Map<string, Stored>();
  const keyOf = (one: {
    instanceName: string;
    digestFunction: number;
    actionDigest: { hash: string } | undefined;
  }) => `${one.instanceName} ${one.digestFunction} ${one.actionDigest?.hash}`;
  return [
    twisted(actionCache.updateActionResult, {
      refuse: (one) => {
        // The right server says what is wrong with all but the missing blobs.
        if (one.actionResult !== undefined) resultByKey.set(keyOf(one), one.actionResult);
        return undefined;
      },
    }),
    twisted(actionCache.getActionResult, {
      last: (right, first) =>
        right.code === 0 || first === undefined ? undefined : resultByKey.get(keyOf(first)),
      status: (right, first) =>
        first !== undefined && resultByKey.has(keyOf(first)) ? { ...right, ...ok } : right,
    }),
  ];
}

const hostileTwins: readonly Twin[] = [
  {
    wrong: "takes unknown digest functions for SHA256",
    topic: "hostile-calls",
    fails: ["a digest function that nobody knows is refused"],
    twists: () => [
      twisted(cas.findMissingBlobs, {
        request: (one) =>
          one.digestFunction > 1 || one.digestFunction < 0
            ? { ...one, digestFunction: 1 as const }
            : one,
      }),
    ],
  },
  {
    wrong: "takes reserved words for instance names",
    topic: "hostile-calls",
    fails: ["instance names with reserved words are refused"],
    twists: () => [
      twisted(cas.findMissingBlobs, { request: (one) => ({ ...one, instanceName: "" }) }),
    ],
  },
  {
    wrong: "takes hashes in any case",
    topic: "hostile-calls",
    fails: ["hashes that are none are refused"],
    twists: () => [
      twisted(cas.findMissingBlobs, {
        request: (one) => ({
          ...one,
          blobDigests: one.blobDigests.map((digest) => ({
            ...digest,
            hash: digest.hash.toLowerCase(),
          })),
        }),
      }),
    ],
  },
];

/** Twins of these. */
export const cacheAndCallTwins: readonly Twin[] = [
  ...resumeTwins,
  ...compressionTwins,
  ...chunkAndTreeTwins,
  ...cacheTwins,
  ...hostileTwins,
];
