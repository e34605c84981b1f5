/** Web servers that speak HTTP in their own way: origins on bare sockets. */
import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, expect, test } from "vitest";
import { DeliveryError } from "../../../src/delivery/errors.ts";
import type { OriginClient } from "../../../src/delivery/origins/client.ts";
import { openWebOrigin } from "../../../src/delivery/origins/web.ts";
import { collect } from "../../../src/lib/chunks.ts";

const policy = { allowHosts: ["127.0.0.1"] };
/** Time enough for an answer, on a busy machine too. */
const HEAD_MS = 10_000;
/** For those whose silence is waited for. */
const SILENCE_MS = 1000;

const opened: OriginClient[] = [];
afterEach(() => {
  for (const client of opened.splice(0)) client.close();
});

/** `answer` hears of each request, with its number on its connection. */
async function bare(
  answer: (socket: Socket, number: number) => void,
  headMs = HEAD_MS,
): Promise<OriginClient> {
  const sockets = new Set<Socket>();
  const tcp = createServer((socket) => {
    let requests = 0;
    sockets.add(socket);
    socket.on("data", () => answer(socket, requests++)).on("error", () => undefined);
  });
  tcp.listen(0, "127.0.0.1");
  await once(tcp, "listening");
  const baseUrl = `http://127.0.0.1:${(tcp.address() as AddressInfo).port}/`;
  const client = openWebOrigin({ baseUrl, forwardHost: false, policy, headMs });
  const close = (): void => {
    client.close();
    tcp.close();
    for (const socket of sockets) socket.destroy();
  };
  const kept = { ...client, close };
  opened.push(kept);
  return kept;
}

/** Bytes that a reader gets who takes its time over each piece. */
async function slowly(client: OriginClient): Promise<number> {
  const fetched = await client.fetch("photo.jpg", {});
  if (fetched.kind !== "found") throw new Error(fetched.kind);
  let bytes = 0;
  for await (const chunk of fetched.body) {
    bytes += chunk.length;
    await sleep(20);
  }
  return bytes;
}

/** In a word or two, with the body read to its end. */
async function outcome(client: OriginClient): Promise<string> {
  try {
    const fetched = await client.fetch("photo.jpg", {});
    if (fetched.kind !== "found") return fetched.kind;
    return `found ${(await collect(fetched.body)).toString()}`;
  } catch (error) {
    if (!(error instanceof DeliveryError)) throw error;
    return error.code;
  }
}

test.each([
  ["1.1", true],
  ["1.1", false],
  ["1.0", true],
  ["1.0", false],
])(
  "one that hangs up behind its answer (HTTP/%s, length told: %s) is read to the end",
  async (version, told) => {
    for (const size of [1000, 100_000, 200_000, 800_000]) {
      const client = await bare((socket) => {
        const length = told ? `Content-Length: ${size}\r\n` : "";
        socket.write(`HTTP/${version} 200 OK\r\n${length}Connection: close\r\n\r\n`);
        socket.end(Buffer.alloc(size, 97));
      });
      expect(await slowly(client)).toBe(size);
    }
  },
);

test("one that hangs up too early has failed", async () => {
  const client = await bare((socket) => socket.end("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort"));
  expect(await outcome(client)).toBe("OriginFailed");
  const chunked = await bare((socket) =>
    socket.end("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort\r\n"),
  );
  expect(await outcome(chunked)).toBe("OriginFailed");
});

test.each([
  [
    "changes the protocol",
    "HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
    "OriginFailed",
  ],
  ["speaks something else", "220 ftp.example ready\r\n", "OriginFailed"],
  ["says nothing", "", "OriginTimeout"],
  ["stops in its head", "HTTP/1.1 200 OK\r\nContent-Le", "OriginTimeout"],
  ["stops in its body", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", "OriginTimeout"],
  ["stops in what it refuses with", "HTTP/1.1 403 No\r\nContent-Length: 9\r\n\r\n<Code>", "OriginDenied"],
  ["has endless headers", `HTTP/1.1 200 OK\r\n${"A: b\r\n".repeat(20_000)}`, "OriginFailed"],
])("one that %s", async (_, said, code) => {
  const headMs = code === "OriginFailed" ? HEAD_MS : SILENCE_MS;
  const client = await bare((socket) => socket.write(said), headMs);
  expect(await outcome(client)).toBe(code);
});

test("one whose connections are all taken is not waited for without end", async () => {
  const half = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort";
  const client = await bare((socket) => socket.write(half), 5 * SILENCE_MS);
  const held = await Promise.all(Array.from({ length: 256 }, () => client.fetch("photo.jpg", {})));
  expect(await outcome(client)).toBe("ServiceUnavailable");
  const [first] = held;
  if (first?.kind !== "found") throw new Error("There is no file");
  await first.body[Symbol.asyncIterator]().return?.();
  expect((await client.fetch("photo.jpg", {})).kind).toBe("found");
});

test("one that promises an answer for ever is left", async () => {
  const client = await bare((socket) => {
    const timer = setInterval(() => socket.write("HTTP/1.1 102 Processing\r\n\r\n"), 20);
    socket.on("close", () => clearInterval(timer));
  }, SILENCE_MS);
  expect(await outcome(client)).toBe("OriginTimeout");
});

test("one that closed a connection while it waited is asked again", async () => {
  const client = await bare((socket, number) => {
    if (number === 0) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhere");
    else socket.resetAndDestroy();
  });
  for (let n = 0; n < 3; n++) expect(await outcome(client)).toBe("found here");
});

test("one that breaks off in its answer is not asked behind the reader's back", async () => {
  let asked = 0;
  const client = await bare((socket, number) => {
    asked++;
    socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${number === 0 ? 4 : 9}\r\n\r\nhere`);
    if (number > 0) setTimeout(() => socket.resetAndDestroy(), 50);
  });
  expect(await outcome(client)).toBe("found here");
  expect(await outcome(client)).toBe("OriginFailed");
  await sleep(100);
  expect(asked).toBe(2);
});

test("TLS asks for the origin's own name, whatever host the client named", async () => {
  const hello = new Promise<string>((resolve) => {
    const tcp = createServer((socket) => {
      socket.on("error", () => undefined);
      socket.once("data", (bytes) => {
        resolve(bytes.toString("latin1"));
        socket.destroy();
        tcp.close();
      });
    });
    tcp.listen(0, "127.0.0.1", () => {
      const client = openWebOrigin({
        baseUrl: `https://localhost:${(tcp.address() as AddressInfo).port}/`,
        forwardHost: true,
        policy: { allowHosts: ["localhost"] },
        headMs: HEAD_MS,
      });
      opened.push(client);
      void client.fetch("photo.jpg", { host: "client.example" }).catch(() => undefined);
    });
  });
  expect(await hello).toContain("localhost");
  expect(await hello).not.toContain("client.example");
});
