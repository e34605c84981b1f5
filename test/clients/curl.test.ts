import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { startServer } from "../server.ts";
import { describeWithTool, md5OfFile, runOk, writeRandomFile } from "./tools.ts";

describeWithTool("curl", ["--aws-sigv4", "aws:amz", "--version"], (curl) => {
  let server: Awaited<ReturnType<typeof startServer>>;
  let folder: string;
  const signed = (...args: string[]) =>
    runOk(
      curl,
      [
        "-sS",
        "--aws-sigv4",
        "aws:amz:us-east-1:s3",
        "--user",
        `${server.rootKey.accessKeyId}:${server.rootKey.secretAccessKey}`,
        ...args,
      ],
      { cwd: folder },
    );
  const plain = (...args: string[]) => runOk(curl, ["-sS", ...args], { cwd: folder });

  beforeAll(async () => {
    server = await startServer();
    folder = await mkdtemp(join(tmpdir(), "windlass-curl-"));
    await signed("-X", "PUT", "-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD", `${server.url}/curl`);
  });
  afterAll(async () => {
    await server.close();
    await rm(folder, { recursive: true });
  });

  test("a large file goes in after 100-continue and comes out by ranges", async () => {
    const md5 = await writeRandomFile(join(folder, "big.bin"), 64 << 20);
    const sent = await signed(
      "-H",
      "x-amz-content-sha256: UNSIGNED-PAYLOAD",
      "-v",
      "--stderr",
      "log.txt",
      "-T",
      "big.bin",
      `${server.url}/curl/big.bin`,
    );
    expect(sent).toBe("");
    expect(await readFile(join(folder, "log.txt"), "utf8")).toContain(`ETag: "${md5}"`);
    await signed("-r", "0-33554431", "-o", "first.bin", `${server.url}/curl/big.bin`);
    await signed("-r", "33554432-", "-o", "rest.bin", `${server.url}/curl/big.bin`);
    await runOk("sh", ["-c", "cat first.bin rest.bin > both.bin"], { cwd: folder });
    expect(await md5OfFile(join(folder, "both.bin"))).toBe(md5);
  });

  test("an anonymous visitor sees public objects only, over HTTP/1.0 too", async () => {
    await writeFile(join(folder, "hello.txt"), "hello");
    const put = ["-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD", "-T", "hello.txt"];
    await signed(...put, `${server.url}/curl/private.txt`);
    await signed(...put, "-H", "x-amz-acl: public-read", `${server.url}/curl/public.txt`);
    expect(await plain(`${server.url}/curl/public.txt`)).toBe("hello");
    expect(await plain("--http1.0", "-H", "Host:", `${server.url}/curl/public.txt`)).toBe("hello");
    expect(await plain(`${server.url}/curl/private.txt`)).toContain("<Code>AccessDenied</Code>");
    expect(await plain("-o", "/dev/null", "-w", "%{http_code}", "-I", `${server.url}/curl/private.txt`)).toBe(
      "403",
    );
  });

  test("paths are taken as they are sent", async () => {
    await writeFile(join(folder, "dots.txt"), "dots");
    const url = `${server.url}/curl/a/../b//c/./d`;
    await signed(
      "--path-as-is",
      "-H",
      "x-amz-content-sha256: UNSIGNED-PAYLOAD",
      "-H",
      "x-amz-acl: public-read",
      "-T",
      "dots.txt",
      url,
    );
    expect(await plain("--path-as-is", url)).toBe("dots");
    expect(await plain(`${server.url}/curl/b/c/d`)).toContain("AccessDenied");
  });
});
