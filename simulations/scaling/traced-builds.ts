// Rows of a trace, in any order, put together to builds.

import { WorkloadWriter } from "./workload.ts";

/** Nothing of a build was open for so long in ms: what follows is another one. */
const pauseMs = 60_000;

/** Actions with their times, by what they belong to. Ten million rows take 300 MiB. */
export class TracedBuilds {
  #atMs = new Float64Array(4096);
  #endMs = new Float64Array(4096);
  #runMs = new Int32Array(4096);
  #group = new Int32Array(4096);
  #kind = new Uint8Array(4096);
  #size = 0;
  readonly #writer: WorkloadWriter;
  readonly #max: number;

  constructor(name: string, max: number) {
    this.#writer = new WorkloadWriter(name, max);
    this.#max = max;
  }

  /** One action: asked for at `atMs`, ended at `endMs`, ran for `runMs` of it. */
  add(group: number, atMs: number, endMs: number, runMs: number, kind: number): void {
    // One more than may be: the writer says what is wrong.
    if (this.#size > this.#max) return;
    if (this.#size === this.#atMs.length) this.#grow();
    const at = this.#size++;
    this.#atMs[at] = atMs;
    this.#endMs[at] = Math.max(atMs, endMs);
    this.#runMs[at] = runMs;
    this.#group[at] = group;
    this.#kind[at] = kind;
  }

  /** The workload. Each build keeps as many open as it had open at once. */
  finish(parallelism: number | undefined) {
    const order = Uint32Array.from({ length: this.#size }, (_, at) => at);
    const [group, atMs] = [this.#group, this.#atMs];
    order.sort((a, b) => {
      const groups = (group[a] as number) - (group[b] as number);
      return groups || (atMs[a] as number) - (atMs[b] as number) || a - b;
    });
    const beginMs = this.#size === 0 ? 0 : this.#earliest();
    for (let from = 0; from < order.length; ) {
      let lastMs = this.#endMs[order[from] as number] as number;
      let to = from + 1;
      for (; to < order.length; to += 1) {
        const next = order[to] as number;
        const isOther = group[next] !== group[order[from] as number];
        if (isOther || (atMs[next] as number) > lastMs + pauseMs) break;
        lastMs = Math.max(lastMs, this.#endMs[next] as number);
      }
      const rows = order.subarray(from, to);
      for (const row of rows) this.#writer.action(this.#runMs[row] as number, this.#kind[row]);
      const first = atMs[rows[0] as number] as number;
      this.#writer.build(first - beginMs, parallelism ?? this.#mostOpen(rows));
      from = to;
    }
    return this.#writer.finish();
  }

  #earliest(): number {
    let earliest = Number.POSITIVE_INFINITY;
    for (let at = 0; at < this.#size; at += 1) {
      earliest = Math.min(earliest, this.#atMs[at] as number);
    }
    return earliest;
  }

  /** How many of these rows, in the order of their begin, were open at once at most. */
  #mostOpen(rows: Uint32Array): number {
    const ends = Float64Array.from(rows, (row) => this.#endMs[row] as number).sort();
    let ended = 0;
    let most = 1;
    for (let begun = 0; begun < rows.length; begun += 1) {
      const beginMs = this.#atMs[rows[begun] as number] as number;
      while (ended < begun && (ends[ended] as number) <= beginMs) ended += 1;
      most = Math.max(most, begun + 1 - ended);
    }
    return most;
  }

  #grow(): void {
    const length = this.#atMs.length * 2;
    const wider = <T extends Float64Array | Int32Array | Uint8Array>(from: T, to: T): T => {
      to.set(from);
      return to;
    };
    this.#atMs = wider(this.#atMs, new Float64Array(length));
    this.#endMs = wider(this.#endMs, new Float64Array(length));
    this.#runMs = wider(this.#runMs, new Int32Array(length));
    this.#group = wider(this.#group, new Int32Array(length));
    this.#kind = wider(this.#kind, new Uint8Array(length));
  }
}
