// What a build tells while it runs. The command line renders it; `--json` prints it as it is.

import type { ExecutionReport } from "../wire/execution-report.ts";
import type { ExecutionTimes } from "../wire/execution-times.ts";

/** One event; times in ms, sizes in bytes. */
export type BuildEvent =
  /** The work of a build that has some. */
  | {
      readonly kind: "planned";
      readonly total: number;
      /** Mnemonic → its actions, and how long one of them took of late, where that is known. */
      readonly kinds: Readonly<
        Record<string, { readonly count: number; readonly expectedMs: number | undefined }>
      >;
    }
  /** An action whose result is not known from the last build is sent to be executed. */
  | {
      readonly kind: "started";
      readonly id: string;
      readonly target: string;
      readonly mnemonic: string;
      readonly argv: readonly string[];
      readonly workingDirectory: string;
    }
  | { readonly kind: "uploaded"; readonly bytes: number }
  | {
      readonly kind: "action";
      readonly id: string;
      readonly target: string;
      readonly mnemonic: string;
      /** `kept`: known from the last build; `cached`: from the action cache; `ran`: executed. */
      readonly how: "kept" | "cached" | "ran";
      readonly exitCode: number;
      readonly worker: string;
      readonly isolation: string;
      /** What its run used, whenever that was; left out where its worker did not tell. */
      readonly usage?: ActionUsage;
      readonly ms: number;
      /** Where that time went; left out where it was not executed now. */
      readonly times?: ActionTimes;
      /** How long the command ran that made the result, whenever that was; left out if unknown. */
      readonly runMs?: number;
      /** Actions of this build whose outputs it takes, by id; left out where there are none. */
      readonly needs?: readonly string[];
      readonly storedAtMs: number;
      readonly stdout: string;
      readonly stderr: string;
      /** Why it counts as failed beside its exit code; empty where it does not. */
      readonly failure: string;
      /** The action's digest, `function:hash/size`; unset where nothing had to be looked at. */
      readonly digest?: string;
      /** Why it was no hit, in words, where it ran and that was asked for. */
      readonly why?: readonly string[];
      /** Counts from 1; higher for a test that had failed before. */
      readonly attempt: number;
      /** True where this failure does not count yet: the test is tried again. */
      readonly again: boolean;
    }
  | {
      readonly kind: "target";
      readonly label: string;
      readonly ok: boolean;
      /** True where nothing of it had to run. */
      readonly cached: boolean;
      /** When its newest result was stored, Unix ms. */
      readonly storedAtMs: number;
      readonly outputs: readonly string[];
    }
  | ({ readonly kind: "finished" } & BuildSummary);

/** What the processes of an action used, as its worker counted it. */
export type ActionUsage = Omit<ExecutionReport, "isolation" | "limit">;

/** When an action was where, Unix ms by this machine's clock, none before the one above it. */
export interface ActionTimes {
  /** This machine began with it: uploads, then waits for a slot. */
  readonly sentMs: number;
  /** By its worker; undefined where that did not tell. */
  readonly work: ExecutionTimes | undefined;
  /** Its result was here. */
  readonly doneMs: number;
}

/** Totals of a build. */
export interface BuildSummary {
  readonly ok: boolean;
  readonly ms: number;
  readonly ran: number;
  readonly cached: number;
  readonly kept: number;
  readonly failed: number;
  /** Actions not tried because something before them failed. */
  readonly skipped: number;
  /** Tests that passed only when they were tried again. */
  readonly flaky: number;
}
