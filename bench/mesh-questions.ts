// What hosts ask each other about blobs and results while a build's actions run, from their own
// debug lines. Owners are computed, so nothing is ever looked up in a distributed table.

import { startMeasuredMesh } from "./mesh-under-test.ts";
import type { Row } from "./table.ts";

const hosts = 8;
const actionCount = 200;
const sleepMs = 500;
/** A line for each request to a peer: `To PEER: KIND …`. */
const requestLine = /\] To \S+: (\w+)/g;

/** Counts over actions that nobody ran before, submitted at one host. */
export async function* benchMeshQuestions(): AsyncGenerator<Row> {
  const mesh = await startMeasuredMesh(hosts, ["--slots", "2", "--log-level", "debug"]);
  try {
    await mesh.settled();
    const before = mesh.hosts.map((host) => host.said().length);
    const actions = Array.from({ length: actionCount }, () => ({ ms: sleepMs, deps: [] }));
    const address = mesh.hosts[0]?.address ?? "";
    const client = mesh.start({ kind: "play", address, actions });
    for await (const _ of client.lines) client.finish();
    const said = mesh.hosts.map((host, at) => host.said().slice(before[at])).join("");
    const counts = new Map<string, number>();
    for (const [, kind = ""] of said.matchAll(requestLine)) {
      counts.set(kind, (counts.get(kind) ?? 0) + 1);
    }
    const each = (kind: string) => ((counts.get(kind) ?? 0) / actionCount).toFixed(2);
    const stolen = [...said.matchAll(/takes (\d+) actions/g)];
    yield {
      what: `requests between ${hosts} hosts per action, ${actionCount} actions`,
      figure:
        `ask ${each("ask")}, want ${each("want")}, put ${each("put")}, ` +
        `getResult ${each("getResult")}, putResult ${each("putResult")}`,
      beside: `wanted: 0.1 of a DHT; there is none; ${stolen.length} grants of stealing`,
    };
  } finally {
    await mesh.remove();
  }
}
