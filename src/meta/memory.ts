/** The engine for tests and throw-away servers: everything in this process's memory, gone with it. */
import type { Check, Commit, Entry, Key, KeyRange, Meta, ScanOptions, SnapshotReads, Write } from "./meta.ts";
import { runSnapshot, snapshotReads } from "./snapshot.ts";
import { validateCommit, validateScan } from "./validate.ts";

/** Entries of a leaf before it splits: inserts move at most this many, 100,000 keys make about 400 leaves. */
const LEAF_ENTRIES_MAX = 512;

/** An empty store. Commits are atomic and at once visible; "durable" means as long as the process lives. */
export function openMemory(): Meta {
  return new MemoryMeta();
}

class MemoryMeta implements Meta {
  readonly #rows = new SortedRows();
  readonly #counters = new Map<string, number>();
  readonly #bodies = new Map<number, Buffer>();
  #lastBodyId = 0;
  #closed = false;

  async get(key: Key): Promise<Buffer | undefined> {
    return this.#read().get(key);
  }

  async getMany(keys: readonly Key[]): Promise<(Buffer | undefined)[]> {
    const rows = this.#read();
    return keys.map((key) => rows.get(key));
  }

  async scan(range: KeyRange, options: ScanOptions): Promise<Entry[]> {
    validateScan(options);
    return this.#read().scan(range, options);
  }

  async sum(key: Key): Promise<number> {
    this.#read();
    return this.#counters.get(key.toString("latin1")) ?? 0;
  }

  async getBody(id: number): Promise<Buffer | undefined> {
    this.#read();
    return this.#bodies.get(id);
  }

  async newBodyId(): Promise<number> {
    this.#read();
    return ++this.#lastBodyId;
  }

  async snapshot<T>(body: (read: SnapshotReads) => Generator<unknown, T, unknown>): Promise<T> {
    const rows = this.#read();
    const counters = this.#counters;
    const bodies = this.#bodies;
    // Nothing else runs while the generator does, so the present is the snapshot.
    const reads = snapshotReads({
      get: (key) => rows.get(key),
      scan: (range, options) => rows.scan(range, options),
      sum: (key) => counters.get(key.toString("latin1")) ?? 0,
      getBody: (id) => bodies.get(id),
    });
    return runSnapshot(body, reads);
  }

  async commit(commit: Commit): Promise<boolean> {
    this.#read();
    validateCommit(commit);
    for (const check of commit.checks ?? []) if (!this.#holds(check)) return false;
    for (const body of commit.bodies?.put ?? []) {
      if (this.#bodies.has(body.id)) throw new Error(`Body ${body.id} exists already`);
    }
    for (const write of commit.writes ?? []) this.#write(write);
    // Callers may reuse their buffers once a commit has resolved, as they may with an engine that writes a file.
    for (const body of commit.bodies?.put ?? []) this.#bodies.set(body.id, Buffer.from(body.bytes));
    for (const id of commit.bodies?.delete ?? []) this.#bodies.delete(id);
    return true;
  }

  health(): string | undefined {
    return this.#closed ? "The store is closed" : undefined;
  }

  async close(): Promise<void> {
    this.#closed = true;
  }

  #read(): SortedRows {
    if (this.#closed) throw new Error("The metadata store is closed");
    return this.#rows;
  }

  #holds(check: Check): boolean {
    if ("empty" in check) return this.#rows.scan(check.empty, { limit: 1 }).length === 0;
    const value = this.#rows.get(check.key);
    if ("absent" in check) return value === undefined;
    if ("present" in check) return value !== undefined;
    return value !== undefined && value.equals(check.value);
  }

  #write(write: Write): void {
    if ("value" in write) {
      this.#rows.set(Buffer.from(write.key), Buffer.from(write.value));
    } else if ("add" in write) {
      const name = write.key.toString("latin1");
      this.#counters.set(name, (this.#counters.get(name) ?? 0) + write.add);
    } else {
      this.#rows.delete(write.key);
      this.#counters.delete(write.key.toString("latin1"));
    }
  }
}

/** Sorted entries in leaves of bounded size, the leaves in one array. */
class SortedRows {
  /** Never empty; every leaf but an only one holds at least one entry. */
  readonly #leaves: Entry[][] = [[]];

  get(key: Key): Buffer | undefined {
    const leaf = this.#leaves[this.#leafOf(key)]!;
    const entry = leaf[lowerBound(leaf, key)];
    return entry !== undefined && entry.key.equals(key) ? entry.value : undefined;
  }

  set(key: Key, value: Buffer): void {
    const leafIndex = this.#leafOf(key);
    const leaf = this.#leaves[leafIndex]!;
    const index = lowerBound(leaf, key);
    const entry = leaf[index];
    if (entry !== undefined && entry.key.equals(key)) {
      // A new entry: the old one may have been handed out by a scan.
      leaf[index] = { key, value };
      return;
    }
    leaf.splice(index, 0, { key, value });
    if (leaf.length > LEAF_ENTRIES_MAX)
      this.#leaves.splice(leafIndex + 1, 0, leaf.splice(LEAF_ENTRIES_MAX / 2));
  }

  delete(key: Key): void {
    const leafIndex = this.#leafOf(key);
    const leaf = this.#leaves[leafIndex]!;
    const index = lowerBound(leaf, key);
    if (leaf[index]?.key.equals(key) !== true) return;
    leaf.splice(index, 1);
    if (leaf.length === 0 && this.#leaves.length > 1) this.#leaves.splice(leafIndex, 1);
  }

  scan(range: KeyRange, options: ScanOptions): Entry[] {
    return options.reverse === true ? this.#down(range, options.limit) : this.#up(range, options.limit);
  }

  #up(range: KeyRange, limit: number): Entry[] {
    const found: Entry[] = [];
    let leafIndex = this.#leafOf(range.start);
    let index = lowerBound(this.#leaves[leafIndex]!, range.start);
    for (; leafIndex < this.#leaves.length; leafIndex++, index = 0) {
      const leaf = this.#leaves[leafIndex]!;
      for (; index < leaf.length; index++) {
        const entry = leaf[index]!;
        if (found.length === limit || Buffer.compare(entry.key, range.end) >= 0) return found;
        found.push(entry);
      }
    }
    return found;
  }

  #down(range: KeyRange, limit: number): Entry[] {
    const found: Entry[] = [];
    let leafIndex = this.#leafOf(range.end);
    let index = lowerBound(this.#leaves[leafIndex]!, range.end) - 1;
    for (;;) {
      const leaf = this.#leaves[leafIndex]!;
      for (; index >= 0; index--) {
        const entry = leaf[index]!;
        if (found.length === limit || Buffer.compare(entry.key, range.start) < 0) return found;
        found.push(entry);
      }
      if (leafIndex === 0) return found;
      leafIndex--;
      index = this.#leaves[leafIndex]!.length - 1;
    }
  }

  /** The last leaf whose first key is not above this key, else the first leaf. */
  #leafOf(key: Key): number {
    let low = 0;
    let high = this.#leaves.length;
    while (high - low > 1) {
      const middle = (low + high) >>> 1;
      if (Buffer.compare(this.#leaves[middle]![0]!.key, key) <= 0) low = middle;
      else high = middle;
    }
    return low;
  }
}

/** The index of the first entry whose key is not below this key. */
function lowerBound(leaf: readonly Entry[], key: Key): number {
  let low = 0;
  let high = leaf.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (Buffer.compare(leaf[middle]!.key, key) < 0) low = middle + 1;
    else high = middle;
  }
  return low;
}
