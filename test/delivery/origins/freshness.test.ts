/** How long other people's files are believed, and what is served while their servers change, lie or are down. */
import { createHash } from "node:crypto";
import { rm, writeFile } from "node:fs/promises";
import type { IncomingMessage, ServerResponse } from "node:http";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { requestPurge } from "../../../src/delivery/cache/purge.ts";
import { createEndpoint } from "../../../src/delivery/origins/endpoints.ts";
import { createOrigin } from "../../../src/delivery/origins/origins.ts";
import { colourAt, openSite, stripes, BLUE, RED, type Reply, type Site } from "../site.ts";
import { startWeb, type WebServer } from "./storage.ts";

interface File {
  body: Buffer;
  headers?: Record<string, string>;
  /** Without a length. */
  chunked?: boolean;
}

let site: Site;
let web: WebServer;
let red: Buffer;
let blue: Buffer;
/** What the web server has, by path. */
const files = new Map<string, File>();

function answer(request: IncomingMessage, response: ServerResponse): void {
  const file = files.get(request.url!.slice(1));
  if (file === undefined) {
    response.writeHead(404).end();
    return;
  }
  const { body, headers = {}, chunked = false } = file;
  const { "if-none-match": tag, "if-modified-since": time } = request.headers;
  const known =
    tag === undefined ? time !== undefined && time === headers["last-modified"] : tag === headers["etag"];
  if (known) {
    response.writeHead(304, headers).end();
    return;
  }
  response.writeHead(200, {
    "content-type": "image/png",
    ...headers,
    ...(chunked ? {} : { "content-length": body.length }),
  });
  response.end(body);
}

const down = (_: IncomingMessage, response: ServerResponse): void => void response.writeHead(503).end();

/** Files of their own names, so that no test meets what another left. */
let count = 0;
function put(file: Omit<File, "body"> & { body?: Buffer } = {}): string {
  const path = `file-${++count}.png`;
  files.set(path, { body: red, ...file });
  return path;
}
const tagged = (body: Buffer): File => ({
  body,
  headers: { etag: `"${createHash("md5").update(body).digest("hex")}"` },
});

const START = Date.now();
let now = START;
const pass = (seconds: number): void => {
  now += seconds * 1000;
  vi.setSystemTime(now);
};

const said = ({ status, headers }: Reply): string =>
  `${status} ${headers.get("x-windlass-error")?.split(" ")[0] ?? headers.get("warning") ?? "-"}`;
const STALE = '200 110 - "Response is Stale"';
/** How often the web server was asked meanwhile. */
async function asked(work: () => Promise<unknown>): Promise<number> {
  const before = web.asked.length;
  await work();
  return web.asked.length - before;
}

beforeAll(async () => {
  red = await stripes(40, 40, [RED]).png().toBuffer();
  blue = await stripes(40, 40, [BLUE]).png().toBuffer();
  [site, web] = await Promise.all([openSite(), startWeb(answer)]);
  await createOrigin(site.store, {
    name: "web",
    type: "web",
    baseUrl: web.url,
    allowHosts: ["127.0.0.1"],
    timeout: 1,
  });
  await createEndpoint(site.store, { name: "web", origins: ["web"] });
  await createEndpoint(site.store, { name: "both", origins: ["photos", "web"] });
  await createEndpoint(site.store, { name: "short", origins: ["web"], cacheSeconds: 20 });
});
afterAll(async () => {
  await site[Symbol.asyncDispose]();
  await web[Symbol.asyncDispose]();
});
beforeEach(() => {
  web.answer = answer;
  vi.useFakeTimers({ toFake: ["Date"] });
  // Circuits that a test before left open are closed by then.
  pass(100);
});
afterEach(() => void vi.useRealTimers());

describe("a file with an ETag", () => {
  test("is asked for once within its lifetime, and then only whether it has changed", async () => {
    const path = put(tagged(red));
    const first = await site.get(`/root/web/tr:orig-true/${path}`);
    expect(await asked(() => site.get(`/root/web/tr:orig-true/${path}`))).toBe(0);
    pass(299);
    const kept = await site.get(`/root/web/tr:orig-true/${path}`);
    expect([kept.headers.get("age"), kept.headers.get("etag")]).toEqual(["299", first.headers.get("etag")]);
    pass(2);
    const confirmed = await site.get(`/root/web/tr:orig-true/${path}`);
    expect([confirmed.headers.get("age"), confirmed.body.equals(red)]).toEqual(["0", true]);
    expect(web.asked.slice(-2)).toEqual([`GET /${path}`, `GET /${path}`]);
    expect(web.headers.at(-1)).toMatchObject({ "if-none-match": first.headers.get("etag") });
  });

  test("says whether the copy that was kept is served", async () => {
    const path = put(tagged(red));
    const cached = async (): Promise<string | null> =>
      (await site.get(`/root/web/tr:orig-true/${path}`)).headers.get("x-cache");
    expect([await cached(), await cached()]).toEqual(["MISS", "HIT"]);
    pass(301);
    expect(await cached()).toBe("HIT");
    files.set(path, tagged(blue));
    pass(301);
    expect([await cached(), await cached()]).toEqual(["MISS", "HIT"]);
    await site.put("own.png", red);
    expect((await site.get("/root/tr:orig-true/own.png")).headers.has("x-cache")).toBe(false);
  });

  test("says how long its origin took, and apart from that what was done to it", async () => {
    const MS = 200;
    web.answer = (request, response) => void setTimeout(() => answer(request, response), MS);
    const timings = async (path: string): Promise<[string, number][]> => {
      const { headers } = await site.get(path);
      const parts = headers.get("server-timing")!.split(", ");
      return parts.map((part) => [part.split(";")[0]!, Number(part.split("dur=")[1])]);
    };
    const path = put(tagged(red));
    const [[name, ms] = ["", 0], ...more] = await timings(`/root/web/tr:orig-true/${path}`);
    // Timers may be a millisecond early.
    expect([name, ms >= MS - 1, more]).toEqual(["origin", true, []]);
    const [source, rendered] = await timings(`/root/web/tr:w-10/${put(tagged(red))}`);
    expect([source![0], source![1] >= MS - 1, rendered![0]]).toEqual(["origin", true, "render"]);
    await site.put("base.png", red);
    const [layer, over] = await timings(`/root/both/tr:l-image,i-${put(tagged(red))},l-end/base.png`);
    expect([layer![0], layer![1] >= MS - 1, over![0]]).toEqual(["origin", true, "render"]);
    expect((await timings("/root/tr:w-9/base.png")).map(([one]) => one)).toEqual(["render"]);
  });

  test("that has changed is another picture after its lifetime, whatever was made of it", async () => {
    const path = put(tagged(red));
    const before = await site.get(`/root/web/tr:w-10/${path}`);
    files.set(path, tagged(blue));
    expect(await colourAt((await site.get(`/root/web/tr:w-10/${path}`)).body, 0.5, 0.5)).toBe("red");
    pass(301);
    const after = await site.get(`/root/web/tr:w-10/${path}`);
    expect([await colourAt(before.body, 0.5, 0.5), await colourAt(after.body, 0.5, 0.5)]).toEqual([
      "red",
      "blue",
    ]);
    expect(after.headers.get("etag")).not.toBe(before.headers.get("etag"));
  });

  test("that a 304 makes private, or gives another lifetime, is private, or has it", async () => {
    const { headers } = tagged(red);
    const path = put({ headers: { ...headers } });
    await site.get(`/root/web/${path}`);
    files.set(path, { body: red, headers: { ...headers, "cache-control": "max-age=600" } });
    pass(301);
    const renewed = await site.get(`/root/web/tr:w-10/${path}`);
    expect(renewed.headers.get("cache-control")).toBe("max-age=600");
    pass(599);
    expect(await asked(() => site.get(`/root/web/${path}`))).toBe(0);
    files.set(path, { body: red, headers: { ...headers, "is-private-file": "true" } });
    pass(2);
    expect(said(await site.get(`/root/web/tr:w-10/${path}`))).toBe("401 SignatureRequired");
  });

  test("that is gone is 404 after its lifetime, and there again soon after it came back", async () => {
    const path = put(tagged(red));
    await site.get(`/root/web/tr:w-10/${path}`);
    files.delete(path);
    pass(301);
    expect(said(await site.get(`/root/web/tr:w-10/${path}`))).toBe("404 NotFound");
    expect(said(await site.get(`/root/web/${path}`))).toBe("404 NotFound");
    files.set(path, tagged(blue));
    pass(6);
    const back = await site.get(`/root/web/tr:w-10/${path}`);
    expect([said(back), await colourAt(back.body, 0.5, 0.5)]).toEqual(["200 -", "blue"]);
  });

  test("that was not there is there a few seconds after it came", async () => {
    const path = put(tagged(red));
    files.delete(path);
    expect(said(await site.get(`/root/web/${path}`))).toBe("404 NotFound");
    files.set(path, tagged(red));
    expect(await asked(() => site.get(`/root/web/${path}`))).toBe(0);
    pass(6);
    expect(said(await site.get(`/root/web/${path}`))).toBe("200 -");
  });
});

/** For a file that nobody asked for yet. */
const ask = async (): Promise<string> => said(await site.get(`/root/web/${put()}`));

test("a weak ETag that changes alone is a change, though size and time are the same", async () => {
  const headers = { "last-modified": new Date(START).toUTCString(), "cache-control": "max-age=1" };
  const [one, other] = [Buffer.from("one"), Buffer.from("two")];
  const path = put({ body: one, headers: { ...headers, etag: 'W/"1"' } });
  const text = async (): Promise<string> => (await site.get(`/root/web/${path}`)).body.toString();
  expect(await text()).toBe("one");
  pass(2);
  expect(await asked(async () => expect(await text()).toBe("one"))).toBe(1);
  expect(web.headers.at(-1)!["if-none-match"]).toBe('W/"1"');
  files.set(path, { body: other, headers: { ...headers, etag: 'W/"2"' } });
  pass(2);
  expect(await text()).toBe("two");
  expect(await text()).toBe("two");
});

test("a picture that stands in may be kept for five seconds from now, however long ago it was fetched", async () => {
  files.set("stand-in.png", { body: red });
  await createEndpoint(site.store, { name: "standing", origins: ["web"], defaultImage: "stand-in.png" });
  const life = async (): Promise<string> => {
    const { headers } = await site.get("/root/standing/nowhere-to-be-found.png");
    return `${headers.get("cache-control")} at ${headers.get("age")}`;
  };
  expect(await life()).toBe("public, max-age=5 at 0");
  pass(60);
  expect(await life()).toBe("public, max-age=65 at 60");
});

test("a purge has the origin asked at once, for the file and for what is made of it", async () => {
  const path = put(tagged(red));
  const colours = async (): Promise<string[]> =>
    Promise.all(
      [`/root/web/${path}`, `/root/web/tr:w-10/${path}`].map(async (url) =>
        colourAt((await site.get(url)).body, 0.5, 0.5),
      ),
    );
  expect(await colours()).toEqual(["red", "red"]);
  files.set(path, tagged(blue));
  expect(await colours()).toEqual(["red", "red"]);
  await requestPurge(site.store, { ownerId: site.bucket.ownerId, origin: "web", path });
  expect(await colours()).toEqual(["blue", "blue"]);
});

describe("a clock that is set back", () => {
  test("makes files no fresher", async () => {
    const path = put({ body: red, headers: { "cache-control": "max-age=3" } });
    await site.get(`/root/web/${path}`);
    pass(-7200);
    files.set(path, { body: blue });
    expect((await site.get(`/root/web/${path}`)).body.equals(blue)).toBe(true);
  });

  test("makes files that are stale none for longer, nor for ever", async () => {
    const path = put({ ...tagged(red) });
    await site.get(`/root/web/${path}`);
    web.answer = down;
    pass(301);
    expect(said(await site.get(`/root/web/${path}`))).toBe(STALE);
    pass(-7200);
    expect(said(await site.get(`/root/web/${path}`))).toBe(STALE);
    pass(86_400 + 299);
    expect(said(await site.get(`/root/web/${path}`))).toBe(STALE);
    pass(6);
    expect(said(await site.get(`/root/web/${path}`))).toBe("502 OriginFailed");
    web.answer = answer;
    pass(-7200);
    expect(said(await site.get(`/root/web/${path}`))).toBe("200 -");
  });

  test("makes no file missing that came", async () => {
    const path = put(tagged(red));
    files.delete(path);
    expect(said(await site.get(`/root/web/${path}`))).toBe("404 NotFound");
    files.set(path, tagged(red));
    pass(-7200);
    expect(said(await site.get(`/root/web/${path}`))).toBe("200 -");
  });

  test("leaves an origin alone no longer", async () => {
    web.answer = down;
    for (let n = 0; n < 5; n++) await ask();
    expect(await ask()).toBe("503 ServiceUnavailable");
    web.answer = answer;
    pass(-7200);
    expect(await ask()).toBe("200 -");
  });
});

describe("while the origin is down", () => {
  test("files are served with a warning for a day, and the origin is left alone between", async () => {
    const path = put(tagged(red));
    await site.get(`/root/web/tr:w-10/${path}`);
    web.answer = down;
    pass(301);
    const stale = await site.get(`/root/web/tr:w-10/${path}`);
    expect([said(stale), stale.headers.get("age")]).toEqual([STALE, "301"]);
    expect(await asked(async () => expect(said(await site.get(`/root/web/${path}`))).toBe(STALE))).toBe(0);
    pass(86_000);
    expect(said(await site.get(`/root/web/tr:w-10/${path}`))).toBe(STALE);
    pass(1000);
    expect(said(await site.get(`/root/web/tr:w-10/${path}`))).toBe("502 OriginFailed");
    web.answer = answer;
    pass(6);
    expect(said(await site.get(`/root/web/tr:w-10/${path}`))).toBe("200 -");
  });

  test("a silent origin costs its timeout once, then its files are served as they were", async () => {
    const path = put(tagged(red));
    await site.get(`/root/web/${path}`);
    web.answer = () => undefined;
    pass(301);
    expect(said(await site.get(`/root/web/${path}`))).toBe(STALE);
    expect(await asked(() => site.get(`/root/web/${path}`))).toBe(0);
    expect(said(await site.get(`/root/web/${put(tagged(blue))}`))).toBe("504 OriginTimeout");
  });

  test.each(["must-revalidate", "no-cache", "no-store", "max-age=10, proxy-revalidate", "stale-if-error=5"])(
    "a file whose origin said %s is an error",
    async (cacheControl) => {
      const file = tagged(red);
      const path = put({ ...file, headers: { ...file.headers, "cache-control": cacheControl } });
      await site.get(`/root/web/${path}`);
      web.answer = down;
      pass(310);
      expect(said(await site.get(`/root/web/${path}`))).toBe("502 OriginFailed");
    },
  );

  test("nothing is served that was read with a right which was taken away since", async () => {
    const path = put(tagged(red));
    await site.get(`/root/web/${path}`);
    web.answer = (_, response) => void response.writeHead(403).end();
    pass(301);
    expect(said(await site.get(`/root/web/${path}`))).toBe("403 OriginDenied");
  });

  test("it is asked a bounded number of times, and then by one request at a time", async () => {
    web.answer = down;
    let failed = 0;
    for (let n = 0; n < 5; n++) failed += await asked(ask);
    expect(failed).toBe(15);
    expect(await asked(async () => expect(await ask()).toBe("503 ServiceUnavailable"))).toBe(0);
    pass(6);
    expect(await asked(() => Promise.all([ask(), ask(), ask(), ask()]))).toBe(1);
    web.answer = answer;
    pass(6);
    expect(await ask()).toBe("200 -");
  });

  test("an origin that fails twice and then answers is no error", async () => {
    let failures = 2;
    web.answer = (request, response) => (failures-- > 0 ? down : answer)(request, response);
    expect(said(await site.get(`/root/web/${put()}`))).toBe("200 -");
  });
});

describe("how long a file is believed", () => {
  test.each([
    ["max-age=10", 0, 9, 11],
    // A cache in front of the origin had it for a minute.
    ["max-age=70", 60, 9, 11],
    ["s-maxage=10, max-age=10000", 0, 9, 11],
    ["public, max-age=1000", 0, 999, 1001],
    ["max-age=99999999", 0, 86_400 * 30 - 1, 86_400 * 30 + 1],
  ])("says the origin: %s of an answer %d seconds old", async (cacheControl, age, within, after) => {
    const { headers } = tagged(red);
    const path = put({ headers: { ...headers, "cache-control": cacheControl, age: String(age) } });
    await site.get(`/root/web/${path}`);
    pass(within);
    const get = () => site.get(`/root/web/tr:w-10/${path}`);
    expect(await asked(async () => expect((await get()).headers.get("age")).toBe(`${age + within}`))).toBe(0);
    pass(after - within);
    expect(await asked(get)).toBe(1);
  });

  test.each(["no-cache", "no-store", "private", "max-age=0"])(
    "not at all where the origin says %s: each request asks",
    async (cacheControl) => {
      const file = tagged(red);
      const path = put({ ...file, headers: { ...file.headers, "cache-control": cacheControl } });
      await site.get(`/root/web/${path}`);
      expect(await asked(() => site.get(`/root/web/${path}`))).toBe(1);
      files.set(path, tagged(blue));
      const reply = await site.get(`/root/web/tr:w-10/${path}`);
      expect(await colourAt(reply.body, 0.5, 0.5)).toBe("blue");
    },
  );

  test("says the endpoint before the origin, each endpoint for itself", async () => {
    const file = tagged(red);
    const path = put({ ...file, headers: { ...file.headers, "cache-control": "max-age=10000", age: "9" } });
    await site.get(`/root/web/${path}`);
    pass(21);
    expect(await asked(() => site.get(`/root/web/${path}`))).toBe(0);
    expect(await asked(() => site.get(`/root/short/${path}`))).toBe(1);
    const reply = await site.get(`/root/short/${path}`);
    expect(reply.headers.get("cache-control")).toBe("public, max-age=20");
    expect(reply.headers.get("age")).toBe("0");
  });
});

describe("files that hide something", () => {
  // Servers whose ETag is that of nothing answer 304 to it for ever.
  test.each<Record<string, string>>([{}, { etag: '""' }])(
    "with %j alone are what they hold",
    async (headers) => {
      const path = put({ headers });
      const first = await site.get(`/root/web/${path}`);
      pass(301);
      const same = await site.get(`/root/web/${path}`);
      expect(same.headers.get("etag")).toBe(first.headers.get("etag"));
      files.set(path, { body: blue, headers });
      pass(301);
      const other = await site.get(`/root/web/${path}`);
      expect(other.body.equals(blue)).toBe(true);
      expect(other.headers.get("etag")).not.toBe(first.headers.get("etag"));
    },
  );

  test("with Last-Modified alone are asked for by it", async () => {
    const lastModified = "Wed, 21 Oct 2015 07:28:00 GMT";
    const path = put({ headers: { "last-modified": lastModified } });
    expect((await site.get(`/root/web/tr:orig-true/${path}`)).headers.get("last-modified")).toBe(
      lastModified,
    );
    pass(301);
    await site.get(`/root/web/tr:orig-true/${path}`);
    expect(web.headers.at(-1)).toMatchObject({ "if-modified-since": lastModified });
  });

  test("of unknown length are pictures and originals like others", async () => {
    const path = put({ chunked: true });
    const whole = await site.get(`/root/web/tr:orig-true/${path}`);
    expect([whole.headers.get("content-length"), whole.body.equals(red)]).toEqual([String(red.length), true]);
    const part = await site.get(`/root/web/tr:orig-true/${path}`, { headers: { range: "bytes=5-9" } });
    expect([part.status, part.body.equals(red.subarray(5, 10))]).toEqual([206, true]);
    expect(said(await site.get(`/root/web/tr:w-10/${path}`))).toBe("200 -");
  });

  test("that break off are never kept by half", async () => {
    for (const chunked of [false, true]) {
      const path = put(tagged(red));
      web.answer = (_, response) => {
        response.writeHead(200, chunked ? {} : { "content-length": red.length });
        response.write(red.subarray(0, 50), () => response.destroy());
      };
      expect(said(await site.get(`/root/web/${path}`))).toBe("502 OriginFailed");
      expect(said(await site.get(`/root/web/tr:w-10/${path}`))).toBe("502 OriginFailed");
      web.answer = answer;
      expect((await site.get(`/root/web/${path}`)).body.equals(red)).toBe(true);
    }
  });
});

test("a disk that takes nothing costs the origin questions, not the client its file", async () => {
  await using full = await openSite();
  await createOrigin(full.store, { name: "web", type: "web", baseUrl: web.url, allowHosts: ["127.0.0.1"] });
  await createEndpoint(full.store, { name: "web", origins: ["web"] });
  const cache = join(full.folder, "cache");
  await rm(cache, { recursive: true, force: true });
  await writeFile(cache, "in the way");
  for (const path of [
    put(tagged(red)),
    put(),
    put({ headers: { "last-modified": new Date(0).toUTCString() } }),
  ]) {
    const original = await full.get(`/root/web/tr:orig-true/${path}`);
    expect([path, said(original), original.body.equals(red)]).toEqual([path, "200 -", true]);
    const part = await full.get(`/root/web/tr:orig-true/${path}`, { headers: { range: "bytes=5-9" } });
    expect([path, part.status, part.body.equals(red.subarray(5, 10))]).toEqual([path, 206, true]);
    const made = await full.get(`/root/web/tr:w-10/${path}`);
    expect([path, said(made), await colourAt(made.body, 0.5, 0.5)]).toEqual([path, "200 -", "red"]);
  }
  const path = put(tagged(red));
  await full.get(`/root/web/tr:orig-true/${path}`);
  await rm(cache);
  expect(await asked(() => full.get(`/root/web/tr:orig-true/${path}`))).toBe(1);
  expect(await asked(() => full.get(`/root/web/tr:orig-true/${path}`))).toBe(0);
});

const crowd = (path: string) => () =>
  Promise.all(Array.from({ length: 50 }, () => site.get(`/root/web/tr:orig-true/${path}`)));

test("fifty who ask for one file, or for one that is not there, ask the origin once", async () => {
  const path = put(tagged(red));
  expect(await asked(crowd(path))).toBe(1);
  pass(301);
  expect(await asked(crowd(path))).toBe(1);
  expect(await asked(crowd("nowhere.png"))).toBe(1);
});
