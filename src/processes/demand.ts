/** How many workers there should be, by what they say of their load. */

/** Load in the mean above which there should be one more. */
const BUSY = 0.6;
/** For so long, in milliseconds: a program that begins to work is busy with itself. */
const BUSY_MS = 1000;
/** Load in the mean of those that would be left, below which there is one too many. */
const CALM = 0.3;
/** For so long, in milliseconds: to start one again costs half a second of a core. */
const CALM_MS = 10_000;

export class Demand {
  readonly #max: number;
  #workers: number;
  readonly #loads = new Map<number, number>();
  #busySince: number | undefined;
  #calmSince: number | undefined;

  constructor(workers: number, max: number) {
    this.#workers = workers;
    this.#max = max;
  }

  /** What a worker said of its last second; `now` in milliseconds, of a clock that is never set back. */
  hear(worker: number, load: number, now: number): "more" | "fewer" | undefined {
    this.#loads.set(worker, load);
    if (this.#loads.size < this.#workers) return undefined;
    const sum = [...this.#loads.values()].reduce((total, each) => total + each, 0);
    const busy = this.#workers < this.#max && sum / this.#workers > BUSY;
    const calm = this.#workers > 1 && sum / (this.#workers - 1) <= CALM;
    this.#busySince = busy ? (this.#busySince ?? now) : undefined;
    this.#calmSince = calm ? (this.#calmSince ?? now) : undefined;
    if (this.#busySince !== undefined && now - this.#busySince >= BUSY_MS) return "more";
    if (this.#calmSince !== undefined && now - this.#calmSince >= CALM_MS) return "fewer";
    return undefined;
  }

  /** There are others now, of whose load nothing is known. */
  changed(workers: number): void {
    this.#workers = workers;
    this.#loads.clear();
    this.#busySince = undefined;
    this.#calmSince = undefined;
  }
}
