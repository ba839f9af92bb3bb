// Twins that are wrong about executing.

import { status } from "@grpc/grpc-js";
import {
  type ActionResult,
  ExecuteOperationMetadata,
  ExecuteResponse,
} from "../../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import type { Operation } from "../../../src/wire/gen/google/longrunning/operations.ts";
import { PreconditionFailure } from "../../../src/wire/gen/google/rpc/error_details.ts";
import { Status } from "../../../src/wire/gen/google/rpc/status.ts";
import { actionCache, execution, operations } from "./calls.ts";
import { type Twin, twisted } from "./twin.ts";

const notFound = { code: status.NOT_FOUND, details: "wrong on purpose" };

/** Changes the response inside a finished operation. */
function withResponse(
  operation: Operation,
  change: (right: ExecuteResponse) => ExecuteResponse,
): Operation {
  if (operation.result?.$case !== "response") return operation;
  const { typeUrl, value } = operation.result.value;
  const changed = ExecuteResponse.encode(change(ExecuteResponse.decode(value))).finish();
  return { ...operation, result: { $case: "response", value: { typeUrl, value: changed } } };
}

/** A server that answers every Execute with another response. */
function responds(change: (right: ExecuteResponse) => ExecuteResponse): Twin["twists"] {
  return () => [
    twisted(execution.execute, { response: (operation) => [withResponse(operation, change)] }),
  ];
}

/** A server whose results are other than they are. */
function results(change: (right: ActionResult) => ActionResult): Twin["twists"] {
  return responds((right) =>
    right.result === undefined ? right : { ...right, result: change(right.result) },
  );
}

/** A server that tells missing blobs in another way. */
function names(change: (right: Status) => Status): Twin["twists"] {
  return () => [
    twisted(execution.execute, {
      response: (operation) => [
        withResponse(operation, (right) =>
          right.status === undefined ? right : { ...right, status: change(right.status) },
        ),
      ],
      status: (right) => {
        const [bytes] = right.metadata.get("grpc-status-details-bin");
        if (!(bytes instanceof Buffer)) return right;
        const changed = change(Status.decode(bytes));
        const metadata = right.metadata.clone();
        metadata.set("grpc-status-details-bin", Buffer.from(Status.encode(changed).finish()));
        return { ...right, code: changed.code, metadata };
      },
    }),
  ];
}

function violations(
  change: (all: PreconditionFailure["violations"]) => PreconditionFailure["violations"],
): Twin["twists"] {
  return names((right) => ({
    ...right,
    details: right.details.map(({ typeUrl, value }) => {
      const failure = { violations: change(PreconditionFailure.decode(value).violations) };
      return { typeUrl, value: PreconditionFailure.encode(failure).finish() };
    }),
  }));
}

const streamTwins: readonly Twin[] = [
  {
    wrong: "leaves out execution_metadata",
    topic: "execution",
    fails: ["a result names its worker", "all times of a result are set and in order"],
    twists: results((right) => ({ ...right, executionMetadata: undefined })),
  },
  {
    wrong: "says that actions were queued in the year 2100",
    topic: "execution",
    fails: ["all times of a result are set and in order"],
    twists: results((right) => ({
      ...right,
      executionMetadata: right.executionMetadata && {
        ...right.executionMetadata,
        queuedTimestamp: { seconds: 4_102_444_800, nanos: 0 },
      },
    })),
  },
  {
    wrong: "tells failing tools as Operation.error",
    topic: "execution",
    fails: [/never Operation\.error$/, /^an action that another kills/],
    twists: () => [
      twisted(execution.execute, {
        response: (operation) => {
          if (operation.result?.$case !== "response") return [operation];
          const { result } = ExecuteResponse.decode(operation.result.value.value);
          if (result === undefined || result.exitCode === 0) return [operation];
          const value = Status.fromPartial({ code: status.UNKNOWN, message: "it failed" });
          return [{ ...operation, result: { $case: "error" as const, value } }];
        },
      }),
    ],
  },
  {
    wrong: "goes back to the first stage at the end",
    topic: "execution",
    fails: ["stages only go forward, and the last one is COMPLETED"],
    twists: () => [
      twisted(execution.execute, {
        response: (operation) => {
          if (!operation.done || operation.metadata === undefined) return [operation];
          const metadata = ExecuteOperationMetadata.decode(operation.metadata.value);
          const value = ExecuteOperationMetadata.encode({ ...metadata, stage: 1 }).finish();
          return [{ ...operation, metadata: { typeUrl: operation.metadata.typeUrl, value } }];
        },
      }),
    ],
  },
  {
    wrong: "gives every message another name",
    topic: "execution",
    fails: [/^only the last message is done/],
    twists: () => [
      twisted(execution.execute, {
        response: (one) => [{ ...one, name: `${one.name}${one.done ? "-done" : ""}` }],
      }),
    ],
  },
  {
    wrong: "loses stderr",
    topic: "execution",
    fails: ["an action runs and says what it wrote"],
    twists: results((right) => ({
      ...right,
      stderrDigest: undefined,
      stderrRaw: new Uint8Array(),
    })),
  },
];

const policyTwins: readonly Twin[] = [
  {
    wrong: "words a timeout in its own way",
    topic: "policies",
    fails: [/^the message of a timeout/],
    twists: responds((right) => ({
      ...right,
      status: right.status && { ...right.status, message: "Timed out." },
    })),
  },
  {
    wrong: "answers a timeout with a failed call",
    topic: "policies",
    fails: [/^an action over its timeout/],
    twists: () => {
      const late = new Set<string>();
      return [
        twisted(execution.execute, {
          response: (operation, first) => {
            if (!isTimeout(operation)) return [operation];
            late.add(first?.actionDigest?.hash ?? "");
            return [];
          },
          status: (right, first) =>
            late.delete(first?.actionDigest?.hash ?? "")
              ? { ...right, code: status.DEADLINE_EXCEEDED, details: "execution timeout exceeded" }
              : right,
        }),
      ];
    },
  },
  {
    wrong: "ignores skip_cache_lookup",
    topic: "policies",
    fails: [/^skip_cache_lookup/],
    twists: () => [
      twisted(execution.execute, { request: (one) => ({ ...one, skipCacheLookup: false }) }),
    ],
  },
  {
    wrong: "never says that a result is cached",
    topic: "policies",
    fails: ["an action that ran is answered from the cache"],
    twists: responds((right) => ({ ...right, cachedResult: false })),
  },
  {
    wrong: "caches whatever ran",
    topic: "policies",
    fails: [/^an action that failed/, /^do_not_cache leaves/, /^a timeout is not cached/],
    twists: cachesEverything,
  },
];

function isTimeout(operation: Operation): boolean {
  if (operation.result?.$case !== "response") return false;
  const { status: inner } = ExecuteResponse.decode(operation.result.value.value);
  return inner?.code === status.DEADLINE_EXCEEDED;
}

function cachesEverything() {
  const resultByHash = new Map<string, ActionResult>();
  return [
    twisted(execution.execute, {
      response: (operation, first) => {
        if (operation.result?.$case === "response") {
          const { result } = ExecuteResponse.decode(operation.result.value.value);
          if (result !== undefined) resultByHash.set(first?.actionDigest?.hash ?? "", result);
        }
        return [operation];
      },
    }),
    twisted(actionCache.getActionResult, {
      answer: ({ actionDigest }) => {
        const found = resultByHash.get(actionDigest?.hash ?? "");
        return found && [found];
      },
    }),
  ];
}

const missingTwins: readonly Twin[] = [
  {
    wrong: "adds a second detail",
    topic: "missing-blobs",
    fails: [/^what is missing comes as exactly one detail/],
    twists: names((right) => ({
      ...right,
      details: [
        ...right.details,
        { typeUrl: "type.googleapis.com/google.rpc.DebugInfo", value: new Uint8Array() },
      ],
    })),
  },
  {
    wrong: "names only one of the missing blobs",
    topic: "missing-blobs",
    fails: [/^missing files and folders deep/],
    twists: violations((all) => all.slice(0, 1)),
  },
  {
    wrong: "names the function where it need not",
    topic: "missing-blobs",
    fails: [/named/, /^a violation names/, /exactly one detail/, /^a missing input ends/],
    twists: violations((all) =>
      all.map((one) => ({ ...one, subject: one.subject.replace("blobs/", "blobs/sha256/") })),
    ),
  },
];

const outputTwins: readonly Twin[] = [
  {
    wrong: "sends only the root digest of folders",
    topic: "outputs",
    fails: [
      /^output_files and output_directories still/,
      /^an output folder is a Tree/,
      /^a Tree is said/,
      /^TREE_AND_DIRECTORY/,
      /^the whole working/,
    ],
    twists: results((right) => ({
      ...right,
      outputDirectories: right.outputDirectories.map((one) => ({ ...one, treeDigest: undefined })),
    })),
  },
  {
    wrong: "keeps symlinks to itself",
    topic: "outputs",
    fails: [/^symlinks stay symlinks/, /^symlinks are in output_symlinks/],
    twists: results((right) => ({ ...right, outputSymlinks: [] })),
  },
  {
    wrong: "forgets executable bits",
    topic: "outputs",
    fails: ["output files come with content and executable bit"],
    twists: results((right) => ({
      ...right,
      outputFiles: right.outputFiles.map((one) => ({ ...one, isExecutable: false })),
    })),
  },
];

const known = /operations\/[a-z0-9]+-[0-9a-f]+-[0-9]+\//;

const operationTwins: readonly Twin[] = [
  {
    wrong: "is silent about operations that it does not know",
    topic: "operations",
    fails: ["a name that nobody ever gave is NOT_FOUND at once"],
    deadlineMs: 4000,
    twists: () => [
      twisted(execution.waitExecution, {
        refuse: ({ name }) => (known.test(name) ? undefined : "silence"),
      }),
    ],
  },
  {
    wrong: "says OK and nothing else of operations that it does not know",
    topic: "operations",
    fails: ["a name that nobody ever gave is NOT_FOUND at once"],
    twists: () => [
      twisted(execution.waitExecution, {
        status: (right) => ({ ...right, code: status.OK, details: "" }),
      }),
    ],
  },
  {
    wrong: "forgets operations when they end",
    topic: "operations",
    fails: [/^an operation that has ended/, /^a failed action that has ended/],
    twists: () => {
      const ended = new Set<string>();
      return [
        twisted(execution.execute, {
          response: (operation) => {
            if (operation.done) ended.add(operation.name);
            return [operation];
          },
        }),
        twisted(execution.waitExecution, {
          refuse: ({ name }) => (ended.has(name) ? notFound : undefined),
        }),
      ];
    },
  },
  {
    wrong: "says that it cancels, and does not",
    topic: "operations",
    fails: ["a cancelled operation ends as CANCELLED, and at once"],
    deadlineMs: 4000,
    twists: () => [twisted(operations.cancelOperation, { answer: () => [{}] })],
  },
  {
    wrong: "says of running operations that they are done",
    topic: "operations",
    fails: [/^an operation can be looked at/],
    twists: () => [
      twisted(operations.getOperation, { response: (one) => [{ ...one, done: true }] }),
    ],
  },
];

/** Twins that are wrong about executing. */
export const executionTwins: readonly Twin[] = [
  ...streamTwins,
  ...policyTwins,
  ...missingTwins,
  ...outputTwins,
  ...operationTwins,
];
