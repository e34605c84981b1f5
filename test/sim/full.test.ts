/** A disk that fills up: uploads are refused cleanly, everything else goes on, and space that is given back is used. */
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdtemp, open, rm, unlink, type FileHandle } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test, type TestContext } from "vitest";
import { run, runOk } from "../clients/tools.ts";
import { sdk } from "../s3/client.ts";
import { eventually, startProcess } from "../process.ts";

/** More than the floor of free space, so that something fits. */
const DISK_MIB = 160;
const Bucket = "filled";

interface Filling {
  data: string;
  s3: S3Client;
  put: (key: string, bytes: number) => Promise<unknown>;
}

/** A server on a small disk of its own, which goes with it. */
async function onSmallDisk(context: TestContext, body: (filling: Filling) => Promise<void>): Promise<void> {
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
    const s3 = sdk(server);
    const put = (Key: string, bytes: number) =>
      s3.send(new PutObjectCommand({ Bucket, Key, Body: randomBytes(bytes) }));
    try {
      await body({ data, s3, put });
    } finally {
      s3.destroy();
      await server.stop();
    }
  } finally {
    await runOk("umount", [data]);
    await rm(data, { recursive: true, force: true });
  }
}

test("a full disk refuses uploads and nothing else", { timeout: 120_000 }, (context) =>
  onSmallDisk(context, async ({ data, s3, put }) => {
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
  }),
);

test(
  "where another program fills the disk to the last byte, deletes still work",
  { timeout: 120_000 },
  (context) =>
    onSmallDisk(context, async ({ data, s3, put }) => {
      const filler = join(data, "filler");
      const statusOfPut = (bytes: number) =>
        put("late", bytes).then(
          () => 200,
          (error: { $metadata: { httpStatusCode: number } }) => error.$metadata.httpStatusCode,
        );
      for (let n = 0; n < 20; n++) await put(`kept-${n}`, n % 2 === 0 ? 20_000 : 200_000);
      // The writer keeps its reserve in the background.
      await eventually("the reserve is there", () => existsSync(join(data, "meta.db.reserve")));
      const file = await open(filler, "w");
      for (const size of [1 << 20, 4096, 1]) await fill(file, size);
      await file.close();
      const statuses = [];
      for (const bytes of [100, 20_000, 200_000, 100]) statuses.push(await statusOfPut(bytes));
      expect(statuses.filter((status) => status !== 200 && status !== 507)).toEqual([]);
      await eventually("uploads are refused", async () => (await statusOfPut(20_000)) === 507);
      for (let n = 0; n < 20; n++) {
        const address = { Bucket, Key: `kept-${n}` };
        const { Body } = await s3.send(new GetObjectCommand(address));
        expect((await Body!.transformToByteArray()).length).toBe(n % 2 === 0 ? 20_000 : 200_000);
        await s3.send(new DeleteObjectCommand(address));
      }
      await unlink(filler);
      await eventually("uploads work again", async () => (await statusOfPut(200_000)) === 200, 30_000);
      await runOk(process.execPath, ["dist/main.js", "check", "--data", data]);
    }),
);

/** Appends pieces of one size until no more fits. */
async function fill(file: FileHandle, size: number): Promise<void> {
  const piece = Buffer.alloc(size, 1);
  try {
    for (;;) if ((await file.write(piece)).bytesWritten < size) return;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
  }
}
