// How a step of a build becomes a REAPI action.

import { arch } from "node:os";
import { digestOf } from "../cas/hash.ts";
import { buildTree, type TreeEntry } from "../cas/merkle.ts";
import { type Digest, digestKey } from "../core/digest.ts";
import { toolchainProperty } from "../core/house-toolchain.ts";
import { type BuildAction, systemPath } from "../rules/build-action.ts";
import { type Encoder, encodeBytes } from "../wire/encode.ts";
import { Action, Command } from "../wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { toDuration, toWireDigest } from "../wire/reapi.ts";

/** A file that an action made, as far as the build knows. */
export interface MadeFile {
  readonly path: string;
  readonly digest: Digest;
  readonly executable: boolean;
}

/** A blob to upload: bytes at hand or a file of the workspace. */
export type PreparedBlob = { readonly digest: Digest } & (
  | { readonly bytes: Uint8Array }
  | { readonly file: string }
);

/** What an action runs with. */
export interface ActionTools {
  readonly salt: Uint8Array;
  /** Undefined where its kind of tools is not on this machine: the node's own are as good. */
  readonly toolchain: string | undefined;
}

/** An action ready to be executed anywhere. */
export interface PreparedAction {
  readonly digest: Digest;
  /** Every blob the action needs that this client has, by `digestKey`. */
  readonly blobByKey: ReadonlyMap<string, PreparedBlob>;
  readonly build: BuildAction;
}

/**
 * What every action sees, so that what it makes does not depend on who runs it where. The date is
 * 1980-01-01, the first that zip files can hold (reproducible-builds.org/specs/source-date-epoch).
 */
const baseEnv = {
  HOME: "/tmp",
  LANG: "C.UTF-8",
  PATH: systemPath,
  SOURCE_DATE_EPOCH: "315532800",
  TZ: "UTC",
};

/** The platform every action of this client asks for. */
const platform = {
  OSFamily: process.platform,
  ISA: arch() === "x64" ? "x86-64" : "aarch64",
};

/**
 * Encodes an action with its inputs. `files` are its input files with their digests; `salt` stands
 * for the programs that it names, `toolchain` is the name of the tools that must run it.
 */
export async function prepareAction(
  build: BuildAction,
  { salt, toolchain }: ActionTools,
  files: readonly { readonly entry: TreeEntry; readonly blob: PreparedBlob | undefined }[],
): Promise<PreparedAction> {
  const blobByKey = new Map<string, PreparedBlob>();
  const add = (blob: PreparedBlob) => blobByKey.set(digestKey(blob.digest), blob);
  const tree = await buildTree(
    files.map(({ entry }) => entry),
    "sha256",
  );
  for (const { blob } of files) if (blob !== undefined) add(blob);
  for (const folder of tree.bytesByKey.values()) add(folder);
  const command = await encoded(Command, encodeCommand(build));
  const properties = platformOf(build, toolchain);
  const action = await encoded(
    Action,
    Action.fromPartial({
      commandDigest: toWireDigest(command.digest),
      inputRootDigest: toWireDigest(tree.root),
      doNotCache: !build.cache,
      salt,
      platform: { properties },
      ...(build.hermetic.timeoutMs === undefined
        ? {}
        : { timeout: toDuration(build.hermetic.timeoutMs) }),
    }),
  );
  add(command);
  add(action);
  return { digest: action.digest, blobByKey, build };
}

function encodeCommand(build: BuildAction): Command {
  const env = { ...baseEnv, ...build.env };
  return Command.fromPartial({
    arguments: [...build.argv],
    environmentVariables: Object.entries(env)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => ({ name, value })),
    outputPaths: build.outputs.map((path) => fromFolder(build.workingDirectory, path)).sort(),
    workingDirectory: build.workingDirectory,
  });
}

/** REAPI wants output paths relative to the working directory. */
function fromFolder(folder: string, path: string): string {
  if (path === folder) return "";
  return folder !== "" && path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : path;
}

function platformOf(
  { hermetic }: BuildAction,
  toolchain: string | undefined,
): { name: string; value: string }[] {
  const all: Record<string, string | undefined> = {
    ...platform,
    [toolchainProperty]: toolchain,
    "builder.max_cpu": hermetic.maxCpus?.toString(),
    "builder.max_memory": hermetic.maxMemoryBytes?.toString(),
    "builder.max_processes": hermetic.maxProcesses?.toString(),
    "builder.max_open_files": hermetic.maxOpenFiles?.toString(),
    "builder.max_output": hermetic.maxOutputBytes?.toString(),
    "builder.max_output_files": hermetic.maxOutputFiles?.toString(),
    "builder.max_tmp": hermetic.maxTmpBytes?.toString(),
    "builder.max_tmp_files": hermetic.maxTmpFiles?.toString(),
    "builder.max_log": hermetic.maxLogBytes?.toString(),
    "builder.network": hermetic.network ? "on" : undefined,
  };
  return Object.entries(all)
    .flatMap(([name, value]) => (value === undefined ? [] : [{ name, value }]))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

async function encoded<T>(
  type: Encoder<T>,
  message: T,
): Promise<{ readonly digest: Digest; readonly bytes: Uint8Array }> {
  const bytes = encodeBytes(type, message);
  return { digest: await digestOf(bytes, "sha256"), bytes };
}
