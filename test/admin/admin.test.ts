/** The console listener: health and metrics. */
import sharp from "sharp";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createOrigin } from "../../src/delivery/origins/origins.ts";
import { startServer, type TestServer } from "../server.ts";
import { signedText } from "../signed.ts";
import { files, startWeb } from "../delivery/origins/storage.ts";
import { basic } from "./console.ts";

let server: TestServer;
beforeAll(async () => {
  server = await startServer({ buckets: ["measured"] });
});
afterAll(() => server.close());

const get = async (path: string, method = "GET") => {
  const answer = await fetch(`${server.consoleUrl}${path}`, { method });
  return { status: answer.status, headers: answer.headers, text: await answer.text() };
};

test("live and ready say so in JSON that nobody keeps", async () => {
  for (const [path, status] of [
    ["/health/live", "live"],
    ["/health/ready", "ready"],
  ] as const) {
    const answer = await get(path);
    expect([answer.status, answer.text]).toEqual([200, JSON.stringify({ status })]);
    expect(answer.headers.get("cache-control")).toBe("no-store");
    expect((await get(path, "HEAD")).status).toBe(200);
  }
});

test("the page says where the rest is", async () => {
  const { status, headers, text } = await get("/");
  expect([status, headers.get("content-type")]).toEqual([200, "text/html; charset=utf-8"]);
  expect(text).toContain(server.url);
  expect(text).toContain(server.deliveryUrl);
});

test("what is not there is 404, what is no reading is 405, what is no path is 400", async () => {
  expect((await get("/admin")).status).toBe(404);
  expect((await get("//health/live")).status).toBe(404);
  expect((await get("/health/live", "DELETE")).status).toBe(405);
  expect((await get("/%zz")).status).toBe(400);
});

test("requests are counted by operation and class of status, with their bytes and seconds", async () => {
  const body = "x".repeat(1234);
  expect((await signedText(server, { method: "PUT", target: "/measured/key", body })).status).toBe(200);
  expect((await signedText(server, { method: "GET", target: "/measured/key" })).text).toBe(body);
  expect((await signedText(server, { method: "GET", target: "/measured/none" })).status).toBe(404);
  await fetch(`${server.deliveryUrl}/root/none.jpg`).then((answer) => answer.text());
  await get("/no-label-of-a-client/0123456789");
  const { text, headers } = await get("/metrics");
  expect(headers.get("content-type")).toMatch(/^text\/plain; version=0\.0\.4/);
  for (const line of [
    'windlass_requests_total{service="s3",operation="PutObject",status="2xx"} 1',
    'windlass_requests_total{service="s3",operation="GetObject",status="2xx"} 1',
    'windlass_requests_total{service="s3",operation="GetObject",status="4xx"} 1',
    'windlass_request_seconds_count{service="s3",operation="GetObject"} 2',
    'windlass_received_bytes_total{service="s3",operation="PutObject"} 1234',
  ]) {
    expect(text.split("\n")).toContain(line);
  }
  expect(text).toMatch(/^windlass_requests_total\{service="delivery",operation="\w+",status="4xx"\} 1$/m);
  expect(text).toMatch(/^windlass_requests_in_flight 1$/m);
  expect(text).toMatch(/^process_resident_memory_bytes\{process="server"\} \d{7,}$/m);
  expect(text).not.toContain("no-label-of-a-client");
  // Every family is announced once, as Prometheus demands.
  const types = [...text.matchAll(/^# TYPE (\S+)/gm)].map((match) => match[1]);
  expect(new Set(types).size).toBe(types.length);
});

test("pictures are counted: made, failed, found in the cache", async () => {
  const { accessKeyId, secretAccessKey } = server.rootKey;
  const made = await fetch(`${server.consoleUrl}/api/v1/origins`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      authorization: basic(accessKeyId, secretAccessKey),
    },
    body: JSON.stringify({ name: "photos", type: "bucket", bucket: "measured" }),
  });
  expect(made.status).toBe(201);
  const image = sharp({ create: { width: 60, height: 40, channels: 3, background: "red" } });
  const body = await image.png().toBuffer();
  await signedText(server, { method: "PUT", target: "/measured/good.png", body });
  await signedText(server, { method: "PUT", target: "/measured/bad.png", body: body.subarray(0, 60) });
  const statuses = [];
  for (const path of ["w-30/good.png", "w-30/good.png", "w-31/good.png", "w-30/bad.png"]) {
    const answer = await fetch(`${server.deliveryUrl}/root/tr:${path}`);
    statuses.push(answer.status);
    await answer.arrayBuffer();
  }
  expect(statuses).toEqual([200, 200, 200, 422]);
  const { text } = await get("/metrics");
  for (const line of [
    'windlass_renders_total{result="done"} 2',
    'windlass_renders_total{result="failed"} 1',
    'windlass_delivery_cache_total{result="hit"} 1',
    'windlass_delivery_cache_total{result="miss"} 2',
    "windlass_renders_waiting 0",
  ]) {
    expect(text.split("\n")).toContain(line);
  }
  expect(text).toMatch(/^windlass_render_seconds_total \d+\.\d+$/m);
  expect(text).toMatch(/^windlass_renderers [12]$/m);
});

test("other people's storage is counted by origin, and what its files take of the disk", async () => {
  await using web = await startWeb(files({ "there.txt": Buffer.alloc(100) }, "text/plain"));
  const source = { type: "web", baseUrl: web.url, allowHosts: ["127.0.0.1"] };
  await createOrigin(server.store, { name: "web", ...source });
  for (const path of ["there.txt", "there.txt", "none.txt"])
    await fetch(`${server.deliveryUrl}/file/web/${path}`).then((answer) => answer.text());
  const { text } = await get("/metrics");
  for (const line of [
    'windlass_origin_requests_total{origin="root/web",result="found"} 1',
    'windlass_origin_requests_total{origin="root/web",result="missing"} 1',
    "windlass_films_running 0",
    "windlass_films_waiting 0",
  ]) {
    expect(text.split("\n")).toContain(line);
  }
  expect(text).toMatch(/^windlass_origin_seconds_total\{origin="root\/web"\} 0\.\d+$/m);
  expect(text).toMatch(/^windlass_delivery_cache_bytes \d{4,}$/m);
});
