// The live stream as a value that views draw: the last of each section.

import type { Live, Moment } from "./live.ts";

/** What is known so far; sections come one by one. */
export interface Seen extends Partial<Live> {
  /** False while the stream is broken. */
  readonly connected: boolean;
}

/** Moments kept for the charts: those of the feed, and an hour of looking. */
const momentsMax = 3_600;
const sections = [
  ...(["status", "figures", "steals", "cache", "actions", "decisions", "invocations"] as const),
];

/** Follows the node; `onChange` hears at most once a frame. Returns a function that stops. */
export function follow(onChange: (seen: Seen) => void): () => void {
  let seen: Seen = { connected: false };
  let isDue = false;

  function change(more: Partial<Seen>): void {
    seen = { ...seen, ...more };
    if (isDue) return;
    isDue = true;
    setTimeout(() => {
      isDue = false;
      onChange(seen);
    });
  }

  const source = new EventSource("/live");
  for (const section of sections) {
    source.addEventListener(section, (event) =>
      change({ [section]: dataOf(event), connected: true }),
    );
  }
  source.addEventListener("history", (event) => {
    const moments: readonly Moment[] = dataOf(event);
    // Whole at first and after a break, then one at a time.
    const lastMs = seen.history?.at(-1)?.atMs ?? 0;
    const fresh = moments.filter(({ atMs }) => atMs > lastMs);
    change({ history: [...(seen.history ?? []), ...fresh].slice(-momentsMax), connected: true });
  });
  source.addEventListener("error", () => change({ connected: false }));
  return () => source.close();
}

/** Asks the node one question. Throws an Error with its sentence. */
export async function ask<T>(path: string, query: Record<string, string | number>): Promise<T> {
  const words = new URLSearchParams(
    Object.entries(query).map(([name, value]) => [name, String(value)] as [string, string]),
  );
  const response = await fetch(`${path}?${words}`);
  const answer: unknown = await response.json();
  if (!response.ok) throw new Error(sentenceOf(answer));
  // The page is of the node that answers: both are of one version.
  return answer as T;
}

function sentenceOf(answer: unknown): string {
  const isTold = typeof answer === "object" && answer !== null && "message" in answer;
  return isTold ? String(answer.message) : "The node does not answer.";
}

/** What came with an event; the feed sends nothing but JSON. */
function dataOf(event: Event) {
  return "data" in event ? JSON.parse(String(event.data)) : undefined;
}
