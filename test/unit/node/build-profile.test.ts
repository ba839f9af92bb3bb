import { expect, test } from "vitest";
import { buildPart, profileOfParts } from "../../../src/node/build-profile.ts";
import { createWatched } from "../../../src/node/watched.ts";
import { abandoned, accepted, bound, done } from "../../support/action-notes.ts";

const id = "6d849ad9-75c5-4b63-8d2c-111111111111";

function node(invocation = id) {
  const clock = { nowMs: 1_000_000 };
  const watched = createWatched({ log: () => undefined, now: () => clock.nowMs }, "info");
  const at = (ms: number, ...notes: Parameters<typeof watched.onNote>) => {
    clock.nowMs = 1_000_000 + ms;
    watched.onNote(...notes);
  };
  const accept = (ms: number, seq: number, kind: string) =>
    at(ms, accepted(seq, { invocation, kind }));
  return { clock, watched, at, accept, part: (name = id) => buildPart(watched, name, clock.nowMs) };
}

test("a build is put together from what its hosts remember", () => {
  const [desk, laptop] = [node(), node()];
  desk.accept(0, 1, "compile");
  desk.at(100, bound(1, "desk/worker-1"));
  const spans = { fetchMs: 10, setUpMs: 20, storeMs: 30 };
  desk.at(1000, done(1, "desk/worker-1", { runMs: 800, spans }));
  desk.accept(1000, 2, "link");
  desk.at(1100, bound(2, "desk/worker-1"));
  desk.watched.onLookUp({ hit: true, invocation: id, savedMs: 5000 });
  desk.watched.onLookUp({ hit: false, invocation: id, savedMs: 0 });
  laptop.accept(500, 1, "compile other");
  laptop.at(600, bound(1, "laptop/worker-1", true));
  laptop.at(900, done(1, "laptop/worker-1", { runMs: 250, exitCode: 1 }));
  laptop.accept(1500, 2, "waits");
  for (const { clock } of [desk, laptop]) clock.nowMs = 1_002_000;
  const profile = profileOfParts([desk.part(), laptop.part("6d849ad9")], id, ["shed"]);
  expect(profile).toMatchObject({
    ...{ invocation: id, wallMs: 2000, ran: 2, failed: 1, running: 1, queued: 1, cached: 1 },
    ...{ savedMs: 5000, waitMs: 300, fetchMs: 10, setUpMs: 20, runMs: 800 + 900 + 250 },
    ...{ storeMs: 30, returnMs: 40 + 50, atOnceMost: 2, cut: false, silent: ["shed"] },
  });
  expect(profile.pathLongest.map(({ kind }) => kind)).toEqual(["compile", "link"]);
  expect(profile.lanes.map(({ worker }) => worker)).toEqual(["desk/worker-1", "laptop/worker-1"]);
  expect(profile.lanes[0]?.bars.map(({ running }) => running)).toEqual([false, true]);
  expect(profile.lanes[1]?.bars[0]).toMatchObject({ failed: true, stolen: true });
});

test("who joined an action's wait sees it in his own build", () => {
  const { at, part, accept } = node("another");
  accept(0, 1, "shared");
  const token = { ingress: "self", seq: 1, hop: 0 };
  const { request } = accepted(1, { invocation: id }) as Extract<
    ReturnType<typeof accepted>,
    { name: "action-accepted" }
  >;
  at(10, { name: "action-merged", token, request, operation: "his" });
  at(20, bound(1, "w"));
  expect(part()).toMatchObject({ invocation: id, actions: [{ kind: "shared", runMs: 0 }] });
});

test("phases that a worker tells never exceed the time that it had the action", () => {
  const { at, part, accept } = node();
  accept(0, 1, "odd");
  at(100, bound(1, "w"));
  const spans = { fetchMs: 1e12, setUpMs: -5, storeMs: 7 };
  at(300, done(1, "w", { runMs: 150, spans }));
  expect(part().actions).toMatchObject([{ runMs: 150, fetchMs: 50, setUpMs: 0, storeMs: 0 }]);
});

test("a build that nobody remembers is not found; what never began is no bar", () => {
  const { at, part, accept } = node();
  expect(() => profileOfParts([part()], id, ["shed"])).toThrow(/is remembered. 1 hosts did not/);
  accept(0, 1, "given up");
  at(5, abandoned(1));
  const profile = profileOfParts([part()], id, []);
  expect(profile).toMatchObject({ ran: 0, lanes: [], wallMs: 0 });
});
