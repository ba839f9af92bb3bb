import { type ChildProcess, fork, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, expect, test } from "vitest";
import type { ProvidedMachine } from "../../src/cloud/provider.ts";
import { eventually } from "../support/eventually.ts";
import type { CloudCall, CoordinatorOrder, Standing } from "../support/scaling-coordinator.ts";

const program = fileURLToPath(new URL("../support/scaling-coordinator.ts", import.meta.url));
const patienceMs = 60_000;

/** A cloud whose machines are processes of this machine, and the coordinator that uses it. */
class Cloud {
  readonly folder = mkdtempSync(join(tmpdir(), "builder-cloud-"));
  readonly processByToken = new Map<string, ChildProcess>();
  /** Launched a moment ago: a list does not show it yet. */
  readonly #unlisted = new Set<string>();
  /** Kills the coordinator after the so many-th call was carried out, before it is answered. */
  killAfterCall = 0;
  #calls = 0;
  /** How often it was asked what there is. */
  lists = 0;
  #coordinator: ChildProcess | undefined;
  standing: Standing = { known: [], points: 0 };

  get living(): string[] {
    const alive = [...this.processByToken].filter(([, { exitCode, signalCode }]) => {
      return exitCode === null && signalCode === null;
    });
    return alive.map(([token]) => token).sort();
  }

  start(order: Omit<CoordinatorOrder, "folder">): Promise<void> {
    const child = fork(program, [], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
    this.#coordinator = child;
    this.standing = { known: [], points: 0 };
    // It may be killed while it is written to.
    child.on("error", () => undefined);
    child.on("message", (message: CloudCall | Standing) => {
      if ("known" in message) this.standing = message;
      else this.#serve(child, message);
    });
    child.send({ order: { ...order, folder: this.folder } });
    return new Promise((resolve) => child.once("exit", () => resolve()));
  }

  /** Kills the coordinator and starts another one in its place. */
  async replace(order: Omit<CoordinatorOrder, "folder">): Promise<void> {
    const before = this.#coordinator;
    const ended = new Promise((resolve) => before?.once("exit", resolve));
    if (before?.kill("SIGKILL")) await ended;
    return this.start(order);
  }

  /** Resolves once no machine is left. */
  async emptied(): Promise<void> {
    await eventually("none is left", () => this.living.length === 0, patienceMs);
  }

  stop(): void {
    this.#coordinator?.kill("SIGKILL");
    for (const child of this.processByToken.values()) child.kill("SIGKILL");
    rmSync(this.folder, { recursive: true, force: true });
  }

  #serve(child: ChildProcess, call: CloudCall): void {
    const answer = this.#carryOut(call);
    this.#calls += 1;
    if (this.#calls === this.killAfterCall) child.kill("SIGKILL");
    else if (child.connected) child.send({ nonce: call.nonce, answer });
  }

  #carryOut(call: CloudCall): unknown {
    if (call.op === "launch") return this.#launch(call.token);
    if (call.op === "list") {
      this.lists += 1;
      const listed = this.living.filter((token) => !this.#unlisted.delete(token));
      return listed.map((token) => this.#machine(token));
    }
    for (const id of call.ids) this.processByToken.get(id.slice("i-".length))?.kill("SIGKILL");
    return undefined;
  }

  #launch(token: string): ProvidedMachine {
    if (!this.processByToken.has(token)) {
      this.processByToken.set(token, spawn("sleep", ["600"], { stdio: "ignore" }));
      this.#unlisted.add(token);
    }
    return this.#machine(token);
  }

  #machine(token: string): ProvidedMachine {
    const rest = { market: "on-demand", state: "running", what: "", launchedAtMs: Date.now() };
    return { id: `i-${token}`, token, ...rest } as ProvidedMachine;
  }
}

const clouds = new Set<Cloud>();
afterEach(() => {
  for (const cloud of clouds) cloud.stop();
  clouds.clear();
});

function newCloud(): Cloud {
  const cloud = new Cloud();
  clouds.add(cloud);
  return cloud;
}

const launching = { machines: 2, killAt: 0, bootMsMax: 600_000 };
/** Runs at a time: each is two processes, and its machines. */
const runsAtOnce = 6;

/** Whatever happened, a new run comes to two machines: all alive are known, none is double. */
async function expectTwo(of: Cloud, what: string): Promise<void> {
  void of.start(launching);
  await eventually(
    `two machines that the coordinator knows (${what})`,
    () => of.living.length === 2 && of.standing.known.join() === of.living.join(),
    patienceMs,
  );
  // Another list, and nothing changes any more.
  const { lists } = of;
  await eventually(`another two lists (${what})`, () => of.lists >= lists + 2, patienceMs);
  expect(of.living, what).toHaveLength(2);
  expect(of.processByToken.size, `machines ever started (${what})`).toBe(2);
  of.stop();
}

async function inBatches(cases: readonly number[], run: (of: number) => Promise<void>) {
  for (let at = 0; at < cases.length; at += runsAtOnce) {
    await Promise.all(cases.slice(at, at + runsAtOnce).map(run));
  }
}

test("killed at each await point of a scale-up, it leaves no orphan and launches nothing twice", async () => {
  // A list, two launches and the next list pass so many points.
  const points = Array.from({ length: 24 }, (_, n) => n + 1);
  await inBatches(points, async (killAt) => {
    const cloud = newCloud();
    await cloud.start({ ...launching, killAt });
    await expectTwo(cloud, `killed at point ${killAt}`);
  });
}, 600_000);

test("killed after the cloud did what it asked and before it was told, the same", async () => {
  await inBatches([1, 2, 3, 4], async (call) => {
    const cloud = newCloud();
    cloud.killAfterCall = call;
    await cloud.start(launching);
    await expectTwo(cloud, `killed after call ${call}`);
  });
}, 300_000);

test("machines that never join are ended, also where it is killed while it ends them", async () => {
  await inBatches([0, 2, 4, 6, 7, 8, 9, 10], async (killAt) => {
    const cloud = newCloud();
    void cloud.start(launching);
    await eventually("two machines", () => cloud.standing.known.length === 2, patienceMs);
    const ending = { machines: 0, killAt: 0, bootMsMax: 500 };
    const { living } = cloud;
    if (killAt > 0) await Promise.race([cloud.replace({ ...ending, killAt }), cloud.emptied()]);
    void cloud.replace(ending);
    await eventually(`none is left (${killAt})`, () => cloud.living.length === 0, patienceMs);
    expect(cloud.processByToken.size).toBe(living.length);
    cloud.stop();
  });
}, 300_000);
