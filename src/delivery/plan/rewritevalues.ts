/** What the rewriters have in common: what they give back, colours, and which items a chain takes. */
import { DeliveryError } from "../errors.ts";
import { isColourName } from "./colours.ts";
import { readItem } from "./items.ts";
import type { Options } from "./plan.ts";

export interface Rewritten {
  /** From this segment of the path up to that one they are no part of the file's path. */
  readonly start: number;
  readonly end: number;
  readonly chain: string | undefined;
}

/** Chains of named transformations. */
export type Named = ReadonlyMap<string, string>;

/** A whole number above 0, as text. */
export const whole = (text: string): string | undefined =>
  /^\d{1,5}$/.test(text) && Number(text) > 0 ? text : undefined;

/** Those of one step that ImageKit's grammar takes: wrong ones and second ones are left out. */
export function fits(items: readonly string[]): string[] {
  const options: Partial<Options> = {};
  return items.filter((item) => {
    try {
      readItem(options, item);
      return true;
    } catch (error) {
      if (error instanceof DeliveryError) return false;
      throw error;
    }
  });
}

/** Width and height: what then happens to the ratio each service decides for itself. */
export const hasBothSides = (items: readonly string[]): boolean =>
  ["w-", "h-"].every((side) => items.some((item) => item.startsWith(side)));

/** A name of CSS. */
const nameIn = (text: string): string | undefined => (isColourName(text) ? text.toLowerCase() : undefined);

/** A name, or `rgb:` and 3, 4, 6 or 8 digits, the opacity last. */
export function cloudinaryColour(text: string): string | undefined {
  const digits = /^(?:rgb:|#)([0-9a-f]{3,8})$/i.exec(text)?.[1];
  return digits === undefined ? nameIn(text) : colourIn(digits, 6);
}

/** A name, or 3, 4, 6 or 8 digits, the opacity first. */
export const imgixColour = (text: string): string | undefined =>
  nameIn(text) ?? (/^[0-9a-f]{3,8}$/i.test(text) ? colourIn(text, 0) : undefined);

/** Of hexadecimal digits: six, and the opacity from 00 to 99 where it is not whole. `at`: where that stands in eight. */
function colourIn(digits: string, at: number): string | undefined {
  const long = (digits.length < 6 ? digits.replace(/./g, "$&$&") : digits).toUpperCase();
  if (long.length === 6) return long;
  if (long.length !== 8) return undefined;
  const opacity = Math.round((parseInt(long.slice(at, at + 2), 16) / 255) * 100);
  const rgb = long.slice(0, at) + long.slice(at + 2);
  return opacity === 100 ? rgb : rgb + String(opacity).padStart(2, "0");
}
