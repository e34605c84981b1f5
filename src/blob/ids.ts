/** Ids of blobs: `${incarnation}-${sequence}`, both of fixed width per incarnation, so that their order is that of time. */
import { randomBytes } from "node:crypto";

const INCARNATION = /^[0-9a-z]{1,32}$/;
const ID = /^([0-9a-z]{1,32})-([0-9a-z]{8})$/;
const SEQUENCE_DIGITS = 8;

/** Time first, for order; process and 64 random bits, so that none comes twice. 27 characters. */
export function newIncarnation(): string {
  const time = Date.now().toString(36).padStart(9, "0");
  const creator = process.pid.toString(36).padStart(5, "0");
  const random = randomBytes(8).readBigUInt64BE().toString(36).padStart(13, "0");
  return time + creator + random;
}

/** `sequence`: a non-negative integer below 36^8. */
export function blobId(incarnation: string, sequence: number): string {
  return `${incarnation}-${sequence.toString(36).padStart(SEQUENCE_DIGITS, "0")}`;
}

/** Undefined for all that is not an id. What it returns is safe as parts of a path. */
export function parseBlobId(id: string): { incarnation: string; sequence: number } | undefined {
  const match = ID.exec(id);
  if (match === null) return undefined;
  return { incarnation: match[1]!, sequence: Number.parseInt(match[2]!, 36) };
}

export function isIncarnation(text: string): boolean {
  return INCARNATION.test(text);
}
