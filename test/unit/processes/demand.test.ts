import { expect, test } from "vitest";
import { Demand } from "../../../src/processes/demand.ts";

/** What is wished after so many seconds of these loads, one number for each worker. */
function wishAfter(demand: Demand, loads: readonly number[], seconds: number, from = 0) {
  let wish: "more" | "fewer" | undefined;
  for (let second = 0; second < seconds; second++) {
    for (const [n, load] of loads.entries()) wish = demand.hear(n + 1, load, (from + second) * 1000);
    if (wish !== undefined) return { wish, second };
  }
  return undefined;
}

test.each([
  { loads: [0.9], max: 4, wish: { wish: "more", second: 1 } },
  { loads: [0.5], max: 4, wish: undefined },
  { loads: [0], max: 4, wish: undefined },
  { loads: [1], max: 1, wish: undefined },
  { loads: [1, 0.9], max: 2, wish: undefined },
  { loads: [1, 0.9], max: 3, wish: { wish: "more", second: 1 } },
  // One connection that keeps one worker busy is not helped by a third.
  { loads: [1, 0.05], max: 3, wish: undefined },
  { loads: [0.2, 0.05], max: 2, wish: { wish: "fewer", second: 10 } },
  { loads: [0.3, 0.05], max: 2, wish: undefined },
  { loads: [0.2, 0.2, 0.1], max: 4, wish: { wish: "fewer", second: 10 } },
])("of workers with loads of $loads, $max at most, $wish is wished", ({ loads, max, wish }) => {
  expect(wishAfter(new Demand(loads.length, max), loads, 100)).toEqual(wish);
});

test("nothing is wished before all have had their say", () => {
  const demand = new Demand(2, 4);
  expect(demand.hear(1, 1, 0)).toBeUndefined();
  expect(demand.hear(1, 1, 1000)).toBeUndefined();
  expect(demand.hear(2, 1, 1500)).toBeUndefined();
  expect(demand.hear(1, 1, 2600)).toBe("more");
});

test("what was said before the last change counts no more, and calm begins anew", () => {
  const demand = new Demand(2, 4);
  expect(wishAfter(demand, [0.1, 0.1], 9)).toBeUndefined();
  demand.changed(3);
  expect(demand.hear(3, 1, 10_000)).toBeUndefined();
  expect(wishAfter(demand, [0.1, 0.1, 0.1], 100, 11)).toEqual({ wish: "fewer", second: 10 });
});

test("a busy second ends the calm", () => {
  const demand = new Demand(2, 2);
  expect(wishAfter(demand, [0.1, 0.1], 9)).toBeUndefined();
  expect(wishAfter(demand, [0.8, 0.8], 1, 9)).toBeUndefined();
  expect(wishAfter(demand, [0.1, 0.1], 100, 10)).toEqual({ wish: "fewer", second: 10 });
});
