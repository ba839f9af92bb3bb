// What the hosts of a mesh tell each other about themselves, and what they do not.

import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import {
  createPlace,
  type Place,
  run,
  type SpawnedNode,
  startNode,
  startServing,
} from "../support/programs.ts";

let place: Place;
const nodes: SpawnedNode[] = [];

beforeAll(async () => {
  place = createPlace();
  const flags = ["--workers-min", "1", "--slots", "1", "--mesh", "0.0.0.0:0", "--name"];
  const desk = await startNode(place, ["--no-work-stealing", ...flags, "desk"]);
  nodes.push(desk);
  const { stdout } = await remote(0, "mesh", "invite");
  const [, link = ""] = /builder join '([^']+)'/.exec(stdout) ?? [];
  const words = ["join", link, "--coordinator", "127.0.0.1:0", "--store", join(place.folder, "b")];
  nodes.push(await startServing(place, [...words, ...flags, "lab"]));
  for (const at of [0, 1]) {
    await eventually("they know each other", async () =>
      /^(desk|lab) .*[\d.]+m?s$/m.test((await remote(at, "remote", "top")).stdout),
    );
  }
});
afterAll(async () => {
  for (const node of nodes) node.process.kill("SIGCONT");
  await Promise.all(nodes.map((node) => node.stop()));
  place.remove();
});

const remote = (at: number, ...words: string[]) =>
  run(place, place.folder, "builder", [...words, ...(nodes[at]?.asOwner ?? [])]);

test("any host lists, explains and ends what another one accepted", async () => {
  const command = "while ! test -e stop; do sleep 0.05; done";
  const text = `target long:\n    command: ${command}\n    outputs: [o]\n`;
  const folder = place.workspace({ Builderfile: text });
  const built = run(place, folder, "bldr", ["build", `--remote=${nodes[0]?.address}`]);
  const listed = async () =>
    JSON.parse((await remote(1, "remote", "actions", "--running", "--json")).stdout);
  await eventually("it runs", async () => (await listed()).total === 1);
  const [action] = (await listed()).actions;
  expect(action).toMatchObject({ kind: "//:long Custom", host: "desk", worker: "desk/worker-1" });
  const why = await remote(1, "remote", "why", "//:long");
  expect(why.stdout).toContain("It has run on desk/worker-1 for");
  const ended = await remote(1, "remote", "cancel", action.operation);
  expect(ended.stdout).toContain("1 call was told that the action is given up.");
  expect((await built).code).toBe(1);
  expect((await listed()).total).toBe(0);
});

test("an admin of the mesh reads the log of every host, a mere host only its own", async () => {
  const of = await remote(0, "remote", "logs", "lab");
  expect(of.stdout).toMatch(/\[INFO\] desk is in the mesh/);
  const own = await remote(1, "remote", "logs", "lab");
  // When a line was is told by its age, which takes a while to arrive.
  const texts = (lines: string) => lines.replaceAll(/^[\d:]+ /gm, "");
  expect(texts(own.stdout)).toBe(texts(of.stdout));
  const refused = await remote(1, "remote", "logs", "desk");
  expect(refused.stderr).toContain("Log lines are told to admins of the mesh only");
});

test("the log of all hosts is searched at once, and who does not tell is named", async () => {
  const words = ["remote", "logs", "--all", "--search", "IS IN THE MESH"];
  // Who is busy may miss the second that it has, and is then named as silent.
  const says = (at: number, ...patterns: RegExp[]) =>
    eventually(
      `host ${at} tells what all said`,
      async () => {
        const { stdout } = await remote(at, ...words);
        const lines = stdout.trim().split("\n");
        const isFound = patterns.every((pattern) => lines.some((line) => pattern.test(line)));
        return isFound && lines;
      },
      120_000,
    );
  const ofLab = /^\S+ lab \[INFO\] desk is in the mesh/;
  const lines = await says(0, ofLab, /^\S+ desk \[INFO\] lab is in the mesh/);
  for (const line of lines) expect(line).toMatch(/is in the mesh|^Silent/);
  const [last] = (await remote(0, ...words, "--limit", "1", "--json")).stdout.trim().split("\n");
  expect(JSON.parse(last ?? "").text).toContain("is in the mesh");
  const mere = await says(1, ofLab, /^Do not tell: desk$/);
  expect(mere.filter((line) => line.includes(" desk [INFO]"))).toEqual([]);
  const both = await remote(0, ...words, "--follow");
  expect(both.code).toBe(2);
  expect(both.stderr).toContain("leave out --follow");
});

test("a host that does not answer within a second is shown as silent, and holds up nobody", async () => {
  nodes[1]?.process.kill("SIGSTOP");
  const top = await remote(0, "remote", "top");
  expect(top.stdout).toMatch(/^lab +silent$/m);
  expect(top.stdout.replaceAll(/\s+/g, " ")).toContain("lab does not answer: is it up");
  const actions = await remote(0, "remote", "actions", "--ended");
  expect(actions.stdout).toMatch(/\/\/:long Custom\nSilent: lab\n/);
  const logs = await remote(0, "remote", "logs", "--all", "--search", "is in the mesh");
  expect(logs.stdout).toMatch(/ desk \[INFO\] lab is in the mesh.*\n/);
  expect(logs.stdout).toMatch(/\nSilent: lab\n$/);
  nodes[1]?.process.kill("SIGCONT");
  await eventually("it answers again", async () => {
    const again = await remote(0, "remote", "top");
    return !/silent/.test(again.stdout);
  });
});
