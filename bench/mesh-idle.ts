// A mesh that has nothing to do: what its hosts say and how busy that keeps them.

import { list } from "./mesh-build.ts";
import { startMeasuredMesh } from "./mesh-under-test.ts";
import { median, type Row } from "./table.ts";

/** Until everything that starting stirred up has been said, in ms. */
const restMs = 60_000;
/** Ethernet, IP and TCP with time stamps, in each packet. */
const headerBytes = 66;
const spanMs = 30_000;
const stealing = /Asking \S+ for \d+ actions|takes \d+ actions|has nothing to give/g;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Starts `hostCount` hosts with a worker of one slot each and watches them. */
export async function* benchIdleMesh(hostCount: number): AsyncGenerator<Row> {
  const mesh = await startMeasuredMesh(hostCount, ["--slots", "1", "--log-level", "debug"]);
  try {
    await mesh.settled();
    await pause(restMs);
    const counts = () => Promise.all(mesh.hosts.map((host) => mesh.countsOf(host)));
    const before = await counts();
    const saidBefore = mesh.hosts.map((host) => host.said().length);
    const startMs = performance.now();
    await pause(spanMs);
    const seconds = (performance.now() - startMs) / 1000;
    const after = await counts();
    const said = mesh.hosts.map((host, at) => host.said().slice(saidBefore[at])).join("");
    const perSecond = (name: "sentBytes" | "sentPackets" | "cpuMs") =>
      after.map((count, at) => (count[name] - (before[at]?.[name] ?? 0)) / seconds);
    const kib = perSecond("sentBytes").map((bytes) => bytes / 1024);
    const packets = perSecond("sentPackets");
    const content = kib.map((all, at) => all - ((packets[at] ?? 0) * headerBytes) / 1024);
    const cpu = perSecond("cpuMs").map((ms) => ms / 10);
    yield {
      what: `idle mesh of ${hostCount}: sent by a host and its worker, with all headers`,
      figure: `${median(kib).toFixed(2)} KiB/s, at most ${Math.max(...kib).toFixed(2)}`,
      beside:
        `wanted: 2 KiB/s; in ${median(packets).toFixed(0)} packets a second, ` +
        `without their headers ${median(content).toFixed(2)} KiB/s`,
    };
    yield {
      what: "the same: processor of a host and its worker",
      figure: `${median(cpu).toFixed(2)}%, at most ${Math.max(...cpu).toFixed(2)}% of a core`,
      beside: `wanted: 1%; each: ${list(cpu, 1)}`,
    };
    yield {
      what: "the same: messages about stealing",
      figure: `${said.match(stealing)?.length ?? 0}`,
      beside: "wanted: 0",
    };
  } finally {
    await mesh.remove();
  }
}
