// Blobs between two hosts, each a process: the exchange beside a bare libp2p stream of as many
// bytes over the same kind of connection, in turn.

import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import type { Stream } from "@libp2p/interface";
import { openStore } from "../src/cas/open-store.ts";
import type { Digest } from "../src/core/digest.ts";
import { lanBlobOptions, startBlobExchange } from "../src/mesh/blob-exchange.ts";
import {
  createAuthority,
  generateNodeKey,
  issueCertificate,
  peerIdOf,
} from "../src/mesh/identity.ts";
import { lanLinkOptions, type MeshHost, startMeshHost } from "../src/mesh/mesh-host.ts";
import { median, type Row } from "./table.ts";

/** A stream that sends as many bytes as it is asked for. */
export const bareProtocol = "/bench/bare/1.0.0";
const largeBytes = 4 << 20;
const largeCount = 64;
const smallBytes = 2048;
const smallCount = 10_000;
const mib = 1 << 20;
const largeMib = (largeBytes * largeCount) / mib;

/** What the other process is told. */
export interface BlobPeerConfig {
  readonly key: string;
  readonly certificate: string;
  readonly meshId: string;
  readonly store: string;
  readonly runs: number;
}

/** What it answers once it listens: blobs of each run by their kind. */
export interface BlobPeerReady {
  readonly address: string;
  readonly large: readonly (readonly Digest[])[];
  readonly soft: readonly (readonly Digest[])[];
  readonly small: readonly (readonly Digest[])[];
}

/** Sizes of what the other process makes. */
export const benchSizes = { largeBytes, largeCount, smallBytes, smallCount };

/** Starts a host of the bench's mesh. */
export async function startBenchHost(
  of: Omit<BlobPeerConfig, "store" | "runs">,
  linked: () => void,
): Promise<MeshHost> {
  // As every serving node does (src/node/serve.ts).
  setFlagsFromString("--external-memory-accounted-in-global-limit");
  const bytes = (text: string) => Buffer.from(text, "base64");
  return startMeshHost(
    {
      events: {
        linked,
        unlinked: () => undefined,
        undialled: () => undefined,
        message: () => undefined,
      },
      log: () => undefined,
      now: Date.now,
    },
    {
      ...lanLinkOptions,
      key: bytes(of.key),
      certificate: bytes(of.certificate),
      meshId: bytes(of.meshId),
      listen: ["/ip4/127.0.0.1/tcp/0"],
      software: "bench",
    },
  );
}

/** Measures in `folder`. */
export async function* benchMeshBlobs(folder: string, runs: number): AsyncGenerator<Row> {
  const authority = await createAuthority(join(folder, "authority"));
  const credential = async () => {
    const key = await generateNodeKey();
    const [notBeforeMs, notAfterMs] = [Date.now() - 60_000, Date.now() + 86_400_000];
    const membership = { peerId: peerIdOf(key), roles: ["worker"], notBeforeMs, notAfterMs };
    const certificate = await issueCertificate(authority, membership);
    const text = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64");
    return { key: text(key), certificate: text(certificate), meshId: text(authority.meshId) };
  };
  const child = fork(join(import.meta.dirname, "mesh-blob-peer.ts"));
  const ready = new Promise<BlobPeerReady>((resolve) => child.once("message", resolve as never));
  const theirs = await credential();
  child.send({ ...theirs, store: join(folder, "theirs"), runs });
  const { address, large, soft, small } = await ready;
  const linked = Promise.withResolvers<void>();
  const host = await startBenchHost(await credential(), linked.resolve);
  const store = openStore({ now: Date.now }, { folder: join(folder, "ours"), bytesMax: 2 ** 40 });
  try {
    const peer = peerIdOf(Buffer.from(theirs.key, "base64"));
    host.dial(peer, [address]);
    await linked.promise;
    const exchange = await startBlobExchange(
      {
        mesh: host,
        store: store.blobs,
        actions: store.actions,
        log: () => undefined,
        now: Date.now,
      },
      { ...lanBlobOptions, blobBytesMax: 2 ** 40, serves: true },
    );
    const measured = (work: () => Promise<unknown>) => costOf(child, work);
    const fetch = (digests: readonly Digest[] = []) =>
      measured(async () => {
        const missing = await exchange.fetch(peer, digests);
        if (missing.length > 0) throw new Error(`${missing.length} blobs did not come.`);
      });
    const costs: Costs = { bare: [], large: [], soft: [], small: [], ask: [] };
    for (let run = 0; run < runs; run += 1) {
      costs.bare.push(await measured(() => readBare(host, peer, largeBytes * largeCount)));
      costs.large.push(await fetch(large[run]));
      costs.soft.push(await fetch(soft[run]));
      // The next run writes to memory that this machine has touched before: in a virtual one the
      // first touch of a page can cost several times what writing it does.
      for (const digest of [...(large[run] ?? []), ...(soft[run] ?? [])])
        store.blobs.remove(digest);
      costs.small.push(await fetch(small[run]));
      costs.ask.push(await measured(() => exchange.ask(peer, small[run] ?? [])));
    }
    yield* rowsOf(costs);
  } finally {
    child.disconnect();
    await host.stop();
    await store.close();
  }
}

/** What some work took: on the clock, and of the processor in both processes, all threads. */
interface Cost {
  readonly seconds: number;
  readonly receiverCpuS: number;
  readonly senderCpuS: number;
}

type Costs = Record<"bare" | "large" | "soft" | "small" | "ask", Cost[]>;

function rowsOf({ bare, large, soft, small, ask }: Costs): Row[] {
  const rate = (costs: readonly Cost[]) => largeMib / medianOf(costs, "seconds");
  const share = Math.round((100 * rate(large)) / rate(bare));
  const beside = `bare stream: ${rate(bare).toFixed(0)} MiB/s; ${processor(bare)}`;
  return [
    {
      what: `${largeCount} blobs of 4 MiB that do not compress, verified and stored`,
      figure: `${rate(large).toFixed(0)} MiB/s, ${share}%; ${processor(large)}`,
      beside,
    },
    {
      what: "the same of text",
      figure: `${rate(soft).toFixed(0)} MiB/s; ${processor(soft)}`,
      beside,
    },
    {
      what: `${smallCount} blobs of 2 KiB in one request`,
      figure: `${(smallCount / medianOf(small, "seconds")).toFixed(0)}/s`,
      beside: "wanted: 5000/s",
    },
    {
      what: `which of ${smallCount} blobs the other has`,
      figure: `${(1000 * medianOf(ask, "seconds")).toFixed(0)} ms`,
      beside: "",
    },
  ];
}

async function costOf(sender: ChildProcess, work: () => Promise<unknown>): Promise<Cost> {
  const theirsS = await cpuSecondsOf(sender);
  const ours = process.cpuUsage();
  const startMs = performance.now();
  await work();
  const seconds = (performance.now() - startMs) / 1000;
  const { user, system } = process.cpuUsage(ours);
  const senderCpuS = (await cpuSecondsOf(sender)) - theirsS;
  return { seconds, receiverCpuS: (user + system) / 1e6, senderCpuS };
}

/** The other process answers anything it is told with what it has used so far. */
async function cpuSecondsOf(sender: ChildProcess): Promise<number> {
  const answered = once(sender, "message");
  sender.send("cpu");
  return Number((await answered)[0]);
}

function medianOf(costs: readonly Cost[], part: keyof Cost): number {
  return median(costs.map((cost) => cost[part]));
}

/** Holds also where other work delays both processes, as no rate does. */
function processor(costs: readonly Cost[]): string {
  const perMib = (part: keyof Cost) => ((1000 * medianOf(costs, part)) / largeMib).toFixed(1);
  return `receiver ${perMib("receiverCpuS")}, sender ${perMib("senderCpuS")} CPU-ms/MiB`;
}

async function readBare(host: MeshHost, peer: string, bytes: number): Promise<void> {
  const stream = await host.openStream(peer, bareProtocol);
  stream.send(Buffer.from(`${bytes}\n`));
  let left = bytes;
  const done = Promise.withResolvers<void>();
  stream.addEventListener("message", ({ data }) => {
    left -= data.byteLength;
    if (left <= 0) done.resolve();
  });
  await done.promise;
  stream.abort(new Error("done"));
}

/** The other end of `readBare`. */
export function writeBare(stream: Stream): void {
  const chunk = Buffer.alloc(256 * 1024, 7);
  stream.addEventListener("message", ({ data }) => {
    let left = Number(Buffer.from(data.subarray()).toString());
    const send = () => {
      while (left > 0 && stream.writeBufferLength < mib) {
        left -= chunk.length;
        stream.send(chunk);
      }
    };
    stream.addEventListener("drain", () => setImmediate(send));
    stream.addEventListener("idle", () => setImmediate(send));
    send();
  });
}
