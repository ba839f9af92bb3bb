// Our own node against the conformance suite, case by case.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { ServerCapabilities } from "../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { deadlineMsDefault } from "../conformance/reapi/case.ts";
import { runCase } from "../conformance/reapi/run-cases.ts";
import { casesByTopic } from "../conformance/reapi/suite.ts";
import { type Endpoint, fetchCapabilities } from "../conformance/reapi/target.ts";
import { createPlace, type Place, type SpawnedNode, startNode } from "../support/programs.ts";

/** Rules that do not apply to this node, with why; every other case must run. */
const inapplicable: ReadonlyMap<string, string> = new Map([
  [
    "a priority outside the advertised range is refused",
    "every priority is within the advertised range",
  ],
  ["a Tree is said to be topologically sorted only when it is", "it is not said"],
  [
    "node properties that are advertised come with the outputs that ask for them",
    "no node properties are advertised",
  ],
]);

let place: Place;
let node: SpawnedNode;
let endpoint: Endpoint;
let owner: Endpoint;
let capabilities: ServerCapabilities;

beforeAll(async () => {
  place = createPlace();
  node = await startNode(place, ["--workers-min", "2"]);
  endpoint = { address: node.address, tls: "off", headers: {}, instance: "", platform: [] };
  const file = join(place.folder, "node-store/mesh/owner.token");
  const [token] = readFileSync(file, "utf8").split(" ");
  owner = { ...endpoint, headers: { authorization: `Bearer ${token}` } };
  capabilities = await fetchCapabilities(endpoint, 10_000);
});
afterAll(async () => {
  await node.stop();
  place.remove();
});

const cases = Object.entries(casesByTopic).flatMap(([topic, own]) =>
  own.map((one) => ({
    topic,
    one,
    name: one.name,
    deadlineMs: one.deadlineMs ?? deadlineMsDefault,
  })),
);

for (const { topic, one, name, deadlineMs } of cases) {
  test(`${topic}: ${name}`, { timeout: deadlineMs + 5000 }, async () => {
    // To list and to forget operations is for the owner.
    const caller = topic === "operations" ? owner : endpoint;
    const { verdict, why } = await runCase(one, caller, capabilities);
    if (verdict === "skipped") expect(inapplicable.get(name), `skipped: ${why}`).toBe(why);
    else expect(verdict, why).toBe("passed");
  });
}
