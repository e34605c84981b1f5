/** Connections that end so that their clients come to another process, without a request lost. */
import { afterEach, expect, test } from "vitest";
import type { HttpRequest, HttpResponse } from "../../../src/lib/http.ts";
import { Client, eventually, Gate, parseAnswers, startTrial, type Trial } from "./wire.ts";

const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: h\r\n\r\n`;

let trial: Trial | undefined;
afterEach(() => trial?.close());

/** `/slow` is answered when `open` is called. */
async function start(keepAliveMs = 75_000): Promise<Trial & { open: () => void }> {
  const gate = new Gate();
  const handle = async (request: HttpRequest): Promise<HttpResponse> => {
    if (request.path === "/slow") await gate.opened;
    return { status: 200, headers: [], body: "ok" };
  };
  trial = await startTrial({ handle, limits: { keepAliveMs } });
  return { ...trial, open: gate.open };
}

test("a shed connection stays until it has asked once more; new ones are as ever", async () => {
  const { port, counts, shed } = await start();
  const old = new Client(port).send(get("/"));
  await old.until(/ok$/);
  shed();
  const fresh = new Client(port).send(get("/"));
  await fresh.until(/ok$/);
  fresh.send(get("/"));
  await fresh.until(/ok[^]*ok$/);
  expect(counts().connections).toBe(2);
  old.send(get("/"));
  const answers = parseAnswers(await old.untilEnd());
  expect(answers.map(({ headers }) => headers["connection"])).toEqual(["keep-alive", "close"]);
  old.socket.destroy();
  fresh.socket.destroy();
});

test("what is under way when a connection is shed is answered, and says that it was the last", async () => {
  const { port, counts, shed, open } = await start();
  const client = new Client(port).send(get("/slow"));
  await eventually(() => counts().requests === 1);
  shed();
  open();
  expect(parseAnswers(await client.untilEnd())).toMatchObject([
    { status: 200, headers: { connection: "close" } },
  ]);
  client.socket.destroy();
});

test("who retires takes nobody new, answers everybody who is there, and waits for them", async () => {
  const { port, counts, retire, open } = await start();
  const idle = new Client(port).send(get("/"));
  await idle.until(/ok$/);
  const busy = new Client(port).send(get("/slow"));
  await eventually(() => counts().requests === 1);
  let retired = false;
  const end = retire().then(() => (retired = true));
  const late = new Client(port);
  await late.untilEnd();
  expect(late.ended).toBe("ECONNREFUSED");
  expect(counts().connections).toBe(2);
  idle.send(get("/"));
  expect(parseAnswers(await idle.untilEnd()).map(({ headers }) => headers["connection"])).toEqual([
    "keep-alive",
    "close",
  ]);
  idle.socket.destroy();
  expect(retired).toBe(false);
  open();
  expect(parseAnswers(await busy.untilEnd())).toMatchObject([
    { status: 200, headers: { connection: "close" } },
  ]);
  busy.socket.destroy();
  await end;
});

test("whoever retires doesn't wait for connections that ask nothing any more", async () => {
  const { port, retire } = await start(100);
  const idle = new Client(port).send(get("/"));
  await idle.until(/ok$/);
  await retire();
  await idle.untilEnd();
  expect(idle.ended).toBe("end");
});

test("a stop cuts a retirement short", async () => {
  const { port, counts, retire, close } = await start();
  const busy = new Client(port).send(get("/slow"));
  await eventually(() => counts().requests === 1);
  const end = retire();
  await close(50);
  await end;
  expect(await busy.untilEnd()).toBe("");
});
