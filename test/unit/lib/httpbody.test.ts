import { afterEach, describe, expect, test } from "vitest";
import { collect } from "../../../src/lib/chunks.ts";
import {
  BodyError,
  type HttpRequest,
  type HttpResponse,
  type ListenerOptions,
} from "../../../src/lib/http.ts";
import { Client, eventually, exchange, Gate, parseAnswers, sleep, startTrial, type Trial } from "./wire.ts";

let trial: Trial | undefined;
afterEach(async () => {
  await trial?.close();
  trial = undefined;
});
const start = async (options: Partial<ListenerOptions> = {}): Promise<Trial> =>
  (trial = await startTrial(options));

/** Reads the body and answers with its length, or with the code of what went wrong. */
async function measure(request: HttpRequest): Promise<HttpResponse> {
  try {
    return { status: 200, headers: [], body: String((await collect(request.body())).length) };
  } catch (error) {
    if (!(error instanceof BodyError)) throw error;
    return { status: 400, headers: [], body: error.code };
  }
}
const refuse = (): Promise<HttpResponse> => Promise.resolve({ status: 403, headers: [], body: "no" });

async function leave(request: HttpRequest): Promise<HttpResponse> {
  for await (const _ of request.body()) break;
  return { status: 400, headers: [], body: "enough" };
}

async function readSlowly(request: HttpRequest): Promise<HttpResponse> {
  for await (const _ of request.body()) await sleep(300);
  return { status: 200, headers: [], body: "all" };
}

async function readOn(request: HttpRequest): Promise<HttpResponse> {
  await collect(request.body());
  return { status: 200, headers: [] };
}

async function readTwice(request: HttpRequest): Promise<HttpResponse> {
  await collect(request.body());
  try {
    request.body();
  } catch (error) {
    return { status: 200, headers: [], body: (error as Error).message };
  }
  return { status: 200, headers: [], body: "again" };
}

const put = (headers: string) => `PUT /b/k HTTP/1.1\r\nHost: h\r\n${headers}\r\n\r\n`;

describe("a body arrives", () => {
  const cases: [name: string, bytes: string, length: number][] = [
    ["by length", `${put("Content-Length: 5")}hello`, 5],
    [
      "in chunks",
      `${put("Transfer-Encoding: chunked")}5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: t\r\n\r\n`,
      11,
    ],
    ["empty by length", put("Content-Length: 0"), 0],
    ["empty without length", put("X: y"), 0],
    ["empty in chunks", `${put("Transfer-Encoding: chunked")}0\r\n\r\n`, 0],
  ];
  test.each(cases)("%s", async (_name, bytes, length) => {
    const { port } = await start({ handle: measure });
    const answers = await exchange(port, bytes + bytes);
    expect(answers.map(({ status, body }) => [status, body])).toEqual([
      [200, String(length)],
      [200, String(length)],
    ]);
  });

  test("in the order and with the bytes it was sent", async () => {
    const sent = Buffer.alloc(3_000_000, "0123456789abcdefg");
    let got: Buffer = Buffer.alloc(0);
    const handle = async (request: HttpRequest): Promise<HttpResponse> => {
      got = await collect(request.body());
      return { status: 200, headers: [] };
    };
    const { port } = await start({ handle });
    await exchange(port, Buffer.concat([Buffer.from(put(`Content-Length: ${sent.length}`)), sent]));
    expect(got.equals(sent)).toBe(true);
  });

  test("no faster than it is read", async () => {
    const gate = new Gate();
    const handle = async (request: HttpRequest): Promise<HttpResponse> => {
      let length = 0;
      for await (const chunk of request.body()) {
        await gate.opened;
        length += chunk.length;
      }
      return { status: 200, headers: [], body: String(length) };
    };
    const { port } = await start({ handle });
    const size = 64 * 1024 * 1024;
    const client = new Client(port).send(put(`Content-Length: ${size}`));
    client.send(Buffer.alloc(size));
    // Once the kernel's buffers are full nothing moves any more.
    let before = -1;
    const pending = () => client.socket.writableLength;
    await eventually(() => pending() > 0);
    while (before !== client.socket.bytesWritten - pending()) {
      before = client.socket.bytesWritten - pending();
      await sleep(100);
    }
    expect(pending()).toBeGreaterThan(size / 2);
    gate.open();
    await client.until(new RegExp(`${size}$`));
    client.socket.destroy();
  });

  test("once only", async () => {
    const { port } = await start({ handle: readTwice });
    const [answer] = await exchange(port, `${put("Content-Length: 1")}x`);
    expect(answer!.body).toBe("the body can be read once only");
  });
});

describe("a body that does not arrive whole", () => {
  const cases: [name: string, bytes: string][] = [
    ["by length", `${put("Content-Length: 5")}hell`],
    ["before its first byte", put("Content-Length: 5")],
    ["in a chunk", `${put("Transfer-Encoding: chunked")}5\r\nhell`],
    ["between chunks", `${put("Transfer-Encoding: chunked")}5\r\nhello\r\n`],
    ["with a chunk size that is none", `${put("Transfer-Encoding: chunked")}5\r\nhello\r\nxyz\r\n`],
    ["with a negative chunk size", `${put("Transfer-Encoding: chunked")}-5\r\nhello\r\n0\r\n\r\n`],
    [
      "with a chunk size beyond 64 bits",
      `${put("Transfer-Encoding: chunked")}fffffffffffffffff\r\nhello\r\n`,
    ],
    ["with a chunk longer than its size", `${put("Transfer-Encoding: chunked")}3\r\nhello\r\n0\r\n\r\n`],
    [
      "with an endless chunk extension",
      `${put("Transfer-Encoding: chunked")}3;${"x".repeat(40_000)}\r\nabc\r\n0\r\n\r\n`,
    ],
  ];
  test.each(cases)("%s: IncompleteBody, and the connection ends", async (_name, bytes) => {
    const { port } = await start({ handle: measure });
    const answers = await exchange(port, bytes);
    expect(answers).toMatchObject([
      { status: 400, body: "IncompleteBody", headers: { connection: "close" } },
    ]);
  });

  test("because the client is gone: the reader is told", async () => {
    const errors: unknown[] = [];
    const handle = async (request: HttpRequest): Promise<HttpResponse> => {
      await collect(request.body()).catch((error: unknown) => errors.push(error));
      return { status: 200, headers: [] };
    };
    const { port, records, counts } = await start({ handle });
    const client = new Client(port).send(`${put("Content-Length: 5")}hell`);
    await eventually(() => counts().requests === 1);
    client.socket.resetAndDestroy();
    await eventually(() => records.length === 1);
    expect(errors).toMatchObject([{ name: "BodyError", code: "IncompleteBody" }]);
    expect(records[0]).toMatchObject({ status: 499, aborted: true, bytesReceived: 4 });
  });

  test("because the client fell silent: RequestTimeout, and the connection ends", async () => {
    const { port } = await start({ handle: measure, limits: { bodyIdleMs: 100 } });
    const client = new Client(port).send(`${put("Content-Length: 5")}hell`);
    expect(parseAnswers(await client.untilEnd())).toMatchObject([
      { status: 400, body: "RequestTimeout", headers: { connection: "close" } },
    ]);
  });

  test("a reader that takes its time is not the client's silence", async () => {
    const { port } = await start({ handle: readSlowly, limits: { bodyIdleMs: 100 } });
    expect(await exchange(port, `${put("Content-Length: 5")}hello`)).toMatchObject([
      { status: 200, body: "all" },
    ]);
  });
});

test("a handler that does not mind errors of the body leaves the answer to the loop", async () => {
  const { port, logged } = await start({ handle: readOn, limits: { bodyIdleMs: 100 } });
  const short = `${put("Content-Length: 5")}hell`;
  expect(await exchange(port, short)).toMatchObject([{ status: 400, body: "BadRequest" }]);
  const silent = await new Client(port).send(short).untilEnd();
  expect(parseAnswers(silent)).toMatchObject([{ status: 400, body: "RequestTimeout" }]);
  expect(logged.map(({ level }) => level)).toEqual(["debug", "debug"]);
});

describe("Expect", () => {
  const spellings = ["100-continue", "100-Continue", "Continue", "CONTINUE"];
  test.each(spellings)("%s: 100 comes when the body is asked for", async (value) => {
    const { port } = await start({ handle: measure });
    const client = new Client(port).send(put(`Content-Length: 5\r\nExpect: ${value}`));
    expect(await client.until(/\r\n\r\n$/)).toBe("HTTP/1.1 100 Continue\r\n\r\n");
    client.send("hello");
    expect(parseAnswers(await client.until(/5$/))[1]).toMatchObject({ status: 200 });
    client.send(`${put("Content-Length: 2")}ab`);
    await client.until(/\r\n2$/);
    client.socket.destroy();
  });

  test.each(spellings)(
    "%s: an answer from the head alone comes at once, without 100, and ends it",
    async (value) => {
      const { port } = await start({ handle: refuse });
      const client = new Client(port).send(put(`Content-Length: 5\r\nExpect: ${value}`));
      const answers = parseAnswers(await client.untilEnd());
      expect(answers).toMatchObject([{ status: 403, body: "no", headers: { connection: "close" } }]);
    },
  );

  test("without a body nothing is waited for", async () => {
    const { port } = await start({ handle: measure });
    const client = new Client(port).send(put("Expect: 100-continue"));
    expect(parseAnswers(await client.untilEnd())).toMatchObject([{ status: 200, body: "0" }]);
  });

  test("is ignored in HTTP/1.0", async () => {
    const { port } = await start({ handle: measure });
    const bytes = "PUT /b HTTP/1.0\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\nab";
    expect(await exchange(port, bytes)).toMatchObject([{ status: 200, body: "2" }]);
  });
});

describe("a body that nobody read", () => {
  test("a small one is drained, and the connection goes on", async () => {
    const { port } = await start({ handle: refuse });
    const bytes = `${put("Content-Length: 40000")}${"x".repeat(40_000)}`;
    const client = new Client(port).send(bytes + bytes);
    const answers = parseAnswers(await client.until(/no[^]*no$/));
    expect(answers.map(({ status, headers }) => [status, headers["connection"]])).toEqual([
      [403, "keep-alive"],
      [403, "keep-alive"],
    ]);
    client.socket.destroy();
  });

  test.each([
    ["by length", `Content-Length: ${1 << 30}`],
    ["in chunks", "Transfer-Encoding: chunked\r\nX: y"],
  ])(
    "a large one %s ends the connection, and a client that sends on still sees the answer",
    async (_name, header) => {
      const { port } = await start({ handle: refuse });
      const client = new Client(port).send(put(header));
      const block = header.startsWith("C")
        ? Buffer.alloc(1 << 20)
        : Buffer.from(`100000\r\n${"x".repeat(1 << 20)}\r\n`);
      // A client that does not look before it has sent 32 MiB.
      for (let n = 0; n < 32; n++) await new Promise((resolve) => client.socket.write(block, resolve));
      const answers = parseAnswers(await client.until(/no$/));
      expect(answers).toMatchObject([{ status: 403, body: "no", headers: { connection: "close" } }]);
      await client.untilEnd();
      expect(client.ended).toBe("end");
    },
  );

  test("one that was left half way ends the connection", async () => {
    const { port } = await start({ handle: leave });
    const client = new Client(port).send(put(`Content-Length: ${1 << 24}`)).send(Buffer.alloc(1 << 24));
    expect(parseAnswers(await client.until(/enough$/))).toMatchObject([
      { status: 400, headers: { connection: "close" } },
    ]);
    client.socket.destroy();
  });

  test("one that was left half way and is small is drained", async () => {
    const { port } = await start({ handle: leave });
    const client = new Client(port).send(put("Content-Length: 30")).send("0123456789");
    await client.until(/enough$/);
    client.send("01234567890123456789").send(`${put("Content-Length: 1")}x`);
    expect(parseAnswers(await client.until(/enough[^]*enough$/))).toHaveLength(2);
    client.socket.destroy();
  });
});
