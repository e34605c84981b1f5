/** Percent-encoding and queries, as far as they are the same for all grammars. */
import { DeliveryError } from "../errors.ts";
import { refuse, twice } from "./items.ts";
import { BOOLEAN, hasControls } from "./values.ts";

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Percent-decoding that refuses what is not UTF-8 instead of repairing it. Bytes beyond ASCII that a client forgot to
 * encode arrive as latin1. A plus sign is a plus sign. @throws DeliveryError InvalidPath
 */
export function decode(text: string, what: string): string {
  if (/^[\x20-\x24\x26-\x7e]*$/.test(text)) return text;
  if (/%(?![0-9A-Fa-f]{2})/.test(text))
    throw new DeliveryError("InvalidPath", `${what} holds a % that encodes nothing.`);
  const bytes = Buffer.from(
    text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(parseInt(hex, 16))),
    "latin1",
  );
  try {
    return UTF8.decode(bytes);
  } catch {
    throw new DeliveryError("InvalidPath", `${what} is not UTF-8.`);
  }
}

export interface Pair {
  readonly raw: string;
  /** Decoded where it can be. */
  readonly name: string;
  readonly rawValue: string;
}

/** Throws nothing: parameters that nobody reads may be what they like. */
export function pairsOf(rawQuery: string): Pair[] {
  return rawQuery
    .split("&")
    .filter((raw) => raw !== "")
    .map((raw) => {
      const at = raw.indexOf("=");
      const name = at < 0 ? raw : raw.slice(0, at);
      return { raw, name: decoded(name), rawValue: at < 0 ? "" : raw.slice(at + 1) };
    });
}

function decoded(name: string): string {
  try {
    return decode(name, "The query");
  } catch (error) {
    if (error instanceof DeliveryError) return name;
    throw error;
  }
}

/** @throws DeliveryError InvalidPath */
export const valueOf = ({ rawValue }: Pair): string => decode(rawValue, "The query");

/** With blanks that may be plus signs, as forms and URLSearchParams write them. @throws DeliveryError InvalidPath */
export const formValueOf = ({ rawValue }: Pair): string => decode(rawValue.replaceAll("+", " "), "The query");

/**
 * Whether a parameter is `true`.
 * @throws DeliveryError InvalidParameter where it must be one of true and false (`strict`), or stands twice
 */
export function isTrue(pairs: readonly Pair[], name: string, strict = false): boolean {
  const found = pairs.filter((pair) => pair.name === name);
  if (!strict) return found.some(({ rawValue }) => rawValue === "true");
  if (found.length > 1) throw twice(name);
  if (found[0] === undefined) return false;
  const text = valueOf(found[0]);
  return BOOLEAN.parse(text) ?? refuse(name, text, BOOLEAN.allowed);
}

/** Characters of a prompt. Stops novels. */
const PROMPT_MAX = 500;

/** The prompt of `ai=`. @throws DeliveryError InvalidParameter, InvalidPath */
export function promptOf(pairs: readonly Pair[]): string | undefined {
  const found = pairs.filter(({ name }) => name === "ai");
  if (found.length > 1) throw twice("ai");
  if (found[0] === undefined) return undefined;
  const prompt = formValueOf(found[0]).trim();
  if (prompt !== "" && prompt.length <= PROMPT_MAX && !hasControls(prompt)) return prompt;
  return refuse("ai", prompt, `1 to ${PROMPT_MAX} characters`);
}
