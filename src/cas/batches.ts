// Items collected and handled together.

/** Parts of `items` of at most `max`, in order. */
export function* slicesOf<T>(items: readonly T[], max: number): Generator<readonly T[]> {
  for (let at = 0; at < items.length; at += max) yield items.slice(at, at + max);
}

/** How items are collected. */
export interface BatchOptions {
  /** Items that may wait. */
  readonly waitingMax: number;
  /** How long they may wait, in ms; 0 for the end of this event turn. */
  readonly delayMs: number;
  /** Items handled at once. */
  readonly atOnce: number;
}

/** Collects items and handles them together, soon: a transaction costs more than a row. */
export function createBatch<T>(options: BatchOptions, handle: (items: readonly T[]) => void) {
  const { waitingMax, delayMs, atOnce } = options;
  let items: T[] = [];
  let done = Promise.withResolvers<void>();
  let waiting = false;
  let closed = false;
  done.promise.catch(() => undefined);

  function flush(): void {
    waiting = false;
    if (items.length === 0) return;
    const [batch, told] = [items, done];
    items = [];
    done = Promise.withResolvers();
    done.promise.catch(() => undefined);
    try {
      for (const slice of slicesOf(batch, atOnce)) handle(slice);
      told.resolve();
    } catch (error) {
      told.reject(error);
    }
  }

  return {
    close: () => {
      flush();
      closed = true;
    },
    /** Resolves once these are handled; rejects with what `handle` threw. */
    push: (more: readonly T[]): Promise<void> => {
      if (more.length === 0 || closed) return Promise.resolve();
      items.push(...more);
      const { promise } = done;
      if (items.length >= waitingMax) flush();
      else if (!waiting) {
        waiting = true;
        if (delayMs === 0) setImmediate(flush);
        else setTimeout(flush, delayMs);
      }
      return promise;
    },
  };
}
