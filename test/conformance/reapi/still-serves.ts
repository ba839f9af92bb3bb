// After every attack: the server serves whoever comes next, on a connection of their own.

import { blobOf, has, putAll, unique } from "./content.ts";
import { check, Mismatch } from "./expectations.ts";
import type { Target } from "./target.ts";

const patienceMs = 30_000;

/** Fails unless a new client can write a blob and find it, in good time. */
export async function checkStillServes(target: Target): Promise<void> {
  const { promise: late, reject } = Promise.withResolvers<never>();
  const why = `afterwards a new client was not served within ${patienceMs / 1000} s`;
  const timer = setTimeout(() => reject(new Mismatch(why)), patienceMs);
  try {
    await Promise.race([useStore({ ...target, calls: target.connect() }), late]);
  } catch (error) {
    if (error instanceof Mismatch) throw error;
    throw new Mismatch(`afterwards a new client was not served: ${error}`);
  } finally {
    clearTimeout(timer);
  }
}

async function useStore(target: Target): Promise<void> {
  const blob = await blobOf(unique());
  await putAll(target, [blob]);
  check(await has(target, blob.digest), "afterwards a new blob was lost");
}
