// A wrong server: a proxy before a right one that changes single messages on their way. Whoever
// checks servers must be checked himself: each twin breaks one rule, and its case has to notice.

import {
  Client,
  credentials,
  type Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type StatusObject,
  status,
} from "@grpc/grpc-js";
import * as reapi from "../../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { ByteStreamDefinition } from "../../../src/wire/gen/google/bytestream/bytestream.ts";
import { OperationsDefinition } from "../../../src/wire/gen/google/longrunning/operations.ts";
import type { MethodDefinition } from "../../../src/wire/grpc-definition.ts";

/** How a call may end: with a status, in silence, or as the right server ends it. */
export type End = Pick<StatusObject, "code" | "details"> | "silence" | undefined;

/** What is done to the calls of one method. */
export interface Twist<Q, S> {
  /** The message that the right server gets instead. */
  readonly request?: (request: Q) => Q;
  /** The messages that the client gets instead of one. */
  readonly response?: (response: S, first: Q | undefined) => readonly S[];
  /** Ends the call before the right server hears of this message. */
  readonly refuse?: (request: Q, metadata: Metadata) => End;
  /** Answers instead of the right server. */
  readonly answer?: (request: Q) => readonly S[] | undefined;
  /** The status instead of the right one, and what is sent before it. */
  readonly status?: (right: StatusObject, first: Q | undefined) => StatusObject;
  readonly last?: (right: StatusObject, first: Q | undefined) => S | undefined;
}

/** A twist bound to its method, with messages as bytes. */
export interface BoundTwist {
  readonly path: string;
  /** False for bytes that are no message of the method: they are passed on as they are. */
  reads(bytes: Buffer): boolean;
  readonly twist: Twist<Buffer, Buffer>;
}

/** Binds a twist to a method. */
export function twisted<Q, S>(method: MethodDefinition<Q, S>, twist: Twist<Q, S>): BoundTwist {
  const { request, response, refuse, answer, status: end, last } = twist;
  const readQ = (bytes: Buffer) => method.requestDeserialize(bytes);
  const readFirst = (bytes: Buffer | undefined) => (bytes === undefined ? undefined : readQ(bytes));
  const writeS = (message: S) => method.responseSerialize(message);
  return {
    path: method.path,
    reads: (bytes) => {
      try {
        readQ(bytes);
        return true;
      } catch {
        return false;
      }
    },
    twist: {
      ...(request && { request: (bytes) => method.requestSerialize(request(readQ(bytes))) }),
      ...(response && {
        response: (bytes, first) =>
          response(method.responseDeserialize(bytes), readFirst(first)).map(writeS),
      }),
      ...(refuse && { refuse: (bytes, metadata) => refuse(readQ(bytes), metadata) }),
      ...(answer && { answer: (bytes) => answer(readQ(bytes))?.map(writeS) }),
      ...(end && { status: (right, first) => end(right, readFirst(first)) }),
      ...(last && {
        last: (right, first) => {
          const message = last(right, readFirst(first));
          return message === undefined ? undefined : writeS(message);
        },
      }),
    },
  };
}

/** One wrong server. */
export interface Twin {
  /** What it does wrong. */
  readonly wrong: string;
  /** A topic of the suite. */
  readonly topic: string;
  /** The cases that must fail, all others of the topic must not. */
  readonly fails: readonly (string | RegExp)[];
  /** New twists for every run: some remember. */
  readonly twists: () => readonly BoundTwist[];
  /** Instead of the cases' own deadlines, where the twin hangs. */
  readonly deadlineMs?: number;
}

const same = (bytes: Buffer) => bytes;

const services = [
  reapi.CapabilitiesDefinition,
  reapi.ContentAddressableStorageDefinition,
  reapi.ActionCacheDefinition,
  reapi.ExecutionDefinition,
  ByteStreamDefinition,
  OperationsDefinition,
];

/** A running twin. */
export interface RunningTwin {
  readonly address: string;
  close(): void;
}

/** Starts a twin of the server at `upstream` (HOST:PORT). */
export async function startTwin(
  upstream: string,
  twists: readonly BoundTwist[],
): Promise<RunningTwin> {
  const client = new Client(upstream, credentials.createInsecure(), {
    "grpc.use_local_subchannel_pool": 1,
  });
  const server = new Server({ "grpc.max_receive_message_length": 8 << 20 });
  const twistByPath = new Map(twists.map((twist) => [twist.path, twist]));
  for (const generated of services) {
    const methods = Object.entries(generated.methods).map(([key, { name }]) => {
      const path = `/${generated.fullName}/${name}`;
      // On the wire every call is two streams, so that one kind of handler serves all.
      const method = {
        path,
        requestStream: true,
        responseStream: true,
        requestSerialize: same,
        requestDeserialize: same,
        responseSerialize: same,
        responseDeserialize: same,
      };
      const twist = twistByPath.get(path);
      const handle = (call: Call) => relay(client, path, twist, call);
      return { key, method, handle };
    });
    server.addService(
      Object.fromEntries(methods.map(({ key, method }) => [key, method])),
      Object.fromEntries(methods.map(({ key, handle }) => [key, handle])),
    );
  }
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  return {
    address: `127.0.0.1:${port}`,
    close: () => {
      server.forceShutdown();
      client.close();
    },
  };
}

type Call = ServerDuplexStream<Buffer, Buffer>;

function relay(client: Client, path: string, bound: BoundTwist | undefined, call: Call): void {
  const upstream = client.makeBidiStreamRequest(path, same, same, call.metadata);
  let twist = bound?.twist ?? {};
  let first: Buffer | undefined;
  let over = false;
  const finish = (end: Pick<StatusObject, "code" | "details"> & Partial<StatusObject>) => {
    if (over) return;
    over = true;
    upstream.cancel();
    if (end.code === status.OK) call.end();
    else call.emit("error", end);
  };
  call.on("data", (bytes: Buffer) => {
    if (over) return;
    if (bound?.reads(bytes) === false) twist = {};
    first ??= bytes;
    const end = twist.refuse?.(bytes, call.metadata);
    if (end === "silence") over = true;
    else if (end !== undefined) finish(end);
    const answer = end === undefined ? twist.answer?.(bytes) : undefined;
    if (answer !== undefined) {
      for (const message of answer) call.write(message);
      finish({ code: status.OK, details: "" });
    }
    if (over) return;
    const room = upstream.write(twist.request?.(bytes) ?? bytes);
    if (room) return;
    call.pause();
    upstream.once("drain", () => call.resume());
  });
  call.on("end", () => upstream.end());
  call.on("cancelled", () => upstream.cancel());
  call.on("error", () => undefined);
  upstream.on("data", (bytes: Buffer) => {
    if (over) return;
    for (const message of twist.response?.(bytes, first) ?? [bytes]) call.write(message);
  });
  upstream.on("error", () => undefined);
  upstream.on("status", (right: StatusObject) => {
    const message = over ? undefined : twist.last?.(right, first);
    if (message !== undefined) call.write(message);
    finish(twist.status?.(right, first) ?? right);
  });
}
