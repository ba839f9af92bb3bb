// From an Execute call to what the core schedules: the messages are fetched and checked, the
// client's hints become fairness and estimate keys, its platform becomes demands.

import type { Metadata } from "@grpc/grpc-js";
import type { BlobStore } from "../cas/blob-store.ts";
import type { ActionRequest } from "../core/action.ts";
import type { Digest } from "../core/digest.ts";
import { failureOf, MeshError } from "../core/error.ts";
import { anyToolchain, toolchainProperty } from "../core/house-toolchain.ts";
import { networkAsked, networkGiven, networkProperty } from "../core/network-policy.ts";
import {
  Action,
  Command,
  type Platform,
  RequestMetadata,
} from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { fromDuration, fromWireDigest } from "../wire/reapi.ts";
import { callerNameOf } from "./access.ts";
import type { IngressBounds } from "./bounds.ts";
import { checkInstance } from "./instance-name.ts";
import { scopeOf } from "./toolchain-scope.ts";

/** An action whose messages are there and make sense. */
export interface CheckedAction {
  readonly action: Action;
  readonly command: Command;
  readonly inputRoot: Digest;
}

/** Bounds of what an action may be. */
export type ActionBounds = Pick<IngressBounds, "timeoutMsMax" | "messageBytesMax">;

/**
 * Bounds of a platform, well within what the peer protocol carries (proto/builder/mesh/v1): a
 * worker drops the link to a node whose offer breaks them, so no client may cause such an offer.
 */
export const platformBounds = { propertiesMax: 64, nameCharsMax: 256, valueCharsMax: 1024 };

/** Bounds of texts that are only hints; longer ones are cut. */
const hintBounds = { userCharsMax: 256, invocationCharsMax: 256, kindCharsMax: 1024 };

const metadataKey = "build.bazel.remote.execution.v2.requestmetadata-bin";

/**
 * Fetches and checks an action. FAILED_PRECONDITION names missing blobs, INVALID_ARGUMENT what is
 * malformed. Of the input tree only the root is looked for here; the worker checks the rest.
 */
export async function checkAction(
  store: BlobStore,
  digest: Digest,
  bounds: ActionBounds,
): Promise<CheckedAction> {
  const action = await fetchMessage(store, digest, "Action", Action, bounds);
  const commandDigest = fromWireDigest(action.commandDigest, digest.fn, "Action.command_digest");
  const inputRoot = fromWireDigest(action.inputRootDigest, digest.fn, "Action.input_root_digest");
  const missing = await store.missing([commandDigest, inputRoot]);
  if (missing.length > 0) throw missingBlobs("The command or the input root is missing.", missing);
  const command = await fetchMessage(store, commandDigest, "Command", Command, bounds);
  if (command.arguments.length === 0) {
    throw new MeshError("INVALID_ARGUMENT", "Command.arguments is empty.");
  }
  const timeoutMs = fromDuration(action.timeout) ?? 0;
  if (timeoutMs < 0 || timeoutMs > bounds.timeoutMsMax) {
    throw new MeshError(
      "INVALID_ARGUMENT",
      `Action.timeout of ${timeoutMs} ms is not between 0 and ${bounds.timeoutMsMax} ms.`,
    );
  }
  return { action, command, inputRoot };
}

/** What the core needs to know of a checked action. */
export function toActionRequest(
  digest: Digest,
  checked: CheckedAction,
  call: {
    readonly instance: string;
    readonly priority: number;
    readonly skipCacheLookup: boolean;
    readonly metadata: Metadata;
    readonly peer: string;
    /** This node's toolchain, for actions that name none; empty where it has none. */
    readonly toolchain: string;
  },
): ActionRequest {
  const hints = readRequestMetadata(call.metadata);
  const { action, command, inputRoot } = checked;
  const program = command.arguments[0]?.split("/").pop() ?? "";
  const kind = hints?.targetId ? `${hints.targetId} ${hints.actionMnemonic}` : program;
  const demands = demandsOf(action.platform ?? command.platform);
  const { [toolchainProperty]: named, ...others } = demands;
  const house = named === undefined ? call.toolchain : "";
  const wanted = named === anyToolchain ? "" : (named ?? house);
  return {
    action: digest,
    instance: scopeOf(checkInstance(call.instance), house),
    priority: call.priority,
    user: callerOrHost(call.metadata, call.peer),
    invocation: invocationOf(call),
    kind: kind.slice(0, hintBounds.kindCharsMax),
    inputRoot,
    properties: wanted === "" ? others : { ...others, [toolchainProperty]: wanted },
    mayMerge: !action.doNotCache,
    skipCacheLookup: call.skipCacheLookup || action.doNotCache,
  };
}

/** The invocation that a call is for: as its client names it, or the connection. */
export function invocationOf(call: { readonly metadata: Metadata; readonly peer: string }): string {
  const { toolInvocationId = "" } = readRequestMetadata(call.metadata) ?? {};
  return (toolInvocationId || call.peer).slice(0, hintBounds.invocationCharsMax);
}

/** Whose any call is, under the same names as an action of it. */
export function claimantOf(
  call: Parameters<typeof invocationOf>[0],
): Pick<ActionRequest, "user" | "invocation"> {
  const user = callerOrHost(call.metadata, call.peer);
  return { user, invocation: invocationOf(call) };
}

/** Whose a call is: the caller's name, or the machine it comes from. */
export function callerOrHost(metadata: Metadata, peer: string): string {
  return (callerNameOf(metadata) || hostOf(peer)).slice(0, hintBounds.userCharsMax);
}

/** The address without the port: every connection of a machine is the same user's. */
function hostOf(peer: string): string {
  return peer.replace(/:\d+$/, "");
}

/** Names that configure the run instead of choosing a worker; the worker reads them itself. */
function isOption(name: string): boolean {
  return name.startsWith("builder.") || ["network", "persistentWorkerKey"].includes(name);
}

/** Properties a worker must have. OSFamily and ISA are compared without case. */
function demandsOf(platform: Platform | undefined): Record<string, string> {
  const demands = (platform?.properties ?? []).filter(({ name }) => !isOption(name));
  if (demands.length > platformBounds.propertiesMax) {
    throw new MeshError(
      "INVALID_ARGUMENT",
      `The platform has ${demands.length} properties; at most ${platformBounds.propertiesMax} are taken.`,
    );
  }
  const all = new Map(platform?.properties.map(({ name, value }) => [name, value]));
  const network = networkAsked(all) === networkGiven ? { [networkProperty]: networkGiven } : {};
  return Object.assign(
    Object.fromEntries(
      demands.map(({ name, value }) => {
        checkProperty(name, value);
        return [name, name === "OSFamily" || name === "ISA" ? value.toLowerCase() : value];
      }),
    ),
    network,
  );
}

function checkProperty(name: string, value: string): void {
  const { nameCharsMax, valueCharsMax } = platformBounds;
  if (name !== "" && name.length <= nameCharsMax && value.length <= valueCharsMax) return;
  throw new MeshError(
    "INVALID_ARGUMENT",
    `Platform property ${JSON.stringify(name.slice(0, 80))} is not possible: a name has 1 to ` +
      `${nameCharsMax} characters, a value at most ${valueCharsMax}.`,
  );
}

function readRequestMetadata(metadata: Metadata): RequestMetadata | undefined {
  const [value] = metadata.get(metadataKey);
  if (!(value instanceof Buffer)) return undefined;
  try {
    return RequestMetadata.decode(value);
  } catch {
    // Only hints: a client that garbles them is served without them.
    return undefined;
  }
}

async function fetchMessage<T>(
  store: BlobStore,
  digest: Digest,
  name: string,
  type: { decode(bytes: Uint8Array): T },
  bounds: ActionBounds,
): Promise<T> {
  if (digest.sizeBytes > bounds.messageBytesMax) {
    throw new MeshError(
      "INVALID_ARGUMENT",
      `The ${name} has ${digest.sizeBytes} bytes; at most ${bounds.messageBytesMax} are taken.`,
    );
  }
  const bytes = await store.get(digest, bounds.messageBytesMax).catch((error: unknown) => {
    if (failureOf(error).code !== "NOT_FOUND") throw error;
    throw missingBlobs(`The ${name} blob is missing.`, [digest]);
  });
  try {
    return type.decode(bytes);
  } catch (cause) {
    throw new MeshError("INVALID_ARGUMENT", `Blob ${digest.hash} is no ${name} message.`, {
      cause,
    });
  }
}

function missingBlobs(what: string, missing: readonly Digest[]): MeshError {
  return new MeshError("FAILED_PRECONDITION", `${what} Upload it and run the action again.`, {
    missing,
  });
}
