/** What every engine refuses, in one place, so that code tested on one engine cannot surprise on another. */
import type { Commit, Key, KeyRange, ScanOptions } from "./meta.ts";
import { KEY_BYTES_MAX } from "./tuple.ts";

/** Entries. One scan is answered in one piece, so that this bounds the memory and time which a request can take. */
const SCAN_ENTRIES_MAX = 10_000;

/** Bytes of a range's bound. Bounds are never stored, but travel to the writer: no frame carries a megabyte prefix. */
const BOUND_BYTES_MAX = 65_535;

/** @throws RangeError when a scan asks for no entries or too many. */
export function validateScan(options: ScanOptions): void {
  if (!Number.isInteger(options.limit) || options.limit < 1 || options.limit > SCAN_ENTRIES_MAX) {
    throw new RangeError(`Scan limit ${options.limit} is not within 1 to ${SCAN_ENTRIES_MAX}`);
  }
}

/** @throws RangeError when a commit holds a key, an amount or a body id that some engine could not keep. */
export function validateCommit(commit: Commit): void {
  for (const check of commit.checks ?? []) {
    if ("empty" in check) validateRange(check.empty);
    else validateKey(check.key);
  }
  for (const write of commit.writes ?? []) {
    validateKey(write.key);
    if ("add" in write && !Number.isSafeInteger(write.add)) {
      throw new RangeError(`Amount ${write.add} is not a safe integer`);
    }
  }
  for (const body of commit.bodies?.put ?? []) validateBodyId(body.id);
  for (const id of commit.bodies?.delete ?? []) validateBodyId(id);
}

function validateKey(key: Key): void {
  if (key.length === 0 || key.length > KEY_BYTES_MAX) {
    throw new RangeError(`Key of ${key.length} bytes is not within 1 to ${KEY_BYTES_MAX}`);
  }
}

function validateRange(range: KeyRange): void {
  if (range.start.length > BOUND_BYTES_MAX || range.end.length > BOUND_BYTES_MAX) {
    throw new RangeError(`Range bound exceeds ${BOUND_BYTES_MAX} bytes`);
  }
}

function validateBodyId(id: number): void {
  if (!Number.isSafeInteger(id) || id < 1)
    throw new RangeError(`Body id ${id} is not a positive safe integer`);
}
