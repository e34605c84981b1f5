/**
 * THE table of transformations. The parsers of the grammars, the error messages, docs/reference/transformations.md
 * (reference.ts) and the tests of its examples are derived from the rows; image/rendersteps.ts says in which order they
 * are done.
 */
import type { Options } from "./plan.ts";
import type { Rows, Transformation, Wording } from "./rows.ts";
import { LOOK_ROWS } from "./rowslook.ts";
import { RESULT_ROWS } from "./rowsresult.ts";
import { SIZE_ROWS } from "./rowssize.ts";

export type Grammar = "imagekit" | "weekerp";

/** THE table. */
export const TRANSFORMATIONS: Rows = { ...SIZE_ROWS, ...LOOK_ROWS, ...RESULT_ROWS };

type Row = keyof Options;
const ROWS = Object.entries(TRANSFORMATIONS) as [Row, Transformation<unknown>][];

const NAMES: Readonly<Record<Grammar, ReadonlyMap<string, Row>>> = {
  imagekit: namesOf("imagekit"),
  weekerp: namesOf("weekerp"),
};
function namesOf(grammar: Grammar): Map<string, Row> {
  const names = ROWS.flatMap(([row, one]) => (one[grammar]?.names ?? []).map((name) => [name, row] as const));
  return new Map(names);
}

export const transformationNamed = (grammar: Grammar, name: string): Row | undefined =>
  NAMES[grammar].get(name);
export const transformationNames = (grammar: Grammar): string => [...NAMES[grammar].keys()].join(", ");
export const wordingOf = (row: Row, grammar: Grammar): Wording<unknown> | undefined =>
  (TRANSFORMATIONS[row] as Transformation<unknown>)[grammar];
