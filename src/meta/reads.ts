/** Reads on one SQLite connection, through statements that are prepared once. */
import type { Entry, Key, KeyRange, ScanOptions, SnapshotReads } from "./meta.ts";
import type { Connection, Statement } from "./connection.ts";
import { runSnapshot, snapshotReads, type DirectReads } from "./snapshot.ts";
import { validateScan } from "./validate.ts";

/** Every method runs to its end before it returns, so that no read transaction outlives an `await`. */
export class Reads implements DirectReads {
  readonly #begin: Statement;
  readonly #commit: Statement;
  readonly #get: Statement;
  readonly #up: Statement;
  readonly #down: Statement;
  readonly #sum: Statement;
  readonly #body: Statement;
  readonly #snapshot = snapshotReads(this);

  constructor(db: Connection) {
    this.#begin = db.prepare("BEGIN");
    this.#commit = db.prepare("COMMIT");
    this.#get = db.prepare("SELECT v FROM kv WHERE k = ?").pluck();
    this.#up = db.prepare("SELECT k AS key, v AS value FROM kv WHERE k >= ? AND k < ? ORDER BY k LIMIT ?");
    this.#down = db.prepare(
      "SELECT k AS key, v AS value FROM kv WHERE k >= ? AND k < ? ORDER BY k DESC LIMIT ?",
    );
    this.#sum = db.prepare("SELECT n FROM counter WHERE k = ?").pluck();
    this.#body = db.prepare("SELECT bytes FROM body WHERE id = ?").pluck();
  }

  get(key: Key): Buffer | undefined {
    return this.#get.get(key) as Buffer | undefined;
  }

  getMany(keys: readonly Key[]): (Buffer | undefined)[] {
    if (keys.length < 2) return keys.map((key) => this.get(key));
    // One transaction: of one moment, and without taking and leaving the log's lock for each key.
    return this.#within(() => keys.map((key) => this.get(key)));
  }

  scan(range: KeyRange, options: ScanOptions): Entry[] {
    validateScan(options);
    const statement = options.reverse === true ? this.#down : this.#up;
    return statement.all(range.start, range.end, options.limit) as Entry[];
  }

  sum(key: Key): number {
    return (this.#sum.get(key) as number | undefined) ?? 0;
  }

  getBody(id: number): Buffer | undefined {
    return this.#body.get(id) as Buffer | undefined;
  }

  snapshot<T>(body: (read: SnapshotReads) => Generator<unknown, T, unknown>): T {
    return this.#within(() => runSnapshot(body, this.#snapshot));
  }

  #within<T>(work: () => T): T {
    this.#begin.run();
    try {
      return work();
    } finally {
      this.#commit.run();
    }
  }
}
