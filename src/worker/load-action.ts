// An action's messages out of the store, decoded and checked before anything is made on disk.

import type { BlobStore } from "../cas/blob-store.ts";
import type { Digest } from "../core/digest.ts";
import { failureOf, MeshError } from "../core/error.ts";
import { encodeBytes } from "../wire/encode.ts";
import { Action, Command } from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { fromWireDigest } from "../wire/reapi.ts";
import {
  type CollectOptions,
  collectOptions,
  type DeclaredOutput,
  declaredOutputs,
} from "./output-files.ts";

/** An action's messages, decoded, and what they declare. */
export interface LoadedAction {
  readonly action: Action;
  readonly command: Command;
  readonly inputRoot: Digest;
  readonly outputs: readonly DeclaredOutput[];
  readonly collecting: CollectOptions;
}

/**
 * Reads the action `digest`. FAILED_PRECONDITION with the missing digest where a message is not in
 * the store; INVALID_ARGUMENT where it is larger than `bytesMax` or no such message.
 */
export async function loadAction(
  store: BlobStore,
  digest: Digest,
  bytesMax: number,
): Promise<LoadedAction> {
  const action = decode(Action, "Action", await fetch(store, digest, bytesMax, "Action"));
  const commandDigest = fromWireDigest(action.commandDigest, digest.fn, "Action.command_digest");
  const inputRoot = fromWireDigest(action.inputRootDigest, digest.fn, "Action.input_root_digest");
  const bytes = await fetch(store, commandDigest, bytesMax, "Command");
  const command = decode(Command, "Command", bytes);
  checkTexts(command, bytes);
  const collecting = collectOptions(command, digest.fn);
  return { action, command, inputRoot, outputs: declaredOutputs(command), collecting };
}

async function fetch(
  store: BlobStore,
  digest: Digest,
  bytesMax: number,
  name: string,
): Promise<Uint8Array> {
  if (digest.sizeBytes > bytesMax) {
    throw new MeshError(
      "INVALID_ARGUMENT",
      `The ${name} has ${digest.sizeBytes} bytes, at most ${bytesMax} are taken. Pass long lists ` +
        "of arguments in a file.",
    );
  }
  return await store.get(digest, bytesMax).catch((error: unknown) => {
    if (failureOf(error).code !== "NOT_FOUND") throw error;
    throw new MeshError("FAILED_PRECONDITION", `The ${name} blob is missing. Upload it again.`, {
      missing: [digest],
    });
  });
}

function decode<T>(type: { decode(bytes: Uint8Array): T }, name: string, bytes: Uint8Array): T {
  try {
    return type.decode(bytes);
  } catch (cause) {
    throw new MeshError("INVALID_ARGUMENT", `The ${name} blob is not a ${name} message.`, {
      cause,
    });
  }
}

/** What is not UTF-8 decodes to U+FFFD: the command would run with other words than were meant. */
function checkTexts(command: Command, bytes: Uint8Array): void {
  const texts = [
    ...command.arguments,
    ...command.environmentVariables.flatMap(({ name, value }) => [name, value]),
    ...command.outputPaths,
    ...command.outputFiles,
    ...command.outputDirectories,
    command.workingDirectory,
  ];
  const odd = texts.find((text) => text.includes("\ufffd"));
  // Where U+FFFD was meant, the message encodes to the same bytes again.
  if (odd === undefined || Buffer.compare(encodeBytes(Command, command), bytes) === 0) return;
  throw new MeshError(
    "INVALID_ARGUMENT",
    `The Command holds text that is not UTF-8: ${JSON.stringify(odd.slice(0, 80))}.`,
  );
}
