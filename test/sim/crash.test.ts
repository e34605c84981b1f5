/**
 * Kills the server at random moments during a mixed load, starts it again, and holds every key against what was
 * acknowledged. `npm run crash` runs 50 rounds; a few run with the other tests.
 */
import {
  CompleteMultipartUploadCommand,
  CopyObjectCommand,
  CreateBucketCommand,
  CreateMultipartUploadCommand,
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutBucketVersioningCommand,
  PutObjectCommand,
  S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { createHash, randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { run } from "../clients/tools.ts";
import { startProcess, type ServerProcess } from "../process.ts";
import { Ledger } from "./ledger.ts";

const ROUNDS = Number(process.env["WINDLASS_CRASH_ROUNDS"] ?? 6);
const VICTIMS = ["primary", "writer", "worker", "tree"] as const;
const BUCKETS = ["plain", "versioned"];
const LOOPS = 8;
/** Written until the server answers again; no part of the load. */
const PROBE = "probe";

const random = (below: number) => Math.floor(Math.random() * below);
const clientOf = (server: ServerProcess) =>
  new S3Client({
    endpoint: server.url,
    region: "us-east-1",
    forcePathStyle: true,
    maxAttempts: 1,
    credentials: server.rootKey,
    requestHandler: { requestTimeout: 20_000, connectionTimeout: 5000 },
  });

/** One key's next change; throws where the server's answer was lost. */
async function change(s3: S3Client, ledger: Ledger, bucket: string, key: string): Promise<void> {
  const name = `${bucket}/${key}`;
  const address = { Bucket: bucket, Key: key };
  const kind = random(10);
  if (kind < 2) {
    const state = ledger.begin(name, undefined);
    await s3.send(new DeleteObjectCommand(address));
    ledger.acknowledge(name, state);
    return;
  }
  // Inline, file and several reads' worth; never the same bytes twice (SQLite skips identical writes).
  const body = randomBytes([100, 4096, 40_000, 300_000][random(4)]! + random(100));
  const state = ledger.begin(name, body);
  if (kind < 8) {
    await s3.send(new PutObjectCommand({ ...address, Body: body }));
  } else if (kind === 8) {
    const { UploadId } = await s3.send(new CreateMultipartUploadCommand(address));
    const upload = { ...address, UploadId };
    const { ETag } = await s3.send(new UploadPartCommand({ ...upload, PartNumber: 1, Body: body }));
    await s3.send(
      new CompleteMultipartUploadCommand({
        ...upload,
        MultipartUpload: { Parts: [{ PartNumber: 1, ETag }] },
      }),
    );
  } else {
    const source = `${key}-source`;
    const sourceState = ledger.begin(`${bucket}/${source}`, body);
    await s3.send(new PutObjectCommand({ Bucket: bucket, Key: source, Body: body }));
    ledger.acknowledge(`${bucket}/${source}`, sourceState);
    await s3.send(new CopyObjectCommand({ ...address, CopySource: `/${bucket}/${source}` }));
  }
  ledger.acknowledge(name, state);
}

/** Runs the load until `stopped`; a loop owns its keys, so that the order of its writes is known. */
async function load(
  s3: S3Client,
  ledger: Ledger,
  loop: number,
  stopped: () => boolean,
  count: () => void,
): Promise<void> {
  while (!stopped()) {
    const key = `loop-${loop}/key-${random(12)}`;
    try {
      await change(s3, ledger, BUCKETS[random(BUCKETS.length)]!, key);
      count();
    } catch {
      // Killed under us: the ledger holds what is possible. Don't write over an unknown state before it is settled.
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

async function verify(s3: S3Client, ledger: Ledger): Promise<string[]> {
  const wrong: string[] = [];
  const present = new Set<string>();
  for (const name of ledger.keys()) {
    const [bucket = "", ...rest] = name.split("/");
    let found = "absent";
    try {
      const answer = await s3.send(new GetObjectCommand({ Bucket: bucket, Key: rest.join("/") }));
      const bytes = await answer.Body!.transformToByteArray();
      found = createHash("md5").update(bytes).digest("hex");
      if (!answer.ETag!.includes("-") && answer.ETag !== `"${found}"`)
        wrong.push(`${name}: ETag ${answer.ETag} over ${found}`);
      present.add(name);
    } catch (error) {
      if ((error as Error).name !== "NoSuchKey") wrong.push(`${name}: ${String(error)}`);
    }
    const problem = ledger.settle(name, found);
    if (problem !== undefined) wrong.push(problem);
  }
  const listed = new Set<string>();
  for (const bucket of BUCKETS) {
    let token: string | undefined;
    do {
      const page = await s3.send(
        new ListObjectsV2Command({ Bucket: bucket, ContinuationToken: token, MaxKeys: 100 }),
      );
      for (const item of page.Contents ?? []) listed.add(`${bucket}/${item.Key}`);
      token = page.NextContinuationToken;
    } while (token !== undefined);
  }
  for (const name of present) if (!listed.has(name)) wrong.push(`${name}: can be read, is not listed`);
  listed.delete(`plain/${PROBE}`);
  for (const name of listed) if (!present.has(name)) wrong.push(`${name}: listed, can't be read`);
  return wrong;
}

async function eventually(s3: S3Client): Promise<void> {
  for (let attempt = 0; ; attempt++) {
    try {
      await s3.send(new PutObjectCommand({ Bucket: "plain", Key: PROBE, Body: randomBytes(10) }));
      return;
    } catch (error) {
      if (attempt === 100) throw error;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}

test(`nothing acknowledged is lost in ${ROUNDS} crashes`, { timeout: 60_000 + ROUNDS * 30_000 }, async () => {
  const data = await mkdtemp(join(tmpdir(), "windlass-crash-"));
  const ledger = new Ledger();
  let server = await startProcess({ data, workers: 2 });
  let s3 = clientOf(server);
  try {
    for (const Bucket of BUCKETS) await s3.send(new CreateBucketCommand({ Bucket }));
    const VersioningConfiguration = { Status: "Enabled" } as const;
    await s3.send(new PutBucketVersioningCommand({ Bucket: "versioned", VersioningConfiguration }));
    let changes = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const victim = VICTIMS[round % VICTIMS.length]!;
      let stopped = false;
      const loops = Array.from({ length: LOOPS }, (_, n) =>
        load(
          s3,
          ledger,
          n,
          () => stopped,
          () => changes++,
        ),
      );
      await new Promise((resolve) => setTimeout(resolve, 300 + random(1500)));
      await server.kill(victim);
      stopped = true;
      await Promise.all(loops);
      s3.destroy();
      if (victim === "primary" || victim === "tree") server = await startProcess({ data, workers: 2 });
      s3 = clientOf(server);
      await eventually(s3);
      expect(await verify(s3, ledger), `round ${round}, killed the ${victim}`).toEqual([]);
      const check = await run(process.execPath, ["dist/main.js", "check", "--data", data]);
      expect(check.code, `${check.stdout}${check.stderr}`).toBe(0);
    }
    expect(changes).toBeGreaterThan(ROUNDS * 10);
  } finally {
    s3.destroy();
    await server.stop();
    await rm(data, { recursive: true, force: true });
  }
});
