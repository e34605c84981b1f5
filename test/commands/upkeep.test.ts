/** windlass check, backup and restore, beside a running server. */
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, statSync } from "node:fs";
import { copyFile, mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startServer, type TestServer } from "../server.ts";
import { signedFetch, signedText } from "../signed.ts";
import { windlass, windlassJson, windlassOk } from "./windlass.ts";

let server: TestServer;
let data: string;
let folder: string;
const small = randomBytes(1000);
const large = randomBytes(200_000);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "windlass-upkeep-"));
  server = await startServer({ buckets: ["kept"] });
  data = server.data;
  await signedText(server, { method: "PUT", target: "/kept/small", body: small });
  await signedText(server, { method: "PUT", target: "/kept/large", body: large });
});
afterAll(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

const bodyOf = async (from: TestServer, target: string) =>
  Buffer.from(await (await signedFetch(from, { method: "GET", target })).arrayBuffer());

function blobFiles(root: string): string[] {
  return readdirSync(join(root, "blobs"), { recursive: true, encoding: "utf8" })
    .map((name) => join(root, "blobs", name))
    .filter((path) => statSync(path).isFile());
}

test("check reads everything and finds all well", async () => {
  expect(await windlassJson(data, "check")).toMatchObject({
    buckets: 1,
    versions: 2,
    blobs: 1,
    problems: [],
  });
  expect(await windlassOk(data, "check")).toMatch(/All is well\.$/m);
});

test("a backup made beside the running server comes back whole, without its key", async () => {
  const backup = join(folder, "backup");
  const restored = join(folder, "restored");
  expect(await windlassOk(data, "backup", backup)).toMatch(/secret\.key is not among them/);
  expect(readdirSync(backup).toSorted()).toEqual(["blobs", "manifest.json", "meta.db"]);
  await signedText(server, { method: "PUT", target: "/kept/later", body: "after the backup" });

  await windlassOk(restored, "restore", backup);
  const refused = await windlass(
    restored,
    "serve",
    "--s3",
    "127.0.0.1:0",
    "--console",
    "off",
    "--delivery",
    "off",
  );
  expect(refused).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/The key file .*secret\.key is missing/) as string,
  });

  await copyFile(join(data, "secret.key"), join(restored, "secret.key"));
  const second = await startServer({ data: restored });
  try {
    expect(await bodyOf(second, "/kept/small")).toEqual(small);
    expect(await bodyOf(second, "/kept/large")).toEqual(large);
    expect((await signedText(second, { method: "GET", target: "/kept/later" })).status).toBe(404);
    expect(await windlassJson(restored, "check")).toMatchObject({ versions: 2, problems: [] });
  } finally {
    await second.close();
  }
});

test("neither overwrites anything", async () => {
  const full = join(folder, "full");
  const backup = join(folder, "another");
  await windlassOk(data, "backup", backup);
  await writeFile(join(folder, "file"), "");
  expect(await windlass(data, "backup", backup)).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/not empty/) as string,
  });
  expect(await windlass(data, "restore", backup)).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/Another server is using/) as string,
  });
  await windlassOk(full, "restore", backup);
  expect(await windlass(full, "restore", backup)).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/is not empty: it holds/) as string,
  });
  expect(await windlass(join(folder, "new"), "restore", folder)).toMatchObject({
    code: 1,
    stderr: expect.stringMatching(/is no whole backup/) as string,
  });
  expect(existsSync(join(folder, "new/meta.db"))).toBe(false);
});

test("check tells of a blob whose bytes changed, and of one that is gone", async () => {
  const backup = join(folder, "to-damage");
  const damaged = join(folder, "damaged");
  await windlassOk(data, "backup", backup);
  await windlassOk(damaged, "restore", backup);
  await copyFile(join(data, "secret.key"), join(damaged, "secret.key"));
  const [path = ""] = blobFiles(damaged);
  const bytes = await readFile(path);
  bytes[100_000] = bytes[100_000]! ^ 1;
  await writeFile(path, bytes);
  const changed = await windlass(damaged, "check");
  expect(changed.code).toBe(1);
  expect(changed.stdout).toMatch(/^1 problems\.$/m);
  await truncate(path, 1000);
  const cut = await windlass(damaged, "backup", join(folder, "of damaged"));
  expect([cut.code, cut.stderr]).toEqual([1, expect.stringMatching(/not whole: .* has 1000 bytes/)]);
  await rm(path);
  const gone = await windlass(damaged, "check", "--json");
  expect(gone.code).toBe(1);
  expect((JSON.parse(gone.stdout) as { problems: string[] }).problems.length).toBeGreaterThan(0);
});
