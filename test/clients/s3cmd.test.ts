import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startServer } from "../server.ts";
import { describeWithTool, md5OfFile, runOk, writeRandomFile } from "./tools.ts";

describeWithTool("s3cmd", ["--version"], (s3cmd) => {
  let server: Awaited<ReturnType<typeof startServer>>;
  let folder: string;

  beforeAll(async () => {
    server = await startServer();
    folder = await mkdtemp(join(tmpdir(), "windlass-s3cmd-"));
  });
  afterAll(async () => {
    await server.close();
    await rm(folder, { recursive: true });
  });

  describe.each([
    { signature: "2", style: "path" },
    { signature: "4", style: "path" },
    { signature: "2", style: "host" },
  ])("signature version $signature, $style style", ({ signature, style }) => {
    const bucket = `s3://cmd-v${signature}-${style}`;
    const cmd = async (...args: string[]) => {
      const config = join(folder, `config-${signature}-${style}`);
      // Few machines resolve names under localhost: as a proxy the server is found, and asked for the bucket's host.
      const host = style === "path" ? `127.0.0.1:${server.port}` : "s3.localhost";
      const proxy = style === "path" ? [] : ["proxy_host = 127.0.0.1", `proxy_port = ${server.port}`];
      await writeFile(
        config,
        [
          "[default]",
          `access_key = ${server.rootKey.accessKeyId}`,
          `secret_key = ${server.rootKey.secretAccessKey}`,
          `host_base = ${host}`,
          `host_bucket = ${style === "path" ? host : `%(bucket)s.${host}`}`,
          "use_https = False",
          ...proxy,
          `signature_v2 = ${signature === "2" ? "True" : "False"}`,
          "bucket_location = us-east-1",
          "multipart_chunk_size_mb = 15",
          "max_retries = 1",
        ].join("\n"),
      );
      return runOk(s3cmd, ["--no-progress", "-c", config, ...args], { cwd: folder });
    };

    test("a day's work", async () => {
      await cmd("mb", bucket);
      await writeFile(join(folder, "small.txt"), `small ${signature} ${style}`);
      await cmd("put", "small.txt", `${bucket}/dir/small å 🐕.txt`);
      expect(await cmd("ls", `${bucket}/dir/`)).toContain("small å 🐕.txt");
      await cmd("get", "--force", `${bucket}/dir/small å 🐕.txt`, "got.txt");
      expect(await readFile(join(folder, "got.txt"), "utf8")).toBe(`small ${signature} ${style}`);
      expect(await cmd("info", `${bucket}/dir/small å 🐕.txt`)).toContain("FULL_CONTROL");

      const md5 = await writeRandomFile(join(folder, "big.bin"), 40 << 20);
      await cmd("put", "big.bin", `${bucket}/big.bin`);
      await cmd("cp", `${bucket}/big.bin`, `${bucket}/copy.bin`);
      await cmd("get", "--force", `${bucket}/copy.bin`, "back.bin");
      expect(await md5OfFile(join(folder, "back.bin"))).toBe(md5);

      await cmd("setacl", "--acl-public", `${bucket}/big.bin`);
      const name = bucket.slice("s3://".length);
      expect((await fetch(`${server.url}/${name}/big.bin`, { method: "HEAD" })).status).toBe(200);
      await cmd("setacl", "--acl-private", `${bucket}/big.bin`);
      expect((await fetch(`${server.url}/${name}/big.bin`, { method: "HEAD" })).status).toBe(403);

      await cmd("mv", `${bucket}/copy.bin`, `${bucket}/moved.bin`);
      await cmd("del", "--recursive", "--force", bucket);
      expect(await cmd("ls", "--recursive", bucket)).toBe("");
      await cmd("rb", bucket);
    });
  });
});
