// What was needed at each time of the day in the last week: the season of a forecast, and the floor
// that people may ask for. A day is 24 hours of the caller's clock, wherever that begins.

const dayMs = 86_400_000;
const daysMax = 7;

/** Pieces of a day whose means are kept: five minutes each. */
const pieces = 288;
const pieceMs = dayMs / pieces;

/** Means of a value over the pieces of the last seven days; 2,016 numbers. */
export class DayHistory {
  readonly #means = new Float64Array(pieces * daysMax).fill(Number.NaN);
  /** Sum of the known means over the days of each piece, and how many are known. */
  readonly #sumByPiece = new Float64Array(pieces);
  readonly #daysByPiece = new Uint8Array(pieces);
  #piece = Number.NaN;
  #sum = 0;
  #count = 0;
  #firstPiece = Number.NaN;

  /** Takes one value; a clock that went back or leapt by a week forgets everything. */
  record(value: number, nowMs: number): void {
    const piece = Math.floor(nowMs / pieceMs);
    if (piece !== this.#piece) this.#close(piece);
    this.#sum += value;
    this.#count += 1;
  }

  /** Whole days that are known, 0 to 7. */
  get days(): number {
    const known = Math.floor((this.#piece - this.#firstPiece) / pieces);
    return Number.isNaN(known) ? 0 : Math.min(daysMax, known);
  }

  /** How far this time of the day is above or below the mean of all; 0 before `daysMin` days. */
  offset(atMs: number, daysMin: number): number {
    if (this.days < daysMin) return 0;
    return this.#meanOf(Math.floor(atMs / pieceMs) % pieces) - this.#meanOfAll();
  }

  /**
   * The value that a share `quantile` of the past days did not exceed at this time of the day, five
   * minutes to either side included; undefined before there is a whole day.
   */
  quantile(quantile: number, nowMs: number): number | undefined {
    if (this.days < 1) return undefined;
    const now = Math.floor(nowMs / pieceMs);
    const values: number[] = [];
    for (let day = 0; day < daysMax; day += 1) {
      for (const beside of [-1, 0, 1]) {
        const piece = (((now + beside) % pieces) + pieces) % pieces;
        const mean = this.#means[day * pieces + piece];
        if (mean !== undefined && !Number.isNaN(mean)) values.push(mean);
      }
    }
    values.sort((a, b) => a - b);
    return values[Math.min(values.length - 1, Math.floor(values.length * quantile))];
  }

  #close(next: number): void {
    const steps = next - this.#piece;
    if (!(steps > 0 && steps < pieces * daysMax)) this.#forget(next);
    else {
      this.#write(this.#piece, this.#sum / Math.max(1, this.#count));
      // Nobody looked in between: that is not the same as no need.
      for (let piece = this.#piece + 1; piece < next; piece += 1) this.#write(piece, Number.NaN);
    }
    this.#piece = next;
    this.#sum = 0;
    this.#count = 0;
  }

  #write(piece: number, mean: number): void {
    const at = ((piece % pieces) + pieces) % pieces;
    const day = ((Math.floor(piece / pieces) % daysMax) + daysMax) % daysMax;
    const place = day * pieces + at;
    const old = this.#means[place] ?? Number.NaN;
    const change = (Number.isNaN(mean) ? 0 : mean) - (Number.isNaN(old) ? 0 : old);
    this.#sumByPiece[at] = (this.#sumByPiece[at] ?? 0) + change;
    const known = Number(!Number.isNaN(mean)) - Number(!Number.isNaN(old));
    this.#daysByPiece[at] = (this.#daysByPiece[at] ?? 0) + known;
    this.#means[place] = mean;
  }

  #forget(first: number): void {
    this.#means.fill(Number.NaN);
    this.#sumByPiece.fill(0);
    this.#daysByPiece.fill(0);
    this.#firstPiece = first;
  }

  #meanOf(piece: number): number {
    const at = (piece + pieces) % pieces;
    return (this.#sumByPiece[at] ?? 0) / Math.max(1, this.#daysByPiece[at] ?? 0);
  }

  #meanOfAll(): number {
    let sum = 0;
    let days = 0;
    for (let at = 0; at < pieces; at += 1) {
      sum += this.#sumByPiece[at] ?? 0;
      days += this.#daysByPiece[at] ?? 0;
    }
    return sum / Math.max(1, days);
  }
}
