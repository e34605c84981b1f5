/** What a row of THE table (transforms.ts) is. */
import type { Options } from "./plan.ts";
import type { IGNORED, Value } from "./values.ts";

/** What a grammar calls an option, and what it may say. */
export interface Wording<T> extends Omit<Value<T>, "parse"> {
  /** The first is the canonical one. ImageKit's end in no dash: `w`, `e-blur`. */
  readonly names: readonly string[];
  /** The name alone, without a value, means this, where that isn't what an empty value means. */
  readonly bare?: T;
  /** `name`: which of the names it is that says so. Undefined: not allowed. */
  readonly parse: (this: void, text: string, name: string) => T | typeof IGNORED | undefined;
}

export interface Transformation<T> {
  readonly imagekit?: Wording<T>;
  readonly weekerp?: Wording<T>;
  /** What holds when a URL doesn't say. */
  readonly fallback: string;
  readonly doc: string;
  /** `tr:` chains, and queries of alias URLs with their question mark, that show it, by a name for their picture. */
  readonly examples: Readonly<Record<string, string>>;
}

/** Every row is one of these. */
export type Rows = { readonly [Name in keyof Options]: Transformation<Options[Name]> };
