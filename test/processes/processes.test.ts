/** The start contract of several processes: who starts whom, what survives whose end, how it stops. */
import { randomBytes } from "node:crypto";
import { readdirSync, statSync } from "node:fs";
import { cp, mkdtemp, rm, symlink } from "node:fs/promises";
import { request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { run } from "../clients/tools.ts";
import { eventually, isAlive, startProcess, type ServerProcess } from "../process.ts";
import { signedText } from "../signed.ts";
import { sign } from "../signer.ts";

let folder: string;
let server: ServerProcess;
const put = (name: string, body: Buffer | string = "body") =>
  signedText(server, { method: "PUT", target: `/bucket/${name}`, body });
const get = (name: string) => signedText(server, { method: "GET", target: `/bucket/${name}` });

const times = (text: string): number => server.output().split(text).length;

/** Every child that was started again is ready again. */
function allReady(): Promise<void> {
  return eventually("all are ready", () => {
    const started = times("ended and is started again");
    return server.pids().length === 4 && started > 1 && times('"msg":"is ready again"') === started;
  });
}

async function putsCounted(): Promise<number> {
  const text = await (await fetch(`${server.consoleUrl}/metrics`)).text();
  const line = /^windlass_requests_total\{service="s3",operation="PutObject",status="2xx"\} (\d+)$/m;
  return Number(line.exec(text)?.[1]);
}

function answerOnOwnConnection(url: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = httpRequest(`${url}/health/live`, { agent: false }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode ?? 0));
      response.on("error", reject);
    });
    request.on("error", reject);
    request.end();
  });
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "windlass-processes-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

describe("a server of two workers", () => {
  beforeAll(async () => {
    server = await startProcess({
      data: join(folder, "two"),
      workers: 2,
      env: { WINDLASS_BUCKETS: "bucket" },
    });
  });
  afterAll(() => server.stop());

  test("is a primary, a writer and two workers", () => {
    expect(server.pidsOf("writer")).toHaveLength(1);
    expect(server.pidsOf("worker")).toHaveLength(2);
    expect(server.pids()).toHaveLength(4);
  });

  test("keeps everything from other users", () => {
    const data = join(folder, "two");
    expect(statSync(data).mode & 0o777).toBe(0o700);
    for (const name of readdirSync(data))
      expect([name, statSync(join(data, name)).mode & 0o077]).toEqual([name, 0]);
    expect(statSync(join(data, "secret.key")).mode & 0o777).toBe(0o600);
  });

  test("refuses a second server on its data", async () => {
    const second = await run(process.execPath, [
      "dist/main.js",
      "serve",
      "--data",
      join(folder, "two"),
      "--s3",
      "127.0.0.1:0",
    ]);
    expect(second.code).toBe(1);
    expect(second.stderr).toMatch(/^windlass: Another server is using .*two\. Stop it first/);
    expect((await put("still-here")).status).toBe(200);
  });

  test("starts a killed worker again, and serves meanwhile", async () => {
    const [victim] = server.pidsOf("worker");
    await server.kill("worker");
    await eventually(
      "the other worker serves",
      async () => (await put("meanwhile").catch(() => undefined))?.status === 200,
    );
    await allReady();
    expect(server.pidsOf("worker")).not.toContain(victim);
    await eventually("the log says so", () =>
      /"child":"worker \d","how":"SIGKILL".*started again/.test(server.output()),
    );
  });

  test("leaves no client waiting whose connection was on its way to a killed worker", async () => {
    for (let round = 0; round < 3; round++) {
      const [victim = 0] = server.pidsOf("worker");
      process.kill(victim, "SIGKILL");
      // Connections of their own, made while the primary does not know yet. Each gets an answer, or its end.
      const ended = await Promise.allSettled(
        Array.from({ length: 30 }, () => answerOnOwnConnection(server.consoleUrl)),
      );
      expect(ended.filter(({ status }) => status === "fulfilled").length).toBeGreaterThan(0);
      await allReady();
    }
  });

  test("starts a killed writer again; what was acknowledged is there", async () => {
    const [victim] = server.pidsOf("writer");
    const stop = new AbortController();
    const acknowledged: string[] = [];
    const statuses = new Set<number>();
    const load = async (loop: number) => {
      for (let n = 0; !stop.signal.aborted; n++) {
        const { status } = await put(`${loop}-${n}`, randomBytes(1000));
        statuses.add(status);
        if (status === 200) acknowledged.push(`${loop}-${n}`);
      }
    };
    const loops = [1, 2, 3, 4].map(load);
    await eventually("some writes", () => acknowledged.length > 50);
    await server.kill("writer");
    const before = acknowledged.length;
    await eventually("writes go on", () => acknowledged.length > before + 50);
    stop.abort();
    await Promise.all(loops);
    // What was in flight may have failed, in S3's own words.
    for (const status of statuses) expect([200, 500, 503]).toContain(status);
    expect(server.pidsOf("writer")).not.toContain(victim);
    for (const name of acknowledged) expect([name, (await get(name)).status]).toEqual([name, 200]);
  });

  test("adds up the metrics of all its processes", async () => {
    const text = await (await fetch(`${server.consoleUrl}/metrics`)).text();
    for (const name of ["primary", "writer", "worker 1", "worker 2"]) {
      expect(text).toMatch(new RegExp(`^process_resident_memory_bytes\\{process="${name}"\\} \\d+$`, "m"));
    }
    expect(text).toMatch(/^windlass_requests_total\{service="s3",operation="PutObject",status="2xx"\} \d+$/m);
    expect(text).toMatch(
      /^windlass_request_seconds_bucket\{service="s3",operation="PutObject",le="\+Inf"\} \d+$/m,
    );
  });

  test("has counted no less when a worker has ended", async () => {
    const before = await putsCounted();
    for (let round = 0; round < 2; round++) {
      await server.kill("worker");
      await allReady();
      expect(await putsCounted()).toBe(before);
    }
  });

  test("drains at SIGTERM: the answer under way is finished, and says that the connection closes", async () => {
    const body = randomBytes(100_000);
    const headers = sign(
      { method: "PUT", target: "/bucket/drained", body },
      server.rootKey,
      new URL(server.url).host,
    );
    const answer = new Promise<{ status: number | undefined; connection: string | undefined }>(
      (resolve, reject) => {
        const request = httpRequest(`${server.url}/bucket/drained`, {
          method: "PUT",
          headers: { ...headers, "content-length": body.length },
        });
        request.on("error", reject);
        request.on("response", (response) => {
          response.resume();
          response.on("end", () =>
            resolve({ status: response.statusCode, connection: response.headers.connection }),
          );
        });
        request.write(body.subarray(0, 50_000), () => {
          // Halfway through the upload the order to stop arrives.
          setTimeout(() => server.signal("SIGTERM"), 100);
          setTimeout(() => request.end(body.subarray(50_000)), 600);
        });
      },
    );
    expect(await answer).toEqual({ status: 200, connection: "close" });
    expect(await server.stop()).toBe(0);
    expect(server.pids()).toEqual([]);
    server = await startProcess({ data: join(folder, "two"), workers: 2 });
    expect(await get("drained")).toMatchObject({ status: 200 });
  });

  test("leaves no process behind when the primary is killed, and starts again on the same data", async () => {
    const all = server.pids();
    await put("before");
    await server.kill("primary");
    expect(all).toHaveLength(4);
    expect(all.filter(isAlive)).toEqual([]);
    server = await startProcess({ data: join(folder, "two"), workers: 2 });
    expect(await get("before")).toEqual({ status: 200, text: "body" });
  });
});

test("after an I/O error nothing more is written, reads go on, and readiness says why", async () => {
  // The writer's log meets a limit on the size of files, which SQLite reports like every other failed write.
  server = await startProcess({
    data: join(folder, "broken"),
    fileBytesMax: 2 ** 20,
    env: { WINDLASS_BUCKETS: "bucket" },
  });
  try {
    const ready = () =>
      fetch(`${server.consoleUrl}/health/ready`).then(async (answer) => ({
        status: answer.status,
        text: await answer.text(),
      }));
    expect((await put("first")).status).toBe(200);
    expect(await ready()).toEqual({ status: 200, text: '{"status":"ready"}' });
    await eventually("a refused write", async () => (await put("more", randomBytes(30_000))).status === 503);
    expect((await put("more")).text).toContain("<Code>ServiceUnavailable</Code>");
    expect(await get("first")).toEqual({ status: 200, text: "body" });
    await eventually("the primary knows", () =>
      server.output().includes("nothing is written until the server is restarted"),
    );
    expect(await ready()).toMatchObject({
      status: 503,
      text: expect.stringContaining('"reason":') as string,
    });
    // Not even a new writer may claim that all is well.
    await server.kill("writer");
    await eventually("the primary leaves it", () =>
      server.output().includes("ended after an I/O error and is not started again"),
    );
    expect((await ready()).status).toBe(503);
    expect(await get("first")).toEqual({ status: 200, text: "body" });
    expect((await put("never")).status).toBeGreaterThanOrEqual(500);
    // A worker that starts now can still read.
    const [victim] = server.pidsOf("worker");
    await server.kill("worker");
    await eventually("a new worker", () =>
      /"child":"worker \d","msg":"is ready again"/.test(server.output()),
    );
    expect(server.pidsOf("worker")).not.toContain(victim);
    for (let n = 0; n < 4; n++) expect(await get("first")).toEqual({ status: 200, text: "body" });
    expect((await put("never")).status).toBeGreaterThanOrEqual(500);
  } finally {
    await server.stop();
  }
});

test("one worker is one process", async () => {
  server = await startProcess({ data: join(folder, "one"), workers: 1, env: { WINDLASS_BUCKETS: "bucket" } });
  expect(server.pids()).toHaveLength(1);
  expect((await put("alone")).status).toBe(200);
  expect(await get("alone")).toEqual({ status: 200, text: "body" });
  const text = await (await fetch(`${server.consoleUrl}/metrics`)).text();
  expect(text).toMatch(/^process_resident_memory_bytes\{process="server"\} \d+$/m);
  expect(await server.stop()).toBe(0);
});

test("it runs from any folder, whatever its name", async () => {
  const cwd = join(folder, "in a füll path %20");
  await cp("dist", join(cwd, "dist"), { recursive: true });
  await cp("package.json", join(cwd, "package.json"));
  await symlink(join(process.cwd(), "node_modules"), join(cwd, "node_modules"));
  server = await startProcess({ data: join(cwd, "data"), cwd, env: { WINDLASS_BUCKETS: "bucket" } });
  expect((await put("here")).status).toBe(200);
  expect(await server.stop()).toBe(0);
});
