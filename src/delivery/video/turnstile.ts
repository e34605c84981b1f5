/** Lets so many through at once; the others wait in line, or in one line each that take turns. */
import { setMaxListeners } from "node:events";

/** Of whose signal Node takes no number of listeners for a leak: a whole line waits for it. */
export function patientController(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}

interface Waiting {
  readonly who: string;
  readonly enter: () => void;
}

export class Turnstile {
  readonly #places: number;
  readonly #waiting: Waiting[] = [];
  /** When who last came through, counted in turns. */
  readonly #turns = new Map<string, number>();
  #turn = 0;
  #inside = 0;

  constructor(places: number) {
    this.#places = places;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  waits(who: string): boolean {
    return this.#waiting.some((one) => one.who === who);
  }

  /**
   * Does something when it is its turn. However many wait for one, the next place goes to who has had none for the longest
   * time. @throws what the signal was aborted with
   */
  async pass<T>(signal: AbortSignal, use: () => Promise<T>, who: string): Promise<T> {
    signal.throwIfAborted();
    if (this.#inside < this.#places) this.#inside++;
    else await this.#wait(signal, who);
    this.#turns.set(who, ++this.#turn);
    try {
      return await use();
    } finally {
      // The place is handed on, so that nobody slips in between.
      const next = this.#next();
      if (next === undefined) this.#inside--;
      else next.enter();
    }
  }

  /** Out of the line: of who had a place longest ago, the first that came. */
  #next(): Waiting | undefined {
    const turnOf = ({ who }: Waiting): number => this.#turns.get(who) ?? 0;
    const [next] = this.#waiting.toSorted((one, other) => turnOf(one) - turnOf(other));
    if (next === undefined) this.#turns.clear();
    else this.#waiting.splice(this.#waiting.indexOf(next), 1);
    return next;
  }

  #wait(signal: AbortSignal, who: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const enter = (): void => {
        signal.removeEventListener("abort", abort);
        resolve();
      };
      const waiting: Waiting = { who, enter };
      const abort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        reject(signal.reason as Error);
      };
      this.#waiting.push(waiting);
      signal.addEventListener("abort", abort, { once: true });
    });
  }
}
