// What every provider of machines must do, run for each of them.

import { describe, expect, test } from "vitest";
import type { LaunchRequest, Provider } from "../../src/cloud/provider.ts";
import { failureOf } from "../../src/core/error.ts";

const call = { signal: new AbortController().signal };

/** A wish as the coordinator makes them. */
export function requestOf(token: string, more: Partial<LaunchRequest> = {}): LaunchRequest {
  const boot = {
    invitation: "builder://join/test",
    name: token,
    joinWithinMs: 60_000,
    aloneMsMax: 600_000,
  };
  return { token, market: "on-demand", boot, ...more };
}

/** What a provider cannot be held to, with the reason in the test that says so. */
export interface ProviderLimits {
  /** False where the server at its other end does not know one launch by its token. */
  readonly knowsTokens?: boolean;
}

/** Describes the provider that `create` makes; each test gets a new one without machines. */
export function describeProvider(
  name: string,
  create: () => Promise<Provider>,
  { knowsTokens = true }: ProviderLimits = {},
): void {
  const living = async (provider: Provider) =>
    (await provider.list(call)).filter(({ state }) => state !== "ending" && state !== "ended");

  async function endAll(provider: Provider): Promise<void> {
    const ids = (await provider.list(call)).map(({ id }) => id);
    await provider.terminate(ids, call);
    await provider.close();
  }

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

    test.skipIf(!knowsTokens)("one token asked for twice at once starts one machine", async () => {
      const provider = await create();
      const both = await Promise.all([1, 2].map(() => provider.launch(requestOf("same"), call)));
      expect(both[1]?.id).toBe(both[0]?.id);
      expect((await living(provider)).length).toBe(1);
      await endAll(provider);
    });

    test("what was ended is not listed as running, and may be ended again", async () => {
      const provider = await create();
      const { id } = await provider.launch(requestOf("two"), call);
      await provider.terminate([id], call);
      await provider.terminate([id, "never-was"], call);
      expect(await living(provider)).toEqual([]);
      await provider.close();
    });

    test("launches at the same time are machines of their own, listed with their tokens", async () => {
      const provider = await create();
      const tokens = ["a", "b", "c"];
      const launched = await Promise.all(tokens.map((it) => provider.launch(requestOf(it), call)));
      expect(new Set(launched.map(({ id }) => id)).size).toBe(3);
      const listed = await living(provider);
      expect(listed.map(({ token }) => token).sort()).toEqual(tokens);
      expect(listed.map(({ id }) => id).sort()).toEqual(launched.map(({ id }) => id).sort());
      await endAll(provider);
    });

    test("ending one machine leaves the others", async () => {
      const provider = await create();
      const gone = await provider.launch(requestOf("gone"), call);
      await provider.launch(requestOf("stays"), call);
      await provider.terminate([gone.id], call);
      expect((await living(provider)).map(({ token }) => token)).toEqual(["stays"]);
      await endAll(provider);
    });

    test("a machine was launched about now, and says how it is paid for", async () => {
      const provider = await create();
      const before = Date.now();
      await provider.launch(requestOf("paid"), call);
      const [listed] = await living(provider);
      expect(listed?.market).toBe("on-demand");
      // Clouds count whole seconds.
      expect(listed?.launchedAtMs).toBeGreaterThanOrEqual(before - 1_000);
      expect(listed?.launchedAtMs).toBeLessThanOrEqual(Date.now() + 1_000);
      await endAll(provider);
    });

    test("a token that no provider can take is refused before anything starts", async () => {
      const provider = await create();
      for (const token of ["", "a b", "x".repeat(61), "../a", "a\n"]) {
        const refused = await provider.launch(requestOf(token), call).catch(failureOf);
        expect("code" in refused && refused.code, JSON.stringify(token)).toBe("INVALID_ARGUMENT");
      }
      expect(await provider.list(call)).toEqual([]);
      await provider.close();
    });

    test("a launch given up before it began starts nothing", async () => {
      const provider = await create();
      const signal = AbortSignal.abort();
      const given = await provider.launch(requestOf("up"), { signal }).catch(failureOf);
      expect("code" in given && given.code).toBe("CANCELLED");
      expect(await living(provider)).toEqual([]);
      await provider.close();
    });

    test("a plan says what would be called, holds no secret and starts nothing", async () => {
      const provider = await create();
      const { boot } = requestOf("plan");
      const secret = "builder://join/s3cret";
      const planned = provider.plan(requestOf("plan", { boot: { ...boot, invitation: secret } }));
      expect(planned.length).toBeGreaterThan(0);
      expect(JSON.stringify(planned)).not.toContain("s3cret");
      expect(await provider.list(call)).toEqual([]);
      await provider.close();
    });
  });
}
