/** Running a snapshot's generator on an engine whose reads answer at once. */
import type { Entry, Key, KeyRange, ScanOptions, SnapshotReads } from "./meta.ts";
import { validateScan } from "./validate.ts";

/** Reads that answer at once and all see one moment for as long as the caller keeps it open. */
export interface DirectReads {
  get(key: Key): Buffer | undefined;
  scan(range: KeyRange, options: ScanOptions): Entry[];
  sum(key: Key): number;
  getBody(id: number): Buffer | undefined;
}

/**
 * Runs a snapshot's generator to its end.
 * @throws TypeError when it yields anything but reads: a promise awaited there would hold the snapshot open while
 * other requests share its connection.
 */
export function runSnapshot<T>(
  body: (read: SnapshotReads) => Generator<unknown, T, unknown>,
  reads: SnapshotReads,
): T {
  const step = body(reads).next();
  if (step.done !== true) throw new TypeError("A snapshot's generator may only `yield*` its reads");
  return step.value;
}

/** For `runSnapshot`. */
/* oxlint-disable require-yield -- these reads answer at once; they are generators so that other engines may wait. */
export function snapshotReads(reads: DirectReads): SnapshotReads {
  return {
    *get(key) {
      return reads.get(key);
    },
    *getMany(keys) {
      return keys.map((key) => reads.get(key));
    },
    *scan(range, options) {
      validateScan(options);
      return reads.scan(range, options);
    },
    *sum(key) {
      return reads.sum(key);
    },
    *getBody(id) {
      return reads.getBody(id);
    },
  };
}
