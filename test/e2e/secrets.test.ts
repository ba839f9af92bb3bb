// What must be in no log: tokens, keys, invitations. Both sides of a mesh talk as much as they can.

import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { parseLink } from "../../src/mesh/invitation.ts";
import { createTestAuthority } from "../support/certificates.ts";
import { eventually } from "../support/eventually.ts";
import {
  createPlace,
  type Place,
  root,
  run,
  type SpawnedNode,
  startNode,
} from "../support/programs.ts";

let place: Place;
let desk: SpawnedNode;
let laptop: ChildProcess | undefined;
let saidByLaptop = "";
const token = "planted-token-0123456789abcdef";
const admin = "planted-admin-0123456789abcdef";
const loud = ["--log-level", "debug", "--log-format", "json"];

beforeAll(async () => {
  place = createPlace();
  const authority = await createTestAuthority(place.folder, "ca");
  const { cert, key } = await authority.issue("server");
  writeFileSync(join(place.folder, "tokens"), `${token} client ann\n${admin} admin root\n`, {
    mode: 0o600,
  });
  desk = await startNode(place, [
    ...["--work-stealing", "--name", "desk", "--workers-min", "1", ...loud],
    ...["--tls-cert", cert, "--tls-key", key, "--token-file", join(place.folder, "tokens")],
  ]);
});
/** The address stands in a line of JSON. */
const address = () => `grpcs://${desk.address.replace(/".*$/, "")}`;
afterAll(async () => {
  laptop?.kill("SIGKILL");
  await desk.stop();
  place.remove();
});

/** A secret in every form in which a program might write it. */
function formsOf(secret: Uint8Array): string[] {
  const bytes = Buffer.from(secret);
  return [bytes.toString("base64"), bytes.toString("base64url"), bytes.toString("hex")];
}

test("no token, key or invitation is in a log, whatever happens at level debug", async () => {
  const ca = ["--tls-ca", join(place.folder, "ca.pem")];
  const asked = [`--coordinator=${address()}`, ...ca];
  const invited = await run(place, place.folder, "builder", ["mesh", "invite", ...asked], {
    BUILDER_TOKEN: admin,
  });
  const link = /builder join '([^']+)'/.exec(invited.stdout)?.[1] ?? "";
  expect(link, invited.stderr).toMatch(/^builder:\/\/join\//);

  const store = join(place.folder, "laptop");
  const flags = ["--store", store, "--name", "laptop", "--coordinator", "127.0.0.1:0"];
  const child = spawn(
    join(root, "cli/bin/builder"),
    ["join", link, ...flags, "--workers-min", "1", ...loud],
    { env: place.env },
  );
  laptop = child;
  for (const stream of [child.stdout, child.stderr]) {
    stream.on("data", (chunk: Buffer) => {
      saidByLaptop += chunk.toString();
    });
  }
  await eventually("it serves", () => saidByLaptop.includes("service ready"), 120_000);

  const build = (secret: string) =>
    run(
      place,
      place.example("remote-execution"),
      "bldr",
      ["build", "cpp_project", `--remote=${address()}`, ...ca],
      { BUILDER_TOKEN: secret },
    );
  const built = await build(token);
  expect(built.code, built.stderr).toBe(0);
  const wrong = "planted-wrong-token-0123456789";
  const refused = await build(wrong);
  expect(refused.code).not.toBe(0);

  const { secret } = parseLink(link);
  const keys = [join(place.folder, "node-store/mesh"), join(store, "mesh")].flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith(".key"))
      .map((name) => readFileSync(join(folder, name))),
  );
  expect(keys.length).toBeGreaterThanOrEqual(3);
  const pem = readdirSync(place.folder)
    .filter((name) => /key/.test(name) && name.endsWith(".pem"))
    .flatMap((name) => readFileSync(join(place.folder, name), "utf8").split("\n"))
    .filter((line) => line !== "" && !line.startsWith("-----"));
  expect(pem.length).toBeGreaterThan(0);
  const planted = [token, admin, wrong, link, ...pem, ...[secret, ...keys].flatMap(formsOf)];
  for (const said of [desk.said(), saidByLaptop]) {
    expect(said).toContain('"level":"debug"');
    for (const one of planted) expect(said.includes(one), one.slice(0, 12)).toBe(false);
    for (const line of said.trim().split("\n")) expect(() => JSON.parse(line)).not.toThrow();
  }
});
