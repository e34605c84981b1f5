/** How other people's storage does, for the operator: counted by origin, and told in the log where it fails. */
import { isRecent } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import { Lru } from "../../lib/lru.ts";
import { DeliveryError, type DeliveryErrorCode } from "../errors.ts";
import { OutsideOrigin, type Fetched } from "./client.ts";

/** What one origin was asked in this process. */
export interface OriginCounts {
  /** `account/origin`. */
  readonly origin: string;
  /** By what came of them: a kind of Fetched, or the code of an error. */
  readonly results: ReadonlyMap<string, number>;
  /** Until an answer's head, further attempts included. */
  readonly seconds: number;
}

export interface OriginWatch {
  /** Asks, and remembers what came of it; what becomes of the body too. @throws what `ask` throws */
  ask(ask: () => Promise<Fetched>): Promise<Fetched>;
  /** It failed so often that it is left alone, or answers again. */
  readonly turned: (leftAlone: boolean) => void;
}

/**
 * Origins that are counted by name; all others are one. Stops accounts that make thousands from filling the memory of
 * this process and of whoever reads its metrics.
 */
const NAMED_MAX = 100;
/** No origin's: theirs have a slash. */
const OTHERS = "others";
/** How often the log says the same of an origin, in milliseconds, and of how many it remembers when. */
const SAID_MS = 60_000;
const SAID_MAX = 1000;
/** What the operator can do something about. */
const FAULTS: readonly DeliveryErrorCode[] = [
  "OriginDenied",
  "OriginRefused",
  "OriginFailed",
  "OriginTimeout",
];

export class OriginHealth {
  readonly #log: Logger;
  readonly #counts = new Map<string, { results: Map<string, number>; seconds: number }>();
  readonly #said = new Lru<string, number>({ maxEntries: SAID_MAX });

  constructor(log: Logger) {
    this.#log = log;
  }

  counts(): OriginCounts[] {
    return [...this.#counts].map(([origin, counted]) => ({ origin, ...counted }));
  }

  /** Of one origin, `account/origin`. */
  of(origin: string): OriginWatch {
    return {
      ask: (ask) => this.#ask(origin, ask),
      turned: (leftAlone) => {
        if (leftAlone) this.#log.warn({ origin }, "an origin failed several times and is left alone");
        else this.#log.info({ origin }, "an origin that was left alone answers again");
      },
    };
  }

  async #ask(origin: string, ask: () => Promise<Fetched>): Promise<Fetched> {
    const started = performance.now();
    const count = (result: string): void => this.#count(origin, result, performance.now() - started);
    let fetched: Fetched;
    try {
      fetched = await ask();
    } catch (error) {
      // Then nobody was asked.
      if (!(error instanceof OutsideOrigin)) {
        count(error instanceof DeliveryError ? error.code : "InternalError");
        this.say(origin, error);
      }
      throw error;
    }
    count(fetched.kind);
    return fetched.kind === "found" ? { ...fetched, body: this.#read(origin, fetched.body) } : fetched;
  }

  #read(origin: string, body: AsyncIterable<Buffer>): AsyncIterable<Buffer> {
    return {
      [Symbol.asyncIterator]: () => {
        const inner = body[Symbol.asyncIterator]();
        return {
          next: () =>
            inner.next().catch((error: unknown) => {
              this.say(origin, error);
              throw error;
            }),
          return: () => inner.return?.() ?? Promise.resolve({ done: true, value: undefined }),
        };
      },
    };
  }

  #count(origin: string, result: string, ms: number): void {
    const name = this.#counts.has(origin) || this.#counts.size < NAMED_MAX ? origin : OTHERS;
    let counted = this.#counts.get(name);
    if (counted === undefined) this.#counts.set(name, (counted = { results: new Map(), seconds: 0 }));
    counted.results.set(result, (counted.results.get(result) ?? 0) + 1);
    counted.seconds += ms / 1000;
  }

  /** Tells the operator of a fault, but not of the same one every time. */
  say(origin: string, error: unknown): void {
    if (!(error instanceof DeliveryError) || !FAULTS.includes(error.code)) return;
    const { code, message, detail = message } = error;
    const about = `${origin} ${code}`;
    if (isRecent(this.#said.get(about) ?? 0, SAID_MS)) return;
    this.#said.set(about, Date.now());
    this.#log.warn({ origin, code, detail }, "an origin fails");
  }
}
