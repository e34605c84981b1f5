import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  conditionText,
  evaluate,
  expressionText,
  holds,
  parseCondition,
  parseExpression,
  parseRatio,
} from "../../../../src/delivery/plan/expression.ts";
import type { Expression, Operator, Variable } from "../../../../src/delivery/plan/plan.ts";
import { refusal } from "./setup.ts";

const SIZES = { iw: 800, ih: 600, iar: 4 / 3, cw: 400, ch: 100, car: 4, bw: 1000, bh: 500, bar: 2 } as const;
const valueOf = (text: string): number => evaluate(parseExpression(text)!, SIZES);

describe("arithmetic", () => {
  test.each([
    ["300", 300],
    ["0.50", 0.5],
    [".5", 0.5],
    ["iw", 800],
    ["iw_div_2", 400],
    ["ih_mul_0.8_add_iw_mul_0.4", 800],
    ["2_add_3_mul_4", 14],
    ["2_mul_3_add_4", 10],
    ["10_sub_2_sub_3", 5],
    ["100_div_10_div_2", 5],
    ["2_add_3_pow_2", 25],
    ["2_mul_3_pow_2", 36],
    ["2_pow_3_pow_2", 64],
    ["10_mod_4_add_3", 3],
    ["10_add_5_mod_4", 3],
    ["10_sub_3_mod_4_pow_2", 9],
    ["bw_sub_cw", 600],
    ["bw_div_2_sub_cw_div_2", 300],
    ["car_mul_0.5", 2],
  ])("%s is %d", (text, value) => {
    expect(valueOf(text)).toBe(value);
  });

  test.each([
    "",
    "_",
    "iw_",
    "_iw",
    "iw_div",
    "iw_div_",
    "iw_2",
    "div_2",
    "iw__div_2",
    "-1",
    "N1",
    "1e3",
    "iw_plus_2",
    "IW",
    "constructor",
    "iw_constructor_2",
    "0x10",
    "1.",
    "Infinity",
    "NaN",
    " 1",
  ])("%j is no expression", (text) => {
    expect(parseExpression(text)).toBeUndefined();
  });

  test.each([
    "1_div_0",
    "0_div_0",
    "1_mod_0",
    "0_sub_1_pow_0.5",
    "999999999_pow_999",
    "iw_div_0",
    "1_div_iw_sub_iw",
  ])("%s has no value, and says so", (text) => {
    const outside = text === "1_div_iw_sub_iw";
    // Here division comes first, so it has one.
    if (outside) expect(valueOf(text)).toBeCloseTo(1 / 800 - 800);
    else expect(refusal(() => valueOf(text))).toMatch(/^InvalidParameter: The expression .* has no value\.$/);
  });

  test("a variable that means nothing, or that nobody knows yet, is refused by name", () => {
    for (const values of [{}, { bw: Number.NaN }, { bw: Infinity }]) {
      expect(refusal(() => evaluate({ variable: "bw" }, values))).toBe(
        "InvalidParameter: bw has no meaning here.",
      );
    }
  });

  test("32 operators are understood, and 33 are too many", () => {
    expect(valueOf(`1${"_add_1".repeat(32)}`)).toBe(33);
    expect(refusal(() => parseExpression(`1${"_add_1".repeat(33)}`))).toBe(
      "LimitExceeded: An expression has at most 32 operators.",
    );
    expect(refusal(() => parseExpression("1_add_".repeat(100_000)))).toMatch(/^LimitExceeded/);
  });
});

const VARIABLES = ["iw", "ih", "iar", "cw", "ch", "car", "bw", "bh", "bar"] as const satisfies Variable[];
const operator = fc.constantFrom<Operator>("add", "sub", "mul", "div", "mod", "pow");
const operand = fc.oneof(
  fc.integer({ min: 0, max: 50 }).map(String),
  fc.integer({ min: 1, max: 99 }).map((n) => String(n / 100)),
  fc.constantFrom(...VARIABLES),
);
const flat = fc
  .tuple(operand, fc.array(fc.tuple(operator, operand), { maxLength: 7 }))
  .map(([first, rest]) => [first, ...rest.flat()]);

/** The rule once more, written otherwise: the weakest operator on the right splits the whole. */
function independent(words: readonly string[]): number {
  const [only = ""] = words;
  if (words.length === 1)
    return Object.hasOwn(SIZES, only) ? SIZES[only as keyof typeof SIZES] : Number(only);
  for (const group of [["pow"], ["mod"], ["add", "sub"], ["mul", "div"]]) {
    const at = words.findLastIndex((word, n) => n % 2 === 1 && group.includes(word));
    if (at < 0) continue;
    const [left, right] = [independent(words.slice(0, at)), independent(words.slice(at + 1))];
    if (words[at] === "pow") return left ** right;
    if (words[at] === "mod") return left % right;
    if (words[at] === "add") return left + right;
    if (words[at] === "sub") return left - right;
    return words[at] === "mul" ? left * right : left / right;
  }
  throw new Error("no operator");
}

test("powers come last, mod before them, then sums, then products: as an independent evaluator has it", () => {
  fc.assert(
    fc.property(flat, (words) => {
      const expected = independent(words);
      fc.pre(Number.isFinite(expected));
      // A part that has no value makes the whole have none, even where the rest would hide it.
      let value: number;
      try {
        value = valueOf(words.join("_"));
      } catch {
        return;
      }
      expect(value + 0).toBe(expected + 0);
    }),
  );
});

test("a value is finite or refused, whatever the sizes are", () => {
  const size = fc.oneof(fc.double(), fc.integer({ min: 0, max: 70_000 }));
  fc.assert(
    fc.property(flat, size, size, (words, iw, ih) => {
      const values = { ...SIZES, iw, ih };
      let value: number;
      try {
        value = evaluate(parseExpression(words.join("_"))!, values);
      } catch (error) {
        expect(error).toMatchObject({ code: "InvalidParameter" });
        return;
      }
      expect(Number.isFinite(value)).toBe(true);
    }),
  );
});

test("the longest number that can be computed has a text that is read", () => {
  const text = expressionText(parseExpression("1_div_700001")!);
  expect([text.length, parseExpression(text)]).toEqual([24, 1 / 700_001]);
});

test("the text of an expression is read as the same expression", () => {
  fc.assert(
    fc.property(flat, (words) => {
      let expression: Expression | undefined;
      try {
        expression = parseExpression(words.join("_"));
      } catch {
        return;
      }
      const text = expressionText(expression!);
      if (/e/.test(text) || /(^|[_(])-/.test(text)) return;
      expect(parseExpression(text)).toEqual(expression);
    }),
  );
});

const tree: fc.Arbitrary<Expression> = fc.letrec<{ tree: Expression }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 3 },
    fc.integer({ min: 0, max: 3 }),
    fc.constantFrom(...VARIABLES).map((variable) => ({ variable })),
    fc.record({ op: operator, left: tie("tree"), right: tie("tree") }, { noNullPrototype: true }),
  ),
})).tree;

test("different expressions have different texts, those that no URL can write too", () => {
  fc.assert(
    fc.property(tree, tree, (one, other) => {
      expect(expressionText(one) === expressionText(other)).toBe(
        JSON.stringify(one) === JSON.stringify(other),
      );
    }),
  );
});

const condition = (text: string): boolean => holds(parseCondition(text)!, SIZES);
const parts = (count: number): string => Array.from({ length: count }, () => "w_gt_1").join("_and_");

describe("conditions", () => {
  test.each([
    ["w_eq_400", true],
    ["w_eq_400.5", false],
    ["h_ne_100", false],
    ["h_gt_99", true],
    ["h_gt_100", false],
    ["h_gte_100", true],
    ["h_lt_101", true],
    ["h_lte_99", false],
    ["ar_eq_4-1", true],
    ["ar_lt_4-3", false],
    ["iar_eq_4-3", true],
    ["iw_gt_ih", true],
    ["iw_eq_ih_add_200", true],
    ["h_gte_100_and_h_lte_400_or_ar_lt_4-3", true],
    ["w_lt_1_and_h_lt_1_or_iw_eq_800", true],
    // `and` binds tighter: true or (false and false).
    ["iw_eq_800_or_w_lt_1_and_h_lt_1", true],
    ["iw_eq_1_or_w_eq_400_and_h_eq_1", false],
  ])("%s is %s", (text, value) => {
    expect(condition(text)).toBe(value);
  });

  test.each([
    "",
    "w",
    "w_gt",
    "w_gt_",
    "w_gt_-1",
    "x_gt_1",
    "w_is_1",
    "w_gt_1_and",
    "_or_w_gt_1",
    "ar_gt_4-0",
    "constructor_gt_1",
  ])("%j is none", (text) => {
    expect(parseCondition(text)).toBeUndefined();
  });

  test("32 parts are understood, and 33 are too many", () => {
    expect(condition(parts(32))).toBe(true);
    expect(refusal(() => parseCondition(parts(33)))).toMatch(/^LimitExceeded: A condition has at most 32/);
  });

  test.each([
    ["w_gt_1_and_h_lt_2_or_ar_eq_4-3", "w_gt_1_and_h_lt_2_or_ar_eq_1.3333333333333333"],
    ["w_gt_0.50", "w_gt_0.5"],
    ["w_gt_.5", "w_gt_0.5"],
  ])("%s is written %s", (text, canonical) => {
    expect(conditionText(parseCondition(text)!)).toBe(canonical);
    expect(conditionText(parseCondition(canonical)!)).toBe(canonical);
  });

  test("what URLs can't write is written with brackets", () => {
    const [a, b, c] = ["w_gt_1", "h_gt_1", "ar_gt_1"].map((text) => parseCondition(text)!);
    expect(conditionText({ all: [{ any: [a!, b!] }, c!] })).toBe("(w_gt_1_or_h_gt_1)_and_ar_gt_1");
    expect(conditionText({ any: [{ all: [a!, b!] }, c!] })).toBe("w_gt_1_and_h_gt_1_or_ar_gt_1");
  });
});

test.each([
  ["4-3", 4 / 3],
  ["4:3", 4 / 3],
  ["1.5-1", 1.5],
  ["2", 2],
  ["4-0", undefined],
  ["0-4", undefined],
  ["4-3-2", undefined],
])("the ratio %s is %s", (text, value) => {
  expect(parseRatio(text)).toBe(value);
});
