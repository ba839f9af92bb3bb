// Puts what an action made in its place. Apart from the rest of executing: lost outputs are put
// back without it.

import { randomUUID } from "node:crypto";
import { renameSync, rmSync } from "node:fs";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { dirname } from "node:path";

/** Writes a file of the workspace whole or not at all. Never a link: the user may edit it. */
export async function placeFile(
  path: string,
  chunks: AsyncIterable<Uint8Array>,
  file: { readonly executable: boolean },
): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  const draft = `${path}.${randomUUID()}`;
  try {
    await writeFile(draft, chunks);
    await chmod(draft, file.executable ? 0o755 : 0o644);
    renameSync(draft, path);
  } catch (error) {
    rmSync(draft, { force: true });
    throw error;
  }
}
