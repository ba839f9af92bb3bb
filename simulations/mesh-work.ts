// What the workers of a mesh run: each action takes its time, and dies with its process.

import {
  type ActionRequest,
  type Outcome,
  type PeerId,
  type Token,
  tokenKey,
} from "../src/core/action.ts";
import { type Run, responseOf } from "./machine-room.ts";
import type { MeshRoom } from "./mesh-room.ts";
import type { World } from "./world.ts";

/** Runs actions on the workers of a mesh, and counts the runs. */
export class MeshWork {
  readonly runs: Run[] = [];
  readonly #world: World;
  readonly #room: MeshRoom;
  readonly #durationMsByAction: ReadonlyMap<string, number>;
  readonly #cancelled = new Set<string>();
  readonly #finished = new Set<string>();

  constructor(world: World, room: MeshRoom, durationMsByAction: ReadonlyMap<string, number>) {
    this.#world = world;
    this.#room = room;
    this.#durationMsByAction = durationMsByAction;
    world.observe({
      onEffect: (peer, effect) => {
        if (effect.kind === "execute") this.#execute(peer, effect.token, effect.request);
        if (effect.kind === "cancel") this.#cancelled.add(`${peer} ${tokenKey(effect.token)}`);
      },
    });
  }

  #execute(peer: PeerId, token: Token, request: ActionRequest): void {
    const { action } = request;
    const isCached = this.#finished.has(action.hash);
    this.runs.push({ peer, token, request, isCached });
    const core = this.#room.core(peer);
    const runMs = isCached ? 5 : (this.#durationMsByAction.get(action.hash) ?? 1);
    this.#world.after(runMs, () => {
      if (this.#room.core(peer) !== core) return;
      const isCancelled = this.#cancelled.has(`${peer} ${tokenKey(token)}`);
      if (!isCancelled) this.#finished.add(action.hash);
      const outcome = isCancelled ? cancelled : resultOf(request, runMs);
      this.#world.tell(peer, { kind: "executed", token, outcome });
    });
  }
}

function resultOf({ action }: ActionRequest, runMs: number): Outcome {
  return { kind: "result", response: responseOf(action), exitCode: 0, runMs };
}

const cancelled: Outcome = {
  kind: "fault",
  failure: { code: "CANCELLED", message: "The action was cancelled." },
};
