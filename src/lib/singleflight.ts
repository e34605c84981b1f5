import { ChurnMap } from "./churn.ts";

/** Work asked for by several callers at once is done once. */
export class SingleFlight<T> {
  readonly #running = new ChurnMap<string, Promise<T>>();

  /** Whether work of this key is running. */
  has(key: string): boolean {
    return this.#running.has(key);
  }

  /** The running work of this key, or `work` started now. All callers get its value or its error; nothing is kept. */
  run(key: string, work: () => Promise<T>): Promise<T> {
    const running = this.#running.get(key);
    if (running !== undefined) return running;
    // Started in a microtask, so that even work which fails at once is removed after it was entered.
    const started = Promise.resolve()
      .then(work)
      .finally(() => this.#running.delete(key));
    this.#running.set(key, started);
    return started;
  }
}
