// A model workspace on disk: writes what an edit changed, in all the ways that editors write.

import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import picomatch from "picomatch";
import { builderfileOf, type ModelFile, type ModelState, textOf } from "./model-workspace.ts";

/** In memory where the machine has such a folder: a thousand sequences write much. */
export const quickFolder = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

/** The files of a model in a folder. */
export class ModelDisk {
  /** Outputs that builds put there. */
  readonly placed = new Set<string>();
  readonly #root: string;
  #written: ModelState = { files: new Map(), targets: [], tools: {} };

  constructor(root: string) {
    this.#root = root;
  }

  #at(path: string): string {
    return join(this.#root, path);
  }

  /** Writes what differs from what is on disk. */
  write(state: ModelState, how: number): void {
    const old = this.#written;
    this.#written = state;
    for (const path of old.files.keys()) {
      if (state.files.has(path)) continue;
      rmSync(this.#at(path), { force: true });
      if (how % 2 === 0) this.#removeEmpty(dirname(path));
    }
    for (const [path, file] of state.files) {
      if (old.files.get(path) !== file) this.put(path, file, how);
    }
    for (const folder of ["", "lib"]) {
      const [was, is] = [builderfileOf(old, folder), builderfileOf(state, folder)];
      const path = join(folder, "Builderfile");
      if (is === undefined) rmSync(this.#at(path), { force: true });
      else if (is !== was) writeFileSync(this.#at(path), is);
    }
    this.#removeLeftOver(state);
  }

  put(path: string, file: ModelFile, how: number): void {
    const to = this.#at(path);
    mkdirSync(dirname(to), { recursive: true });
    if (file.link !== undefined) {
      rmSync(to, { force: true });
      symlinkSync(relative(dirname(to), this.#at(file.link)), to);
      return;
    }
    const place = how % 3 === 0 ? `${to}.new` : to;
    if (how % 3 === 1 || this.#isLink(path)) rmSync(to, { force: true });
    writeFileSync(place, textOf(file));
    chmodSync(place, file.executable ? 0o755 : 0o644);
    if (place !== to) renameSync(place, to);
  }

  #isLink(path: string): boolean {
    return lstatSync(this.#at(path), { throwIfNoEntry: false })?.isSymbolicLink() ?? false;
  }

  #removeEmpty(folder: string): void {
    const inside = [...this.#written.files.keys(), ...this.placed];
    if (folder === "." || inside.some((path) => path.startsWith(`${folder}/`))) return;
    rmSync(this.#at(folder), { recursive: true, force: true });
  }

  /** What a target made that no longer makes it would be a source: whoever edits removes it. */
  #removeLeftOver({ targets }: ModelState): void {
    const globs = targets.flatMap((target) =>
      target.type === "custom"
        ? (target.fields["outputs"] ?? []).map((glob) => join(target.package, glob))
        : [join(target.package, "bin", "*")],
    );
    for (const path of this.placed) {
      if (globs.some((glob) => path.startsWith(`${glob}/`) || picomatch.isMatch(path, glob))) {
        continue;
      }
      rmSync(this.#at(path), { force: true });
      this.placed.delete(path);
    }
  }

  /** Until the file system's clock has moved on. */
  passGrain(): void {
    const probe = join(quickFolder, `grain-${process.pid}`);
    const stamp = () => {
      writeFileSync(probe, "");
      return statSync(probe, { bigint: true }).mtimeNs;
    };
    const first = stamp();
    while (stamp() === first);
    rmSync(probe);
  }
}
