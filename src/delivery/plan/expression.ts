/** ImageKit's arithmetic and conditions: `iw_mul_0.5_sub_10`, `ar_gt_1_and_w_lt_300`. */
import { isDeepStrictEqual } from "node:util";
import { DeliveryError } from "../errors.ts";
import { OPERATORS_MAX } from "../limits.ts";
import type { Comparison, Condition, Expression, Operator, Variable } from "./plan.ts";

const VARIABLES: readonly string[] = [
  "iw",
  "ih",
  "iar",
  "cw",
  "ch",
  "car",
  "bw",
  "bh",
  "bar",
  "idu",
  "bdu",
  "idn",
] satisfies Variable[];
/**
 * Not the order of mathematics: powers come last, and each group goes from left to right. `2_add_3_pow_2` is 25.
 * https://imagekit.io/docs/arithmetic-expressions-in-transformations
 */
const PRECEDENCE: readonly (readonly Operator[])[] = [["mul", "div"], ["add", "sub"], ["mod"], ["pow"]];
const OPERATORS: readonly string[] = PRECEDENCE.flat();
/** As many digits as a computed number has when it is written without an exponent. */
const NUMBER = /^(\d{1,21}(\.\d{1,22})?|\.\d{1,22})$/;

/** Undefined for what is no expression; numbers have no sign. @throws DeliveryError LimitExceeded */
export function parseExpression(text: string): Expression | undefined {
  const words = text.split("_");
  if (words.length > 2 * OPERATORS_MAX + 1) {
    throw new DeliveryError("LimitExceeded", `An expression has at most ${OPERATORS_MAX} operators.`);
  }
  const values: Expression[] = [];
  const operators: Operator[] = [];
  for (const [n, word] of words.entries()) {
    if (n % 2 === 1) {
      if (!OPERATORS.includes(word)) return undefined;
      operators.push(word as Operator);
    } else if (NUMBER.test(word)) values.push(Number(word));
    else if (VARIABLES.includes(word)) values.push({ variable: word as Variable });
    else return undefined;
  }
  if (values.length !== operators.length + 1) return undefined;
  for (const group of PRECEDENCE) fold(values, operators, group);
  return values[0];
}

/** Joins the neighbours of these operators, from left to right. Numbers alone are computed at once. */
function fold(values: Expression[], operators: Operator[], group: readonly Operator[]): void {
  for (let n = 0; n < operators.length;) {
    const op = operators[n]!;
    if (!group.includes(op)) {
      n++;
      continue;
    }
    const [left, right] = [values[n]!, values[n + 1]!];
    const joined: Expression =
      typeof left === "number" && typeof right === "number" ? compute(op, left, right) : { op, left, right };
    values.splice(n, 2, joined);
    operators.splice(n, 1);
  }
}

/** @throws DeliveryError InvalidParameter for what has no finite value */
function compute(op: Operator, left: number, right: number): number {
  const value = {
    add: left + right,
    sub: left - right,
    mul: left * right,
    div: left / right,
    mod: left % right,
    pow: left ** right,
  }[op];
  // A negative zero is a zero: texts must not tell them apart.
  if (Number.isFinite(value)) return value + 0;
  throw new DeliveryError("InvalidParameter", `The expression ${left} ${op} ${right} has no value.`);
}

/**
 * The value where pictures are known.
 * @throws DeliveryError InvalidParameter for a variable that means nothing here and for what has no finite value
 */
export function evaluate(
  expression: Expression,
  values: Readonly<Partial<Record<Variable, number>>>,
): number {
  if (typeof expression === "number") return expression;
  if ("variable" in expression) {
    const value = values[expression.variable];
    if (value !== undefined && Number.isFinite(value)) return value;
    throw new DeliveryError("InvalidParameter", `${expression.variable} has no meaning here.`);
  }
  return compute(expression.op, evaluate(expression.left, values), evaluate(expression.right, values));
}

/** @throws DeliveryError InvalidParameter also for what lies outside the bounds, by the `name` that URLs have for it */
export function evaluateWithin(
  expression: Expression,
  values: Readonly<Partial<Record<Variable, number>>>,
  name: string,
  [min, max]: readonly [number, number],
): number {
  const value = evaluate(expression, values);
  if (value >= min && value <= max) return value;
  throw new DeliveryError(
    "InvalidParameter",
    `${name} comes to ${value} here. Allowed: from ${min} to ${max}.`,
  );
}

const COMPARISONS: Readonly<Record<Comparison, (left: number, right: number) => boolean>> = {
  eq: (left, right) => left === right,
  ne: (left, right) => left !== right,
  gt: (left, right) => left > right,
  gte: (left, right) => left >= right,
  lt: (left, right) => left < right,
  lte: (left, right) => left <= right,
};
/** What conditions call the picture as it is at that moment. */
const SUBJECTS: Readonly<Record<string, Variable>> = {
  w: "cw",
  h: "ch",
  ar: "car",
  iw: "iw",
  ih: "ih",
  iar: "iar",
};

export const CONDITION_ALLOWED =
  "w, h, ar, iw, ih or iar, one of eq, ne, gt, gte, lt, lte, and a value, joined by _and_ or _or_, such as ar_gt_1_and_w_lt_300";

/** `and` binds tighter than `or`. Undefined for what is no condition. @throws DeliveryError LimitExceeded */
export function parseCondition(text: string): Condition | undefined {
  const alternatives = text.split("_or_").map((part) => part.split("_and_"));
  if (alternatives.flat().length > OPERATORS_MAX) {
    throw new DeliveryError("LimitExceeded", `A condition has at most ${OPERATORS_MAX} parts.`);
  }
  const any: Condition[] = [];
  for (const predicates of alternatives) {
    const all = predicates.map(parsePredicate);
    if (!all.every((one) => one !== undefined)) return undefined;
    any.push(all.length === 1 ? all[0]! : { all });
  }
  return any.length === 1 ? any[0] : { any };
}

function parsePredicate(text: string): Condition | undefined {
  const [subject = "", comparison = "", ...rest] = text.split("_");
  if (!Object.hasOwn(SUBJECTS, subject) || !Object.hasOwn(COMPARISONS, comparison)) return undefined;
  const right = parseRatio(rest.join("_"));
  return right === undefined
    ? undefined
    : { left: SUBJECTS[subject]!, comparison: comparison as Comparison, right };
}

/** `4-3`, a number, an expression. */
export function parseRatio(text: string): Expression | undefined {
  const sides = /^(\d{1,5}(?:\.\d{1,4})?)[-:](\d{1,5}(?:\.\d{1,4})?)$/.exec(text);
  if (sides === null) return parseExpression(text);
  const ratio = Number(sides[1]) / Number(sides[2]);
  return ratio > 0 && Number.isFinite(ratio) ? ratio : undefined;
}

/** Whether a condition holds for these values. @throws as `evaluate` */
export function holds(condition: Condition, values: Readonly<Partial<Record<Variable, number>>>): boolean {
  if ("all" in condition) return condition.all.every((one) => holds(one, values));
  if ("any" in condition) return condition.any.some((one) => holds(one, values));
  const left = evaluate({ variable: condition.left }, values);
  return COMPARISONS[condition.comparison](left, evaluate(condition.right, values));
}

/** As URLs write it, where they can; else with brackets, which no URL has: `(2_sub_bw)_mul_3`. */
export function expressionText(expression: Expression): string {
  const flat = written(expression, ["", ""]);
  return means(flat, expression) ? flat : written(expression, ["(", ")"]);
}

function written(expression: Expression, brackets: readonly [open: string, close: string]): string {
  if (typeof expression === "number") return String(expression + 0);
  if ("variable" in expression) return expression.variable;
  const { left, op, right } = expression;
  return `${brackets[0]}${written(left, brackets)}_${op}_${written(right, brackets)}${brackets[1]}`;
}

/** Whether a text is read as that expression. */
function means(text: string, expression: Expression): boolean {
  try {
    return isDeepStrictEqual(parseExpression(text), expression);
  } catch (error) {
    if (error instanceof DeliveryError) return false;
    throw error;
  }
}

/** One text per condition: `and` within `or` as URLs write it, all else in brackets. */
export function conditionText(condition: Condition): string {
  if ("any" in condition) return condition.any.map((one) => partText(one, "any" in one)).join("_or_");
  if ("all" in condition) return condition.all.map((one) => partText(one, !("left" in one))).join("_and_");
  const subject = Object.entries(SUBJECTS).find(([, variable]) => variable === condition.left)?.[0];
  return `${subject ?? condition.left}_${condition.comparison}_${expressionText(condition.right)}`;
}

const partText = (condition: Condition, brackets: boolean): string =>
  brackets ? `(${conditionText(condition)})` : conditionText(condition);
