/** Keeping SQLite's log short, from the connection that writes, between its transactions. */
import { PAGE_BYTES, type Connection, type Statement } from "./connection.ts";

/**
 * Bytes of log at which it is written back. Every 4 MiB cost a tenth of the writes per second and doubled p99;
 * left alone, the log grew by 100 MB a second.
 */
export const LOG_BYTES_MAX = 64 * 1024 * 1024;

/** Milliseconds between attempts while a reader holds an old snapshot: doubled from the first to the last. */
const BACK_OFF_MS = { first: 50, last: 5_000 };

/** Frames of the log since it was last begun anew, and how many of them are in the database file already. */
export interface LogState {
  frames: number;
  written: number;
}

export class Checkpointer {
  readonly #state: Statement;
  readonly #passive: Statement;
  readonly #framesMax: number;
  #backOffMs = 0;
  #notBefore = 0;

  constructor(db: Connection, logBytesMax: number) {
    this.#state = db.prepare("PRAGMA wal_checkpoint(NOOP)");
    this.#passive = db.prepare("PRAGMA wal_checkpoint(PASSIVE)");
    this.#framesMax = Math.ceil(logBytesMax / PAGE_BYTES);
  }

  /** Costs a microsecond. */
  state(): LogState {
    return toState(this.#state.get());
  }

  /**
   * Call after each transaction: writes the log back once it is long. Only ever passively: the other ways wait for
   * readers and make all writes wait behind them. After a complete one SQLite begins the log anew by itself.
   */
  afterCommit(now: number): LogState {
    const state = this.state();
    const pending = state.frames - state.written;
    // Behind a reader the log stays long and mostly written: another look is worth it when a quarter is new.
    if (state.frames < this.#framesMax || pending < this.#framesMax / 4 || now < this.#notBefore)
      return state;
    return this.run(now);
  }

  /** Writes back what readers permit, now. */
  run(now: number): LogState {
    const state = toState(this.#passive.get());
    if (state.written < state.frames) {
      this.#backOffMs = Math.min(Math.max(this.#backOffMs * 2, BACK_OFF_MS.first), BACK_OFF_MS.last);
      this.#notBefore = now + this.#backOffMs;
    } else {
      this.#backOffMs = 0;
      this.#notBefore = 0;
    }
    return state;
  }
}

function toState(row: unknown): LogState {
  const { log, checkpointed } = row as { log: number; checkpointed: number };
  // −1 when the log does not exist yet.
  return { frames: Math.max(log, 0), written: Math.max(checkpointed, 0) };
}
