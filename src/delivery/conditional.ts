/** Preconditions and ranges of GET and HEAD (RFC 9110, sections 13 and 14). */

export interface Validators {
  /** Without quotes. */
  readonly etag: string;
  /**
   * Milliseconds since 1970; left out where nobody knows. Of what is made of a file nobody does: it changes with the
   * transformation's name, the endpoint, what lies over it, and with us.
   */
  readonly lastModified?: number | undefined;
}
type Headers = Readonly<Record<string, string>>;

/** Whether a list names the ETag; weak comparison takes the same picture with another coding for the same picture. */
function names(list: string, etag: string, comparison: "weak" | "strong"): boolean {
  if (list.trim() === "*") return true;
  const tags = list.match(/(?:W\/)?"[^"]*"/g) ?? [];
  return tags.some((tag) => (comparison === "weak" ? tag.replace(/^W\//, "") : tag) === `"${etag}"`);
}

const seconds = (ms: number): number => Math.floor(ms / 1000);

/** Undefined for what is no date: such a header is ignored. */
function dateOf(value: string | undefined): number | undefined {
  const time = value === undefined ? Number.NaN : Date.parse(value);
  return Number.isNaN(time) ? undefined : seconds(time);
}

/** Whether `judge` could say anything but `proceed`. */
export const isConditional = (headers: Headers): boolean => CONDITIONS.some((name) => name in headers);
const CONDITIONS = ["if-match", "if-unmodified-since", "if-none-match", "if-modified-since"] as const;

/** `failed`: 412. An ETag condition decides alone where it stands beside that of a date. */
export function judge(
  headers: Headers,
  { etag, lastModified }: Validators,
): "proceed" | "notModified" | "failed" {
  const ifMatch = headers["if-match"];
  const unmodifiedSince = dateOf(headers["if-unmodified-since"]);
  if (ifMatch !== undefined) {
    if (!names(ifMatch, etag, "strong")) return "failed";
  } else if (
    unmodifiedSince !== undefined &&
    lastModified !== undefined &&
    seconds(lastModified) > unmodifiedSince
  ) {
    return "failed";
  }
  const ifNoneMatch = headers["if-none-match"];
  if (ifNoneMatch !== undefined) return names(ifNoneMatch, etag, "weak") ? "notModified" : "proceed";
  const modifiedSince = dateOf(headers["if-modified-since"]);
  return modifiedSince !== undefined && lastModified !== undefined && seconds(lastModified) <= modifiedSince
    ? "notModified"
    : "proceed";
}

/** Bytes start (inclusive) to end (exclusive). */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/**
 * The one range that is asked for. Undefined: none to honour (no header, another unit, several, nonsense, or another
 * version than `If-Range` names). "unsatisfiable": nothing of it is there.
 */
export function rangeOf(
  headers: Headers,
  size: number,
  validators: Validators,
): Span | "unsatisfiable" | undefined {
  const parts = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(headers["range"]?.trim() ?? "");
  if (parts === null || !ifRangeHolds(headers["if-range"], validators)) return undefined;
  const [, first = "", last = ""] = parts;
  if (first === "") {
    if (last === "") return undefined;
    const length = Math.min(Number(last), size);
    return length === 0 ? "unsatisfiable" : { start: size - length, end: size };
  }
  const start = Number(first);
  if (last !== "" && Number(last) < start) return undefined;
  if (start >= size) return "unsatisfiable";
  return { start, end: last === "" ? size : Math.min(Number(last) + 1, size) };
}

/** Strong: half of one picture and half of another make none. */
function ifRangeHolds(value: string | undefined, { etag, lastModified }: Validators): boolean {
  if (value === undefined) return true;
  if (value.startsWith('"')) return value === `"${etag}"`;
  return lastModified !== undefined && dateOf(value) === seconds(lastModified);
}
