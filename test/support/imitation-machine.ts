// A folder that looks like the kernel's files of some machine.

import { mkdirSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";

export interface ImitationMachine {
  readonly root: string;
  /** Writes files; paths as on the machine. */
  write(files: Readonly<Record<string, string>>): void;
  /** Somebody types at a terminal. */
  typed(terminal: string, atMs: number): void;
  remove(path?: string): void;
}

export function createImitationMachine(): ImitationMachine {
  const root = mkdtempSync(join(tmpdir(), "builder-machine-"));
  const write: ImitationMachine["write"] = (files) => {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), `${text}\n`);
    }
  };
  return {
    root,
    write,
    typed: (terminal, atMs) => {
      write({ [terminal]: "" });
      utimesSync(join(root, terminal), atMs / 1000, atMs / 1000);
    },
    remove: (path = "") => rmSync(join(root, path), { recursive: true, force: true }),
  };
}
