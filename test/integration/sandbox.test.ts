// Every sandbox of this system through the suite that all must pass.

import { chownSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BareSandbox } from "../../src/sandbox/bare-sandbox.ts";
import { chooseSandbox } from "../../src/sandbox/choose-sandbox.ts";
import { describeSandbox } from "../conformance/sandbox.ts";
import { canBecomeOrdinary, forkSandbox, ordinaryUser } from "./sandbox-process.ts";

const self = process.getuid?.() ?? 0;

describeSandbox(
  "BareSandbox",
  async () => ({ sandbox: new BareSandbox(), owner: self, close: async () => {} }),
  { isolated: false },
);

describeSandbox(
  "LinuxSandbox",
  async () => {
    const stateFolder = mkdtempSync(join(tmpdir(), "builder-state-"));
    const sandbox = await chooseSandbox({ want: "auto", stateFolder });
    const close = async () => rmSync(stateFolder, { recursive: true });
    return { sandbox, owner: self, close };
  },
  { isolated: true },
);

if (canBecomeOrdinary()) {
  describeSandbox(
    "LinuxSandbox of an ordinary user",
    async () => {
      const stateFolder = mkdtempSync(join(tmpdir(), "builder-state-"));
      chownSync(stateFolder, ordinaryUser, ordinaryUser);
      const subject = await forkSandbox(ordinaryUser, stateFolder);
      const close = async () => {
        await subject.close();
        rmSync(stateFolder, { recursive: true });
      };
      return { ...subject, close };
    },
    { isolated: true },
  );
}
