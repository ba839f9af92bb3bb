// A burst of calls, a few in each turn of the event loop. A thousand calls that arrive together
// would otherwise all be looked up and queued before a claim or a result is heard that arrives
// meanwhile.

/** Await the answer before a call begins: the first to come begins first. */
export type CallTurns = () => Promise<void> | undefined;

/** Lets `callsMax` calls begin in a turn of the event loop, the first of them at once. */
export function createCallTurns(callsMax: number): CallTurns {
  const waiting: (() => void)[] = [];
  let room = callsMax;
  let isNextDue = false;

  function nextTurn(): void {
    isNextDue = false;
    room = callsMax;
    for (const begin of waiting.splice(0, callsMax)) {
      room -= 1;
      begin();
    }
    if (room < callsMax) arrangeNext();
  }

  function arrangeNext(): void {
    if (!isNextDue) setImmediate(nextTurn);
    isNextDue = true;
  }

  return () => {
    arrangeNext();
    if (room === 0) return new Promise((resolve) => waiting.push(resolve));
    room -= 1;
    return undefined;
  };
}
