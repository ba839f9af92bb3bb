import { expect, test } from "vitest";
import type { ActionExecutor, ExecutedAction } from "../../../src/build/executor.ts";
import type { PreparedAction } from "../../../src/build/prepared-action.ts";
import { createRacingExecutor } from "../../../src/build/racing-executor.ts";
import { type Digest, digestKey } from "../../../src/core/digest.ts";
import { MeshError } from "../../../src/core/error.ts";
import { ActionResult } from "../../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";

type Call = Parameters<ActionExecutor["execute"]>[1];

/** An executor whose actions end when the test says so. */
function place(name: string) {
  const calls: {
    readonly action: PreparedAction;
    readonly call: Call;
    readonly end: () => void;
    readonly fail: (error: unknown) => void;
  }[] = [];
  const blobs = new Map<string, Uint8Array>();
  const executor: ActionExecutor = {
    execute: (action, call) =>
      new Promise<ExecutedAction>((resolve, reject) => {
        call.signal.addEventListener("abort", () => reject(new MeshError("CANCELLED", "ended")));
        const result = ActionResult.fromPartial({ executionMetadata: { worker: name } });
        const end = () => resolve({ result, cached: false, failure: undefined, message: "" });
        calls.push({ action, call, end, fail: reject });
      }),
    get: async (digest) => {
      const bytes = blobs.get(digestKey(digest));
      if (bytes === undefined) throw new MeshError("NOT_FOUND", `${name} has no such blob.`);
      return bytes;
    },
    download: async (digest) => {
      await executor.get(digest);
    },
    close: async () => {},
  };
  return { executor, calls, blobs };
}

function race(slots = 1) {
  const remote = place("remote");
  const local = place("local");
  const timers = new Set<() => void>();
  const reasons: string[] = [];
  const executor = createRacingExecutor(
    {
      remote: async () => remote.executor,
      local: async () => local.executor,
      after: (_ms, then) => {
        timers.add(then);
        return () => timers.delete(then);
      },
      away: (reason) => reasons.push(reason),
    },
    { slots, patienceMs: 300 },
  );
  const runOutOfPatience = async () => {
    for (const timer of [...timers]) {
      timers.delete(timer);
      timer();
    }
    await settled();
  };
  const abort = new AbortController();
  const run = (): Promise<string | undefined> =>
    executor
      .execute(action(), {
        ...{ invocation: "i", signal: abort.signal, fresh: false },
        events: { uploaded: () => {}, started: () => {} },
      })
      .then(({ result }) => result.executionMetadata?.worker);
  return { remote, local, timers, reasons, executor, runOutOfPatience, run, abort };
}

const digest = (hash: string): Digest => ({ fn: "sha256", hash: hash.repeat(64), sizeBytes: 1 });

function action(): PreparedAction {
  return { digest: digest("a"), blobByKey: new Map(), build: {} } as unknown as PreparedAction;
}

/** Lets everything run that only waits for resolved promises. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve();
}

test("an action that the node starts at once runs only there", async () => {
  const { remote, local, runOutOfPatience, run } = race();
  const done = run();
  await settled();
  remote.calls[0]?.call.events.started();
  await runOutOfPatience();
  expect(local.calls).toHaveLength(0);
  remote.calls[0]?.end();
  expect(await done).toBe("remote");
});

test("one that waits in the queue runs here too, and whoever ends first counts", async () => {
  for (const winner of ["remote", "local"] as const) {
    const both = race();
    const done = both.run();
    await settled();
    await both.runOutOfPatience();
    expect(both.local.calls).toHaveLength(1);
    both[winner].calls[0]?.end();
    expect(await done).toBe(winner);
    const loser = winner === "remote" ? both.local : both.remote;
    expect(loser.calls[0]?.call.signal.aborted).toBe(true);
    expect(both.timers.size).toBe(0);
  }
});

test("no more run here than there are slots; the next takes the slot that becomes free", async () => {
  const { remote, local, runOutOfPatience, run } = race(1);
  const first = run();
  const second = run();
  await settled();
  await runOutOfPatience();
  await runOutOfPatience();
  expect(local.calls).toHaveLength(1);
  local.calls[0]?.end();
  expect(await first).toBe("local");
  await runOutOfPatience();
  expect(local.calls).toHaveLength(2);
  remote.calls[1]?.end();
  expect(await second).toBe("remote");
});

test("a node that goes away leaves everything to this machine, and is told of once", async () => {
  const { remote, local, reasons, run } = race();
  const both = [run(), run()];
  await settled();
  for (const { fail } of remote.calls) fail(new MeshError("UNAVAILABLE", "gone"));
  await settled();
  for (const { end } of local.calls) end();
  expect(await Promise.all(both)).toEqual(["local", "local"]);
  expect(reasons).toEqual(["gone"]);
  const later = run();
  await settled();
  expect(remote.calls).toHaveLength(2);
  local.calls[2]?.end();
  expect(await later).toBe("local");
});

test("what is wrong with the action itself is an error, unless the race here is won", async () => {
  const one = race();
  const refused = one.run();
  await settled();
  one.remote.calls[0]?.fail(new MeshError("INVALID_ARGUMENT", "no such platform"));
  await expect(refused).rejects.toThrow("no such platform");
  const two = race();
  const won = two.run();
  await settled();
  await two.runOutOfPatience();
  two.remote.calls[0]?.fail(new MeshError("INVALID_ARGUMENT", "no such platform"));
  two.local.calls[0]?.end();
  expect(await won).toBe("local");
});

test("inputs that only the other place has are carried over", async () => {
  const { remote, local, runOutOfPatience, run } = race();
  const made = digest("b");
  remote.blobs.set(digestKey(made), new Uint8Array([1]));
  const done = run();
  await settled();
  await runOutOfPatience();
  local.calls[0]?.fail(new MeshError("FAILED_PRECONDITION", "missing", { missing: [made] }));
  await settled();
  expect(local.calls[1]?.action.blobByKey.has(digestKey(made))).toBe(true);
  local.calls[1]?.end();
  expect(await done).toBe("local");
});

test("Ctrl-C ends both", async () => {
  const { remote, local, runOutOfPatience, run, abort } = race();
  const done = run();
  await settled();
  await runOutOfPatience();
  abort.abort();
  await expect(done).rejects.toThrow("ended");
  expect(remote.calls[0]?.call.signal.aborted && local.calls[0]?.call.signal.aborted).toBe(true);
});
