import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startServer } from "../server.ts";
import { awsEnvironment, describeWithTool, md5OfFile, runOk, run, writeRandomFile } from "./tools.ts";

describeWithTool("aws", ["--version"], (aws) => {
  let server: Awaited<ReturnType<typeof startServer>>;
  let folder: string;
  let env: Record<string, string>;
  const cli = (...args: string[]) =>
    runOk(aws, ["--endpoint-url", server.url, ...args], { env, cwd: folder });
  const fails = (...args: string[]) =>
    run(aws, ["--endpoint-url", server.url, ...args], { env, cwd: folder });

  beforeAll(async () => {
    server = await startServer();
    folder = await mkdtemp(join(tmpdir(), "windlass-awscli-"));
    env = awsEnvironment(server.rootKey);
    await cli("s3", "mb", "s3://photos");
  });
  afterAll(async () => {
    await server.close();
    await rm(folder, { recursive: true });
  });

  test("a file of 200 MiB goes in by parts and comes out the same", async () => {
    const md5 = await writeRandomFile(join(folder, "big.bin"), 200 << 20);
    await cli("s3", "cp", "--no-progress", "big.bin", "s3://photos/big.bin");
    const head = JSON.parse(await cli("s3api", "head-object", "--bucket", "photos", "--key", "big.bin"));
    expect(head.ContentLength).toBe(200 << 20);
    expect(head.ETag).toMatch(/^"[0-9a-f]{32}-25"$/);
    await cli("s3", "cp", "--no-progress", "s3://photos/big.bin", "back.bin");
    expect(await md5OfFile(join(folder, "back.bin"))).toBe(md5);
    await cli("s3", "cp", "--no-progress", "s3://photos/big.bin", "s3://photos/copy.bin");
    await cli(
      "s3api",
      "get-object",
      "--bucket",
      "photos",
      "--key",
      "copy.bin",
      "--range",
      "bytes=1048576-1048579",
      "range.bin",
    );
    expect((await readFile(join(folder, "range.bin"))).readUInt32LE(0)).toBe(1);
    await cli("s3", "rm", "s3://photos/", "--recursive");
    expect(await cli("s3", "ls", "s3://photos/")).toBe("");
  });

  test("sync carries Unicode names, both ways", async () => {
    const names = ["plain.txt", "å ä ö.txt", "日本/写真.txt", "emoji 🐕.txt", "plus+and%2Bpercent.txt"];
    await mkdir(join(folder, "tree/日本"), { recursive: true });
    for (const name of names) await writeFile(join(folder, "tree", name), `content of ${name}`);
    await cli("s3", "sync", "tree", "s3://photos/tree");
    await cli("s3", "sync", "s3://photos/tree", "returned");
    for (const name of names) {
      expect(await readFile(join(folder, "returned", name), "utf8")).toBe(`content of ${name}`);
    }
    expect(await cli("s3", "sync", "tree", "s3://photos/tree")).toBe("");
  });

  test("versions: an overwritten and a deleted object come back", async () => {
    await cli("s3api", "create-bucket", "--bucket", "kept");
    await cli(
      "s3api",
      "put-bucket-versioning",
      "--bucket",
      "kept",
      "--versioning-configuration",
      "Status=Enabled",
    );
    await writeFile(join(folder, "one"), "one");
    await writeFile(join(folder, "two"), "two");
    const first = JSON.parse(
      await cli("s3api", "put-object", "--bucket", "kept", "--key", "k", "--body", "one"),
    );
    await cli("s3api", "put-object", "--bucket", "kept", "--key", "k", "--body", "two");
    const removed = JSON.parse(await cli("s3api", "delete-object", "--bucket", "kept", "--key", "k"));
    expect(removed.DeleteMarker).toBe(true);
    expect((await fails("s3api", "get-object", "--bucket", "kept", "--key", "k", "gone")).stderr).toContain(
      "NoSuchKey",
    );
    await cli(
      "s3api",
      "get-object",
      "--bucket",
      "kept",
      "--key",
      "k",
      "--version-id",
      first.VersionId,
      "old",
    );
    expect(await readFile(join(folder, "old"), "utf8")).toBe("one");
    const versions = JSON.parse(await cli("s3api", "list-object-versions", "--bucket", "kept"));
    expect(versions.Versions).toHaveLength(2);
    expect(versions.DeleteMarkers).toHaveLength(1);
    await cli("s3api", "delete-object", "--bucket", "kept", "--key", "k", "--version-id", removed.VersionId);
    await cli("s3api", "get-object", "--bucket", "kept", "--key", "k", "new");
    expect(await readFile(join(folder, "new"), "utf8")).toBe("two");
  });

  test("presign gives a URL that a browser can open", async () => {
    await writeFile(join(folder, "p.txt"), "presigned");
    await cli("s3", "cp", "--no-progress", "p.txt", "s3://photos/p.txt");
    const url = (await cli("s3", "presign", "s3://photos/p.txt")).trim();
    expect(await (await fetch(url)).text()).toBe("presigned");
    expect((await fetch(url.replace("p.txt", "q.txt"))).status).toBe(403);
  });

  test("a bucket that is not empty stays; emptied, it goes", async () => {
    await cli("s3", "mb", "s3://short-lived");
    await cli("s3", "cp", "--no-progress", "one", "s3://short-lived/one");
    expect((await fails("s3", "rb", "s3://short-lived")).stderr).toContain("BucketNotEmpty");
    await cli("s3", "rb", "--force", "s3://short-lived");
    expect(await cli("s3", "ls")).not.toContain("short-lived");
  });
});
