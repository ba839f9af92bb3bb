// What the core needs of the store to have lost blobs made again (core/remaking.ts), and what it
// is told: which results clients got, and which blobs they miss.

import { randomUUID } from "node:crypto";
import { Metadata } from "@grpc/grpc-js";
import type { BlobStore } from "../cas/blob-store.ts";
import { namedBlobs } from "../cas/completeness.ts";
import { directoryClosure } from "../cas/directory-closure.ts";
import { type Digest, digestKey } from "../core/digest.ts";
import { failureOf } from "../core/error.ts";
import type { Claimant, Maker, RemakingEffect, RemakingInput } from "../core/remaking-options.ts";
import {
  type ActionResult,
  ExecuteResponse,
} from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { missingDigests, missingOf } from "../wire/status.ts";
import { roleOf } from "./access.ts";
import { checkAction, claimantOf, toActionRequest } from "./action-request.ts";
import type { IngressBounds } from "./bounds.ts";
import type { Call } from "./handlers.ts";
import type { OperationSubject } from "./operations.ts";
import { hasRight } from "./roles.ts";

/** Whose something is. */
type Client = Pick<Claimant, "user" | "invocation">;

/** Lost blobs, as the ingress's services see them. */
export interface LostBlobs {
  /** Does what the core wants, and tells it the outcome. */
  perform(effect: RemakingEffect): void;
  /** A client was told a result of this action that names `blobs`. */
  told(by: Client, of: OperationSubject, blobs: readonly Digest[]): void;
  /** A client is about to be told `result`. */
  toldResult(by: Client, of: OperationSubject, result: ActionResult): Promise<void>;
  /**
   * Has those of `blobs` made again whose makers this client was told of. Resolves when nothing
   * more can be done, true where something was made; a call that ends first does not stop it.
   */
  recover(blobs: readonly Digest[], call: Pick<Call, "metadata" | "peer">): Promise<boolean>;
}

/** The core, as far as it is about lost blobs. */
export interface Remaker {
  tell(input: RemakingInput): void;
  /** False where none of these can be made again for this client, as most cannot. */
  knowsMaker(by: Client, blobs: readonly Digest[]): boolean;
}

/** What they are looked after with. */
export interface LostBlobsDeps {
  readonly store: BlobStore;
  /** The core; undefined: there is none, and what is lost stays lost. */
  readonly remaker?: Remaker;
  /** This node's toolchain, for actions that name none. */
  readonly toolchain?: () => string;
}

/** Bound: blobs of one failed action that are read to see whether they are there. */
const looksMax = 1000;
/** Bound: actions whose inputs are looked for at once. */
const looksAtOnce = 16;

/** Looks after the lost blobs of one ingress. */
export function createLostBlobs(deps: LostBlobsDeps, bounds: IngressBounds): LostBlobs {
  const { store, remaker } = deps;
  const remake = (input: RemakingInput) => remaker?.tell(input);
  const settledByWant = new Map<string, (made: boolean) => void>();
  const looks: (() => Promise<void>)[] = [];
  let lookers = 0;

  function look(work: () => Promise<void>): void {
    looks.push(work);
    if (lookers >= looksAtOnce) return;
    lookers += 1;
    void lookOn().finally(() => {
      lookers -= 1;
    });
  }

  async function lookOn(): Promise<void> {
    for (let work = looks.shift(); work !== undefined; work = looks.shift()) await work();
  }

  function told(by: Client, { instance, action }: OperationSubject, blobs: readonly Digest[]) {
    if (blobs.length === 0) return;
    const maker: Maker = { action, instance, toolchain: deps.toolchain?.() ?? "" };
    const { user, invocation } = by;
    remake({ kind: "told", by: { user, invocation }, maker, blobs });
  }

  return {
    perform: (effect) => {
      if (effect.kind === "examine") {
        look(async () => remake(await examine(store, effect, bounds)));
      } else if (effect.kind === "prepare") {
        look(async () => remake(await prepare(store, effect, bounds)));
      } else {
        settledByWant.get(effect.want)?.(effect.made);
        settledByWant.delete(effect.want);
      }
    },
    told,
    toldResult: async (by, { instance, action }, result) => {
      if (result.exitCode !== 0) return;
      const named = await namedBlobs(store, result, action.fn).catch(() => undefined);
      told(by, { instance, action }, named ?? []);
    },
    recover: (blobs, call) => {
      const by = claimantOf(call);
      // Who may only read has no actions run.
      const mayRun = hasRight(roleOf(call.metadata), "execute");
      if (!mayRun || !remaker?.knowsMaker(by, blobs)) return Promise.resolve(false);
      const { promise, resolve } = Promise.withResolvers<boolean>();
      const want = randomUUID();
      settledByWant.set(want, resolve);
      remake({ kind: "wanted", want, by: { ...by, priority: 0 }, blobs });
      return promise;
    },
  };
}

type Asked<K extends RemakingEffect["kind"]> = Extract<RemakingEffect, { kind: K }>;

/** Never rejects: what cannot be read is no reason to make anything again. */
async function examine(
  store: BlobStore,
  { operation, action, response }: Asked<"examine">,
  bounds: IngressBounds,
): Promise<RemakingInput> {
  const found = { kind: "examined", operation, missing: [], made: [] } as const;
  try {
    const bytes = await store.get(response, bounds.responseBytesMax);
    const { status, result } = ExecuteResponse.decode(bytes);
    const lacked = status === undefined ? [] : missingDigests(status);
    if (lacked.length > 0) {
      const gone = await gonesOf(store, lacked);
      const { missing } = await checkInputs(store, action, bounds);
      return { ...found, ending: "lacked", missing: distinct([...gone, ...missing]) };
    }
    if (result === undefined || (status?.code ?? 0) !== 0) return { ...found, ending: "refused" };
    const named = (await namedBlobs(store, result, action.fn)) ?? [];
    const gone = new Set((await gonesOf(store, named)).map(digestKey));
    const made = named.filter((digest) => !gone.has(digestKey(digest)));
    return { ...found, ending: "ran", made };
  } catch {
    return { ...found, ending: "refused" };
  }
}

async function prepare(
  store: BlobStore,
  { job, maker, by }: Asked<"prepare">,
  bounds: IngressBounds,
): Promise<RemakingInput> {
  try {
    const { checked, missing } = await checkInputs(store, maker.action, bounds);
    const { instance, toolchain } = maker;
    const call = { instance, toolchain, priority: by.priority, skipCacheLookup: true };
    const nobody = { metadata: new Metadata(), peer: "" };
    const request = toActionRequest(maker.action, checked, { ...call, ...nobody });
    return { kind: "prepared", job, request, missing };
  } catch (error) {
    const { code, message } = failureOf(error);
    const [missing] = missingOf(error);
    const which = missing === undefined ? "" : ` (${missing.hash})`;
    return { kind: "unprepared", job, failure: { code, message: `${message}${which}` } };
  }
}

/** An action's messages, and which of its inputs are nowhere. Rejects as `checkAction` does. */
async function checkInputs(store: BlobStore, action: Digest, bounds: IngressBounds) {
  const checked = await checkAction(store, action, bounds);
  const { named, absent } = await directoryClosure(store, checked.inputRoot);
  return { checked, missing: [...absent, ...(await store.missing(named))] };
}

/**
 * Which of these cannot be read. A worker missed them, and this process may have seen them a moment
 * ago: it must not answer with results that name them while they are made again.
 */
async function gonesOf(store: BlobStore, digests: readonly Digest[]): Promise<readonly Digest[]> {
  const looked = digests.slice(0, looksMax);
  for (const digest of looked) {
    try {
      for await (const _ of store.read(digest, { offset: 0, limit: 1 })) break;
    } catch {
      // That is known now.
    }
  }
  return store.missing(digests);
}

function distinct(digests: readonly Digest[]): Digest[] {
  return [...new Map(digests.map((digest) => [digestKey(digest), digest])).values()];
}
