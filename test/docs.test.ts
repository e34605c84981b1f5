/** The reference pages are what the tables say. After changing a table: WINDLASS_WRITE_DOCS=1 npx vitest run test/docs.test.ts */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import type { Command } from "commander";
import { createProgram } from "../src/commands/program.ts";
import { configMarkdown, optionDocs } from "../src/config.ts";
import { transformationsMarkdown } from "../src/delivery/plan/reference.ts";
import { ERRORS } from "../src/s3/errors.ts";
import { OPERATIONS } from "../src/s3/operations.ts";
import { errorsMarkdown, operationsMarkdown } from "../src/s3/reference.ts";

const root = new URL("..", import.meta.url).pathname;
const read = (path: string): string => readFileSync(join(root, path), "utf8");

const PAGES: Readonly<Record<string, () => string>> = {
  "config.md": configMarkdown,
  "operations.md": operationsMarkdown,
  "errors.md": errorsMarkdown,
  "transformations.md": transformationsMarkdown,
};

describe("docs/reference", () => {
  if (process.env["WINDLASS_WRITE_DOCS"] === "1") {
    mkdirSync(join(root, "docs/reference"), { recursive: true });
    for (const [name, page] of Object.entries(PAGES))
      writeFileSync(join(root, "docs/reference", name), page());
  }

  test.each(Object.entries(PAGES))("%s is what its table says", (name, page) => {
    expect(read(`docs/reference/${name}`)).toBe(page());
  });

  test("holds no page without a table", () => {
    expect(readdirSync(join(root, "docs/reference")).toSorted()).toEqual(Object.keys(PAGES).toSorted());
  });

  test("names every option, error and operation", () => {
    const config = read("docs/reference/config.md");
    for (const { environment } of optionDocs()) expect(config).toContain(`\`${environment}\``);
    const errors = read("docs/reference/errors.md");
    for (const code of Object.keys(ERRORS)) expect(errors).toMatch(new RegExp(`\\b${code}\\b`));
    const operations = read("docs/reference/operations.md");
    for (const name of Object.keys(OPERATIONS)) expect(operations).toMatch(new RegExp(`\\b${name}\\b`));
  });
});

test("the changelog has the package's version", () => {
  const { version } = JSON.parse(read("package.json")) as { version: string };
  expect(read("CHANGELOG.md")).toMatch(new RegExp(`^## ${version.replaceAll(".", "\\.")}( |$)`, "m"));
});

const pages = [
  "README.md",
  ...readdirSync(join(root, "docs"), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".md"))
    .map((name) => `docs/${name}`),
];

test("commands in the pages are commands, with options that there are", () => {
  const program = createProgram();
  const wrong: string[] = [];
  let seen = 0;
  for (const page of pages) {
    const text = read(page).replaceAll("\\\n", " ");
    for (const [line, rest = ""] of text.matchAll(/^ *(?:windlass|node dist\/main\.js) ([a-z][^\n]*)/gm)) {
      let command: Command = program;
      for (const word of rest.split(" ")) {
        const next = command.commands.find((one) => one.name() === word);
        if (next === undefined) break;
        command = next;
      }
      seen++;
      const flags = [...rest.matchAll(/(?<= )--[a-z\d-]+/g)].map(([flag]) => flag);
      const unknown = flags.filter((flag) => command.options.every(({ long }) => long !== flag));
      if (command.commands.length > 0 || unknown.length > 0) wrong.push(`${page}: ${line.trim()}`);
    }
  }
  expect(wrong).toEqual([]);
  expect(seen).toBeGreaterThan(20);
});

test("pages link to what is there", () => {
  const dead = pages.flatMap((page) =>
    [...read(page).matchAll(/\]\((?!https?:|#)([^)#]+)/g)]
      .map(([, target = ""]) => ({ page, target }))
      .filter(({ target }) => {
        try {
          readdirSync(new URL(target, `file://${root}${page}`));
          return false;
        } catch (error) {
          // A file is no directory, which is as good.
          return (error as NodeJS.ErrnoException).code !== "ENOTDIR";
        }
      }),
  );
  expect(dead).toEqual([]);
});
