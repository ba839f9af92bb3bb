// What every provider of machines must do, run for each of them.

import { describe, expect, test } from "vitest";
import type { LaunchRequest, Provider } from "../../src/cloud/provider.ts";

const call = { signal: new AbortController().signal };

function requestOf(token: string): LaunchRequest {
  const boot = {
    invitation: "builder://test",
    name: token,
    joinWithinMs: 60_000,
    aloneMsMax: 600_000,
  };
  return { token, market: "on-demand", boot };
}

/** Describes the provider that `create` makes; each test gets a new one without machines. */
export function describeProvider(name: string, create: () => Promise<Provider>): void {
  describe(`${name} as a provider`, () => {
    test("one token starts one machine, however often it is asked", async () => {
      const provider = await create();
      const first = await provider.launch(requestOf("one"), call);
      const again = await provider.launch(requestOf("one"), call);
      expect(again.id).toBe(first.id);
      const listed = await provider.list(call);
      expect(listed.map(({ id, token }) => ({ id, token }))).toEqual([
        { id: first.id, token: "one" },
      ]);
      await provider.terminate([first.id], call);
      await provider.close();
    });

    test("what was ended is not listed as running, and may be ended again", async () => {
      const provider = await create();
      const { id } = await provider.launch(requestOf("two"), call);
      await provider.terminate([id], call);
      await provider.terminate([id, "never-was"], call);
      const states = (await provider.list(call)).map(({ state }) => state);
      expect(states.filter((state) => state !== "ending" && state !== "ended")).toEqual([]);
      await provider.close();
    });
  });
}
