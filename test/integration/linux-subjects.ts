// The Linux sandboxes that tests put to the question: as this user, without cgroups, and as an
// ordinary user.

import * as fs from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findCgroupPlaces } from "../../src/sandbox/cgroup.ts";
import { actionHostId, chooseSandbox } from "../../src/sandbox/choose-sandbox.ts";
import { LinuxSandbox } from "../../src/sandbox/linux-sandbox.ts";
import { findSandboxProgram } from "../../src/sandbox/sandbox-program.ts";
import type { SandboxSubject } from "../conformance/sandbox.ts";
import { canBecomeOrdinary, forkSandbox, ordinaryUser } from "./sandbox-process.ts";

/** The user of these tests. */
export const self = process.getuid?.() ?? 0;

/** Where cgroups can be made here. */
export const cgroups = findCgroupPlaces();

const stateFolders: string[] = [];

/** A fresh folder of `owner`. */
export function newState(owner: number): string {
  const folder = fs.mkdtempSync(join(tmpdir(), "builder-state-"));
  fs.chownSync(folder, owner, owner);
  stateFolders.push(folder);
  return folder;
}

/** Removes those folders; for `afterAll`. */
export function removeStates(): void {
  for (const folder of stateFolders.splice(0)) fs.rmSync(folder, { recursive: true });
}

/** How to make each, by its name. */
export function linuxSubjects(): Record<string, () => Promise<SandboxSubject>> {
  const subjects: Record<string, () => Promise<SandboxSubject>> = {
    "this user": async () => {
      const sandbox = await chooseSandbox({ want: "auto", stateFolder: newState(self) });
      return { sandbox, owner: self, close: async () => {} };
    },
  };
  if (cgroups.length > 0) {
    subjects["this user without cgroups"] = async () => {
      const program = await findSandboxProgram({ stateFolder: newState(self), arch: process.arch });
      const hostId = self === 0 ? actionHostId : 0;
      const sandbox = new LinuxSandbox({ program, hostId, cgroups: [] });
      return { sandbox, owner: self, close: async () => {} };
    };
  }
  if (canBecomeOrdinary()) {
    subjects["an ordinary user"] = () => forkSandbox(ordinaryUser, newState(ordinaryUser));
  }
  return subjects;
}

let marks = 0;

/** A number of seconds that no other process sleeps. */
export function newMark(): string {
  marks += 1;
  return `9${process.pid}.${marks}`;
}

/** The processes of this machine whose command line holds `mark`. */
export function processesWith(mark: string): string[] {
  return fs.readdirSync("/proc").filter((pid) => {
    try {
      return /^\d+$/.test(pid) && fs.readFileSync(`/proc/${pid}/cmdline`, "utf8").includes(mark);
    } catch {
      return false;
    }
  });
}
