import { expect, test } from "vitest";
import {
  exampleChains,
  exampleQueries,
  transformationsMarkdown,
} from "../../../../src/delivery/plan/reference.ts";
import type { Transformation } from "../../../../src/delivery/plan/rows.ts";
import { TRANSFORMATIONS } from "../../../../src/delivery/plan/transforms.ts";
import { parseWeekerp } from "../../../../src/delivery/plan/url.ts";

const escaped = (text: string): string => text.replaceAll("|", "\\|").replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
const cellsOf = (line: string): number => line.replaceAll("\\|", "").split("|").length - 2;
const rows = Object.entries(TRANSFORMATIONS) as [string, Transformation<unknown>][];

test("the reference page names every transformation in both grammars, and its examples", () => {
  const page = transformationsMarkdown();
  for (const [, { imagekit, weekerp, doc }] of rows) {
    for (const name of [...(imagekit?.names ?? []), ...(weekerp?.names ?? [])])
      expect(page).toContain(`\`${name}\``);
    expect(page).toContain(doc.replaceAll("|", "\\|"));
  }
  for (const [name, text] of [...exampleChains(), ...exampleQueries()]) {
    expect(page).toMatch(
      new RegExp(`\\[\`\\??${escaped(text)}\`\\]\\(\\.\\./images/transformations/${name}\\.jpg\\)`),
    );
  }
  expect(page).toContain("at most 8 steps");
});

test("its tables have as many cells in every row", () => {
  const lines = transformationsMarkdown()
    .split("\n")
    .filter((line) => line.startsWith("|"));
  expect(new Set(lines.map(cellsOf))).toEqual(new Set([3, 6]));
});

test("every example of a query is one of an alias URL", () => {
  expect(exampleQueries().size).toBeGreaterThan(7);
  for (const [name, query] of exampleQueries()) {
    expect([name, parseWeekerp("image", "photo.jpg", query).plan]).not.toContain(undefined);
  }
});

test("no name stands for two rows of one grammar", () => {
  for (const grammar of ["imagekit", "weekerp"] as const) {
    const names = rows.flatMap(([, row]) => row[grammar]?.names ?? []);
    expect(new Set(names).size).toBe(names.length);
  }
});

test("names of examples are file names, each once", () => {
  const names = [...exampleChains().keys(), ...exampleQueries().keys()];
  for (const name of names) expect(name).toMatch(/^[a-zA-Z0-9]{2,40}$/);
  const all = rows.flatMap(([, row]) => Object.keys(row.examples));
  expect(new Set(all).size).toBe(all.length);
});
