// Nodes that start at the same instant on one store that is new: one begins the mesh and is its
// member, the others are guests of that mesh, and nobody has another one's certificate.

import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, test } from "vitest";
import { enterMesh } from "../../src/node/enter-mesh.ts";

const program = new URL("../support/enter-mesh-program.ts", import.meta.url).pathname;
const rounds = 20;
const processes = 4;
const startMs = 3000;
const apartMs = 100;

interface Entered {
  readonly peer: string;
  readonly key: string;
  readonly mesh: string;
}

/** What a process of its own became in each round. */
function entrant(folder: string, firstMs: number) {
  const args = [program, folder, String(rounds), String(firstMs), String(apartMs)];
  const child = spawn(process.execPath, args, { stdio: ["pipe", "pipe", "inherit"] });
  const entered = (async () => {
    const all: Entered[] = [];
    for await (const line of createInterface(child.stdout)) {
      all.push(JSON.parse(line));
      if (all.length === rounds) break;
    }
    return all;
  })();
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const end = () => {
    child.kill("SIGKILL");
    return ended;
  };
  return { entered, end };
}

test("of many that start at once on a new store, one is its member and all are of its mesh", async () => {
  const folder = mkdtempSync(join(tmpdir(), "enter-"));
  const firstMs = Date.now() + startMs;
  const entrants = Array.from({ length: processes }, () => entrant(folder, firstMs));
  try {
    const all = await Promise.all(entrants.map(({ entered }) => entered));
    await Promise.all(entrants.map(({ end }) => end()));
    for (let round = 0; round < rounds; round += 1) {
      const entered = all.flatMap((of) => of[round] ?? []);
      expect(entered).toHaveLength(processes);
      for (const { peer, key } of entered) expect(key, `round ${round}`).toBe(peer);
      expect(new Set(entered.map(({ peer }) => peer)).size).toBe(processes);
      expect(new Set(entered.map(({ mesh }) => mesh)).size).toBe(1);
      const named = { name: "desk", meshName: "home", now: Date.now };
      const again = await enterMesh(join(folder, String(round), "mesh"), named);
      expect(entered.map(({ peer }) => peer)).toContain(again.self.peerId);
      again.release();
    }
  } finally {
    for (const { end } of entrants) await end();
    rmSync(folder, { recursive: true });
  }
});
