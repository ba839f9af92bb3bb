// Long work in short turns: file calls block this process, and its peers and other actions wait.

/** How long work may go on before other work gets its turn, in ms. */
const turnMs = 10;

/** Call between two pieces of work and await the answer: now and then it lets others go first. */
export function createTurns(): () => Promise<void> | undefined {
  let startMs = performance.now();
  return () => {
    if (performance.now() - startMs < turnMs) return undefined;
    return new Promise((resolve) => {
      setImmediate(() => {
        startMs = performance.now();
        resolve();
      });
    });
  };
}
