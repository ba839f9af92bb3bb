// The conformance suite as its users run it: arguments, report, exit code.

import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { allCases } from "../conformance/reapi/suite.ts";
import { startTwin } from "../conformance/reapi/twin.ts";
import { allTwins } from "../conformance/reapi/twins.ts";
import {
  createPlace,
  type Place,
  root,
  run,
  type SpawnedNode,
  startNode,
} from "../support/programs.ts";

let place: Place;
let node: SpawnedNode;
beforeAll(async () => {
  place = createPlace();
  node = await startNode(place, ["--workers-min", "1"]);
});
afterAll(async () => {
  await node.stop();
  place.remove();
});

const program = join(root, "test/conformance/reapi/main.ts");
const conformance = (...args: string[]) => run(place, root, process.execPath, [program, ...args]);

test("a right server is reported by client, and the program ends with 0", async () => {
  const { code, stdout } = await conformance(
    node.address,
    "--only",
    "^moon",
    "--only",
    "siso takes",
  );
  expect(stdout).toMatch(/^moon\n {2}ok {6}SHA256 is served$/m);
  expect(stdout).toMatch(/\n\d+ passed, 0 failed, \d+ skipped\n$/);
  expect(code).toBe(0);
});

test("a wrong server is told what is wrong and by which rule, and the program ends with 1", async () => {
  const twists = allTwins
    .find(({ wrong }) => wrong === "says that batches are unlimited")
    ?.twists();
  const twin = await startTwin(node.address, twists ?? []);
  const { code, stdout } = await conformance(twin.address, "--only", "^the batch limit");
  twin.close();
  expect(stdout).toMatch(/FAILED {2}the batch limit is a number, never 0\n +max_batch_\w+ is 0 \[/);
  expect(stdout).toMatch(/\n0 passed, 1 failed, 0 skipped\n$/);
  expect(code).toBe(1);
});

test("programs read JSON", async () => {
  const { stdout } = await conformance(node.address, "--only", "^SHA256 is served$", "--json");
  expect(JSON.parse(stdout)).toMatchObject({
    address: node.address,
    cases: [{ name: "SHA256 is served", client: "moon", verdict: "passed", why: "" }],
  });
});

test("headers and tokens go with every call", async () => {
  const flags = ["--token", "t", "--header", "X-Extra=1", "--instance", "a/b"];
  const { code } = await conformance(node.address, ...flags, "--only", "^SHA256 is served$");
  expect(code).toBe(0);
});

test("a server that is not there, a wrong flag and a pattern without a case end with 2", async () => {
  for (const args of [["127.0.0.1:1"], ["--no-such-flag"], [node.address, "--only", "qqq"], []]) {
    const { code, stdout, stderr } = await conformance(...args);
    expect(code, args.join(" ")).toBe(2);
    expect(`${stdout}${stderr}`).toMatch(/conformance/);
  }
});

test("the cases can be listed without a server", async () => {
  const { code, stdout } = await conformance("--list");
  expect(stdout.trimEnd().split("\n")).toHaveLength(allCases.length);
  expect(code).toBe(0);
});
