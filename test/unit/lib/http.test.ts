import { afterEach, describe, expect, test } from "vitest";
import { collect } from "../../../src/lib/chunks.ts";
import type { HttpRequest, HttpResponse, ListenerOptions } from "../../../src/lib/http.ts";
import { Client, eventually, exchange, Gate, parseAnswers, sleep, startTrial, type Trial } from "./wire.ts";

let trial: Trial | undefined;
afterEach(async () => {
  await trial?.close();
  trial = undefined;
});
const start = async (options: Partial<ListenerOptions> = {}): Promise<Trial> =>
  (trial = await startTrial(options));

/** A handler that remembers what it was given, and reads the body. */
function recorder() {
  const seen: { request: HttpRequest; body: string }[] = [];
  const handle = async (request: HttpRequest): Promise<HttpResponse> => {
    const body = (await collect(request.body())).toString("latin1");
    seen.push({ request, body });
    return { status: 200, headers: [], body };
  };
  return { seen, handle };
}

const HEAD = "Host: h\r\n";
const get = (path: string) => `GET ${path} HTTP/1.1\r\n${HEAD}\r\n`;

/** Reads the body and says something for the access log. */
async function create(request: HttpRequest): Promise<HttpResponse> {
  await collect(request.body());
  return { status: 201, headers: [], body: "created", log: { operation: "Put" } };
}

describe("what a handler sees", () => {
  const cases: [name: string, bytes: string, expected: Partial<HttpRequest>][] = [
    [
      "an un-normalised path",
      `GET /b/a/../c//d%2F?x=1&y HTTP/1.1\r\n${HEAD}\r\n`,
      { path: "/b/a/../c//d%2F", rawQuery: "x=1&y" },
    ],
    [
      "the absolute form stripped, its host in place of Host",
      `GET http://other:81/b/k?q HTTP/1.1\r\n${HEAD}\r\n`,
      { path: "/b/k", rawQuery: "q", headers: { host: "other:81" } },
    ],
    [
      "the absolute form without the name of its user",
      `GET http://me:secret@other/b HTTP/1.1\r\n${HEAD}\r\n`,
      { path: "/b", headers: { host: "other" } },
    ],
    [
      "Host as it was sent where the absolute form says the same",
      `GET http://H:80/b HTTP/1.1\r\n${HEAD}\r\n`,
      { path: "/b", headers: { host: "h" } },
    ],
    [
      "the absolute form without path",
      `GET http://other?q HTTP/1.1\r\n${HEAD}\r\n`,
      { path: "/", rawQuery: "q", headers: { host: "other" } },
    ],
    [
      "a second question mark in the query",
      `GET /b?a=?b HTTP/1.1\r\n${HEAD}\r\n`,
      { path: "/b", rawQuery: "a=?b" },
    ],
    ["HTTP/1.0 without Host", "GET /b HTTP/1.0\r\n\r\n", { httpVersion: "1.0", path: "/b" }],
    [
      "the content length",
      `PUT /b HTTP/1.1\r\n${HEAD}Content-Length: 3\r\n\r\nabc`,
      { contentLength: 3, method: "PUT" },
    ],
    [
      "no content length with chunks",
      `PUT /b HTTP/1.1\r\n${HEAD}Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n`,
      { contentLength: undefined },
    ],
    ["the peer", get("/"), { remoteAddress: "127.0.0.1", secure: false }],
  ];
  test.each(cases)("%s", async (_name, bytes, expected) => {
    const { seen, handle } = recorder();
    const { port } = await start({ handle });
    expect((await exchange(port, bytes))[0]?.status).toBe(200);
    expect(seen[0]?.request).toMatchObject(expected);
  });

  test("headers: lower case, repeated ones joined, UTF-8 decoded, no prototype; raw ones as they came", async () => {
    const { seen, handle } = recorder();
    const { port } = await start({ handle });
    const name = Buffer.from("grün", "utf8").toString("latin1");
    const head = `GET / HTTP/1.1\r\nHost: h\r\nX-Amz-Meta-A: 1\r\nx-amz-meta-a:2 \r\nX-B: ${name}\r\n__proto__: p\r\n\r\n`;
    await exchange(port, head);
    const { headers, rawHeaders } = seen[0]!.request;
    expect(headers["x-amz-meta-a"]).toBe("1,2");
    expect(headers["x-b"]).toBe("grün");
    expect(Object.keys(headers)).toContain("__proto__");
    expect(headers["constructor"]).toBeUndefined();
    expect(rawHeaders.slice(0, 8)).toEqual([
      "Host",
      "h",
      "X-Amz-Meta-A",
      "1",
      "x-amz-meta-a",
      "2",
      "X-B",
      name,
    ]);
  });

  test("request ids are 16 upper-case hex digits, all different; the host id has 64 base64 characters", async () => {
    const { seen, handle } = recorder();
    const { port } = await start({ handle });
    await exchange(port, get("/").repeat(50));
    const ids = seen.map(({ request }) => request.id);
    expect(ids.every((id) => /^[0-9A-F]{16}$/.test(id))).toBe(true);
    expect(new Set(ids).size).toBe(50);
    expect(seen[0]!.request.hostId).toMatch(/^[A-Za-z0-9+/]{64}$/);
    expect(seen[49]!.request.hostId).toBe(seen[0]!.request.hostId);
  });
});

describe("what is refused", () => {
  const long = "a".repeat(8200);
  const put = `PUT /b HTTP/1.1\r\n${HEAD}`;
  const cases: [name: string, bytes: string, failure: string][] = [
    ["no Host", "GET /b HTTP/1.1\r\n\r\n", "BadRequest"],
    ["two Hosts", "GET /b HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "BadRequest"],
    ["a long target", `GET /${long} HTTP/1.1\r\n${HEAD}\r\n`, "TargetTooLong"],
    ["a long query", `GET /?${long} HTTP/1.1\r\n${HEAD}\r\n`, "TargetTooLong"],
    ["a long header", `GET / HTTP/1.1\r\n${HEAD}X: ${long}\r\n\r\n`, "HeadersTooLarge"],
    [
      "long headers together",
      `GET / HTTP/1.1\r\n${HEAD}${"X-Long-Name: value\r\n".repeat(450)}\r\n`,
      "HeadersTooLarge",
    ],
    ["501 headers", `GET / HTTP/1.1\r\n${"a:\r\n".repeat(500)}${HEAD}\r\n`, "HeadersTooLarge"],
    ["10,000 headers", `GET / HTTP/1.1\r\n${HEAD}${"X-A: b\r\n".repeat(10_000)}\r\n`, "HeadersTooLarge"],
    ["a head of 1 MB", `GET /?${"a".repeat(1 << 20)} HTTP/1.1\r\n${HEAD}\r\n`, "HeadersTooLarge"],
    ["another expectation", `GET / HTTP/1.1\r\n${HEAD}Expect: 200-ok\r\n\r\n`, "ExpectationFailed"],
    ["no HTTP at all", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(20), "BadRequest"],
    ["an absolute form without host", `GET http:///b HTTP/1.1\r\n${HEAD}\r\n`, "BadRequest"],
    ["an absolute form and no Host", "GET http://other/b HTTP/1.1\r\n\r\n", "BadRequest"],
    ["an absolute form of two hosts", `GET http://a@b@c/ HTTP/1.1\r\n${HEAD}\r\n`, "BadRequest"],
    ["an asterisk", `OPTIONS * HTTP/1.1\r\n${HEAD}\r\n`, "BadRequest"],
    ["CONNECT", `CONNECT example.com:80 HTTP/1.1\r\n${HEAD}\r\n`, "BadRequest"],
    ["a control byte in a header", `GET / HTTP/1.1\r\n${HEAD}X: a\0b\r\n\r\n`, "BadRequest"],
    ["a blank before the colon", `GET / HTTP/1.1\r\n${HEAD}X : a\r\n\r\n`, "BadRequest"],
    ["a folded header", `GET / HTTP/1.1\r\n${HEAD}X: a\r\n b\r\n\r\n`, "BadRequest"],
    ["a head cut off", `GET / HTTP/1.1\r\n${HEAD}X: a`, "BadRequest"],
    ["two lengths", `${put}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd`, "BadRequest"],
    ["equal lengths twice", `${put}Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc`, "BadRequest"],
    ["a negative length", `${put}Content-Length: -3\r\n\r\n`, "BadRequest"],
    ["a length with sign", `${put}Content-Length: +3\r\n\r\nabc`, "BadRequest"],
    ["a list of lengths", `${put}Content-Length: 3, 3\r\n\r\nabc`, "BadRequest"],
    ["a length beyond 64 bits", `${put}Content-Length: 99999999999999999999\r\n\r\n`, "BadRequest"],
    [
      "length and chunks",
      `${put}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      "BadRequest",
    ],
    [
      "chunks and length",
      `${put}Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n`,
      "BadRequest",
    ],
    ["another coding", `${put}Transfer-Encoding: gzip\r\n\r\n`, "BadRequest"],
    ["a coding before chunks", `${put}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`, "BadRequest"],
    [
      "chunks twice",
      `${put}Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
      "BadRequest",
    ],
    ["chunks in HTTP/1.0", "PUT /b HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "BadRequest"],
  ];
  test.each(cases)("%s", async (_name, bytes, failure) => {
    const { seen, handle } = recorder();
    const { port, records } = await start({ handle });
    const [answer] = await exchange(port, bytes);
    expect(answer).toMatchObject({ status: 400, body: failure });
    expect(answer!.headers["x-amz-request-id"]).toMatch(/^[0-9A-F]{16}$/);
    expect(answer!.headers).toMatchObject({
      server: "Windlass",
      date: expect.stringMatching(/GMT$/) as string,
    });
    expect(seen).toEqual([]);
    await eventually(() => records.length > 0);
    expect(records[0]).toMatchObject({ status: 400, bytesSent: failure.length });
    // And the next one is served.
    expect((await exchange(port, get("/")))[0]?.status).toBe(200);
  });

  test("broken bytes after a request are answered after it", async () => {
    const { port } = await start();
    const answers = await exchange(port, `GET / HTTP/1.1\r\n${HEAD}\r\nnonsense\r\n\r\n`);
    expect(answers.map(({ status, body }) => [status, body])).toEqual([
      [200, "ok"],
      [400, "BadRequest"],
    ]);
  });

  test("a request hidden in a refused one is not served", async () => {
    const { seen, handle } = recorder();
    const { port } = await start({ handle });
    const hidden = `GET /hidden HTTP/1.1\r\n${HEAD}\r\n`;
    const bytes = `${put}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${hidden}`;
    expect(await exchange(port, bytes)).toHaveLength(1);
    const gzip = `${put}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n${hidden}`;
    expect(await exchange(port, gzip)).toHaveLength(1);
    expect(seen.map(({ request }) => request.path)).not.toContain("/hidden");
  });

  test("a connection that never speaks is closed without a word", async () => {
    const { port } = await start({ limits: { headTimeoutMs: 100 } });
    expect(await new Client(port).untilEnd()).toBe("");
  });

  test("a head that does not end in time", async () => {
    const { port } = await start({ limits: { headTimeoutMs: 100 } });
    const client = new Client(port).send("GET / HTTP/1.1\r\nHost:");
    expect(parseAnswers(await client.untilEnd())).toMatchObject([{ status: 400, body: "RequestTimeout" }]);
  });

  test("lower limits can be set", async () => {
    const { port } = await start({ limits: { maxTargetBytes: 10, maxHeaderBytes: 20, maxHeaders: 2 } });
    const [target] = await exchange(port, `GET /0123456789 HTTP/1.1\r\n${HEAD}\r\n`);
    const [header] = await exchange(port, `GET / HTTP/1.1\r\n${HEAD}A: 0123456\r\n\r\n`);
    const [count] = await exchange(port, `GET / HTTP/1.1\r\n${HEAD}A:\r\nB:\r\n\r\n`);
    expect([target?.body, header?.body, count?.body]).toEqual([
      "TargetTooLong",
      "HeadersTooLarge",
      "HeadersTooLarge",
    ]);
  });

  test("requests beyond the number that may be in work", async () => {
    const gate = new Gate();
    const handle = async (): Promise<HttpResponse> => {
      await gate.opened;
      return { status: 200, headers: [] };
    };
    const { port, counts } = await start({ handle, limits: { maxRequests: 2 } });
    const first = exchange(port, get("/"));
    const second = exchange(port, get("/"));
    await eventually(() => counts().requests === 2);
    expect(await exchange(port, get("/"))).toMatchObject([{ status: 503, body: "Overloaded" }]);
    gate.open();
    expect([(await first)[0]?.status, (await second)[0]?.status]).toEqual([200, 200]);
    await eventually(() => counts().requests === 0);
    expect((await exchange(port, get("/")))[0]?.status).toBe(200);
  });

  test("connections beyond the number that may be open", async () => {
    const { port, counts } = await start({ limits: { maxConnections: 1 } });
    const first = new Client(port).send(get("/"));
    await first.until(/ok$/);
    const [answer] = await exchange(port, get("/"));
    expect(answer).toMatchObject({ status: 503, body: "Overloaded", headers: { connection: "close" } });
    first.socket.destroy();
    await eventually(() => counts().connections === 0);
    expect((await exchange(port, get("/")))[0]?.status).toBe(200);
  });
});

describe("errors of handlers", () => {
  const failing: [name: string, handle: ListenerOptions["handle"]][] = [
    ["a rejection", () => Promise.reject(new Error("boom"))],
    [
      "a throw",
      () => {
        throw new Error("boom");
      },
    ],
    ["an impossible status", () => Promise.resolve({ status: 7, headers: [] })],
    ["an impossible header name", () => Promise.resolve({ status: 200, headers: ["a b", "c"] })],
    [
      "a wrong length",
      () => Promise.resolve({ status: 200, headers: ["Content-Length", "3"], body: "four" }),
    ],
    [
      "a length that is none",
      () => Promise.resolve({ status: 200, headers: ["Content-Length", "x"], body: "x" }),
    ],
    [
      "a stream that fails before its first chunk",
      () => Promise.resolve({ status: 200, headers: [], body: failingSource() }),
    ],
  ];
  async function* failingSource(): AsyncGenerator<Buffer> {
    await Promise.resolve();
    if (failing.length > 0) throw new Error("boom");
    yield Buffer.alloc(1);
  }
  test.each(failing)("%s: logged and answered", async (_name, handle) => {
    const { port, logged, records } = await start({ handle });
    expect(await exchange(port, get("/x"))).toMatchObject([{ status: 500, body: "InternalError" }]);
    expect(logged).toMatchObject([{ level: "error", requestId: expect.any(String) as string }]);
    await eventually(() => records.length === 1);
    expect(records[0]).toMatchObject({ status: 500, path: "/x", aborted: false });
  });

  test("should onFailure fail too, a bare 500 is left", async () => {
    const { port } = await start({
      handle: () => Promise.reject(new Error("boom")),
      onFailure: () => {
        throw new Error("bang");
      },
    });
    expect(await exchange(port, get("/"))).toMatchObject([{ status: 500, body: "" }]);
    expect(await exchange(port, "nonsense\r\n\r\n")).toMatchObject([{ status: 500, body: "" }]);
  });
});

describe("connections", () => {
  test("stay open, and pipelined requests are worked on one after the other", async () => {
    const order: string[] = [];
    const handle = async (request: HttpRequest): Promise<HttpResponse> => {
      order.push(`+${request.path}`);
      await sleep(5);
      order.push(`-${request.path}`);
      return { status: 200, headers: [], body: request.path };
    };
    const { port } = await start({ handle });
    const client = new Client(port).send(get("/1") + get("/2") + get("/3"));
    await client.until(/\/3$/);
    client.send(get("/4"));
    const answers = parseAnswers(await client.until(/\/4$/));
    expect(answers.map(({ body }) => body)).toEqual(["/1", "/2", "/3", "/4"]);
    expect(order).toEqual(["+/1", "-/1", "+/2", "-/2", "+/3", "-/3", "+/4", "-/4"]);
    expect(answers[0]!.headers).toMatchObject({ connection: "keep-alive", "keep-alive": "timeout=75" });
    client.socket.destroy();
  });

  test("more pipelined requests than bearable end the connection after those that fit", async () => {
    const { port } = await start();
    const client = new Client(port).send(get("/").repeat(500));
    const answers = parseAnswers(await client.untilEnd());
    expect(answers.length).toBeGreaterThan(0);
    expect(answers.length).toBeLessThan(500);
    expect(answers.every(({ status }) => status === 200)).toBe(true);
  });

  test.each([
    ["Connection: close", `GET / HTTP/1.1\r\n${HEAD}Connection: close\r\n\r\n`],
    ["HTTP/1.0", "GET / HTTP/1.0\r\n\r\n"],
  ])("are closed after %s", async (_name, bytes) => {
    const { port } = await start();
    const [answer, ...more] = parseAnswers(await new Client(port).send(bytes).untilEnd());
    expect(answer).toMatchObject({ status: 200, body: "ok", headers: { connection: "close" } });
    expect(more).toEqual([]);
  });

  test("HTTP/1.0 may keep alive", async () => {
    const { port } = await start();
    const old = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    const client = new Client(port).send(old);
    await client.until(/ok$/);
    client.send(old);
    expect(parseAnswers(await client.until(/ok[^]*ok$/))).toHaveLength(2);
    client.socket.destroy();
  });

  test("idle ones are closed after their time", async () => {
    const { port } = await start({ limits: { keepAliveMs: 100 } });
    const client = new Client(port).send(get("/"));
    expect(parseAnswers(await client.untilEnd())).toHaveLength(1);
  });
});

describe("finished requests", () => {
  test("are reported with everything an access log needs", async () => {
    const { port, records } = await start({ handle: create });
    const head = `PUT /b/k?x=y HTTP/1.1\r\n${HEAD}User-Agent: test/1\r\nReferer: http://r/\r\nContent-Length: 5\r\n\r\n`;
    await exchange(port, `${head}hello`);
    await eventually(() => records.length === 1);
    const [record] = records;
    expect(record).toMatchObject({
      method: "PUT",
      path: "/b/k",
      rawQuery: "x=y",
      httpVersion: "1.1",
      status: 201,
      bytesSent: 7,
      bytesReceived: 5,
      remoteAddress: "127.0.0.1",
      secure: false,
      userAgent: "test/1",
      referer: "http://r/",
      aborted: false,
      log: { operation: "Put" },
    });
    expect(record!.ttfbMs).toBeGreaterThan(0);
    expect(record!.durationMs).toBeGreaterThanOrEqual(record!.ttfbMs);
  });

  test("the client left before the answer: 499", async () => {
    const gate = new Gate();
    const { port, records, counts } = await start({
      handle: async () => {
        await gate.opened;
        return { status: 200, headers: [], body: "late" };
      },
    });
    const client = new Client(port).send(get("/"));
    await eventually(() => counts().requests === 1);
    client.socket.resetAndDestroy();
    await eventually(() => counts().connections === 0);
    expect(counts().requests).toBe(1);
    gate.open();
    await eventually(() => records.length === 1);
    expect(records[0]).toMatchObject({ status: 499, aborted: true, bytesSent: 0 });
    expect(counts().requests).toBe(0);
  });
});

describe("draining", () => {
  test("idle connections close at once, busy ones after their answer, and nobody new comes in", async () => {
    const gate = new Gate();
    const handle = async (request: HttpRequest): Promise<HttpResponse> => {
      if (request.path === "/busy") await gate.opened;
      return { status: 200, headers: [], body: "ok" };
    };
    const { port, counts, close } = await start({ handle });
    const idle = new Client(port).send(get("/"));
    await idle.until(/ok$/);
    const busy = new Client(port).send(get("/busy"));
    await eventually(() => counts().requests === 1);
    const closed = close(10_000);
    expect(parseAnswers(await idle.untilEnd())).toHaveLength(1);
    const late = new Client(port);
    await late.untilEnd();
    expect(late.ended).toBe("ECONNREFUSED");
    gate.open();
    expect(parseAnswers(await busy.untilEnd())).toMatchObject([
      { status: 200, headers: { connection: "close" } },
    ]);
    busy.socket.destroy();
    idle.socket.destroy();
    await closed;
    expect(counts()).toEqual({ connections: 0, requests: 0 });
  });

  test("an answer on its way is not cut", async () => {
    const body = Buffer.alloc(32 << 20, "x");
    const { port, close } = await start({
      handle: () => Promise.resolve({ status: 200, headers: [], body }),
    });
    const client = new Client(port);
    client.socket.pause();
    client.send(get("/"));
    await sleep(50);
    const closed = close(30_000);
    await sleep(50);
    client.socket.resume();
    const [answer] = parseAnswers(await client.untilEnd());
    expect(answer!.body.length).toBe(body.length);
    client.socket.destroy();
    await closed;
  });

  test("a connection that has not asked yet may still ask", async () => {
    const { port, counts, close } = await start();
    const client = new Client(port);
    await eventually(() => counts().connections === 1);
    const closed = close(10_000);
    client.send(get("/"));
    expect(parseAnswers(await client.untilEnd())).toMatchObject([
      { status: 200, headers: { connection: "close" } },
    ]);
    client.socket.destroy();
    await closed;
  });

  test("at the deadline all is cut", async () => {
    const { port, counts, close } = await start({ handle: () => new Promise(() => undefined) });
    const client = new Client(port).send(get("/"));
    await eventually(() => counts().requests === 1);
    await close(50);
    expect(await client.untilEnd()).toBe("");
    await eventually(() => counts().connections === 0);
  });

  test("a port in use is an error", async () => {
    const { port } = await start();
    await expect(startTrial({ port })).rejects.toMatchObject({ code: "EADDRINUSE" });
  });
});
