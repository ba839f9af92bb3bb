// Which toolchain stands for a node: actions that name none run on workers that have this one, and
// their results are kept under its name (docs/adr/0023-toolchain-names.md).

import type { Load } from "./message.ts";
import { offered } from "./roster.ts";

/** The platform property by which workers tell their toolchains and actions demand one. */
export const toolchainProperty = "toolchain";

/** Demanded by actions whose result is the same with any tools: every worker will do. */
export const anyToolchain = "any";

/** The kind of tools a toolchain's name is of: `cpp-gcc-12-3f2a…` is of `cpp`. */
export function kitOfToolchain(name: string): string {
  return name.split("-", 1)[0] ?? "";
}

/** The choice of a node that has no workers of its own. */
export class HouseToolchain {
  #chosen = "";

  /**
   * The toolchain of most slots among these workers. It stays the same as long as any of them has
   * it, lest half a build is made with one and half with another. Empty where there is none.
   */
  choose(loads: readonly Load[]): string {
    const slotsByName = new Map<string, number>();
    for (const load of loads) {
      for (const name of offered(load, toolchainProperty)) {
        if (kitOfToolchain(name) !== "system") continue;
        slotsByName.set(name, (slotsByName.get(name) ?? 0) + load.slots);
      }
    }
    if (slotsByName.size === 0 || slotsByName.has(this.#chosen)) return this.#chosen;
    const all = [...slotsByName].sort(([a, m], [b, n]) => n - m || (a < b ? -1 : 1));
    this.#chosen = all[0]?.[0] ?? "";
    return this.#chosen;
  }
}
