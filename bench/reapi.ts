// What a REAPI server does per second, beside bare grpc-js and bare HTTP/2 in the same run:
// `npm run bench -- reapi [--address HOST:PORT] [--runs N]`. Without an address it starts our own
// node with two workers of one slot; with one, any other server can be put to the same work.

import { type ChildProcess, spawn } from "node:child_process";
import * as http2 from "node:http2";
import { join } from "node:path";
import { digestOf } from "../src/cas/hash.ts";
import {
  ActionResult,
  type Digest,
} from "../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { fromTimestamp, toWireDigest } from "../src/wire/reapi.ts";
import { type Reapi, reapiClient } from "./reapi-client.ts";
import { median, type Row } from "./table.ts";

/** What is measured, and where. */
export interface ReapiBenchOptions {
  readonly address: string;
  /** Process of the serving node, where it is ours: its memory is shown. */
  readonly pid: number | undefined;
  readonly runs: number;
  readonly residentMiB: (pid: number) => number;
}

const streamBytes = 512 << 20;
/** Actions in flight at once: enough to keep a few slots busy, as a build does. */
const inFlight = 32;
const queuedActions = 100_000;

/** Measures everything; rows come in the order of the issue that asked for them. */
export async function* benchReapi(options: ReapiBenchOptions): AsyncGenerator<Row> {
  const client = reapiClient(options.address);
  const bare = await startBareServers();
  try {
    yield* await executeRows(client, options);
    yield* await streamRows(client, bare, options.runs);
    yield* await batchRows(client, options.runs);
    yield await resultRow(client, options.runs);
    yield await manyClientsRow(options.address);
    if (options.pid !== undefined) yield await queueRow(options, options.pid, bare);
  } finally {
    client.close();
    bare.process.stdin?.end();
  }
}

/** Executes actions with `lanes` of them under way; returns actions per second. */
async function executeAll(
  client: Reapi,
  actions: readonly Parameters<Reapi["execute"]>[0][],
  lanes: number,
  onDone: (submittedMs: number, result: ActionResult | undefined) => void = () => undefined,
): Promise<number> {
  const startMs = performance.now();
  const rest = actions.values();
  const lane = async () => {
    for (const action of rest) {
      const submittedMs = Date.now();
      onDone(submittedMs, (await client.execute(action)).result);
    }
  };
  await Promise.all(Array.from({ length: lanes }, lane));
  return (1000 * actions.length) / (performance.now() - startMs);
}

async function executeRows(client: Reapi, { runs }: ReapiBenchOptions): Promise<Row[]> {
  // The first actions pay for compiling, ours and the server's.
  await executeAll(client, await client.uploadActions(1500, "warm"), inFlight);
  const perSecond: number[] = [];
  for (let run = 0; run < runs; run += 1) {
    perSecond.push(
      await executeAll(client, await client.uploadActions(500, `run ${run}`), inFlight),
    );
  }
  const waits: number[] = [];
  await executeAll(client, await client.uploadActions(400, "wait"), 1, (submittedMs, result) => {
    const started = fromTimestamp(result?.executionMetadata?.executionStartTimestamp);
    if (started !== undefined) waits.push(started - submittedMs);
  });
  waits.sort((a, b) => a - b);
  const at = (share: number) => (waits[Math.floor(waits.length * share)] ?? Number.NaN).toFixed(1);
  return [
    {
      what: "no-op actions through Execute",
      figure: `${median(perSecond).toFixed(0)}/s`,
      beside: "wanted: 300/s",
    },
    {
      what: "submit to process start, one at a time",
      figure: `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms`,
      beside: "wanted: 10 ms, 40 ms",
    },
  ];
}

interface BareServers {
  readonly process: ChildProcess;
  readonly grpc: string;
  readonly http2: string;
}

async function startBareServers(): Promise<BareServers> {
  const program = join(import.meta.dirname, "bare-servers.ts");
  const child = spawn(process.execPath, [program], { stdio: ["pipe", "pipe", "inherit"] });
  const line = await new Promise<string>((said) =>
    child.stdout.once("data", (chunk: Buffer) => said(chunk.toString())),
  );
  const [grpcPort, http2Port] = line.trim().split(" ");
  return {
    process: child,
    grpc: `127.0.0.1:${grpcPort}`,
    http2: `http://127.0.0.1:${http2Port}`,
  };
}

/** MiB per second, ours and the yardsticks in turn, so that a noisy machine harms all alike. */
async function streamRows(client: Reapi, bare: BareServers, runs: number): Promise<Row[]> {
  const plain = reapiClient(bare.grpc);
  const session = http2.connect(bare.http2, { settings: { initialWindowSize: 8 << 20 } });
  const written: Speeds = { ours: [], grpc: [], http2: [] };
  const read: Speeds = { ours: [], grpc: [], http2: [] };
  try {
    for (let run = 0; run < Math.max(3, Math.floor(runs / 2)); run += 1) {
      const blob = Buffer.alloc(streamBytes, `run ${run} ${process.pid} ${performance.now()}`);
      const digest = toWireDigest(await digestOf(blob, "sha256"));
      await speed(written.ours, () => client.write(digest, blob));
      await speed(written.grpc, () => plain.write(digest, blob));
      await speed(written.http2, () => http2Write(session, blob));
      await speed(read.ours, () => client.drain(digest));
      await speed(read.grpc, () => plain.drain(digest));
      await speed(read.http2, () => http2Read(session, streamBytes));
    }
  } finally {
    session.close();
    plain.close();
  }
  return [
    { what: "ByteStream write of 512 MiB", ...beside(written) },
    { what: "ByteStream read of 512 MiB", ...beside(read) },
  ];
}

interface Speeds {
  readonly ours: number[];
  readonly grpc: number[];
  readonly http2: number[];
}

async function speed<T>(speeds: number[], work: () => Promise<T>): Promise<T> {
  const startMs = performance.now();
  const made = await work();
  speeds.push((1000 * streamBytes) / 2 ** 20 / (performance.now() - startMs));
  return made;
}

function beside({ ours, grpc, http2: bare }: Speeds): Pick<Row, "figure" | "beside"> {
  const [own, plain] = [median(ours), median(grpc)];
  return {
    figure: `${own.toFixed(0)} MiB/s, ${((100 * own) / plain).toFixed(0)}% of grpc-js`,
    beside: `grpc-js ${plain.toFixed(0)}, HTTP/2 ${median(bare).toFixed(0)} MiB/s; wanted: 80%`,
  };
}

function http2Write(session: http2.ClientHttp2Session, blob: Buffer): Promise<void> {
  const stream = session.request({ ":method": "POST", ":path": "/0" });
  return new Promise((done, fail) => {
    stream.on("error", fail);
    stream.on("end", done);
    stream.resume();
    const send = async () => {
      for (let at = 0; at < blob.length; at += 1 << 20) {
        const more = stream.write(blob.subarray(at, at + (1 << 20)));
        if (!more) await new Promise((drained) => stream.once("drain", drained));
      }
      stream.end();
    };
    send().catch(fail);
  });
}

async function http2Read(session: http2.ClientHttp2Session, bytes: number): Promise<void> {
  for await (const _ of session.request({ ":path": `/${bytes}` }));
}

async function batchRows(client: Reapi, runs: number): Promise<Row[]> {
  const asked: number[] = [];
  const written: number[] = [];
  const ask = client.findMissing(10_000);
  // The first answers pay for compiling: V8 optimizes what runs often, on this path after about 20.
  for (let run = 0; run < 20; run += 1) await ask();
  for (let run = 0; run < runs; run += 1) {
    asked.push(await elapsedMs(ask));
    const blobs = Array.from({ length: 10_000 }, (_, at) =>
      Buffer.alloc(2048, `${run} ${at} ${process.pid} `),
    );
    written.push(await elapsedMs(() => client.batchWrite(blobs)));
  }
  return [
    {
      what: "FindMissingBlobs of 10,000 digests",
      figure: `${median(asked).toFixed(0)} ms`,
      beside: "wanted: 20 ms",
    },
    {
      what: "10,000 blobs of 2 KiB by batch, hash by the client included",
      figure: `${median(written).toFixed(0)} ms`,
      beside: "wanted: 1000 ms",
    },
  ];
}

async function resultRow(client: Reapi, runs: number): Promise<Row> {
  const digests = await client.batchWrite(
    Array.from({ length: 50 }, (_, at) => Buffer.alloc(3000, `output ${at} ${process.pid}`)),
  );
  const outputFiles = digests.map((digest, at) => ({ path: `out/${at}.o`, digest }));
  const [action] = await client.uploadActions(1, "result");
  if (action === undefined) throw new Error("no action");
  await client.updateResult(action, ActionResult.fromPartial({ outputFiles }));
  const perSecond: number[] = [];
  const ask = client.getResult(action);
  for (let run = 0; run < runs; run += 1) {
    const count = 3000;
    let left = count;
    const ms = await elapsedMs(async () => {
      const lane = async () => {
        for (; left > 0; left -= 1) await ask();
      };
      await Promise.all(Array.from({ length: inFlight }, lane));
    });
    perSecond.push((1000 * count) / ms);
  }
  return {
    what: "GetActionResult of 50 outputs",
    figure: `${median(perSecond).toFixed(0)}/s`,
    beside: "wanted: 3000/s",
  };
}

/** 64 connections at once; nothing is lost, and nobody waits much longer than the others. */
async function manyClientsRow(address: string): Promise<Row> {
  const clients = Array.from({ length: 64 }, () => reapiClient(address));
  try {
    const spans = await Promise.all(
      clients.map((client, at) =>
        elapsedMs(async () => {
          const actions = await client.uploadActions(10, `client ${at}`);
          await executeAll(client, actions, 4);
          const blob = Buffer.alloc(200_000, `client ${at} ${process.pid}`);
          const digest = toWireDigest(await digestOf(blob, "sha256"));
          await client.write(digest, blob);
          const back = await client.read(digest);
          if (!back.equals(blob)) throw new Error("a blob came back wrong");
        }),
      ),
    );
    spans.sort((a, b) => a - b);
    const [first = 0, last = 0] = [spans[0], spans.at(-1)];
    return {
      what: "64 clients at once, 10 actions and a blob each",
      figure: `all done; first after ${(first / 1000).toFixed(1)} s, last ${(last / 1000).toFixed(1)} s`,
      beside: "wanted: nothing lost, nobody starved",
    };
  } finally {
    for (const client of clients) client.close();
  }
}

/**
 * What 100,000 waiting actions cost in memory, what as many waiting calls of bare grpc-js do, and
 * whether dispatch still goes at its pace.
 */
async function queueRow(options: ReapiBenchOptions, pid: number, bare: BareServers): Promise<Row> {
  const uploader = reapiClient(options.address);
  const actions = await uploader.uploadActions(queuedActions, "queue");
  uploader.close();
  const barePid = bare.process.pid ?? -1;
  const bareBefore = options.residentMiB(barePid);
  const idle = openCalls(bare.grpc, actions, () => undefined);
  await settled(() => options.residentMiB(barePid));
  const bareMiB = options.residentMiB(barePid) - bareBefore;
  idle.close();

  let done = 0;
  const before = options.residentMiB(pid);
  const calls = openCalls(options.address, actions, () => {
    done += 1;
  });
  await settled(() => options.residentMiB(pid));
  const startMs = performance.now();
  const count = done;
  while (done < count + 2000) await new Promise((wake) => setTimeout(wake, 20));
  const perSecond = (1000 * (done - count)) / (performance.now() - startMs);
  const ownMiB = options.residentMiB(pid) - before;
  calls.close();
  return {
    what: `${queuedActions / 1000},000 actions queued`,
    figure: `+${ownMiB.toFixed(0)} MiB; dispatch ${perSecond.toFixed(0)}/s`,
    beside: `grpc-js, as many calls: +${bareMiB.toFixed(0)} MiB; wanted: 200 MiB, as fast as above`,
  };
}

/** Executes all actions at once. */
function openCalls(
  address: string,
  actions: readonly Digest[],
  onDone: () => void,
): { close(): void } {
  // A server takes so many calls of one connection at once; there is a connection for each
  // thousand.
  const clients = Array.from({ length: queuedActions / 1000 }, () => reapiClient(address));
  for (const [at, action] of actions.entries()) {
    clients[Math.floor(at / 1000)]?.execute(action).then(onDone, () => undefined);
  }
  return {
    close: () => {
      for (const client of clients) client.close();
    },
  };
}

/** Resolves once a figure stands still. */
async function settled(figure: () => number): Promise<void> {
  for (let last = -1; Math.abs(figure() - last) > 5; ) {
    last = figure();
    await new Promise((wake) => setTimeout(wake, 2000));
  }
}

async function elapsedMs(work: () => Promise<unknown>): Promise<number> {
  const startMs = performance.now();
  await work();
  return performance.now() - startMs;
}
