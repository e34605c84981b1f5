import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import { programUrl } from "../../../src/lib/program.ts";

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "windlass program-"));
  await mkdir(join(folder, "dist/meta"), { recursive: true });
  await writeFile(join(folder, "dist/meta/thread.js"), "");
});
afterEach(() => rm(folder, { recursive: true }));
const url = (path: string) => pathToFileURL(join(folder, path)).href;

test("compiled code finds its neighbour", () => {
  expect(programUrl(url("dist/meta/writer.js"), "./thread.ts").href).toBe(url("dist/meta/thread.js"));
});

test("sources are sent to what was compiled from their neighbour", () => {
  expect(programUrl(url("src/meta/writer.ts"), "./thread.ts").href).toBe(url("dist/meta/thread.js"));
  expect(programUrl(url("src/store/store.ts"), "../meta/thread.ts").href).toBe(url("dist/meta/thread.js"));
});

test("what was not built is said", () => {
  expect(() => programUrl(url("src/meta/writer.ts"), "./other.ts")).toThrow("npm run build");
});
