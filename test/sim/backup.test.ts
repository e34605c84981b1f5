/** A backup taken in the middle of a mixed load, brought back elsewhere. */
import {
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  GetObjectCommand,
  HeadBucketCommand,
  ListBucketsCommand,
  ListObjectsV2Command,
  UploadPartCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { createHash, randomBytes } from "node:crypto";
import { copyFile, mkdtemp, rm, stat, unlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { run, runOk } from "../clients/tools.ts";
import { sdk } from "../s3/client.ts";
import { sign } from "../signer.ts";
import { startProcess, type ServerProcess } from "../process.ts";

const BUCKET = "kept";
const windlass = (...args: string[]) => run(process.execPath, ["dist/main.js", ...args]);

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

/** Multipart uploads over the same few keys; their parts and lists of segments become garbage as well. */
async function churnUploads(s3: S3Client, stopped: () => boolean): Promise<void> {
  for (let n = 0; !stopped(); n++) {
    const address = { Bucket: BUCKET, Key: `parts-${n % 3}` };
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand(address));
    const Parts = [];
    for (const [at, Body] of [randomBytes(5 << 20), randomBytes(1000)].entries()) {
      const PartNumber = at + 1;
      const { ETag } = await s3.send(new UploadPartCommand({ ...address, UploadId, PartNumber, Body }));
      Parts.push({ PartNumber, ETag });
    }
    await s3.send(new CompleteMultipartUploadCommand({ ...address, UploadId, MultipartUpload: { Parts } }));
  }
}

const md5 = (bytes: Uint8Array) => createHash("md5").update(bytes);

/** The ETag that these bytes must have: of two parts where it says so. */
function etagOf(body: Uint8Array, claimed: string): string {
  if (!claimed.endsWith('-2"')) return `"${md5(body).digest("hex")}"`;
  const parts = [body.subarray(0, 5 << 20), body.subarray(5 << 20)].map((part) => md5(part).digest());
  return `"${md5(Buffer.concat(parts)).digest("hex")}-2"`;
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
  const uploader = sdk(server);
  const account = ["account", "create", "someone", "--data", data!, "--json"];
  const created = await runOk(process.execPath, ["dist/main.js", ...account]);
  const someone = JSON.parse(created) as ServerProcess["rootKey"];
  let stopped = false;
  const load = Promise.all([
    ...[0, 1, 2, 3].map((loop) => churn(server, loop, () => stopped)),
    churnUploads(uploader, () => stopped),
  ]);
  try {
    await new Promise((resolve) => setTimeout(resolve, 3000));
    // Two at the same time: the end of one must not let the sweeper loose on the other.
    const pair = ["first", "second"].map((name) => windlass("backup", join(copy!, name), "--data", data!));
    for (const one of await Promise.all(pair)) expect(one).toMatchObject({ code: 0 });
    await new Promise((resolve) => setTimeout(resolve, 2000));
    expect(await windlass("backup", join(copy!, "third"), "--data", data!)).toMatchObject({ code: 0 });
    const refused = await windlass("backup", join(copy!, "first"), "--data", data!);
    expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining("not empty")]);
    const busy = await windlass("restore", join(copy!, "first"), "--data", data!);
    expect(busy.code).toBe(1);
  } finally {
    stopped = true;
    await load;
    uploader.destroy();
    await server.stop();
  }

  await rm(target!, { recursive: true });
  expect(await windlass("restore", join(copy!, "third"), "--data", target!)).toMatchObject({ code: 0 });
  await expect(stat(join(copy!, "third", "secret.key"))).rejects.toThrow("ENOENT");
  await copyFile(join(data!, "secret.key"), join(target!, "secret.key"));
  await runOk(process.execPath, ["dist/main.js", "check", "--data", target!]);

  const restored = await startProcess({ data: target! });
  const s3 = sdk(restored);
  try {
    await s3.send(new HeadBucketCommand({ Bucket: BUCKET }));
    const { Contents = [] } = await s3.send(new ListObjectsV2Command({ Bucket: BUCKET }));
    expect(Contents.length).toBeGreaterThan(5);
    for (const { Key, ETag } of Contents) {
      const { Body } = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key }));
      expect(etagOf(await Body!.transformToByteArray(), ETag!)).toBe(ETag);
    }
    expect(Contents.filter(({ ETag }) => ETag!.endsWith('-2"'))).toHaveLength(3);
    const theirs = sdk(restored, someone);
    expect((await theirs.send(new ListBucketsCommand({}))).Buckets ?? []).toEqual([]);
    theirs.destroy();
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
