// Answers that a view asks for itself, once or again and again.

import { useEffect, useState } from "preact/hooks";
import { ask } from "./follow.ts";

/** What came of it: neither while it is asked for the first time. */
export interface Asked<T> {
  readonly answer?: T;
  /** A sentence. */
  readonly failure?: string;
}

/**
 * Asks one question, anew `againMs` after each answer where that is given. An answer to a question
 * that is no longer wanted is dropped.
 */
export function useAnswer<T>(
  path: string,
  query: Readonly<Record<string, string | number>>,
  againMs?: number,
): Asked<T> {
  const [asked, setAsked] = useState<Asked<T>>({});
  const question = `${path} ${JSON.stringify(query)}`;
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    let isOpen = true;
    async function again(): Promise<void> {
      const told = await ask<T>(path, query).then(
        (answer): Asked<T> => ({ answer }),
        (error: Error): Asked<T> => ({ failure: error.message }),
      );
      if (!isOpen) return;
      setAsked(told);
      if (againMs !== undefined) timer = setTimeout(again, againMs);
    }
    setAsked({});
    void again();
    return () => {
      isOpen = false;
      clearTimeout(timer);
    };
  }, [question]);
  return asked;
}
