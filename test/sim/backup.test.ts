/** A backup taken in the middle of a mixed load, brought back elsewhere. */
import { GetObjectCommand, HeadBucketCommand, ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import { createHash, randomBytes } from "node:crypto";
import { copyFile, mkdtemp, rm, stat, unlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { run, runOk } from "../clients/tools.ts";
import { sign } from "../signer.ts";
import { startProcess, type ServerProcess } from "../process.ts";

const BUCKET = "kept";
const windlass = (...args: string[]) => run(process.execPath, ["dist/main.js", ...args]);
const clientOf = (server: ServerProcess) =>
  new S3Client({
    endpoint: server.url,
    region: "us-east-1",
    forcePathStyle: true,
    maxAttempts: 1,
    credentials: server.rootKey,
  });

/** Overwrites and deletes a few keys, so that blobs become garbage while they are copied. */
async function churn(server: ServerProcess, loop: number, stopped: () => boolean): Promise<void> {
  const host = new URL(server.url).host;
  for (let n = 0; !stopped(); n++) {
    const target = `/${BUCKET}/churn-${loop}-${n % 5}`;
    const method = n % 7 === 6 ? "DELETE" : "PUT";
    const body = method === "PUT" ? randomBytes(n % 2 === 0 ? 200_000 : 500) : Buffer.alloc(0);
    const { host: _host, ...headers } = sign({ method, target, body }, server.rootKey, host);
    const answer = await fetch(server.url + target, {
      method,
      headers,
      ...(method === "PUT" ? { body } : {}),
    });
    expect(answer.status).toBeLessThan(300);
  }
}

test("a backup of a busy server is whole", { timeout: 180_000 }, async () => {
  const [data, copy, target] = await Promise.all(
    ["data", "copy", "target"].map((name) => mkdtemp(join(tmpdir(), `windlass-${name}-`))),
  );
  const server = await startProcess({
    data: data!,
    workers: 2,
    env: { WINDLASS_BUCKETS: BUCKET, WINDLASS_GRACE: "1" },
  });
  let stopped = false;
  const load = Promise.all([0, 1, 2, 3].map((loop) => churn(server, loop, () => stopped)));
  try {
    await new Promise((resolve) => setTimeout(resolve, 3000));
    for (const name of ["first", "second"]) {
      const made = await windlass("backup", join(copy!, name), "--data", data!);
      expect(made).toMatchObject({ code: 0 });
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
    const refused = await windlass("backup", join(copy!, "first"), "--data", data!);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("not empty")]);
    const busy = await windlass("restore", join(copy!, "first"), "--data", data!);
    expect(busy.code).toBe(1);
  } finally {
    stopped = true;
    await load;
    await server.stop();
  }

  await rm(target!, { recursive: true });
  expect(await windlass("restore", join(copy!, "second"), "--data", target!)).toMatchObject({ code: 0 });
  await expect(stat(join(copy!, "second", "secret.key"))).rejects.toThrow("ENOENT");
  await copyFile(join(data!, "secret.key"), join(target!, "secret.key"));
  await runOk(process.execPath, ["dist/main.js", "check", "--data", target!]);

  const restored = await startProcess({ data: target! });
  const s3 = clientOf(restored);
  try {
    await s3.send(new HeadBucketCommand({ Bucket: BUCKET }));
    const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: BUCKET }));
    expect(Contents.length).toBeGreaterThan(5);
    for (const { Key, ETag } of Contents) {
      const { Body } = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key }));
      const md5 = createHash("md5")
        .update(await Body!.transformToByteArray())
        .digest("hex");
      expect(`"${md5}"`).toBe(ETag);
    }
  } finally {
    s3.destroy();
    await restored.stop();
  }

  await unlink(join(copy!, "first", "manifest.json"));
  await rm(target!, { recursive: true });
  const cut = await windlass("restore", join(copy!, "first"), "--data", target!);
  expect([cut.code, cut.stderr]).toEqual([1, expect.stringContaining("no whole backup")]);
  await Promise.all([data!, copy!, target!].map((path) => rm(path, { recursive: true, force: true })));
});
