/** What the rewriters have in common: colours, and which items a chain takes. */
import { DeliveryError } from "../errors.ts";
import { isColourName } from "./colours.ts";
import { readItem } from "./items.ts";
import type { Options } from "./plan.ts";

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

/** `B4F9` → `BB44FF99`. */
const doubled = (digits: string): string => digits.replace(/./g, "$&$&");

/** Six digits, and the opacity from 00 to 99 where it is not whole. */
function withOpacity(rgb: string, hex: string): string {
  const opacity = Math.round((parseInt(hex, 16) / 255) * 100);
  return rgb.toUpperCase() + (opacity === 100 ? "" : String(opacity).padStart(2, "0"));
}

/** A name, or `rgb:` and 3, 4, 6 or 8 digits, the opacity last and in hexadecimal. */
export function cloudinaryColour(text: string): string | undefined {
  const digits = /^(?:rgb:|#)([0-9a-f]{3,8})$/i.exec(text)?.[1];
  if (digits === undefined) return isColourName(text) ? text.toLowerCase() : undefined;
  const long = digits.length < 6 ? doubled(digits) : digits;
  if (long.length === 6) return long.toUpperCase();
  return long.length === 8 ? withOpacity(long.slice(0, 6), long.slice(6)) : undefined;
}

/** A name, or 3, 4, 6 or 8 digits, the opacity first and in hexadecimal. */
export function imgixColour(text: string): string | undefined {
  if (isColourName(text)) return text.toLowerCase();
  if (!/^[0-9a-f]{3,8}$/i.test(text)) return undefined;
  const long = text.length < 6 ? doubled(text) : text;
  if (long.length === 6) return long.toUpperCase();
  return long.length === 8 ? withOpacity(long.slice(2), long.slice(0, 2)) : undefined;
}
