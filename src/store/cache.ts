/**
 * Records that every request needs and few requests change. Each commit that changes an account, key, bucket setting or
 * setting adds 1 to the key `epoch`; a request reads it first and drops everything when it moved (store rule 5).
 */
import type { Core } from "./core.ts";
import { KEYS } from "./keys.ts";

/** Entries of one kind; above it all are dropped, so that requests for a million absent buckets hold no memory. */
const ENTRIES_MAX = 10_000;

export interface Cache {
  /** Resolves to the epoch. */
  refresh(): Promise<number>;
  /** The value under `kind` and `name`, loaded once per epoch. */
  get<T>(kind: string, name: string, load: () => Promise<T>): Promise<T>;
}

export function createCache(core: Core): Cache {
  const epochKey = KEYS.epoch();
  let epoch = -1;
  /** Promises, so that what is known costs nobody another one. */
  const kinds = new Map<string, Map<string, Promise<unknown>>>();
  const keep = async <T>(
    entries: Map<string, Promise<unknown>>,
    kind: string,
    name: string,
    load: () => Promise<T>,
  ): Promise<T> => {
    const value = await load();
    // Dropped in the meantime: what was loaded may be older than the epoch that is in force now.
    if (kinds.get(kind) !== entries) return value;
    if (entries.size >= ENTRIES_MAX) entries.clear();
    entries.set(name, Promise.resolve(value));
    return value;
  };
  return {
    async refresh() {
      const now = await core.meta.sum(epochKey);
      if (now !== epoch) kinds.clear();
      return (epoch = now);
    },
    get<T>(kind: string, name: string, load: () => Promise<T>) {
      let entries = kinds.get(kind);
      if (entries === undefined) kinds.set(kind, (entries = new Map<string, Promise<unknown>>()));
      return (entries.get(name) as Promise<T> | undefined) ?? keep(entries, kind, name, load);
    },
  };
}
