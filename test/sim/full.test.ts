/** A disk that fills up: uploads are refused cleanly, everything else goes on, and space that is given back is used. */
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { run, runOk } from "../clients/tools.ts";
import { eventually, startProcess } from "../process.ts";

/** More than the floor of free space, so that something fits. */
const DISK_MIB = 160;
const Bucket = "filled";

test("a full disk refuses uploads and nothing else", { timeout: 120_000 }, async (context) => {
  const data = await mkdtemp(join(tmpdir(), "windlass-full-"));
  const mounted = await run("mount", ["-t", "tmpfs", "-o", `size=${DISK_MIB}m`, "tmpfs", data]);
  if (mounted.code !== 0) {
    await rm(data, { recursive: true });
    context.skip("file systems can't be mounted here");
  }
  try {
    const server = await startProcess({
      data,
      workers: 2,
      env: { WINDLASS_BUCKETS: Bucket, WINDLASS_GRACE: "1" },
    });
    const s3 = new S3Client({
      endpoint: server.url,
      region: "us-east-1",
      forcePathStyle: true,
      maxAttempts: 1,
      credentials: server.rootKey,
    });
    const put = (Key: string, bytes: number) =>
      s3.send(new PutObjectCommand({ Bucket, Key, Body: randomBytes(bytes) }));
    try {
      let stored = 0;
      let refusal: unknown;
      while (refusal === undefined && stored < DISK_MIB) {
        try {
          await put(`large-${stored}`, 4 << 20);
          stored++;
        } catch (error) {
          refusal = error;
        }
      }
      expect(refusal).toMatchObject({ name: "InsufficientStorage", $metadata: { httpStatusCode: 507 } });
      expect(stored).toBeGreaterThan(5);
      await eventually("small ones are refused too", async () => {
        const error = await put("small", 100).then(
          () => undefined,
          (reason: unknown) => reason,
        );
        return (error as Error | undefined)?.name === "InsufficientStorage";
      });

      const { Body } = await s3.send(new GetObjectCommand({ Bucket, Key: "large-0" }));
      expect((await Body!.transformToByteArray()).length).toBe(4 << 20);
      for (let n = 0; n < stored; n++) await s3.send(new DeleteObjectCommand({ Bucket, Key: `large-${n}` }));
      await s3.send(new DeleteObjectCommand({ Bucket, Key: "small" }));
      const { KeyCount } = await s3.send(new ListObjectsV2Command({ Bucket }));
      expect(KeyCount).toBe(0);
      await runOk(process.execPath, ["dist/main.js", "check", "--data", data]);

      const putAgain = async () => {
        try {
          await put("after", 4 << 20);
          return true;
        } catch {
          return false;
        }
      };
      await eventually("the swept space takes uploads again", putAgain, 90_000);
    } finally {
      s3.destroy();
      await server.stop();
    }
  } finally {
    await runOk("umount", [data]);
    await rm(data, { recursive: true, force: true });
  }
});
