// What a node tells of its actions, as users ask for it: watch, top, actions, why, profile, logs,
// cancel.

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../support/eventually.ts";
import { createPlace, type Place, run, type SpawnedNode, startNode } from "../support/programs.ts";
import { startAtTerminal } from "../support/terminal.ts";

let place: Place;
let node: SpawnedNode;
const tokens = { admin: "a".repeat(32), client: "c".repeat(32), reader: "r".repeat(32) };

beforeAll(async () => {
  place = createPlace();
  const file = join(place.folder, "tokens");
  const lines = Object.entries(tokens).map(([role, token]) => `${token} ${role} the-${role}`);
  writeFileSync(file, `${lines.join("\n")}\n`, { mode: 0o600 });
  const flags = ["--workers-min", "1", "--slots", "1", "--token-file", file];
  node = await startNode(place, [...flags, "--name", "desk"]);
});
afterAll(async () => {
  await node?.stop();
  place.remove();
});

const ask = (words: readonly string[], role: keyof typeof tokens = "admin") =>
  run(place, place.folder, "builder", ["remote", ...words, "--coordinator", node.address], {
    BUILDER_TOKEN: tokens[role],
  });

/** Begins a build whose action of that name runs until it is given up. */
function build(name: string, role: keyof typeof tokens = "client") {
  const command = `echo ${name}; while ! test -e stop; do sleep 0.05; done`;
  const text = `target ${name}:\n    command: ${command}\n    outputs: [${name}]\n`;
  const folder = place.workspace({ Builderfile: text });
  const args = ["build", name, `--remote=${node.address}`];
  return run(place, folder, "bldr", args, { BUILDER_TOKEN: tokens[role] });
}

const line = async (pattern: RegExp) => {
  const found = { text: "" };
  await eventually(`${pattern} is listed`, async () => {
    found.text = (await ask(["actions"])).stdout;
    return pattern.test(found.text);
  });
  return found.text;
};

test("what runs and what waits is listed and explained, and can be given up", async () => {
  const first = build("first");
  await line(/running .* \/\/:first Custom/);
  const second = build("second", "admin");
  const listed = await line(/queued .* \/\/:second Custom/);
  expect(listed).toMatch(/running +[\d.]+m?s +worker-1 +[0-9a-f]{12} +\/\/:first Custom/);

  const why = await ask(["why", "//:second"], "reader");
  expect(why.stderr).toBe("");
  expect(why.stdout).toMatch(/It has waited for .*: all 1 slots that could run it are taken\./);
  expect(why.stdout).toMatch(/1 by invocation \S+ of the-client, priority 0 \(longest for/);

  const found = JSON.parse((await ask(["actions", "--running", "--json"])).stdout);
  expect(found.total).toBe(1);
  const [action] = found.actions;
  const byDigest = await ask(["why", action.action.slice(7, 15)]);
  expect(byDigest.stdout).toMatch(/^\/\/:first Custom.*\n.*\nIt has run on worker-1 for/);
  const byOperation = await ask(["why", action.operation, "--json"]);
  expect(JSON.parse(byOperation.stdout).action.kind).toBe("//:first Custom");

  const profile = await ask(["profile", action.invocation], "reader");
  expect(profile.stderr).toBe("");
  expect(profile.stdout).toMatch(/^ {2}Build +[\d.]+m?s, 0 ran, 1 run, 0 from the cache$/m);
  expect(profile.stdout).toMatch(/^ +[\d.]+m?s {2}\/\/:first Custom on worker-1$/m);
  const none = await ask(["profile", "no-such-build"], "reader");
  expect(none.stderr).toContain('No action of an invocation "no-such-build" is remembered.');

  const status = await ask(["status"]);
  expect(status.stdout).toMatch(/Pending: 1 action\n {2}Executing: 1 action\n/);
  expect(status.stdout).toMatch(/Waiting: 1 because slots are taken \(longest/);
  const top = await ask(["top"]);
  expect(top.stdout).toMatch(/^desk \(asked\) +1 +1 +0 +0 /m);
  expect(top.stdout).toMatch(/^worker-1 +1\/1 /m);

  // Whose it is matters: a client ends its own builds, an admin everybody's.
  const other = await ask(["cancel", "second's invocation"], "client");
  expect(other.code).toBe(2);
  const waiting = JSON.parse((await ask(["actions", "--queued", "--json"])).stdout).actions[0];
  const foreign = await ask(["cancel", waiting.invocation], "client");
  expect(foreign.stderr).toContain("or it is somebody else's");
  const ended = await ask(["cancel", action.invocation], "client");
  expect(ended.stdout).toContain("1 call was told that the action is given up.");
  expect((await first).code).toBe(1);
  const operation = await ask(["cancel", waiting.operation], "admin");
  expect(operation.stdout).toContain("1 call was told");
  expect((await second).code).toBe(1);
  const left = JSON.parse((await ask(["actions", "--json"])).stdout);
  expect(left.total).toBe(0);
  const cancelled = await ask(["why", "//:first"]);
  expect(cancelled.stdout).toContain("nobody waited for it any more");
});

test("rights: who only reads may look, but neither give up nor read the log", async () => {
  const refused = await ask(["logs"], "client");
  expect(refused.code).toBe(3);
  expect(refused.stderr).toContain('it needs the right "admin"');
  const cancel = await ask(["cancel", "x"], "reader");
  expect(cancel.stderr).toContain('it needs the right "execute"');
  const logs = await ask(["logs"]);
  expect(logs.stdout).toMatch(/^\d\d:\d\d:\d\d \[INFO\] worker-1 joined with 1 slots$/m);
  for (const token of Object.values(tokens)) expect(logs.stdout).not.toContain(token);
  const nobody = await ask(["logs", "no-such-host"]);
  expect(nobody.stderr).toContain('No host is called "no-such-host"');
  const unknown = await ask(["why", "ffffffffff"]);
  expect(unknown.code).toBe(2);
  expect(unknown.stderr).toContain("`builder remote actions` lists them");
});

test("watch draws in place, outlives the node, and leaves the terminal as it was", async () => {
  const own = await startNode(createPlaceIn(), ["--workers-min", "1", "--slots", "1"]);
  const args = ["remote", "watch", "--coordinator", own.address];
  const size = { columns: 80, rows: 24 };
  const shown = startAtTerminal(place, place.folder, "builder", args, size);
  await shown.says("│ Workers: 1 (0 busy, 1 idle)");
  await shown.says("│ Queue: 0 pending");
  await own.stop();
  await shown.says("The node does not answer");
  const again = await startNode(places[0] as Place, [
    ...["--workers-min", "1", "--slots", "1"],
    ...["--coordinator", own.address],
  ]);
  await shown.says("│ Workers: 1", 2);
  shown.type("q");
  expect(await shown.ended).toBe(0);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal is made of them
  expect(shown.said(), "the cursor is never hidden").not.toMatch(/\x1b\[\?25l/);
  const interrupted = startAtTerminal(
    ...([
      place,
      place.folder,
      "builder",
      ["remote", "top", "--coordinator", again.address],
    ] as const),
    size,
  );
  await interrupted.says("Worker ");
  interrupted.type("\x03");
  expect(await interrupted.ended).toBe(0);
  await again.stop();
});

const places: Place[] = [];
function createPlaceIn(): Place {
  const made = createPlace();
  places.push(made);
  return made;
}
afterAll(() => {
  for (const made of places) made.remove();
});
