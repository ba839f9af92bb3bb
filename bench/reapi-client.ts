// Plain REAPI calls against any address, for measuring.

import { type CallOptions, Client, credentials, Metadata } from "@grpc/grpc-js";
import { digestOf } from "../src/cas/hash.ts";
import {
  Action,
  ActionCacheDefinition,
  type ActionResult,
  Command,
  ContentAddressableStorageDefinition,
  type Digest,
  Directory,
  type ExecuteResponse,
  ExecuteResponse as ExecuteResponseType,
  ExecutionDefinition,
  RequestMetadata,
} from "../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { ByteStreamDefinition } from "../src/wire/gen/google/bytestream/bytestream.ts";
import { grpcDefinition, type MethodDefinition } from "../src/wire/grpc-definition.ts";
import { toWireDigest } from "../src/wire/reapi.ts";

const cas = grpcDefinition(ContentAddressableStorageDefinition);
const cache = grpcDefinition(ActionCacheDefinition);
const execution = grpcDefinition(ExecutionDefinition);
const bytes = grpcDefinition(ByteStreamDefinition);

/** One client connection. */
export interface Reapi {
  readonly client: Client;
  /** Uploads a no-op action that nobody ran before: its salt is `unique` and this process. */
  uploadAction(unique: string): Promise<Digest>;
  /** Many of them in few batches. */
  uploadActions(count: number, unique: string): Promise<Digest[]>;
  /** An action for each command line. */
  uploadCommands(lines: readonly (readonly string[])[], unique: string): Promise<Digest[]>;
  /** `names` tell the node which action of a build it is. */
  execute(action: Digest, names?: Partial<RequestMetadata>): Promise<ExecuteResponse>;
  /** Batches of 2000 blobs. */
  batchWrite(blobs: readonly Uint8Array[]): Promise<Digest[]>;
  /** One blob by ByteStream, in messages of 1 MiB. */
  write(digest: Digest, blob: Uint8Array): Promise<void>;
  read(digest: Digest): Promise<Buffer>;
  /** Bytes of a blob, received and dropped. */
  drain(digest: Digest): Promise<number>;
  /** A question for `count` digests, of which none exists, ready to be asked. */
  findMissing(count: number): () => Promise<void>;
  updateResult(action: Digest, result: ActionResult): Promise<void>;
  /** A question ready to be asked; the answer is received and dropped. */
  getResult(action: Digest): () => Promise<void>;
  close(): void;
}

const salt = `${process.pid} ${performance.timeOrigin}`;
const batchBlobs = 1000;

/** Connects, with a connection of its own. */
export function reapiClient(address: string): Reapi {
  const options = {
    "grpc.max_receive_message_length": 16 << 20,
    // grpc-js shares connections between clients of one address otherwise.
    "grpc.use_local_subchannel_pool": 1,
  };
  const client = new Client(address, credentials.createInsecure(), options);
  const call = <Q, S>(method: MethodDefinition<Q, S>, request: Q, how: CallOptions = {}) =>
    new Promise<S>((resolve, reject) => {
      const { path, requestSerialize, responseDeserialize } = method;
      client.makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        how,
        (error, answer) =>
          error === null && answer !== undefined ? resolve(answer) : reject(error),
      );
    });

  /** The server is measured, not this client: encoded before the clock starts, never decoded. */
  function prepared<Q, S>(method: MethodDefinition<Q, S>, request: Q): () => Promise<void> {
    const encoded = method.requestSerialize(request);
    return () =>
      new Promise((resolve, reject) => {
        const given = (bytes: Buffer) => bytes;
        client.makeUnaryRequest(method.path, given, given, encoded, (error) =>
          error === null ? resolve() : reject(error),
        );
      });
  }

  async function batchWrite(blobs: readonly Uint8Array[]): Promise<Digest[]> {
    const digests: Digest[] = [];
    for (let at = 0; at < blobs.length; at += batchBlobs) {
      const requests = await Promise.all(
        blobs.slice(at, at + batchBlobs).map(async (data) => ({
          digest: toWireDigest(await digestOf(data, "sha256")),
          data,
          compressor: 0 as const,
        })),
      );
      const answer = await call(cas.batchUpdateBlobs, {
        instanceName: "",
        requests,
        digestFunction: 1,
      });
      for (const { digest, status } of answer.responses) {
        if ((status?.code ?? 0) !== 0) throw new Error(`${status?.code} ${status?.message}`);
        if (digest !== undefined) digests.push(digest);
      }
    }
    return digests;
  }

  async function uploadActions(count: number, unique: string): Promise<Digest[]> {
    const command = Command.encode(Command.fromPartial({ arguments: ["/bin/true"] })).finish();
    const root = Directory.encode(Directory.fromPartial({})).finish();
    const commandDigest = toWireDigest(await digestOf(command, "sha256"));
    const inputRootDigest = toWireDigest(await digestOf(root, "sha256"));
    const actions = Array.from({ length: count }, (_, at) => {
      const own = Buffer.from(`${salt} ${unique} ${at}`);
      return Action.encode(
        Action.fromPartial({ commandDigest, inputRootDigest, salt: own }),
      ).finish();
    });
    return (await batchWrite([command, root, ...actions])).slice(2);
  }

  async function uploadCommands(lines: readonly (readonly string[])[], unique: string) {
    const root = Directory.encode(Directory.fromPartial({})).finish();
    const inputRootDigest = toWireDigest(await digestOf(root, "sha256"));
    const blobs = await Promise.all(
      lines.map(async (line, at) => {
        const command = Command.encode(Command.fromPartial({ arguments: [...line] })).finish();
        const commandDigest = toWireDigest(await digestOf(command, "sha256"));
        const own = Buffer.from(`${salt} ${unique} ${at}`);
        const action = Action.fromPartial({ commandDigest, inputRootDigest, salt: own });
        return { command, action: Action.encode(action).finish() };
      }),
    );
    await batchWrite([root, ...blobs.map(({ command }) => command)]);
    return batchWrite(blobs.map(({ action }) => action));
  }

  return {
    client,
    batchWrite,
    uploadActions,
    uploadCommands,
    uploadAction: async (unique) => {
      const [action] = await uploadActions(1, unique);
      if (action === undefined) throw new Error("nothing was uploaded");
      return action;
    },
    execute: async (actionDigest, names = {}) => {
      const { path, requestSerialize, responseDeserialize } = execution.execute;
      const request = {
        instanceName: "",
        skipCacheLookup: false,
        actionDigest,
        executionPolicy: undefined,
        resultsCachePolicy: undefined,
        digestFunction: 0 as const,
        inlineStdout: false,
        inlineStderr: false,
        inlineOutputFiles: [],
      };
      const stream = client.makeServerStreamRequest(
        path,
        requestSerialize,
        responseDeserialize,
        request,
        named(names),
      );
      for await (const operation of stream) {
        if (!operation.done) continue;
        if (operation.result?.$case !== "response")
          throw new Error("an operation without response");
        return ExecuteResponseType.decode(operation.result.value.value);
      }
      throw new Error("the stream ended before the operation");
    },
    write: (digest, blob) => writeStream(client, blob, digest),
    read: async (digest) => {
      const parts: Uint8Array[] = [];
      for await (const { data } of readStream(client, digest)) parts.push(data);
      return Buffer.concat(parts);
    },
    drain: async (digest) => {
      let length = 0;
      for await (const { data } of readStream(client, digest)) length += data.length;
      return length;
    },
    findMissing: (count) => {
      const blobDigests = Array.from({ length: count }, (_, at) => ({
        hash: at.toString(16).padStart(64, "0"),
        sizeBytes: 2048,
      }));
      const request = { instanceName: "", blobDigests, digestFunction: 1 as const };
      return prepared(cas.findMissingBlobs, request);
    },
    updateResult: async (actionDigest, actionResult) => {
      const resultsCachePolicy = undefined;
      const request = { instanceName: "", actionDigest, actionResult, resultsCachePolicy };
      await call(cache.updateActionResult, { ...request, digestFunction: 1 });
    },
    getResult: (actionDigest) =>
      prepared(cache.getActionResult, {
        instanceName: "",
        actionDigest,
        inlineStdout: false,
        inlineStderr: false,
        inlineOutputFiles: [],
        digestFunction: 1,
      }),
    close: () => client.close(),
  };
}

function named(names: Partial<RequestMetadata>): Metadata {
  const metadata = new Metadata();
  const value = Buffer.from(RequestMetadata.encode(RequestMetadata.fromPartial(names)).finish());
  metadata.set("build.bazel.remote.execution.v2.requestmetadata-bin", value);
  return metadata;
}

function readStream(client: Client, { hash, sizeBytes }: Digest) {
  const { path, requestSerialize, responseDeserialize } = bytes.read;
  const request = { resourceName: `blobs/${hash}/${sizeBytes}`, readOffset: 0, readLimit: 0 };
  return client.makeServerStreamRequest(path, requestSerialize, responseDeserialize, request);
}

const messageBytes = 1 << 20;

function writeStream(client: Client, blob: Uint8Array, { hash, sizeBytes }: Digest) {
  const resourceName = `uploads/${crypto.randomUUID()}/blobs/${hash}/${sizeBytes}`;
  return new Promise<void>((resolve, reject) => {
    const { path, requestSerialize, responseDeserialize } = bytes.write;
    const upload = client.makeClientStreamRequest(
      path,
      requestSerialize,
      responseDeserialize,
      (error) => (error === null ? resolve() : reject(error)),
    );
    upload.on("error", () => undefined);
    const send = async () => {
      for (let at = 0; at < blob.length || at === 0; at += messageBytes) {
        const data = blob.subarray(at, at + messageBytes);
        const finishWrite = at + messageBytes >= blob.length;
        const more = upload.write({
          resourceName: at === 0 ? resourceName : "",
          writeOffset: at,
          finishWrite,
          data,
        });
        if (!more) await new Promise<void>((drained) => upload.once("drain", () => drained()));
        if (blob.length === 0) break;
      }
      upload.end();
    };
    send().catch(reject);
  });
}
