/** Carrying out commits inside an open SQLite transaction: the same code for the one writer and the command line. */
import type { Check, Commit, Write } from "./meta.ts";
import type { Connection, Statement } from "./connection.ts";

/** One connection's statements for changing the tables. */
export class Applier {
  readonly #begin: Statement;
  readonly #commit: Statement;
  readonly #rollback: Statement;
  readonly #hasValue: Statement;
  readonly #hasKey: Statement;
  readonly #hasAny: Statement;
  readonly #put: Statement;
  readonly #delete: Statement;
  readonly #add: Statement;
  readonly #deleteCounter: Statement;
  readonly #putBody: Statement;
  readonly #deleteBody: Statement;
  readonly #takeIds: Statement;
  readonly #db: Connection;
  /** Differences of the open transaction by key, written once at its end: many commits move the same counters. */
  readonly #counts = new Map<string, number>();

  constructor(db: Connection) {
    this.#db = db;
    this.#begin = db.prepare("BEGIN IMMEDIATE");
    this.#commit = db.prepare("COMMIT");
    this.#rollback = db.prepare("ROLLBACK");
    this.#hasValue = db.prepare("SELECT 1 FROM kv WHERE k = ? AND v = ?").pluck();
    this.#hasKey = db.prepare("SELECT 1 FROM kv WHERE k = ?").pluck();
    this.#hasAny = db.prepare("SELECT 1 FROM kv WHERE k >= ? AND k < ? LIMIT 1").pluck();
    this.#put = db.prepare(
      "INSERT INTO kv (k, v) VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET v = excluded.v",
    );
    this.#delete = db.prepare("DELETE FROM kv WHERE k = ?");
    this.#add = db.prepare(
      "INSERT INTO counter (k, n) VALUES (?, ?) ON CONFLICT (k) DO UPDATE SET n = n + excluded.n",
    );
    this.#deleteCounter = db.prepare("DELETE FROM counter WHERE k = ?");
    // A plain insert: an id that is used a second time is a defect, and must not overwrite another object's bytes.
    this.#putBody = db.prepare("INSERT INTO body (id, bytes) VALUES (?, ?)");
    this.#deleteBody = db.prepare("DELETE FROM body WHERE id = ?");
    this.#takeIds = db
      .prepare("UPDATE sequence SET next = next + ? WHERE name = 'body' RETURNING next")
      .pluck();
  }

  /** Takes the write lock, so that the transaction cannot fail later for having read too early. */
  begin(): void {
    this.#counts.clear();
    this.#begin.run();
  }

  /** Durable when it returns. */
  commit(): void {
    for (const [key, n] of this.#counts) this.#add.run(Buffer.from(key, "latin1"), n);
    this.#counts.clear();
    this.#commit.run();
  }

  /** After some errors SQLite has rolled back by itself. */
  rollback(): void {
    this.#counts.clear();
    if (this.#db.inTransaction) this.#rollback.run();
  }

  /**
   * Carries out one commit. False: a check failed, nothing was written. When it throws, the transaction holds part
   * of the commit and must be rolled back.
   */
  apply(commit: Commit): boolean {
    for (const check of commit.checks ?? []) if (!this.#holds(check)) return false;
    for (const write of commit.writes ?? []) this.#write(write);
    for (const body of commit.bodies?.put ?? []) this.#putBody.run(body.id, body.bytes);
    for (const id of commit.bodies?.delete ?? []) this.#deleteBody.run(id);
    return true;
  }

  /** Takes `count` consecutive body ids and returns the first; nobody gets them again once this is committed. */
  takeBodyIds(count: number): number {
    const next = this.#takeIds.get(count) as number;
    if (!Number.isSafeInteger(next)) throw new Error("Body ids are exhausted");
    return next - count;
  }

  #holds(check: Check): boolean {
    if ("empty" in check) return this.#hasAny.get(check.empty.start, check.empty.end) === undefined;
    if ("absent" in check) return this.#hasKey.get(check.key) === undefined;
    if ("present" in check) return this.#hasKey.get(check.key) !== undefined;
    return this.#hasValue.get(check.key, check.value) !== undefined;
  }

  #write(write: Write): void {
    if ("value" in write) {
      this.#put.run(write.key, write.value);
    } else if ("add" in write) {
      const key = write.key.toString("latin1");
      this.#counts.set(key, (this.#counts.get(key) ?? 0) + write.add);
    } else {
      this.#delete.run(write.key);
      this.#deleteCounter.run(write.key);
      if (this.#counts.size > 0) this.#counts.delete(write.key.toString("latin1"));
    }
  }
}
