import { ChurnMap } from "./churn.ts";

export interface LruLimits<V> {
  /** Entries kept at most. */
  readonly maxEntries: number;
  /** Sum of `sizeOf` kept at most; a value larger than this is not kept at all. */
  readonly maxBytes?: number;
  readonly sizeOf?: (value: V) => number;
}

/** A map that forgets what was not used for longest, bounded by count and, if asked, by bytes. */
export class Lru<K, V> {
  /** The first is the least recently used. */
  readonly #entries = new ChurnMap<K, V>();
  readonly #limits: LruLimits<V>;
  #bytes = 0;

  constructor(limits: LruLimits<V>) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#entries.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get(key: K): V | undefined {
    const value = this.#entries.get(key);
    if (value === undefined) return undefined;
    this.#entries.delete(key);
    this.#entries.set(key, value);
    return value;
  }

  set(key: K, value: V): void {
    this.delete(key);
    const size = this.#sizeOf(value);
    if (size > (this.#limits.maxBytes ?? Infinity)) return;
    this.#entries.set(key, value);
    this.#bytes += size;
    while (
      this.#entries.size > this.#limits.maxEntries ||
      this.#bytes > (this.#limits.maxBytes ?? Infinity)
    ) {
      const oldest = this.#entries.first();
      if (oldest === undefined) return;
      this.delete(oldest);
    }
  }

  delete(key: K): void {
    const value = this.#entries.get(key);
    if (value === undefined) return;
    this.#entries.delete(key);
    this.#bytes -= this.#sizeOf(value);
  }

  clear(): void {
    this.#entries.clear();
    this.#bytes = 0;
  }

  #sizeOf(value: V): number {
    return this.#limits.sizeOf?.(value) ?? 0;
  }
}
