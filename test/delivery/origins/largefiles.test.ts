/** Other people's files that are too large to be kept: read through each time, long after they were looked up. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { createEndpoint } from "../../../src/delivery/origins/endpoints.ts";
import { createOrigin, updateOrigin } from "../../../src/delivery/origins/origins.ts";
import { openSite, outcomeOf, type Reply, type Site } from "../site.ts";
import { startWeb, type WebServer } from "./storage.ts";

let site: Site;
let web: WebServer;

beforeAll(async () => {
  [site, web] = await Promise.all([openSite(), startWeb(() => undefined)]);
});
afterAll(async () => {
  await site[Symbol.asyncDispose]();
  await web[Symbol.asyncDispose]();
});
let origins = 0;
/** Of its own, so that no test meets the failures of another. */
beforeEach(async () => {
  const name = `web${++origins}`;
  const allowHosts = ["127.0.0.1"];
  await createOrigin(site.store, { name, type: "web", baseUrl: web.url, allowHosts, timeout: 1 });
  await createEndpoint(site.store, { name, origins: [name] });
  base = `/root/${name}`;
});
let base: string;

const byteAt = (at: number): number => at % 251;
const slice = (start: number, end: number): Buffer =>
  Buffer.from(Array.from({ length: end - start }, (_, n) => byteAt(start + n)));

const SIZE = 48 * 1024 ** 2;
const pattern = Buffer.from(Array.from({ length: 251 }, (_, n) => n));
const megabyte = Buffer.alloc(251 * 4096, pattern);

/** Bytes that are made while they are sent. */
function send(response: ServerResponse, start: number, end: number): void {
  let at = start;
  const more = (): void => {
    while (at < end && !response.destroyed) {
      const from = at % 251;
      const chunk = megabyte.subarray(from, from + Math.min(end - at, 1 << 19));
      at += chunk.length;
      if (!response.write(chunk)) {
        response.once("drain", more);
        return;
      }
    }
    response.end();
  };
  more();
}
const large =
  (chunked: boolean, ranges: boolean) =>
  (request: IncomingMessage, response: ServerResponse): void => {
    const match = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "");
    if (match === null && request.headers.range !== undefined) {
      response.writeHead(416).end();
      return;
    }
    const headers = { etag: '"large"', "content-type": "application/zip" };
    if (match !== null && ranges) {
      const [start, end] = [Number(match[1]), Number(match[2]) + 1];
      const range = { "content-range": `bytes ${start}-${end - 1}/${SIZE}`, "content-length": end - start };
      response.writeHead(206, { ...headers, ...range });
      send(response, start, end);
      return;
    }
    response.writeHead(200, { ...headers, ...(chunked ? {} : { "content-length": SIZE }) });
    send(response, 0, SIZE);
  };

test.each([true, false])("are passed on in ranges (the origin knows ranges: %s)", async (ranges) => {
  web.answer = large(false, ranges);
  const path = `large-${String(ranges)}.zip`;
  const head = await site.get(`${base}/${path}`, { method: "HEAD" });
  expect([head.status, head.headers.get("content-length")]).toEqual([200, String(SIZE)]);
  for (const start of [0, 1000, 20_000_000]) {
    const part = await site.get(`${base}/${path}`, {
      headers: { range: `bytes=${start}-${start + 99}` },
    });
    expect([part.status, part.body]).toEqual([206, slice(start, start + 100)]);
  }
  expect(web.headers.at(-1)).toMatchObject({ range: "bytes=20000000-20000099" });
  // Nothing was kept: the same bytes are asked for again.
  const again = { headers: { range: "bytes=0-9" } };
  const before = web.asked.length;
  await site.get(`${base}/${path}`, again);
  expect(web.asked.length - before).toBe(1);
});

const full =
  (letter: string, headers: Record<string, string>): WebServer["answer"] =>
  (_, response) => {
    response.writeHead(200, { ...headers, "content-length": SIZE });
    response.end(Buffer.alloc(1000, letter));
  };
const part = (range: string): Promise<Reply> => site.get(`${base}/full.zip`, { headers: { range } });

test.each([
  ["a weak ETag tells that they changed", { etag: 'W/"A"' }, { etag: 'W/"B"' }],
  ["an ETag tells that they changed", { etag: '"A"' }, { etag: '"B"' }],
  ["the ETag is gone that told which they are", { etag: '"A"' }, {}],
])("are no others' bytes under one name when %s", async (_, before, after) => {
  web.answer = full("A", before);
  const first = await part("bytes=0-9");
  web.answer = full("B", after);
  const second = await part("bytes=10-19");
  expect([first.body.toString(), second.body.toString()]).toEqual(["AAAAAAAAAA", "BBBBBBBBBB"]);
  expect(second.headers.get("etag")).not.toBe(first.headers.get("etag"));
});

const short = (etag: string, body: string) => (_: IncomingMessage, response: ServerResponse) =>
  void response.writeHead(200, { etag, "content-length": SIZE }).end(body);

test("are the new ones for the first who asks each worker after they changed", async () => {
  await using other = await site.openWorker();
  const path = `${base}/changing.zip`;
  const range = { headers: { range: "bytes=0-2" } };
  web.answer = short('"1"', "one");
  for (const worker of [site, other]) expect((await worker.get(path, range)).body.toString()).toBe("one");
  web.answer = short('"2"', "two");
  for (const worker of [site, other]) {
    const { status, headers, body } = await worker.get(path, range);
    expect([status, headers.get("etag"), body.toString()]).toEqual([206, '"2"', "two"]);
  }
});

test("are an error while every answer is of another version", async () => {
  let version = 0;
  web.answer = (request, response) => short(`"${++version}"`, "abc")(request, response);
  const range = { headers: { range: "bytes=0-2" } };
  expect(outcomeOf(await site.get(`${base}/restless.zip`, range))).toBe("502 OriginFailed");
});

test.each([true, false])("are passed on whole (without a length: %s)", async (chunked) => {
  web.answer = large(chunked, true);
  const { status, body } = await site.get(`${base}/whole-${String(chunked)}.zip`);
  expect([status, body.length]).toEqual([200, SIZE]);
  const wrong = [0, 1, 1_000_003, SIZE - 1].filter((at) => body[at] !== byteAt(at));
  expect(wrong).toEqual([]);
});

test.each<[string, WebServer["answer"], string]>([
  ["refuses", (_, response) => void response.writeHead(403).end(), "403 OriginDenied"],
  ["fails", (_, response) => void response.writeHead(503).end(), "502 OriginFailed"],
  ["is silent", () => undefined, "504 OriginTimeout"],
  ["hangs up", (request) => void request.socket.destroy(), "502 OriginFailed"],
  ["has them no more", (_, response) => void response.writeHead(404).end(), "404 NotFound"],
])("say what is wrong with an origin that %s before their first byte", async (how, failing, error) => {
  const path = `${base}/${encodeURIComponent(how)}.zip`;
  web.answer = large(false, true);
  await site.get(path, { method: "HEAD" });
  web.answer = failing;
  expect(outcomeOf(await site.get(path, { headers: { range: "bytes=0-9" } }))).toBe(error);
});

test("come whole, however slowly, when their origin is edited meanwhile", async () => {
  const name = "edited";
  const allowHosts = ["127.0.0.1"];
  await createOrigin(site.store, { name, type: "web", baseUrl: web.url, allowHosts, timeout: 100 });
  await createEndpoint(site.store, { name, origins: [name] });
  const path = "/root/edited/a.zip";
  web.answer = large(false, true);
  await site.get(path, { method: "HEAD" });
  // It takes only as much as fits into sockets.
  const reader = await fetch(site.url + path);
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  try {
    await updateOrigin(site.store, { name }, { canonicalBase: "https://example.com/" });
    const edited = await fetch(site.url + path, { method: "HEAD" });
    expect(edited.headers.get("link")).toContain("https://example.com/");
    await vi.advanceTimersByTimeAsync(61_000);
  } finally {
    vi.useRealTimers();
  }
  expect((await reader.arrayBuffer()).byteLength).toBe(SIZE);
});

test("leave room to others, however many read them and however slowly", async () => {
  await createOrigin(site.store, {
    name: "held",
    type: "web",
    baseUrl: web.url,
    allowHosts: ["127.0.0.1"],
  });
  await createEndpoint(site.store, { name: "held", origins: ["held"] });
  const path = "small.txt";
  web.answer = (request, response) => {
    if (request.url === `/${path}`) {
      response.end("small");
      return;
    }
    // Without an end.
    response.writeHead(200, { etag: '"held"', "content-length": SIZE });
    response.write("x");
    const more = setInterval(() => response.write("x"), 100);
    response.on("close", () => clearInterval(more));
  };
  const leave = new AbortController();
  const { signal } = leave;
  await site.get("/root/held/film.zip", { method: "HEAD" });
  // Kept: the client closes the connections of answers that nobody holds any more.
  const readers = await Promise.all(
    Array.from({ length: 300 }, () => fetch(`${site.url}/root/held/film.zip`, { signal })),
  );
  expect(new Set(readers.map(({ status, headers }) => `${status} ${headers.get("retry-after")}`))).toEqual(
    new Set(["200 null", "503 1"]),
  );
  expect(outcomeOf(await site.get(`/root/held/${path}`))).toBe("200 -");
  expect(readers).toHaveLength(300);
  leave.abort();
  await vi.waitFor(async () => {
    const again = await fetch(`${site.url}/root/held/film.zip`);
    await again.body?.cancel();
    expect(again.status).toBe(200);
  }, 20_000);
});

test("and are no pictures", async () => {
  web.answer = large(false, true);
  expect(outcomeOf(await site.get(`${base}/tr:w-10/large.png`))).toBe("413 SourceTooLarge");
});
