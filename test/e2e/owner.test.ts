// A node as `builder serve` starts it, without tokens: everybody builds, and its owner alone says
// what it does. What an action with network reaches on loopback is no owner.

import { chmodSync, copyFileSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  createPlace,
  type Place,
  run,
  type SpawnedNode,
  startNode,
  startServing,
} from "../support/programs.ts";

let place: Place;
let node: SpawnedNode;
let store: string;

beforeAll(async () => {
  place = createPlace();
  store = join(place.folder, "node-store");
  const flags = ["--workers-min", "1", "--slots", "1", "--mesh", "127.0.0.1:0"];
  node = await startNode(place, [...flags, "--log-level", "debug"]);
});
afterAll(async () => {
  await node?.stop();
  place.remove();
});

const tokenFile = () => join(store, "mesh", "owner.token");
const token = () => readFileSync(tokenFile(), "utf8").split(" ")[0] ?? "";
const builder = (words: readonly string[], env: NodeJS.ProcessEnv = {}) =>
  run(place, place.folder, "builder", words, env);

/** What wants the right `admin`; every request is empty. */
const ofTheOwner = [
  ...["Invite", "Revoke", "Leave", "GetMesh", "Scale", "Drain", "Configure", "GetConfiguration"]
    .map((name) => `builder.node.v1.MeshControl/${name}`)
    .concat(["ReadLog", "Cancel"].map((name) => `builder.node.v1.Insight/${name}`)),
  "google.longrunning.Operations/ListOperations",
  "google.longrunning.Operations/DeleteOperation",
];
const ofEverybody = ["builder.node.v1.NodeStatus/GetStatus", "builder.node.v1.Insight/GetFigures"];

/** Calls each method at argv[2] with an empty message; its gRPC status goes to standard output. */
const callEach = `
import { connect } from "node:http2";
const [address, ...methods] = process.argv.slice(2);
const session = connect("http://" + address);
for (const method of methods) {
  const call = session.request({
    ":method": "POST", ":path": "/" + method, "content-type": "application/grpc", te: "trailers",
  });
  const status = await new Promise((resolve, reject) => {
    const look = (headers) => headers["grpc-status"] && resolve(headers["grpc-status"]);
    call.on("response", look);
    call.on("trailers", look);
    call.on("error", reject);
    call.resume();
    call.end(Buffer.alloc(5));
  });
  console.log(method + " " + status);
}
session.close();
`;

test("an action with network reaches its node on loopback, and is not its owner", async () => {
  const methods = [...ofEverybody, ...ofTheOwner].join(" ");
  const theft = `(cat ${tokenFile()} || ls ${store})`;
  const builderfile = `target attack:
  inputs: [node, call.mjs]
  command: ./node call.mjs ${node.address} ${methods} > answers; ${theft} > stolen 2>&1 || true
  outputs: [answers, stolen]
  hermetic:
    network: true
`;
  const folder = place.workspace({ Builderfile: builderfile, "call.mjs": callEach });
  copyFileSync(process.execPath, join(folder, "node"));
  chmodSync(join(folder, "node"), 0o755);
  const args = ["build", "attack", `--remote=${node.address}`];
  const built = await run(place, folder, "bldr", args);
  expect(built.stderr).toBe("");
  const answers = readFileSync(join(folder, "answers"), "utf8").trim().split("\n");
  // OK, and UNAUTHENTICATED.
  const expected = [...ofEverybody.map((one) => `${one} 0`), ...ofTheOwner.map((o) => `${o} 16`)];
  expect(answers).toEqual(expected);
  const stolen = readFileSync(join(folder, "stolen"), "utf8");
  expect(stolen).toMatch(/owner\.token.*No such file[\s\S]*node-store.*No such file/);
  expect(stolen).not.toContain(token());
  const asked = ["remote", "actions", "--ended", "--json", "--coordinator", node.address];
  const [listed] = JSON.parse((await builder(asked)).stdout).actions;
  // No name, by which whoever reads the list could end what is another's.
  expect(listed).toMatchObject({
    kind: "//:attack Custom",
    operation: expect.stringMatching(/^op-/),
  });
}, 600_000);

test("its owner's commands work as they stand; anybody else's are refused with what to do", async () => {
  const commands = [
    ["mesh", "invite"],
    ["mesh", "info"],
    ["remote", "scale", "--workers", "1"],
    ["remote", "scale", "--release"],
    ["remote", "configure", "--workers-max", "3"],
    ["remote", "drain", "worker-1"],
    ["remote", "drain", "worker-1", "--cancel"],
    ["remote", "decisions"],
    ["remote", "logs"],
  ];
  for (const words of commands) {
    const owner = await builder([...words, "--store", store]);
    expect([owner.code, owner.stderr], words.join(" ")).toEqual([0, ""]);
    const stranger = await builder([...words, "--coordinator", node.address]);
    expect(stranger.stderr, words.join(" ")).toMatch(/without a token may not call .*--store/);
    expect(stranger.code).toBe(3);
  }
  const [host, port] = node.address.split(":");
  expect(host).toBe("127.0.0.1");
  const named = ["remote", "logs", "--coordinator", `localhost:${port}`, "--store", store];
  const log = await builder(named);
  expect(log.stderr).toBe("");
  expect(`${log.stdout}${node.said()}`).not.toContain(token());
  const elsewhere = ["remote", "logs", "--coordinator", node.address];
  expect((await builder(elsewhere, { BUILDER_TOKEN: token() })).code).toBe(0);
  // Who says a token means it.
  const wrong = await builder([...elsewhere, "--store", store], { BUILDER_TOKEN: "x".repeat(43) });
  expect(wrong.stderr).toMatch(/without a token may not call/);
}, 600_000);

test("on a machine's usual store nothing is to be named, whatever the node listens on", async () => {
  const words = ["serve", "--remote", "--coordinator", "0.0.0.0:0", "--workers-min", "1"];
  const usual = await startServing(place, [...words, "--workers-max", "2", "--insecure"]);
  try {
    const aws = ["--provider", "aws", "--region", "us-east-1", "--instance-type", "c5.2xlarge"];
    for (const asked of [
      ["configure", ...aws, "--image-id", "ami-builder-worker-v1"],
      ["configure", "--spot", "--spot-max-price", "0.10", "--on-demand-base", "2"],
      ["scale", "--workers", "2"],
      ["logs", "--coordinator", usual.address],
      ["status"],
    ]) {
      const ended = await builder(["remote", ...asked]);
      expect([ended.code, ended.stderr], asked.join(" ")).toEqual([0, ""]);
    }
    expect((await builder(["remote", "configure", "--print"])).stdout).toContain("c5.2xlarge");
  } finally {
    await usual.stop();
  }
}, 600_000);

test("nodes of one store know one owner, who is found by any of their addresses", async () => {
  const words = ["serve", "--remote", "--coordinator", "127.0.0.1:0", "--store", store];
  const guest = await startServing(place, [
    ...words,
    "--workers-min",
    "0",
    "--mesh",
    "127.0.0.1:0",
  ]);
  try {
    for (const { asOwner } of [node, guest]) {
      const said = await builder(["remote", "logs", ...asOwner]);
      expect([said.code, said.stderr]).toEqual([0, ""]);
    }
  } finally {
    await guest.stop();
  }
  // The first is found again.
  const status = await builder(["remote", "status", "--json", "--store", store]);
  expect(JSON.parse(status.stdout).coordinator).toBe(node.address);
  expect(statSync(tokenFile()).mode & 0o777).toBe(0o600);
  expect(readdirSync(join(store, "mesh", "nodes"))).toEqual([`${node.process.pid}.json`]);
}, 600_000);
