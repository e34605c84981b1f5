import { createHash } from "node:crypto";

/** What one key may hold: a body's MD5, or "absent". */
type State = string;

/**
 * What the server has acknowledged, and what it may have done without telling. A write in flight when the server
 * dies may or may not stand; an acknowledged one must.
 */
export class Ledger {
  readonly #possible = new Map<string, Set<State>>();

  begin(key: string, body: Buffer | undefined): State {
    const state = body === undefined ? "absent" : createHash("md5").update(body).digest("hex");
    this.#states(key).add(state);
    return state;
  }

  /** The server said yes: nothing else is possible any more. */
  acknowledge(key: string, state: State): void {
    this.#possible.set(key, new Set([state]));
  }

  /** What was found after a restart is from now on the only truth: it may not change again by itself. */
  settle(key: string, found: State): string | undefined {
    const possible = this.#states(key);
    if (!possible.has(found)) return `${key}: found ${found}, possible were ${[...possible].join(", ")}`;
    this.#possible.set(key, new Set([found]));
    return undefined;
  }

  keys(): string[] {
    return [...this.#possible.keys()];
  }

  #states(key: string): Set<State> {
    let states = this.#possible.get(key);
    if (states === undefined) this.#possible.set(key, (states = new Set<State>(["absent"])));
    return states;
  }
}
