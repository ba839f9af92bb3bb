// The conformance suite against servers that are wrong in one thing each: it must notice, and must
// not blame what is right.

import { afterAll, beforeAll, expect, test } from "vitest";
import type { Case } from "../conformance/reapi/case.ts";
import { type Outcome, runCases } from "../conformance/reapi/run-cases.ts";
import { allCases, casesByTopic } from "../conformance/reapi/suite.ts";
import { type Endpoint, fetchCapabilities } from "../conformance/reapi/target.ts";
import { startTwin, type Twin } from "../conformance/reapi/twin.ts";
import { allTwins } from "../conformance/reapi/twins.ts";
import { createPlace, type Place, type SpawnedNode, startNode } from "../support/programs.ts";

/** Cases of a topic that are run beside those that must notice. */
const besideMax = 8;

let place: Place;
let node: SpawnedNode;
/** What the right server itself is blamed for. */
const blamed = new Set<string>();

beforeAll(async () => {
  place = createPlace();
  node = await startNode(place, ["--workers-min", "4"]);
  const selected = new Set(allTwins.flatMap(selectedOf));
  for (const outcome of await runAll(node.address, [...selected])) {
    if (outcome.verdict === "failed") blamed.add(outcome.case.name);
  }
});
afterAll(async () => {
  await node.stop();
  place.remove();
});

const mustFail = (twin: Twin, { name }: Case) =>
  twin.fails.some((wanted) => (typeof wanted === "string" ? wanted === name : wanted.test(name)));

function selectedOf(twin: Twin): Case[] {
  const topic = (casesByTopic[twin.topic] ?? []).filter(({ alone }) => alone !== true);
  const beside = topic.filter((one) => !mustFail(twin, one)).slice(0, besideMax);
  return topic.filter((one) => mustFail(twin, one) || beside.includes(one));
}

async function runAll(address: string, cases: readonly Case[]): Promise<Outcome[]> {
  const endpoint: Endpoint = { address, tls: "off", headers: {}, instance: "", platform: [] };
  return runCases(cases, endpoint, await fetchCapabilities(endpoint, 10_000));
}

test("every case has a name of its own, and every twin a case that must notice it", () => {
  expect(new Set(allCases.map(({ name }) => name)).size).toBe(allCases.length);
  for (const twin of allTwins) {
    for (const wanted of twin.fails) {
      const found = selectedOf(twin).some((one) => mustFail({ ...twin, fails: [wanted] }, one));
      expect(found, `${twin.wrong}: a case ${wanted}`).toBe(true);
    }
  }
});

test.each(allTwins)("a server that $wrong ($topic) is found out", async (twin) => {
  const running = await startTwin(node.address, twin.twists());
  const { deadlineMs } = twin;
  const cases = selectedOf(twin).filter(({ name }) => !blamed.has(name));
  const hurried = deadlineMs === undefined ? cases : cases.map((one) => ({ ...one, deadlineMs }));
  try {
    const outcomes = await runAll(running.address, hurried);
    const failed = outcomes.filter(({ verdict }) => verdict === "failed");
    const seen = failed.map((one) => one.case.name).sort();
    const why = failed.map((one) => `${one.case.name}: ${one.why}`).join("\n");
    const applicable = outcomes.filter(({ verdict }) => verdict !== "skipped");
    const wanted = applicable.filter((one) => mustFail(twin, one.case)).map((one) => one.case.name);
    expect(wanted.length, "cases that must notice").toBeGreaterThan(0);
    expect(seen, why).toEqual(wanted.sort());
  } finally {
    running.close();
  }
});
