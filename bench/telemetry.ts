// What it costs a node to be seen: figures scraped every 5 s and traces to a collector, beside a
// node that nobody looks at. Both are there at the same time and take turns: a noisy machine
// harms both alike, and processor time tells more than throughput on a machine that is busy.

import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { type OwnNode, residentMiB, startOwnNode } from "./own-node.ts";
import { reapiClient } from "./reapi-client.ts";
import { median, type Row } from "./table.ts";

const actionsPerTurn = 300;
const scrapeEveryMs = 5000;
const atOnce = 16;

/** Rows of the table. */
export async function* benchTelemetry(
  folder: string,
  env: NodeJS.ProcessEnv,
  turns: number,
): AsyncGenerator<Row> {
  const collector = await startCollector();
  const metricsPort = await freePort();
  const flags = ["--metrics", `127.0.0.1:${metricsPort}`, "--traces", collector.url];
  const plain = await startOwnNode(join(folder, "plain"), env);
  const seen = await startOwnNode(join(folder, "seen"), env, flags);
  const scrapes = setInterval(() => {
    fetch(`http://127.0.0.1:${metricsPort}/metrics`)
      .then((answer) => answer.text())
      .catch(() => undefined);
  }, scrapeEveryMs);
  try {
    const measured = { plain: emptyTurns(), seen: emptyTurns() };
    for (let turn = -1; turn < turns; turn += 1) {
      for (const [name, node] of Object.entries({ plain, seen })) {
        const of = await measure(node, `${name} ${turn}`);
        // The first turn warms both up.
        if (turn < 0) continue;
        const into = name === "plain" ? measured.plain : measured.seen;
        into.perSecond.push(of.perSecond);
        into.cpuMs.push(of.cpuMs);
      }
    }
    const rate = { plain: median(measured.plain.perSecond), seen: median(measured.seen.perSecond) };
    const cpu = { plain: median(measured.plain.cpuMs), seen: median(measured.seen.cpuMs) };
    yield {
      what: "no-op actions a second, all of it on",
      figure: `${rate.seen.toFixed(0)}/s (${share(rate.seen, rate.plain)})`,
      beside: `all of it off: ${rate.plain.toFixed(0)}/s`,
    };
    yield {
      what: "processor time of the node for an action, all of it on",
      figure: `${cpu.seen.toFixed(2)} ms (${share(cpu.seen, cpu.plain)})`,
      beside: `all of it off: ${cpu.plain.toFixed(2)} ms`,
    };
    const memory = { plain: residentMiB(plain.pid), seen: residentMiB(seen.pid) };
    yield {
      what: "memory of the node, all of it on",
      figure: `${memory.seen.toFixed(0)} MiB (+${(memory.seen - memory.plain).toFixed(0)})`,
      beside: `all of it off: ${memory.plain.toFixed(0)} MiB; spans taken: ${collector.requests()} batches`,
    };
  } finally {
    clearInterval(scrapes);
    await Promise.all([plain.stop(), seen.stop()]);
    collector.close();
  }
}

function emptyTurns(): { readonly perSecond: number[]; readonly cpuMs: number[] } {
  return { perSecond: [], cpuMs: [] };
}

async function measure(node: OwnNode, unique: string) {
  const client = reapiClient(node.address);
  try {
    const actions = await client.uploadActions(actionsPerTurn, unique);
    const startMs = performance.now();
    const startCpuMs = cpuMs(node.pid);
    const waiting = actions.values();
    await Promise.all(
      Array.from({ length: atOnce }, async () => {
        for (const action of waiting) await client.execute(action);
      }),
    );
    const tookMs = performance.now() - startMs;
    return {
      perSecond: (1000 * actionsPerTurn) / tookMs,
      cpuMs: (cpuMs(node.pid) - startCpuMs) / actionsPerTurn,
    };
  } finally {
    client.close();
  }
}

/** User and system time of a process in ms; the kernel counts in steps of 10 ms. */
function cpuMs(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const [user, system] = stat
    .slice(stat.lastIndexOf(")") + 2)
    .split(" ")
    .slice(11, 13);
  return (Number(user) + Number(system)) * 10;
}

/** Takes whatever comes. */
async function startCollector() {
  let requests = 0;
  const server = createServer((request, response) => {
    requests += 1;
    request.resume().on("end", () => response.writeHead(200).end("{}"));
  });
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  const url = `http://127.0.0.1:${portOf(server.address())}`;
  return { url, requests: () => requests, close: () => server.close() };
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  const port = portOf(server.address());
  await new Promise((closed) => server.close(closed));
  return port;
}

function portOf(address: AddressInfo | string | null): number {
  return typeof address === "object" ? (address?.port ?? 0) : 0;
}

function share(value: number, base: number): string {
  const percent = 100 * (value / base - 1);
  return `${percent >= 0 ? "+" : ""}${percent.toFixed(1)} %`;
}
