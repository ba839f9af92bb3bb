// The nodes that a build was given, any of which does: one is in use until it is gone, then the
// next. What is known of a node (its connection, what it has) is forgotten when it is left.

import type { Store } from "../cas/open-store.ts";
import { failureOf, MeshError } from "../core/error.ts";
import { ContentAddressableStorageDefinition } from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { grpcDefinition } from "../wire/grpc-definition.ts";
import type { Endpoint } from "./endpoint.ts";
import { type NodeBlobs, openNodeBlobs } from "./node-blobs.ts";
import { connect, pause, type ReapiClient } from "./reapi-client.ts";

const { findMissingBlobs } = grpcDefinition(ContentAddressableStorageDefinition);

/** One node of the list. */
export interface ReachableNode {
  readonly endpoint: Endpoint;
  readonly client: ReapiClient;
  /** It answered since it was last left. */
  readonly hasAnswered: boolean;
  /** Its blobs; asks it first whether it answers, where another could be asked instead. */
  blobs(): Promise<NodeBlobs>;
  /** Keys of blobs that it is known to have. */
  readonly presentKeys: Set<string>;
  /** Uploads under way, by key. */
  readonly uploads: Map<string, Promise<void>>;
}

/** The list. */
export interface ReachableNodes {
  readonly current: ReachableNode;
  /** Whether there is more than one. */
  readonly isSeveral: boolean;
  /** Times that work is tried, all nodes together; fewer while none has answered yet. */
  readonly attemptsMax: number;
  /** Says that a node is gone: forgets what is known of it and goes on at the next. */
  leave(node: ReachableNode): void;
  /** Reads at the node in use, then at the others; NOT_FOUND only where none has it. */
  read<T>(work: (blobs: NodeBlobs) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** What the list works with. */
export interface ReachableDeps {
  /** This machine's store, if there is one: a node that has the same gets its blobs there. */
  readonly openStore: () => Promise<Store | undefined>;
  /** Told when a node is left for another. */
  readonly onGone: (from: Endpoint, to: Endpoint) => void;
  /** Told when a node answered for the first time. */
  readonly onReached: (node: Endpoint) => void;
}

/** A node that does not answer for so long, in ms, is left where there is another. */
const answerMs = 3_000;
/** Tries of work: with one node, for each of several, and for each while none has answered. */
const attempts = { alone: 5, each: 4, eachAtFirst: 2 };

interface Held extends ReachableNode {
  opened: Promise<NodeBlobs> | undefined;
  hasAnswered: boolean;
  /** It was left, and that was told. */
  wasLeft: boolean;
}

/** Creates the list; nothing is connected before it is used. `endpoints` has at least one. */
export function createReachableNodes(
  deps: ReachableDeps,
  endpoints: readonly Endpoint[],
): ReachableNodes {
  const isSeveral = endpoints.length > 1;
  const store = sharedStore(deps.openStore);
  const nodes: readonly Held[] = endpoints.map(hold);
  let at = 0;
  let hasAnyAnswered = false;

  function hold(endpoint: Endpoint): Held {
    // Whoever can go elsewhere does so instead of trying long, and notices silence.
    const client = isSeveral
      ? connect(endpoint, { attemptsMax: 1, pings: true })
      : connect(endpoint);
    const held: Held = {
      endpoint,
      client,
      presentKeys: new Set(),
      uploads: new Map(),
      opened: undefined,
      hasAnswered: false,
      wasLeft: false,
      blobs: () => {
        held.opened ??= open(held);
        const opening = held.opened;
        // Once is not for ever: it is tried again after a failure.
        opening.catch(() => {
          if (held.opened === opening) held.opened = undefined;
        });
        return opening;
      },
    };
    return held;
  }

  async function open(node: Held): Promise<NodeBlobs> {
    if (isSeveral) await answered(node.client, node.endpoint);
    const blobs = await openNodeBlobs(node.client, node.endpoint, store.open);
    if (!node.hasAnswered) deps.onReached(node.endpoint);
    node.hasAnswered = true;
    hasAnyAnswered = true;
    return blobs;
  }

  function current(): Held {
    const node = nodes[at];
    if (node === undefined) throw new MeshError("INVALID_ARGUMENT", "No node was named.");
    return node;
  }

  function leave(left: ReachableNode): void {
    const node = current();
    if (node !== left) return;
    node.presentKeys.clear();
    node.uploads.clear();
    node.opened = undefined;
    if (!isSeveral) return;
    at = (at + 1) % nodes.length;
    // All may be away: who goes round and round says so once.
    if (node.hasAnswered || !node.wasLeft) deps.onGone(node.endpoint, current().endpoint);
    node.hasAnswered = false;
    node.wasLeft = true;
  }

  async function readAt<T>(
    node: ReachableNode,
    work: (blobs: NodeBlobs) => Promise<T>,
  ): Promise<T> {
    try {
      return await work(await node.blobs());
    } catch (error) {
      if (failureOf(error).code !== "NOT_FOUND") throw error;
      for (const other of nodes.filter((candidate) => candidate !== node)) {
        const found = await other
          .blobs()
          .then(work)
          .then((value) => ({ value }))
          .catch(() => undefined);
        if (found !== undefined) return found.value;
      }
      throw error;
    }
  }

  const attemptsMax = () => {
    if (!isSeveral) return attempts.alone;
    return nodes.length * (hasAnyAnswered ? attempts.each : attempts.eachAtFirst);
  };
  return {
    get current() {
      return current();
    },
    isSeveral,
    get attemptsMax() {
      return attemptsMax();
    },
    leave,
    read: async (work) => {
      for (let attempt = 1; ; attempt += 1) {
        const node = current();
        try {
          return await readAt(node, work);
        } catch (error) {
          if (failureOf(error).code !== "UNAVAILABLE" || attempt >= attemptsMax()) throw error;
          leave(node);
        }
        await pause(attempt);
      }
    },
    close: async () => {
      for (const { client } of nodes) client.close();
      await store.close();
    },
  };
}

/** A node that is frozen or cut off answers nothing: UNAVAILABLE after `answerMs`. */
async function answered(client: ReapiClient, { address }: Endpoint): Promise<void> {
  const request = { instanceName: "", blobDigests: [], digestFunction: 1 as const };
  try {
    await client.call(findMissingBlobs, request, { timeoutMs: answerMs });
  } catch (error) {
    if (failureOf(error).code !== "DEADLINE_EXCEEDED") throw error;
    throw new MeshError("UNAVAILABLE", `${address} does not answer.`, { cause: error });
  }
}

/** One store for all nodes, opened when first asked for: whoever closes it leaves it open. */
function sharedStore(openStore: () => Promise<Store | undefined>) {
  let opened: Promise<Store | undefined> | undefined;
  return {
    open: async () => {
      opened ??= openStore();
      const store = await opened;
      return store && { ...store, close: async () => {} };
    },
    close: async () => {
      await (await opened)?.close();
    },
  };
}
