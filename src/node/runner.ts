// Runs what the core of a worker wants executed, and reports back.

import { tokenKey } from "../core/action.ts";
import { MeshError } from "../core/error.ts";
import type { OutputMessage } from "../wire/mesh-codec.ts";
import type { OutputPart } from "../worker/live-output.ts";
import type { RemoteExecutor } from "../worker/remote-executor.ts";
import type { OtherEffect } from "./member.ts";

/** Runs what the core wants executed and reports back; shared by every node that has slots. */
export interface Runner {
  perform: (effect: OtherEffect) => void;
  onExecuted: (input: Parameters<Executed>[0]) => void;
  onOutput: (output: OutputMessage) => void;
  killAll(): Promise<void>;
}

type Executed = (input: {
  readonly kind: "executed";
  readonly token: Extract<OtherEffect, { kind: "execute" }>["token"];
  readonly outcome: Awaited<ReturnType<RemoteExecutor>>;
}) => void;

/** Creates the runner of one node. */
export function createRunner(execute: RemoteExecutor): Runner {
  const runningByToken = new Map<string, { abort: AbortController; done: Promise<void> }>();
  const runner: Runner = {
    perform: (effect) => {
      if (effect.kind === "cancel") runningByToken.get(tokenKey(effect.token))?.abort.abort();
      if (effect.kind !== "execute") return;
      const { token, request } = effect;
      const abort = new AbortController();
      const { signal } = abort;
      const onOutput = (part: OutputPart) => runner.onOutput({ kind: "output", token, ...part });
      const done = execute(request, { signal, onOutput, from: token.ingress }).then((outcome) => {
        runningByToken.delete(tokenKey(token));
        runner.onExecuted({ kind: "executed", token, outcome });
      });
      runningByToken.set(tokenKey(token), { abort, done });
    },
    onExecuted: () => {
      throw new MeshError("INTERNAL", "An action ended before its node was put together.");
    },
    onOutput: () => undefined,
    killAll: async () => {
      const running = [...runningByToken.values()];
      for (const { abort } of running) abort.abort();
      await Promise.all(running.map(({ done }) => done));
    },
  };
  return runner;
}
