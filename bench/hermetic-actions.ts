// Short actions that make a mess of many kinds, each with what must come of it.

import { digestOf } from "../src/cas/hash.ts";
import type { TreeEntry } from "../src/cas/merkle.ts";
import { buildTree } from "../src/cas/merkle.ts";
import {
  Action,
  Command,
  type Digest,
  type ExecuteResponse,
} from "../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { toWireDigest } from "../src/wire/reapi.ts";
import type { Reapi } from "./reapi-client.ts";

/** One action and its right end. */
export interface MessyAction {
  /** A word on its command line that no other process has. */
  readonly mark: string;
  readonly script: string;
  readonly exitCode: number;
  readonly stdout: string;
  readonly output: Uint8Array;
}

const largeBytes = 300_000;
const treeFiles = 40;
/** What the middle of an action takes in whose middle its worker is killed. */
const pauseSeconds = 0.5;

/** What comes before the middle, by what it leaves; after it each makes its output. */
const messes: readonly (readonly [string, string])[] = [
  ["outputs", "mkdir -p other/deep && seq 100 > other/deep/file"],
  [
    "daemons",
    '(setsid sleep 300 &); (setsid sh -c "(setsid sleep 300 &); exec sleep 300" >&- 2>&- &)',
  ],
  [
    "temporary files",
    "mkdir -p /tmp/a/b locked/in; for i in 1 2 3 4 5 6; do seq 99 > /tmp/a/$i; done; " +
      ": > locked/in/x; chmod 0 locked",
  ],
  ["a large output", ""],
  [
    "shared memory and pipes",
    "mkfifo pipe; (cat pipe &); : > /dev/shm/x; " +
      "! command -v ipcmk > /dev/null || ipcmk -M 4096 -S 2 -Q > /dev/null",
  ],
  ["a failure", "seq 3000 >&2; ln -s /etc/passwd link"],
];

/** The action of a number; `pauses` in its middle where that is to be found. */
export function messyAction(number: number, dice: number, pauses: boolean): MessyAction {
  const [what = "", mess = ""] = messes[dice % messes.length] ?? [];
  const large = what === "a large output";
  const output = large
    ? Buffer.alloc(largeBytes, `${number}\n`)
    : Buffer.from(`${number} ${what}\n`);
  const make = large
    ? `yes ${number} | head -c ${largeBytes} > out/it`
    : `echo ${number} ${what} > out/it`;
  const exitCode = what === "a failure" ? 3 : 0;
  const pause = pauses ? [`sleep ${pauseSeconds}`] : [];
  const steps = [mess, ...pause, make, `echo done ${number}`, `exit ${exitCode}`];
  const script = steps.filter((step) => step !== "").join("\n");
  return { mark: `messy-${number}-`, script, exitCode, stdout: `done ${number}\n`, output };
}

/** Uploads what all have in common and answers how to run one: why it ended wrong, or nothing. */
export async function messyRunner(
  client: Reapi,
): Promise<(action: MessyAction) => Promise<string | undefined>> {
  const root = await uploadTree(client);
  return async (action) => {
    const { mark, script } = action;
    const command = Command.fromPartial({
      arguments: ["/bin/sh", "-c", script, mark],
      environmentVariables: [{ name: "PATH", value: "/usr/bin:/bin" }],
      outputPaths: ["out/it"],
    });
    const commandBytes = Command.encode(command).finish();
    const bytes = Action.encode(
      Action.fromPartial({
        commandDigest: toWireDigest(await digestOf(commandBytes, "sha256")),
        inputRootDigest: root,
      }),
    ).finish();
    const [, digest] = await client.batchWrite([commandBytes, bytes]);
    if (digest === undefined) throw new Error("nothing was uploaded");
    return complaintOf(action, await client.execute(digest));
  };
}

async function uploadTree(client: Reapi): Promise<Digest> {
  const entries: TreeEntry[] = [{ kind: "directory", path: "include" }];
  const blobs: Uint8Array[] = [];
  for (let at = 0; at < treeFiles; at += 1) {
    const bytes = Buffer.alloc(5000, `input ${at} `);
    const digest = await digestOf(bytes, "sha256");
    entries.push({ kind: "file", path: `include/${at}.h`, digest, executable: false });
    blobs.push(bytes);
  }
  const tree = await buildTree(entries, "sha256");
  for (const { bytes } of tree.bytesByKey.values()) blobs.push(bytes);
  await client.batchWrite(blobs);
  return toWireDigest(tree.root);
}

async function complaintOf(
  { mark, exitCode, stdout, output }: MessyAction,
  { status, result, message }: ExecuteResponse,
): Promise<string | undefined> {
  const wanted = {
    ...{ code: 0, exitCode },
    stdout: (await digestOf(Buffer.from(stdout), "sha256")).hash,
    output: (await digestOf(output, "sha256")).hash,
  };
  const got = {
    ...{ code: status?.code ?? 0, exitCode: result?.exitCode },
    stdout: result?.stdoutDigest?.hash,
    output: result?.outputFiles[0]?.digest?.hash,
  };
  if (JSON.stringify(got) === JSON.stringify(wanted)) return undefined;
  const said = `${status?.message ?? ""} ${message}`.trim();
  return `${mark}: ${JSON.stringify(got)} and not ${JSON.stringify(wanted)}; ${said}`;
}
