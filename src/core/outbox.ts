// Collects what a machine wants done while it handles one input.

import type { PeerId } from "./action.ts";
import type { Effect, Stage } from "./machine.ts";
import type { Message } from "./message.ts";
import type { Note } from "./note.ts";

/** The effects of one `handle` call, in order. */
export class Outbox {
  #effects: Effect[] = [];

  push(effect: Effect): void {
    this.#effects.push(effect);
  }

  send(to: PeerId, message: Message): void {
    this.#effects.push({ kind: "send", to, message });
  }

  note(note: Note): void {
    this.#effects.push({ kind: "note", note });
  }

  /** Tells waiters; telling nobody is no effect. */
  publish(operations: Iterable<string>, stage: Stage): void {
    const told = [...operations];
    if (told.length > 0) this.#effects.push({ kind: "publish", operations: told, stage });
  }

  /** Hands over the effects and starts anew. */
  take(): readonly Effect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }
}
