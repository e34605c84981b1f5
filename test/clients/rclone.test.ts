import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startServer } from "../server.ts";
import { describeWithTool, md5OfFile, runOk, writeRandomFile } from "./tools.ts";

describeWithTool("rclone", ["--version"], (rclone) => {
  let server: Awaited<ReturnType<typeof startServer>>;
  let folder: string;
  const clone = (...args: string[]) =>
    runOk(rclone, ["--config", join(folder, "rclone.conf"), "--retries", "1", ...args], { cwd: folder });

  beforeAll(async () => {
    server = await startServer();
    folder = await mkdtemp(join(tmpdir(), "windlass-rclone-"));
    const remote = (name: string, more: string) => `[${name}]
type = s3
provider = Other
endpoint = ${server.url}
access_key_id = ${server.rootKey.accessKeyId}
secret_access_key = ${server.rootKey.secretAccessKey}
region = us-east-1
force_path_style = true
${more}
`;
    await writeFile(
      join(folder, "rclone.conf"),
      remote("v4", "chunk_size = 16Mi\nupload_cutoff = 32Mi") + remote("v2", "v2_auth = true"),
    );
    await clone("mkdir", "v4:work");
  });
  afterAll(async () => {
    await server.close();
    await rm(folder, { recursive: true });
  });

  test("a tree is synced, checked byte for byte, and pruned", async () => {
    await mkdir(join(folder, "tree/ünder/日本"), { recursive: true });
    for (let n = 0; n < 40; n++)
      await writeFile(join(folder, "tree", `file ${n}.txt`), `${n}`.repeat(n * 100));
    await writeFile(join(folder, "tree/ünder/日本/🐕+%2B.txt"), "dog");
    await clone("sync", "tree", "v4:work/tree");
    await clone("check", "--download", "tree", "v4:work/tree");
    await rm(join(folder, "tree/file 3.txt"));
    await clone("sync", "tree", "v4:work/tree");
    expect((await clone("lsf", "-R", "--files-only", "v4:work/tree")).trim().split("\n")).toHaveLength(40);
  });

  test("200 MiB by parts, copied on the server", async () => {
    const md5 = await writeRandomFile(join(folder, "big.bin"), 200 << 20);
    await clone("copyto", "big.bin", "v4:work/big.bin");
    await clone("copyto", "v4:work/big.bin", "v4:work/again.bin");
    await clone("copyto", "v4:work/again.bin", "back.bin");
    expect(await md5OfFile(join(folder, "back.bin"))).toBe(md5);
  });

  test("signature version 2", async () => {
    await writeFile(join(folder, "v2.txt"), "signed the old way");
    await clone("copy", "v2.txt", "v2:work/v2");
    expect(await clone("cat", "v2:work/v2/v2.txt")).toBe("signed the old way");
  });

  test("purge empties and removes the bucket", async () => {
    await clone("purge", "v4:work");
    expect(await clone("lsd", "v4:")).not.toContain("work");
  });
});
