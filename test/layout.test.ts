/** The repository's own rules: who imports whom, how long a file may be, what words it may not hold. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import { expect, test } from "vitest";

/** Module → modules that it may import, besides itself. A module is a folder of src/, or a file of src/. */
const IMPORTS: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  meta: ["lib"],
  blob: ["lib"],
  store: ["lib", "meta", "blob"],
  access: ["lib", "store"],
  s3: ["lib", "store", "access"],
  delivery: ["lib", "blob", "store", "access"],
  admin: ["lib", "store", "access", "delivery"],
  // What the system is made of: all below, none of it known to them.
  version: [],
  options: [],
  config: ["options"],
  datadir: ["config"],
  root: ["config", "store"],
  storage: ["lib", "meta", "blob", "store", "config", "datadir"],
  serving: ["lib", "meta", "s3", "delivery", "admin", "options", "config", "datadir", "storage", "version"],
  system: ["lib", "meta", "store", "config", "datadir", "root", "serving", "storage"],
  processes: ["lib", "meta", "admin", "config", "datadir", "root", "serving", "storage"],
  commands: [
    "store",
    "delivery",
    "config",
    "datadir",
    "processes",
    "root",
    "serving",
    "storage",
    "system",
    "version",
  ],
  main: ["commands"],
};

/**
 * Packages that a process loads at its start: each costs memory in each of them. What only some requests need is
 * imported by them. Codecs are for renderers alone.
 */
const LOADED: Readonly<Record<string, readonly string[]>> = {
  "src/main.ts": ["better-sqlite3", "commander"],
  "src/system.ts": ["@node-rs/crc32", "better-sqlite3", "hash-wasm", "pino", "saxes"],
  "src/processes/processes.ts": ["better-sqlite3", "pino"],
  "src/processes/worker.ts": ["@node-rs/crc32", "better-sqlite3", "hash-wasm", "pino", "saxes"],
  "src/processes/writer.ts": ["better-sqlite3", "pino"],
  "src/delivery/image/process.ts": ["@node-rs/crc32", "blurhash", "saxes", "sharp", "thumbhash"],
};

const LINES_MAX = 500;
/** Notes to oneself belong in an issue; stubs belong nowhere. */
const BANNED = [
  /\bTODO\b/,
  /\bFIXME\b/,
  /\bXXX\b/,
  /\bHACK\b/,
  /@ts-ignore/,
  /@ts-nocheck/,
  /(?:\bas|:) any\s*[;,)\]>=[|&]/,
];

const root = new URL("..", import.meta.url).pathname;

function filesUnder(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => join(folder, name));
}

const moduleOf = (path: string): string => relative("src", path).split("/")[0]!.replace(/\.ts$/, "");

/** The relative imports of a source, static and dynamic, as paths from the root. */
function importsOf(path: string): string[] {
  const source = readFileSync(join(root, path), "utf8");
  const found = [...source.matchAll(/(?:\bfrom|\bimport)\s*\(?\s*"(\.{1,2}\/[^"]+)"/g)];
  return found.map((match) => normalize(join(dirname(path), match[1]!)));
}

/** The packages that a program loads before it does anything: by imports that are neither dynamic nor of types alone. */
function packagesOf(program: string): string[] {
  const packages = new Set<string>();
  const seen = new Set<string>();
  const visit = (path: string): void => {
    if (seen.has(path)) return;
    seen.add(path);
    const source = readFileSync(join(root, path), "utf8");
    for (const [, names, from] of source.matchAll(
      /^(?:import|export)\s(?!type\b)([^;]*?)\bfrom "([^"]+)"/gm,
    )) {
      if (/^\{(?:\s*type \w+,?)+\s*\}\s*$/.test(names!)) continue;
      if (from!.startsWith(".")) visit(normalize(join(dirname(path), from!)));
      else if (!from!.startsWith("node:")) packages.add(from!);
    }
  };
  visit(program);
  return [...packages].toSorted();
}

const sources = filesUnder("src");

test("every module is in the table, and the table names no other", () => {
  expect([...new Set(sources.map(moduleOf))].toSorted()).toEqual(Object.keys(IMPORTS).toSorted());
});

test("imports point downwards", () => {
  const wrong = sources.flatMap((path) =>
    importsOf(path)
      .filter(
        (target) =>
          moduleOf(target) !== moduleOf(path) && !IMPORTS[moduleOf(path)]?.includes(moduleOf(target)),
      )
      .map((target) => `${path} → ${target}`),
  );
  expect(wrong).toEqual([]);
});

test("the table allows nothing that nobody imports", () => {
  const used = new Set(
    sources.flatMap((path) => importsOf(path).map((to) => `${moduleOf(path)} → ${moduleOf(to)}`)),
  );
  const idle = Object.entries(IMPORTS)
    .flatMap(([from, targets]) => targets.map((to) => `${from} → ${to}`))
    .filter((pair) => !used.has(pair));
  // The design's own lists stay as they are; those of the top follow what is there.
  const designed = /^(lib|meta|blob|store|access|s3|delivery|admin) →/;
  expect(idle.filter((pair) => !designed.test(pair))).toEqual([]);
});

test("the table has no circle", () => {
  const settled = new Set<string>();
  const visit = (name: string, path: readonly string[]): void => {
    expect(path, "a circle").not.toContain(name);
    if (settled.has(name)) return;
    for (const next of IMPORTS[name] ?? []) visit(next, [...path, name]);
    settled.add(name);
  };
  for (const name of Object.keys(IMPORTS)) visit(name, []);
  expect(settled.size).toBe(Object.keys(IMPORTS).length);
});

test.each(Object.entries(LOADED))("%s loads no other package at its start", (program, packages) => {
  expect(packagesOf(program)).toEqual(packages);
});

const all = [...sources, ...filesUnder("test")].filter((path) => path !== "test/layout.test.ts");

test(`no file is longer than ${LINES_MAX} lines`, () => {
  const long = all
    .map((path) => ({ path, lines: readFileSync(join(root, path), "utf8").split("\n").length - 1 }))
    .filter(({ lines }) => lines > LINES_MAX);
  expect(long).toEqual([]);
});

test("no file holds a banned word", () => {
  const found = all.flatMap((path) => {
    const source = readFileSync(join(root, path), "utf8");
    return BANNED.filter((word) => word.test(source)).map((word) => `${path}: ${word.source}`);
  });
  expect(found).toEqual([]);
});
