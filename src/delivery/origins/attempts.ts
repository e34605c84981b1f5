/** Trying again, and knowing when not to: retries with back-off, and a circuit breaker for origins that are down. */
import { isRecent } from "../../lib/clock.ts";
import { DeliveryError, notNow } from "../errors.ts";
import { originError } from "./client.ts";

/** Tries in all, and the pause before the second; it doubles. */
const TRIES = 3;
const PAUSE_MS = 100;
/** Failures one after the other that open the circuit, and how long it stays open. */
const FAILURES_MAX = 5;
const OPEN_MS = 5000;

/**
 * What an origin says of one request and would say again: no reason to retry, and no sign that the origin is down. Else
 * five odd URLs would close it to everybody.
 */
export class LastingFailure extends DeliveryError {
  /** As of `originError`. */
  constructor(words: string, host = "The origin") {
    super("OriginFailed", `The origin ${words}`, [], `${host} ${words}`);
  }
}

/** Statuses below 500 that are about the moment: a timeout, too early, too many requests. */
const PASSING: readonly number[] = [408, 425, 429];

/** For answers that nobody expected of an origin. */
export const failureOf = (status: number, host: string, words = `answers ${status}.`): DeliveryError =>
  status < 500 && !PASSING.includes(status)
    ? new LastingFailure(words, host)
    : originError("OriginFailed", host, words);

/** What may be gone in a moment; what our credentials or limits cause is not. */
const isPassing = (error: unknown): boolean =>
  error instanceof DeliveryError &&
  !(error instanceof LastingFailure) &&
  (error.code === "OriginFailed" || error.code === "OriginTimeout");

export class Attempts {
  readonly #onTurn: (open: boolean) => void;
  #failures = 0;
  #openedAt = 0;

  /** `onTurn` hears of it when the circuit opens and when it closes. */
  constructor(onTurn: (open: boolean) => void = () => undefined) {
    this.#onTurn = onTurn;
  }

  /**
   * @throws DeliveryError ServiceUnavailable while the circuit is open; after it one request tries, and closes or opens
   * it again
   */
  async run<T>(once: () => Promise<T>): Promise<T> {
    if (isRecent(this.#openedAt, OPEN_MS)) {
      const seconds = Math.ceil((this.#openedAt + OPEN_MS - Date.now()) / 1000);
      throw notNow("The origin failed several times and is left alone for a moment.", seconds);
    }
    const halfOpen = this.#failures >= FAILURES_MAX;
    // While one tries, the others are told to wait.
    if (halfOpen) this.#openedAt = Date.now();
    for (let tries = 1; ; tries++) {
      try {
        const result = await once();
        this.#close();
        return result;
      } catch (error) {
        if (!isPassing(error)) {
          this.#close();
          throw error;
        }
        // Of timeouts the client has waited for one already.
        const again = tries < TRIES && !halfOpen && (error as DeliveryError).code !== "OriginTimeout";
        if (!again) {
          if (++this.#failures >= FAILURES_MAX) this.#openedAt = Date.now();
          if (this.#failures === FAILURES_MAX) this.#onTurn(true);
          throw error;
        }
        await new Promise((resolve) =>
          setTimeout(resolve, PAUSE_MS * 2 ** (tries - 1) * (0.5 + Math.random())),
        );
      }
    }
  }

  #close(): void {
    const wasOpen = this.#failures >= FAILURES_MAX;
    this.#failures = 0;
    this.#openedAt = 0;
    if (wasOpen) this.#onTurn(false);
  }
}
