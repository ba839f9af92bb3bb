// Runs cases against a server: each with connections and a deadline of its own, the light ones
// beside each other, the heavy ones alone.

import type { ServerCapabilities } from "../../../src/wire/gen/build/bazel/remote/execution/v2/remote_execution.ts";
import { type Case, deadlineMsDefault, unmet } from "./case.ts";
import { isServiceError, Mismatch, nameOfCode, Skipped } from "./expectations.ts";
import { type Endpoint, openTarget } from "./target.ts";

/** How a case ended; `why` says what is wrong, or why it does not apply. */
export interface Outcome {
  readonly case: Case;
  readonly verdict: "passed" | "failed" | "skipped";
  readonly why: string;
  readonly ms: number;
}

/** Light cases under way at once. */
const atOnce = 4;

/** Runs all cases and tells each outcome as it comes. */
export async function runCases(
  cases: readonly Case[],
  endpoint: Endpoint,
  capabilities: ServerCapabilities,
  tell: (outcome: Outcome) => void = () => undefined,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  const runAll = async (rest: Iterable<Case>) => {
    for (const one of rest) {
      const outcome = await runCase(one, endpoint, capabilities);
      outcomes.push(outcome);
      tell(outcome);
    }
  };
  const light = cases.filter(({ alone }) => alone !== true).values();
  await Promise.all(Array.from({ length: atOnce }, () => runAll(light)));
  await runAll(cases.filter(({ alone }) => alone === true));
  // As the suite lists them, whichever ended first.
  return outcomes.sort((a, b) => cases.indexOf(a.case) - cases.indexOf(b.case));
}

/** Runs one case. Never rejects: whatever goes wrong is the server's failure. */
export async function runCase(
  one: Case,
  endpoint: Endpoint,
  capabilities: ServerCapabilities,
): Promise<Outcome> {
  const startMs = performance.now();
  const lacking = one.needs?.map((need) => unmet(need, capabilities)).find((why) => why);
  const end = (verdict: Outcome["verdict"], why: string): Outcome => {
    return { case: one, verdict, why, ms: Math.round(performance.now() - startMs) };
  };
  if (lacking !== undefined) return end("skipped", lacking);
  const target = openTarget(endpoint, capabilities);
  const { promise: late, reject } = Promise.withResolvers<never>();
  const deadlineMs = one.deadlineMs ?? deadlineMsDefault;
  const timer = setTimeout(
    () => reject(new Mismatch(`no answer within ${deadlineMs / 1000} s`)),
    deadlineMs,
  );
  const run = one.run(target);
  // It may still fail once its connections are closed.
  run.catch(() => undefined);
  try {
    await Promise.race([run, late]);
    return end("passed", "");
  } catch (error) {
    return end(error instanceof Skipped ? "skipped" : "failed", whyOf(error));
  } finally {
    clearTimeout(timer);
    target.close();
  }
}

function whyOf(error: unknown): string {
  if (error instanceof Mismatch || error instanceof Skipped) return error.message;
  if (isServiceError(error)) return `refused with ${nameOfCode(error.code)}: ${error.details}`;
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error);
}
