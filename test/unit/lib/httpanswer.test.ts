import { afterEach, describe, expect, test } from "vitest";
import type { HttpResponse, ListenerOptions } from "../../../src/lib/http.ts";
import { Client, eventually, exchange, parseAnswers, sleep, startTrial, type Trial } from "./wire.ts";

let trial: Trial | undefined;
afterEach(async () => {
  await trial?.close();
  trial = undefined;
});
const start = async (response: () => HttpResponse, options: Partial<ListenerOptions> = {}): Promise<Trial> =>
  (trial = await startTrial({ handle: async () => response(), ...options }));

const GET = "GET / HTTP/1.1\r\nHost: h\r\n\r\n";
const HEAD = "HEAD / HTTP/1.1\r\nHost: h\r\n\r\n";
const latin1 = (text: string) => Buffer.from(text, "utf8").toString("latin1");

function isIncomplete(text: string): boolean {
  try {
    parseAnswers(text);
    return false;
  } catch {
    return true;
  }
}

/** Chunks, then perhaps an error; `closed` is set when the consumer is done with it. */
class Source implements AsyncIterable<Buffer> {
  closed = false;
  pulled = 0;
  readonly #chunks: (Buffer | string)[];
  readonly #error: Error | undefined;
  constructor(chunks: (Buffer | string)[], error?: Error) {
    this.#chunks = chunks;
    this.#error = error;
  }
  async *[Symbol.asyncIterator](): AsyncGenerator<Buffer> {
    try {
      for (const chunk of this.#chunks) {
        this.pulled++;
        yield Buffer.from(chunk);
      }
      await Promise.resolve();
      if (this.#error !== undefined) throw this.#error;
    } finally {
      this.closed = true;
    }
  }
}

async function* slow(): AsyncGenerator<Buffer> {
  yield Buffer.from("a");
  await sleep(350);
  yield Buffer.from("b");
}

describe("whole answers", () => {
  const text = "grün €";
  const cases: [
    name: string,
    response: HttpResponse,
    expected: { status: number; body: string; length?: string },
  ][] = [
    ["a string", { status: 200, headers: [], body: "abc" }, { status: 200, body: "abc", length: "3" }],
    [
      "text beyond ASCII",
      { status: 200, headers: [], body: text },
      { status: 200, body: latin1(text), length: "9" },
    ],
    [
      "a buffer",
      { status: 404, headers: [], body: Buffer.from([0xff, 0]) },
      { status: 404, body: "\xff\0", length: "2" },
    ],
    ["nothing", { status: 200, headers: [] }, { status: 200, body: "", length: "0" }],
    ["an empty string", { status: 200, headers: [], body: "" }, { status: 200, body: "", length: "0" }],
    [
      "an empty buffer",
      { status: 200, headers: [], body: Buffer.alloc(0) },
      { status: 200, body: "", length: "0" },
    ],
    [
      "a length given",
      { status: 200, headers: ["content-length", "3"], body: "abc" },
      { status: 200, body: "abc", length: "3" },
    ],
    ["204", { status: 204, headers: ["Content-Length", "0"] }, { status: 204, body: "" }],
    ["204 with a body", { status: 204, headers: [], body: "abc" }, { status: 204, body: "" }],
    [
      "304 with a body",
      { status: 304, headers: ["ETag", '"x"'], body: "abc" },
      { status: 304, body: "", length: "3" },
    ],
  ];
  test.each(cases)("%s", async (_name, response, { status, body, length }) => {
    const { port } = await start(() => response);
    const answers = await exchange(port, GET + GET);
    expect(answers).toMatchObject([
      { status, body },
      { status, body },
    ]);
    expect(answers[0]!.headers["content-length"]).toBe(length);
    expect(answers[0]!.headers["transfer-encoding"]).toBeUndefined();
  });

  const heads: [name: string, response: HttpResponse, length: string | undefined][] = [
    ["a string", { status: 200, headers: [], body: "abc" }, "3"],
    ["a length alone", { status: 200, headers: ["Content-Length", "1234"] }, "1234"],
    ["nothing", { status: 404, headers: [] }, undefined],
    ["a stream", { status: 200, headers: ["Content-Length", "3"], body: new Source(["abc"]) }, "3"],
  ];
  test.each(heads)("HEAD: %s", async (_name, response, length) => {
    const { port, records } = await start(() => response);
    const answers = await exchange(port, HEAD + HEAD, ["HEAD", "HEAD"]);
    expect(answers.map(({ headers }) => headers["content-length"])).toEqual([length, length]);
    await eventually(() => records.length === 2);
    expect(records[0]!.bytesSent).toBe(0);
  });

  test("headers can't split the answer, and go out as UTF-8 beside any body", async () => {
    const bodies = ["abc", text, Buffer.from("abc")];
    const headers = [
      "X-A",
      "a\r\nX-Evil: 1\0",
      "Content-Disposition",
      `attachment; filename="${text}"`,
      "x-amz-meta-n",
      text,
    ];
    let next = 0;
    const { port } = await start(() => ({
      status: 200,
      headers: ["Content-Length", "", ...headers].slice(2),
      body: bodies[next++]!,
    }));
    for (const answer of await exchange(port, GET.repeat(bodies.length))) {
      expect(answer.headers["x-a"]).toBe("aX-Evil: 1");
      expect(answer.headers["x-evil"]).toBeUndefined();
      expect(answer.headers["content-disposition"]).toBe(latin1(`attachment; filename="${text}"`));
      expect(answer.headers["x-amz-meta-n"]).toBe(latin1(text));
    }
    expect(next).toBe(3);
  });

  test("a length before a disposition does no harm", async () => {
    const { port } = await start(() => ({
      status: 200,
      headers: ["Content-Length", "3", "Content-Disposition", text],
      body: new Source(["abc"]),
    }));
    const [answer] = await exchange(port, GET);
    expect(answer!.headers).toMatchObject({ "content-disposition": latin1(text), "content-length": "3" });
  });

  test("Date and Server are added; a Server given stays", async () => {
    let next = 0;
    const { port } = await start(() => ({
      status: 200,
      headers: next++ === 0 ? [] : ["server", "AmazonS3"],
    }));
    const [own, given] = await exchange(port, GET + GET);
    expect(own!.headers).toMatchObject({
      server: "Windlass",
      date: expect.stringMatching(/ GMT$/) as string,
    });
    expect(given!.headers["server"]).toBe("AmazonS3");
  });

  test("the handler's list of headers is left as it was", async () => {
    const headers = ["X-A", "b"];
    const { port } = await start(() => ({ status: 200, headers, body: "abc" }));
    await exchange(port, GET + GET);
    expect(headers).toEqual(["X-A", "b"]);
  });

  test("a client that takes nothing of a large one is cut", async () => {
    const body = Buffer.alloc(32 << 20);
    const { port, counts, records } = await start(() => ({ status: 200, headers: [], body }), {
      limits: { sendIdleMs: 100 },
    });
    const client = new Client(port);
    client.socket.pause();
    client.send(GET);
    await eventually(() => records.length === 1);
    expect(records[0]).toMatchObject({ status: 200, aborted: true });
    await eventually(() => counts().connections === 0);
    client.socket.destroy();
  });
});

describe("streams", () => {
  test.each([
    ["with a known length", ["Content-Length", "6"], { "content-length": "6" }],
    ["of unknown length", [], { "transfer-encoding": "chunked" }],
  ])("%s", async (_name, headers, expected) => {
    const sources: Source[] = [];
    const { port, records } = await start(() => {
      const body = new Source(["abc", "", "def"]);
      sources.push(body);
      return { status: 206, headers, body };
    });
    const answers = await exchange(port, GET + GET);
    expect(answers).toMatchObject([
      { status: 206, body: "abcdef", headers: expected },
      { status: 206, body: "abcdef", headers: expected },
    ]);
    await eventually(() => records.length === 2);
    expect(records[0]).toMatchObject({ bytesSent: 6, aborted: false });
    expect(sources.every(({ closed }) => closed)).toBe(true);
  });

  test("HTTP/1.0 gets unknown lengths until the end of the connection, even if it asks for chunks", async () => {
    const { port } = await start(() => ({ status: 200, headers: [], body: new Source(["abc", "def"]) }));
    const text = await new Client(port)
      .send("GET / HTTP/1.0\r\nTE: chunked\r\nConnection: keep-alive\r\n\r\n")
      .untilEnd();
    const [answer] = parseAnswers(text);
    expect(answer).toMatchObject({ status: 200, body: "abcdef", headers: { connection: "close" } });
    expect(answer!.headers["transfer-encoding"]).toBeUndefined();
  });

  const broken: [name: string, request: string, headers: string[], source: () => Source][] = [
    ["fewer bytes than announced", GET, ["Content-Length", "10"], () => new Source(["abc"])],
    ["an error in mid-stream", GET, ["Content-Length", "10"], () => new Source(["abc"], new Error("disk"))],
    ["an error in mid-stream of unknown length", GET, [], () => new Source(["abc"], new Error("disk"))],
    [
      "an error in mid-stream to HTTP/1.0",
      "GET / HTTP/1.0\r\n\r\n",
      [],
      () => new Source(["abc"], new Error("disk")),
    ],
    ["more bytes than announced", GET, ["Content-Length", "5"], () => new Source(["abc", "def"])],
  ];
  test.each(broken)("%s never look like a complete answer", async (_name, request, headers, create) => {
    const source = create();
    const { port, logged, records } = await start(() => ({ status: 200, headers, body: source }));
    const client = new Client(port).send(request);
    const text = await client.untilEnd();
    // Until the end of the connection: only the way it ends can tell.
    const noticed = request === GET ? isIncomplete(text) : await client.wasReset();
    expect(noticed).toBe(true);
    client.socket.destroy();
    await eventually(() => records.length === 1);
    expect(records[0]).toMatchObject({ status: 200, aborted: true });
    expect(logged).toMatchObject([{ level: "error", msg: "answer cut off" }]);
    expect(source.closed).toBe(true);
  });

  test("are pulled no faster than the client reads", async () => {
    const chunk = Buffer.alloc(1 << 20);
    const source = new Source(Array.from({ length: 64 }, () => chunk));
    const { port } = await start(() => ({
      status: 200,
      headers: ["Content-Length", String(64 << 20)],
      body: source,
    }));
    const client = new Client(port);
    client.socket.pause();
    client.send(GET);
    await eventually(() => source.pulled > 0);
    let before = 0;
    while (before !== source.pulled) {
      before = source.pulled;
      await sleep(100);
    }
    expect(source.pulled).toBeLessThan(32);
    let received = 0;
    client.socket.removeAllListeners("data").on("data", (text: string) => {
      received += text.length;
    });
    client.socket.resume();
    await eventually(() => received > 64 << 20);
    expect(source.pulled).toBe(64);
    client.socket.destroy();
  });

  test("a chunk is out before the next is asked for", async () => {
    const shared = Buffer.alloc(100_000);
    async function* reuse(): AsyncGenerator<Buffer> {
      for (let n = 0; n < 50; n++) {
        await Promise.resolve();
        yield shared.fill(65 + (n % 26));
      }
    }
    const { port } = await start(() => ({
      status: 200,
      headers: ["Content-Length", "5000000"],
      body: reuse(),
    }));
    const [answer] = await exchange(port, GET);
    const expected = Array.from({ length: 50 }, (_, n) =>
      String.fromCharCode(65 + (n % 26)).repeat(100_000),
    ).join("");
    expect(answer!.body === expected).toBe(true);
  });

  test("a client that takes nothing is cut, and the source closed", async () => {
    const source = new Source(Array.from({ length: 64 }, () => Buffer.alloc(1 << 20)));
    const { port, records } = await start(() => ({ status: 200, headers: [], body: source }), {
      limits: { sendIdleMs: 100 },
    });
    const client = new Client(port);
    client.socket.pause();
    client.send(GET);
    await eventually(() => records.length === 1);
    expect(records[0]).toMatchObject({ status: 200, aborted: true });
    expect(source.closed).toBe(true);
    client.socket.destroy();
  });

  test("a source that takes its time is waited for", async () => {
    const { port } = await start(() => ({ status: 200, headers: [], body: slow() }), {
      limits: { sendIdleMs: 100 },
    });
    expect(await exchange(port, GET)).toMatchObject([{ status: 200, body: "ab" }]);
  });

  test("the client leaves: the source is closed, though it never gives again", async () => {
    const source = new Source(Array.from({ length: 64 }, () => Buffer.alloc(1 << 20)));
    const { port, records, logged } = await start(() => ({ status: 200, headers: [], body: source }));
    const client = new Client(port).send(GET);
    await client.until(/^HTTP/);
    client.socket.pause();
    client.socket.resetAndDestroy();
    await eventually(() => records.length === 1);
    expect(records[0]!.aborted).toBe(true);
    expect(source.closed).toBe(true);
    expect(logged.filter(({ level }) => level === "error")).toEqual([]);
  });

  test.each([
    ["HEAD", HEAD, 200],
    ["204", GET, 204],
    ["304", GET, 304],
  ])("%s: the source is closed unread", async (_name, request, status) => {
    let returned = false;
    const body: AsyncIterable<Buffer> = {
      [Symbol.asyncIterator]: () => ({
        next: () => Promise.reject(new Error("read")),
        return: () => {
          returned = true;
          return Promise.resolve({ value: undefined, done: true });
        },
      }),
    };
    const { port } = await start(() => ({ status, headers: [], body }));
    expect(await exchange(port, request, ["HEAD"])).toMatchObject([{ status, body: "" }]);
    expect(returned).toBe(true);
  });
});
