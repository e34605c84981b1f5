/** What is wrong with an origin: as its test says it, as those see it who ask for a file, and as the operator does. */
import { once } from "node:events";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { createEndpoint } from "../../../src/delivery/origins/endpoints.ts";
import { createOrigin, testOrigin, type OriginInput } from "../../../src/delivery/origins/origins.ts";
import type { HttpRequest } from "../../../src/lib/http.ts";
import { createLogger } from "../../../src/lib/log.ts";
import { noise, openSite, type Site } from "../site.ts";
import { AZURE_ACCOUNT, files, startWeb, type WebServer } from "./storage.ts";

let site: Site;
let web: WebServer;
/** Lines of the log at its usual level. */
const lines: Partial<Record<"origin" | "level" | "msg" | "code" | "detail", string>>[] = [];
beforeAll(async () => {
  const stream = {
    write: (line: string) => void lines.push(JSON.parse(line) as (typeof lines)[number]),
  };
  const log = createLogger({ level: "info", stream });
  [site, web] = await Promise.all([
    openSite({}, { log }),
    startWeb((_, response) => response.end("<html>Shop</html>")),
  ]);
});
afterAll(async () => {
  await site[Symbol.asyncDispose]();
  await web[Symbol.asyncDispose]();
});

let count = 0;
async function added(input: Omit<OriginInput, "name">): Promise<string> {
  const name = `origin-${++count}`;
  await createOrigin(site.store, { name, ...input, allowHosts: ["127.0.0.1"] });
  return name;
}

/** Every kind of storage at an address. */
const kinds = (url: string): Record<string, Omit<OriginInput, "name">> => ({
  "S3 service": { type: "s3-compatible", bucket: "b-1", endpointUrl: url, pathStyle: true },
  "Blob service": { type: "azure", azureAccount: AZURE_ACCOUNT, container: "box", azureEndpoint: url },
  "Google Cloud Storage": { type: "gcs", bucket: "b-1", endpointUrl: url },
});

/** What its test finds, with HOST for the address. */
async function findings(input: Omit<OriginInput, "name">): Promise<string> {
  const tested = await testOrigin(site.store, { name: await added(input) });
  return `${tested.ok} ${tested.findings.join(" ").replaceAll(/127\.0\.0\.1:\d+/g, "HOST")}`;
}

test.each(Object.keys(kinds("")))("a web page is no %s", async (kind) => {
  expect(await findings(kinds(web.url)[kind]!)).toBe(
    `false HOST has an answer for a file that can't exist: it is no ${kind}, or the address is that of its web page.`,
  );
});

describe.each(["web server", ...Object.keys(kinds(""))])("the address of a %s", (kind) => {
  const at = (url: string): Omit<OriginInput, "name"> =>
    kinds(url)[kind] ?? { type: "web", baseUrl: `${url}/` };

  test("that speaks no TLS is not one to ask by https", async () => {
    expect(await findings(at(web.url.replace("http:", "https:")))).toBe(
      "false TLS with HOST fails: it doesn't speak TLS at this port (http:// instead of https://?).",
    );
  });

  test("that speaks TLS is not one to ask by http; one without a certificate agrees to nothing", async () => {
    const secure = createTlsServer({}).listen(0, "127.0.0.1");
    await once(secure, "listening");
    const host = `127.0.0.1:${(secure.address() as AddressInfo).port}`;
    try {
      expect(await findings(at(`http://${host}`))).toBe(
        "false HOST hangs up before it answers (https:// instead of http://?).",
      );
      expect(await findings(at(`https://${host}`))).toMatch(
        /^false TLS with HOST fails: (ssl\/tls|sslv3) alert handshake failure\.$/,
      );
    } finally {
      secure.close();
    }
  });

  test("that leads back here is asked no more than once", async () => {
    const prefix = `back-${count}`;
    const origin = await added(at(`${site.url}/root/${prefix}/a`));
    await createEndpoint(site.store, { name: prefix, origins: [origin] });
    const { status } = await site.get(`/root/${prefix}/a.jpg`);
    expect([status, counted(origin)]).toEqual([502, { OriginFailed: 1 }]);
    expect(said(origin)).toEqual(["warn an origin fails OriginFailed The origin leads back to this server."]);
  });
});

test("a web server may be an endpoint of ours over our own bucket", async () => {
  await site.put("own.txt", Buffer.from("own"));
  const origin = await added({ type: "web", baseUrl: `${site.url}/root` });
  await createEndpoint(site.store, { name: "twice", origins: [origin] });
  expect((await site.get("/root/twice/own.txt")).body.toString()).toBe("own");
});

test("an empty Cache-Control of a web server says nothing", async () => {
  await using silent = await startWeb((_, response) => response.setHeader("cache-control", "").end("a"));
  const origin = await added({ type: "web", baseUrl: silent.url });
  await createEndpoint(site.store, { name: "empty", origins: [origin] });
  const reply = await site.get("/root/empty/a.txt");
  expect(reply.headers.get("cache-control")).toBe("public, max-age=86400");
});

test("a public bucket that is asked as a web server lacks what it calls AccessDenied: the next origin has it", async () => {
  await using bucket = await startWeb((request, response) => {
    if (request.url === "/there.txt") response.end("there");
    else if (request.url === "/shut.txt") response.writeHead(403).end("<html>Forbidden</html>");
    else response.writeHead(403).end("<?xml version='1.0'?><Error><Code>AccessDenied</Code></Error>");
  });
  await using other = await startWeb((_, response) => response.end("from the other"));
  const names = [
    await added({ type: "web", baseUrl: `${bucket.url}/` }),
    await added({ type: "web", baseUrl: `${other.url}/` }),
  ];
  await createEndpoint(site.store, { name: "alone", origins: names.slice(0, 1) });
  await createEndpoint(site.store, { name: "both", origins: names });
  const asked = async (path: string): Promise<string> => {
    const { status, body } = await site.get(path);
    return status === 200 ? body.toString() : String(status);
  };
  expect(await asked("/root/alone/missing.txt")).toBe("404");
  expect(await asked("/root/both/missing.txt")).toBe("from the other");
  expect(await asked("/root/both/there.txt")).toBe("there");
  expect(await asked("/root/both/shut.txt")).toBe("403");
});

/** A web server as an origin, and its endpoint of the same name. */
async function serving(server: WebServer): Promise<string> {
  const name = await added({ type: "web", baseUrl: `${server.url}/` });
  await createEndpoint(site.store, { name, origins: [name] });
  return name;
}
const down: WebServer["answer"] = (_, response) => void response.writeHead(500).end();

/** What the log says of an origin. */
const said = (name: string): string[] =>
  lines
    .filter(({ origin }) => origin === `root/${name}`)
    .map(({ level, msg, code, detail }) =>
      (code === undefined ? `${level} ${msg}` : `${level} ${msg} ${code} ${detail}`).replaceAll(
        /127\.0\.0\.1:\d+/g,
        "HOST",
      ),
    );
/** What became of the questions to an origin. */
function counted(name: string): object {
  const found = site.delivery.counts().origins.find(({ origin }) => origin === `root/${name}`);
  return Object.fromEntries(found?.results ?? []);
}

describe("the operator", () => {
  let now = Date.now();
  const pass = (seconds: number): void => {
    now += seconds * 1000;
    vi.setSystemTime(now);
  };
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ["Date"] });
    pass(100);
  });
  afterEach(() => void vi.useRealTimers());

  test("reads once a minute that an origin fails, though what is known is served; and when it is left alone", async () => {
    const photo = await noise(20, 20);
    const there = files({ "photo.jpg": photo });
    await using server = await startWeb(there);
    const name = await serving(server);
    expect((await site.get(`/root/${name}/photo.jpg`)).status).toBe(200);
    expect([said(name), counted(name)]).toEqual([[], { found: 1 }]);
    server.answer = down;
    pass(301);
    expect((await site.get(`/root/${name}/photo.jpg`)).headers.get("warning")).toContain("110");
    const failing = "warn an origin fails OriginFailed HOST answers 500.";
    expect([said(name), counted(name)]).toEqual([[failing], { found: 1, OriginFailed: 1 }]);
    const statuses: number[] = [];
    for (let n = 0; n < 6; n++) statuses.push((await site.get(`/root/${name}/other-${n}.jpg`)).status);
    expect(statuses).toEqual([502, 502, 502, 502, 503, 503]);
    const alone = "warn an origin failed several times and is left alone";
    expect(said(name)).toEqual([failing, alone]);
    expect(counted(name)).toEqual({ found: 1, OriginFailed: 5, ServiceUnavailable: 2 });
    pass(61);
    expect((await site.get(`/root/${name}/other.jpg`)).status).toBe(502);
    server.answer = there;
    pass(6);
    expect((await site.get(`/root/${name}/other.jpg`)).status).toBe(404);
    expect(said(name)).toEqual([failing, alone, failing, "info an origin that was left alone answers again"]);
  });

  test("reads of files that break off, and of credentials that are refused", async () => {
    await using server = await startWeb((request, response) => {
      if (request.url !== "/half.jpg") response.writeHead(401).end();
      else response.writeHead(200, { "content-length": 1e8 }).write("half", () => response.destroy());
    });
    const name = await serving(server);
    await site.get(`/root/${name}/half.jpg`).catch(() => undefined);
    await site.get(`/root/${name}/photo.jpg`);
    expect(said(name)).toEqual([
      "warn an origin fails OriginFailed HOST can't be read (it hung up).",
      "warn an origin fails OriginDenied HOST answers 401: it wants credentials.",
    ]);
  });

  test("finds origin, message and plan in the line of a request that failed", async () => {
    await using server = await startWeb(down);
    const name = await serving(server);
    await site.put("bad.png", Buffer.from("no picture"));
    const line = async (path: string): Promise<unknown> => {
      const request = { id: "", method: "GET", path, rawQuery: "", headers: {} } as unknown as HttpRequest;
      return (await site.delivery.handle(request)).log;
    };
    expect(await line(`/root/${name}/tr:w-9/photo.jpg`)).toMatchObject({
      code: "OriginFailed",
      message: "The origin answers 500.",
      origin: `root/${name}`,
      plan: "w-9",
    });
    expect(await line("/root/tr:w-9/bad.png")).toMatchObject({
      origin: "root/photos",
      message: expect.stringContaining("The source is no picture") as string,
      plan: "w-9",
    });
    await createEndpoint(site.store, { name: "layered", origins: ["photos", name] });
    await site.put("base.png", await noise(20, 20));
    expect(await line("/root/layered/tr:l-image,i-logo.png,l-end/base.png")).toMatchObject({
      message: "Layer logo.png: The origin answers 500.",
      origin: `root/${name}`,
    });
  });
});

test.each<[string, number, Record<string, string>]>([
  ["a part", 206, { "content-range": "bytes 10-19/100", "content-length": "10" }],
  ["a part of nothing", 206, { "content-range": "nonsense", "content-length": "10" }],
  ["that nothing has changed", 304, {}],
])(
  "a web server that says %s, though nobody asked for that, fails; its file is not missing",
  async (_, status, headers) => {
    const { answer } = web;
    const name = await added({ type: "web", baseUrl: `${web.url}/` });
    await createEndpoint(site.store, { name, origins: [name] });
    web.answer = (_request, response) =>
      void response.writeHead(status, headers).end(status === 304 ? undefined : "0123456789");
    const reply = await site.get(`/root/${name}/odd.png`);
    expect([reply.status, reply.headers.get("x-windlass-error")?.split(" ")[0]]).toEqual([
      502,
      "OriginFailed",
    ]);
    web.answer = answer;
    expect((await site.get(`/root/${name}/odd.png`)).status).toBe(200);
  },
);
