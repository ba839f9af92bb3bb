// What happens when, in typed arrays: a million entries and no garbage.

/** A heap of whole numbers ordered by time. Equal inputs in equal order give equal orders. */
export class EventHeap {
  #times = new Float64Array(1024);
  #codes = new Float64Array(1024);
  #size = 0;
  /** The code of the last `pop`. */
  code = 0;

  get size(): number {
    return this.#size;
  }

  push(timeMs: number, code: number): void {
    if (this.#size === this.#times.length) this.#grow();
    const times = this.#times;
    const codes = this.#codes;
    let at = this.#size++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const parentMs = times[parent] as number;
      if (parentMs <= timeMs) break;
      times[at] = parentMs;
      codes[at] = codes[parent] as number;
      at = parent;
    }
    times[at] = timeMs;
    codes[at] = code;
  }

  /** Takes the earliest and returns its time, its code in `code`; NaN where nothing is left. */
  pop(): number {
    if (this.#size === 0) return Number.NaN;
    const times = this.#times;
    const codes = this.#codes;
    const topMs = times[0] as number;
    this.code = codes[0] as number;
    const last = --this.#size;
    const timeMs = times[last] as number;
    const code = codes[last] as number;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= last) break;
      if (child + 1 < last && (times[child + 1] as number) < (times[child] as number)) child += 1;
      const childMs = times[child] as number;
      if (childMs >= timeMs) break;
      times[at] = childMs;
      codes[at] = codes[child] as number;
      at = child;
    }
    times[at] = timeMs;
    codes[at] = code;
    return topMs;
  }

  /** Forgets what was to come. */
  clear(): void {
    this.#size = 0;
  }

  #grow(): void {
    const times = new Float64Array(this.#times.length * 2);
    const codes = new Float64Array(times.length);
    times.set(this.#times);
    codes.set(this.#codes);
    this.#times = times;
    this.#codes = codes;
  }
}
