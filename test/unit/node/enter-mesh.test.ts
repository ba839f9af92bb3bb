import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { claimIdentity, enterMesh, runningMember } from "../../../src/node/enter-mesh.ts";

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "enter-"));
  folders.push(folder);
  return join(folder, "mesh");
}

const named = { name: "desk", meshName: "home", now: Date.now };

test("a store has one identity, for one process at a time; a second one is a guest", async () => {
  const folder = newFolder();
  const first = await enterMesh(folder, named);
  const second = await enterMesh(folder, { ...named, name: "desk-2" });
  expect(second.self).toMatchObject({ name: "desk-2", roles: ["host"], sponsor: undefined });
  expect(second.self.peerId).not.toBe(first.self.peerId);
  const newcomer = { peer: "p", name: "n", secret: new Uint8Array(16) };
  await expect(second.admission(() => [])(newcomer)).rejects.toThrow(/mesh's key/);
  expect((await second.sponsorWorker("w")).sponsor).toEqual(second.credential.certificate);
  second.release();
  expect(runningMember(folder)).toBe(process.pid);
  first.release();
  expect(runningMember(folder)).toBeUndefined();
  const again = await enterMesh(folder, named);
  expect(again.self.peerId).toBe(first.self.peerId);
  again.release();
});

test("who only joined cannot vouch for a guest", async () => {
  const folder = newFolder();
  const first = await enterMesh(folder, named);
  rmSync(join(folder, "authority.key"));
  await expect(enterMesh(folder, named)).rejects.toThrow(/one membership.*--store/);
  first.release();
});

test("the claim of a process that is gone, or of another one with its number, counts no more", () => {
  const folder = newFolder();
  mkdirSync(folder);
  const path = join(folder, "node.pid");
  for (const claim of ["999999999 1", `${process.pid} 1`, "", "nonsense"]) {
    writeFileSync(path, claim);
    expect(runningMember(folder)).toBeUndefined();
    const release = claimIdentity(folder);
    expect(readFileSync(path, "utf8")).toMatch(new RegExp(`^${process.pid} `));
    release?.();
    expect(existsSync(path)).toBe(false);
  }
});
