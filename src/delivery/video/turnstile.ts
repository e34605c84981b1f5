/** Lets so many through at once; the others wait in line. */
import { setMaxListeners } from "node:events";

/** Of whose signal Node takes no number of listeners for a leak: a whole line waits for it. */
export function patientController(): AbortController {
  const controller = new AbortController();
  setMaxListeners(0, controller.signal);
  return controller;
}

export class Turnstile {
  readonly #places: number;
  readonly #waiting: (() => void)[] = [];
  #inside = 0;

  constructor(places: number) {
    this.#places = places;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  /** Does something when it is its turn. @throws what the signal was aborted with */
  async pass<T>(signal: AbortSignal, use: () => Promise<T>): Promise<T> {
    signal.throwIfAborted();
    if (this.#inside < this.#places) this.#inside++;
    else await this.#wait(signal);
    try {
      return await use();
    } finally {
      // The place is handed on, so that nobody slips in between.
      const next = this.#waiting.shift();
      if (next === undefined) this.#inside--;
      else next();
    }
  }

  #wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const enter = (): void => {
        signal.removeEventListener("abort", abort);
        resolve();
      };
      const abort = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(enter), 1);
        reject(signal.reason as Error);
      };
      this.#waiting.push(enter);
      signal.addEventListener("abort", abort, { once: true });
    });
  }
}
