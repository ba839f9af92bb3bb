// Who may enter a store: its owner.

import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { openStore } from "../../src/cas/open-store.ts";
import { makePrivate, openFolders } from "../../src/cas/private-folder.ts";

const base = mkdtempSync(join(tmpdir(), "builder-private-"));
afterAll(() => rmSync(base, { recursive: true, force: true }));

const modeOf = (...parts: string[]) => statSync(join(base, ...parts)).mode & 0o777;
const contents = ["blobs", "index", "tmp", "open"];

async function openAndClose(name: string): Promise<void> {
  const store = openStore({ now: Date.now }, { folder: join(base, name), bytesMax: 1 << 20 });
  await store.close();
}

describe.skipIf(process.geteuid === undefined)(
  "a store (on systems whose files have modes)",
  () => {
    test("is its owner's when it is made", async () => {
      await openAndClose("new/store");
      expect(modeOf("new", "store")).toBe(0o700);
      for (const name of contents) expect(modeOf("new/store", name)).toBe(0o700);
    });

    test("that was made open has its contents closed; the folder around is as somebody made it", async () => {
      for (const name of contents) mkdirSync(join(base, "old", name), { recursive: true });
      for (const name of ["", ...contents]) chmodSync(join(base, "old", name), 0o755);
      const within = (names: string[]) => names.map((name) => join(base, "old", name));
      expect(openFolders(join(base, "old"))).toEqual(within(["blobs", "index", "tmp", "open"]));
      await openAndClose("old");
      expect(modeOf("old")).toBe(0o755);
      for (const name of contents) expect(modeOf("old", name)).toBe(0o700);
      expect(openFolders(join(base, "old"))).toEqual([]);
    });

    test("is closed as a whole by the folder around it", () => {
      mkdirSync(join(base, "whole", "mesh"), { recursive: true });
      chmodSync(join(base, "whole", "mesh"), 0o750);
      expect(openFolders(join(base, "whole"))).toEqual([join(base, "whole", "mesh")]);
      chmodSync(join(base, "whole"), 0o700);
      expect(openFolders(join(base, "whole"))).toEqual([]);
      expect(openFolders(join(base, "not-there"))).toEqual([]);
    });

    test("may be kept elsewhere by a link, which is followed", () => {
      mkdirSync(join(base, "disk", "blobs"), { recursive: true });
      chmodSync(join(base, "disk", "blobs"), 0o755);
      mkdirSync(join(base, "linked"));
      symlinkSync(join(base, "disk", "blobs"), join(base, "linked", "blobs"));
      makePrivate(join(base, "linked", "blobs"));
      expect(modeOf("disk", "blobs")).toBe(0o700);
    });
  },
);
