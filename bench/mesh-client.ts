// The client of a mesh under measurement, a process of its own because it runs where only clients
// are: reads what to do as JSON from standard input, prints what happened as lines of JSON.

import { createInterface } from "node:readline";
import type { ActionExecutor } from "../src/build/executor.ts";
import { prepareAction } from "../src/build/prepared-action.ts";
import { createRemoteExecutor } from "../src/build/remote-executor.ts";
import { hermeticDefaults } from "../src/builderfile/model.ts";
import type { BuildAction } from "../src/rules/build-action.ts";
import { fromTimestamp } from "../src/wire/reapi.ts";
import type { TracedAction } from "./mesh-trace.ts";
import { reapiClient } from "./reapi-client.ts";

/** What it is told: to play a trace at one node, or to keep some actions under way at several. */
export type MeshTask =
  | { readonly kind: "play"; readonly address: string; readonly actions: readonly TracedAction[] }
  | {
      readonly kind: "flow";
      readonly addresses: readonly string[];
      readonly lanes: number;
      readonly sleepMs: number;
    };

/** How one action of a trace went; Unix ms. */
export interface PlayedAction {
  readonly readyMs: number;
  /** The worker began and ended with it. */
  readonly startMs: number;
  readonly endMs: number;
  /** The client was told. */
  readonly doneMs: number;
  readonly worker: string;
}

/** What became of one action of a flow, as soon as it is so; Unix ms. */
export interface FlowEvent {
  readonly what: "submitted" | "started" | "done" | "failed" | "left";
  readonly action: number;
  readonly atMs: number;
  readonly why?: string;
}

const salt = `${process.pid} ${performance.timeOrigin}`;
/** Lines of standard input: the task first; its end stops a flow. */
const lines = createInterface({ input: process.stdin });

function tell(line: PlayedAction[] | FlowEvent): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

/** Ends the process once all that it told has been read. */
function end(): void {
  process.stdout.write("", () => process.exit());
}

/** Submits each action once those that it waits for are done. */
async function play(address: string, actions: readonly TracedAction[]): Promise<PlayedAction[]> {
  const client = reapiClient(address);
  const sleeps = actions.map(({ ms }) => ["/bin/sleep", (ms / 1000).toFixed(3)]);
  const digests = await client.uploadCommands(sleeps, "trace");
  const played: Promise<PlayedAction>[] = [];
  for (const [at, { deps }] of actions.entries()) {
    played.push(
      Promise.all(deps.map((dep) => played[dep])).then(async () => {
        const readyMs = Date.now();
        const digest = digests[at];
        if (digest === undefined) throw new Error(`action ${at} was not uploaded`);
        const names = { targetId: `//trace:${at}`, actionMnemonic: "Sleep" };
        const { result, status } = await client.execute(digest, names);
        if ((status?.code ?? 0) !== 0) throw new Error(`action ${at}: ${status?.message}`);
        const ran = result?.executionMetadata;
        const startMs = fromTimestamp(ran?.workerStartTimestamp) ?? Number.NaN;
        const endMs = fromTimestamp(ran?.workerCompletedTimestamp) ?? Number.NaN;
        return { readyMs, startMs, endMs, doneMs: Date.now(), worker: ran?.worker ?? "" };
      }),
    );
  }
  const all = await Promise.all(played);
  client.close();
  return all;
}

/** Keeps `lanes` actions under way, each a new one, until standard input ends. */
async function flow(task: Extract<MeshTask, { kind: "flow" }>): Promise<void> {
  let isOver = false;
  lines.once("close", () => {
    isOver = true;
  });
  let count = 0;
  const executor = createRemoteExecutor(
    {
      openStore: async () => undefined,
      onGone: ({ address }) => tell({ what: "left", action: -1, atMs: Date.now(), why: address }),
      onReached: () => undefined,
    },
    task.addresses.map((address) => ({ address, tls: undefined, token: undefined })),
    "bench/1",
  );
  const lane = async () => {
    while (!isOver) {
      count += 1;
      await flowOne(executor, count, task.sleepMs);
    }
  };
  await Promise.all(Array.from({ length: task.lanes }, lane));
  await executor.close();
}

async function flowOne(executor: ActionExecutor, action: number, sleepMs: number): Promise<void> {
  const event = (what: FlowEvent["what"], why?: string) =>
    tell({ what, action, atMs: Date.now(), ...(why === undefined ? {} : { why }) });
  const prepared = await prepareAction(
    sleeping(action, sleepMs),
    { salt: Buffer.from(salt), toolchain: undefined },
    [],
  );
  event("submitted");
  try {
    const { failure } = await executor.execute(prepared, {
      invocation: salt,
      signal: new AbortController().signal,
      fresh: false,
      events: { uploaded: () => undefined, started: () => event("started") },
    });
    if (failure === undefined) event("done");
    else event("failed", failure.message);
  } catch (error) {
    event("failed", String(error));
  }
}

function sleeping(at: number, sleepMs: number): BuildAction {
  const seconds = (sleepMs / 1000).toFixed(3);
  return {
    ...{ id: `//flow:${at}`, target: `//flow:${at}`, mnemonic: "Custom" },
    ...{ argv: ["/bin/sh", "-c", `sleep ${seconds} # ${at}`], env: {}, workingDirectory: "" },
    ...{ inputs: [], outputs: [], keep: [], hermetic: hermeticDefaults, remote: true },
    ...{ cache: true, priority: 0, parallelism: undefined },
  };
}

const task: MeshTask = await new Promise((resolve) =>
  lines.once("line", (line) => resolve(JSON.parse(line))),
);
if (task.kind === "play") tell(await play(task.address, task.actions));
else await flow(task);
end();
