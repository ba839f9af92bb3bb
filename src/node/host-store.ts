// The store of this machine, for those who only want to share it.

import { existsSync } from "node:fs";
import { openStore, type Store } from "../cas/open-store.ts";

/** Opens the store in `folder`; undefined where there is none, or none that can be opened. */
export function openHostStore(
  deps: { readonly now: () => number },
  options: { readonly folder: string; readonly bytesMax: number },
): Store | undefined {
  if (!existsSync(options.folder)) return undefined;
  try {
    return openStore(deps, options);
  } catch {
    // Another user's, or damaged: whoever needs it says so. Sharing is only quicker.
    return undefined;
  }
}
