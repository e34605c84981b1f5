/** What may be the name of a bucket. */
import { isIPv4 } from "node:net";

/** Lower-case letters, digits, dots and hyphens; begins and ends with a letter or digit. */
const MODERN = /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/;
/** The guide's: upper case and underscores too, up to 255 characters. */
const LEGACY = /^[A-Za-z0-9][A-Za-z0-9._-]{2,254}$/;
/** Kept by S3 for names of its own making; taken here they would break clients that treat them apart. */
const RESERVED = /^(?:xn--|sthree-)|(?:-s3alias|--ol-s3|\.mrap|--x-s3|--table-s3)$/;

/** The rules for new buckets today. */
export function isModernName(name: string): boolean {
  return MODERN.test(name) && !name.includes("..") && !isIPv4(name) && !RESERVED.test(name);
}

/** The rules of 2006: what any existing bucket satisfies. */
export function isLegacyName(name: string): boolean {
  return LEGACY.test(name) && !/^\d{1,3}(?:\.\d{1,3}){3}$/.test(name);
}

/** The guide's additional rules for buckets with a location. */
export function isDnsName(name: string): boolean {
  return MODERN.test(name) && !/\.\.|-\.|\.-/.test(name) && !isIPv4(name);
}
