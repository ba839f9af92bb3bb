// Who knocks at a node to be let into its mesh without an invitation, and whom a code lets in. How
// codes come to be is not this machine's business; that nobody guesses many is.

import type { Failure } from "./error.ts";

/** Bounds and times of knocking. */
export interface KnockOptions {
  /** Machines that may knock at once. */
  readonly waitingMax: number;
  /** Of one address. */
  readonly perAddressMax: number;
  /** A knock ends after so many ms. */
  readonly waitMs: number;
  /**
   * Knocks begun within `waitMs`, whoever knocks. Who is in between a newcomer and this node may
   * knock here until it has the newcomer's code by chance: it gets so many tries of a million.
   */
  readonly begunMax: number;
  /** With so many wrong codes every knock ends. */
  readonly wrongCodesMax: number;
}

/** The defaults. */
export const knockDefaults: KnockOptions = {
  waitingMax: 16,
  perAddressMax: 3,
  waitMs: 600_000,
  begunMax: 64,
  wrongCodesMax: 3,
};

/** A machine that knocks. */
export interface Knocker {
  /** Who it proved to be. */
  readonly peer: string;
  /** The name it gives itself. */
  readonly name: string;
  /** Where it comes from, without a port. */
  readonly address: string;
}

/** One that waits for somebody to type its code. */
export interface WaitingKnock extends Knocker {
  /** For how long it has knocked, in ms. */
  readonly ageMs: number;
}

/** What comes of a code. */
export type Verdict =
  | { readonly kind: "letIn"; readonly id: number; readonly knocker: Knocker }
  /** `ended` are the knocks that are over with it. */
  | { readonly kind: "refused"; readonly failure: Failure; readonly ended: readonly number[] };

interface Knock {
  readonly knocker: Knocker;
  readonly sinceMs: number;
  /** Undefined until the newcomer has shown its nonce. */
  code: string | undefined;
}

/**
 * The knocks at one node. Numbers name them; whoever gives them gives none twice. Invariant: no two
 * knocks have one code.
 */
export class Knocks {
  readonly #options: KnockOptions;
  readonly #knockById = new Map<number, Knock>();
  /** When knocks began, those of the last `waitMs`. */
  #begunAtMs: readonly number[] = [];
  #wrongCodes = 0;

  constructor(options: KnockOptions = knockDefaults) {
    this.#options = options;
  }

  /** How many knock, those included whose code is not known yet. */
  get size(): number {
    return this.#knockById.size;
  }

  /** Takes a knock, or says why not. */
  begin(id: number, knocker: Knocker, nowMs: number): Failure | undefined {
    this.#begunAtMs = this.#begunAtMs.filter((atMs) => !this.#isOver(atMs, nowMs));
    const failure = this.#whyNot(knocker);
    if (failure !== undefined) return failure;
    this.#begunAtMs = [...this.#begunAtMs, nowMs];
    this.#knockById.set(id, { knocker, sinceMs: nowMs, code: undefined });
    return undefined;
  }

  /** From here on `code` lets it in; otherwise why not, and the knock is over. */
  reveal(id: number, code: string): Failure | undefined {
    const knock = this.#knockById.get(id);
    if (knock === undefined) return again("This knock is over");
    if ([...this.#knockById.values()].some((other) => other.code === code)) {
      this.end(id);
      return again("By chance another machine that knocks has the same code");
    }
    knock.code = code;
    return undefined;
  }

  /** Forgets a knock: the newcomer is gone. */
  end(id: number): void {
    this.#knockById.delete(id);
    if (this.#knockById.size === 0) this.#wrongCodes = 0;
  }

  /** Ends those that knock for too long, and says which; a clock that jumps back ends them, too. */
  expire(nowMs: number): readonly number[] {
    const over = [...this.#knockById].filter(([, { sinceMs }]) => this.#isOver(sinceMs, nowMs));
    for (const [id] of over) this.end(id);
    return over.map(([id]) => id);
  }

  /** Whom a code would let in, the longest waiting first. */
  waiting(nowMs: number): readonly WaitingKnock[] {
    return [...this.#knockById.values()]
      .filter(({ code }) => code !== undefined)
      .map(({ knocker, sinceMs }) => ({ ...knocker, ageMs: Math.max(0, nowMs - sinceMs) }));
  }

  /** Lets in the one whose code this is. Spaces and dashes in it do not count. */
  admit(text: string): Verdict {
    const code = text.replaceAll(/[\s-]/g, "");
    const refused = (failure: Failure): Verdict => ({ kind: "refused", failure, ended: [] });
    if (!/^\d{6}$/.test(code)) return refused(noCode);
    const waiting = [...this.#knockById].filter((entry) => entry[1].code !== undefined);
    if (waiting.length === 0) return refused(nobody);
    const right = waiting.find((entry) => entry[1].code === code);
    if (right === undefined) return this.#miss();
    const [id, { knocker }] = right;
    this.end(id);
    this.#wrongCodes = 0;
    return { kind: "letIn", id, knocker };
  }

  #isOver(sinceMs: number, nowMs: number): boolean {
    return Math.abs(nowMs - sinceMs) >= this.#options.waitMs;
  }

  #miss(): Verdict {
    this.#wrongCodes += 1;
    const left = this.#options.wrongCodesMax - this.#wrongCodes;
    if (left > 0) return { kind: "refused", failure: wrongCode(left), ended: [] };
    const ended = [...this.#knockById.keys()];
    this.#knockById.clear();
    this.#wrongCodes = 0;
    return { kind: "refused", failure: tooManyWrong, ended };
  }

  #whyNot({ peer, address }: Knocker): Failure | undefined {
    const { waitingMax, perAddressMax, begunMax } = this.#options;
    const knockers = [...this.#knockById.values()].map(({ knocker }) => knocker);
    if (knockers.some((other) => other.peer === peer)) {
      return busy("This machine knocks there already");
    }
    if (knockers.filter((other) => other.address === address).length >= perAddressMax) {
      return busy(`${perAddressMax} machines of this address knock there already`);
    }
    if (knockers.length >= waitingMax) return busy(`${waitingMax} machines knock there already`);
    if (this.#begunAtMs.length >= begunMax) return busy("Too many machines knocked there of late");
    return undefined;
  }
}

/** What those are told whose knock nobody answered in time. */
export function unanswered(waitMs: number): Failure {
  return {
    code: "DEADLINE_EXCEEDED",
    message: `Nobody let this machine in within ${Math.round(waitMs / 60_000)} minutes. Try again.`,
  };
}

/** What those are told whose knock ended with the last wrong code. */
export const guessedAt: Failure = {
  code: "ABORTED",
  message: "Wrong codes were typed there, so every knock was ended. Knock again.",
};

const noCode: Failure = {
  code: "INVALID_ARGUMENT",
  message: "A code has six digits. Take it from the screen of the machine that knocks.",
};

const nobody: Failure = {
  code: "NOT_FOUND",
  message:
    "Nobody knocks at this node. On the other machine run `builder join --lan` and press Enter " +
    "where it asks for a line; it names the node to type its code at.",
};

const tooManyWrong: Failure = {
  code: "ABORTED",
  message:
    "That was one wrong code too many: every knock was ended. Knock again, and take the code " +
    "from that machine's own screen.",
};

function wrongCode(left: number): Failure {
  return {
    code: "INVALID_ARGUMENT",
    message:
      "No machine that knocks here has this code. Take it from the screen of the machine that you " +
      `want to let in; if it is the same there, somebody is in between. After ${left} more wrong ` +
      `${left === 1 ? "one" : "ones"} every knock is ended.`,
  };
}

function again(why: string): Failure {
  return { code: "ABORTED", message: `${why}. Knock again.` };
}

function busy(why: string): Failure {
  return {
    code: "RESOURCE_EXHAUSTED",
    message: `${why}. Try again in some minutes, or join by the line of \`builder mesh invite\`.`,
  };
}
