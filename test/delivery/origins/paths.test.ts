/** From the path of a URL to the key, blob or address that an origin is asked for. */
import { request } from "node:http";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { createEndpoint } from "../../../src/delivery/origins/endpoints.ts";
import {
  createOrigin,
  testOrigin,
  updateOrigin,
  type OriginInput,
} from "../../../src/delivery/origins/origins.ts";
import { signUrl } from "../../../src/delivery/signature.ts";
import { locateUrl, purgeUrl } from "../../../src/delivery/urls.ts";
import { openSite, outcomeOf, type Site } from "../site.ts";
import { startWeb, type WebServer } from "./storage.ts";

let site: Site;
let web: WebServer;
const allowHosts = ["127.0.0.1"];
/** Paths that there is something at. */
let there: string[] = [];

const add = async (input: OriginInput): Promise<void> => {
  await createOrigin(site.store, input);
  await createEndpoint(site.store, { name: input.name, origins: [input.name] });
};

beforeAll(async () => {
  site = await openSite();
  web = await startWeb((asked, response) => {
    if (there.includes(asked.url!)) response.writeHead(200, { "content-length": 2 }).end("ok");
    else response.writeHead(404).end();
  });
});
afterAll(async () => {
  await site[Symbol.asyncDispose]();
  await web[Symbol.asyncDispose]();
});
beforeEach(() => {
  web.asked.length = 0;
  web.headers.length = 0;
  there = [];
});

/** As a client sends it that tidies nothing up. */
const raw = (path: string, headers: Record<string, string> = {}): Promise<string> =>
  new Promise((resolve, reject) => {
    const { hostname, port } = new URL(site.url);
    request({ hostname, port, path, headers }, (answer) => {
      answer.resume();
      const [code = "-"] = String(answer.headers["x-windlass-error"] ?? "-").split(" ");
      answer.on("end", () => resolve(`${answer.statusCode} ${code}`));
    })
      .on("error", reject)
      .end();
  });

test.each([
  ["none", undefined, "/cat.png"],
  ["root", "/", "/cat.png"],
  ["assets", "/assets", "/assets/cat.png"],
  ["assets2", "assets/", "/assets/cat.png"],
  ["deep", "/a b/c+d", "/a%20b/c%2Bd/cat.png"],
])("BasePath %s (%s): cat.png is looked for at %s", async (name, folder, asked) => {
  await add({ name, type: "web", baseUrl: web.url, allowHosts, folder });
  there = [asked];
  expect(outcomeOf(await site.get(`/root/${name}/cat.png`))).toBe("200 -");
  expect(outcomeOf(await site.get(`/file/${name}/cat.png`))).toBe("200 -");
  expect(web.asked).toEqual([`GET ${asked}`]);
});

/** Names of objects, as the SDK writes them into its URLs. */
const keys = (): string[] =>
  web.asked.map((line) => decodeURIComponent(line.replace(/^GET \/box\//, "").replace(/\?.*$/, "")));

describe("keys that are stored percent-encoded", () => {
  beforeAll(async () => {
    const s3 = { type: "s3-compatible", bucket: "box", endpointUrl: web.url, pathStyle: true, allowHosts };
    await add({ name: "plain", ...s3 });
    await add({ name: "encoded", ...s3, encodeKeys: true });
  });

  test("are found only where the origin says so", async () => {
    there = ["/box/image%252Bexample.jpg?x-id=GetObject"];
    expect(outcomeOf(await site.get("/root/plain/image+example.jpg"))).toBe("404 NotFound");
    expect(keys()).toEqual(["image+example.jpg"]);
    expect(outcomeOf(await site.get("/root/encoded/image+example.jpg"))).toBe("200 -");
    expect(keys()).toEqual(["image+example.jpg", "image%2Bexample.jpg"]);
  });

  test.each([
    ["a+b c.jpg", ["a%2Bb%20c.jpg", "a+b+c.jpg", "a b c.jpg", "a%20b%20c.jpg", "a+b c.jpg"]],
    ["plain.jpg", ["plain.jpg"]],
    ["ü/x.jpg", ["%C3%BC/x.jpg", "ü/x.jpg"]],
  ])("are looked for in this order: %s", async (path, expected) => {
    expect(outcomeOf(await site.get(`/root/encoded/${path.replaceAll("+", "%2B")}`))).toBe("404 NotFound");
    expect(keys()).toEqual(expected);
  });
});

test("canonical links hold the source's path, without transformation, endpoint, folder and query", async () => {
  await add({
    name: "canonical",
    type: "web",
    baseUrl: web.url,
    folder: "assets",
    canonicalBase: "https://www.example.com",
    allowHosts,
  });
  there = ["/assets/rest-of-the-path.jpg", "/assets/a/b%20c.jpg", "/assets/a/b%20c.jpg?v=2"];
  const links = [];
  for (const path of [
    "/root/canonical/rest-of-the-path.jpg",
    "/root/canonical/tr:orig-true/rest-of-the-path.jpg",
    "/root/canonical/rest-of-the-path.jpg?tr=orig-true",
    "/root/canonical/a/b%20c.jpg?v=2",
    "/file/canonical/rest-of-the-path.jpg",
  ]) {
    const { status, headers } = await site.get(path);
    links.push(`${status} ${headers.get("link")}`);
  }
  const link = '200 <https://www.example.com/rest-of-the-path.jpg>; rel="canonical"';
  expect(links).toEqual([
    link,
    link,
    link,
    '200 <https://www.example.com/a/b%20c.jpg>; rel="canonical"',
    link,
  ]);
});

/** While the web server says what it was asked for. */
const answering = async <T>(ask: () => Promise<T>): Promise<T> => {
  const before = web.answer;
  web.answer = (asked, response) => void response.end(asked.url);
  try {
    return await ask();
  } finally {
    web.answer = before;
  }
};

const writtenAs = async (path: string): Promise<string> =>
  (await answering(() => site.get(`/root/written/${path}`))).body.toString();

describe("a slash that a URL percent-encodes", () => {
  const names = ["a%2Fb.txt", "a/b.txt"];
  const texts = (prefix: string, query = ""): Promise<string[]> =>
    answering(() =>
      Promise.all(names.map(async (name) => (await site.get(`${prefix}/${name}${query}`)).body.toString())),
    );

  test("is one to a web server, which has another file behind a plain one", async () => {
    const canonicalBase = "https://www.example.com";
    await add({ name: "slashes", type: "web", baseUrl: web.url, folder: "in", canonicalBase, allowHosts });
    for (const prefix of ["/root/slashes", "/file/slashes", "/root/slashes/tr:orig-true"])
      expect(await texts(prefix)).toEqual(["/in/a%2Fb.txt", "/in/a/b.txt"]);
    expect(web.asked.length).toBe(2);
    const query = "?alt=media&token=1-2";
    expect(await texts("/root/slashes", query)).toEqual(names.map((name) => `/in/${name}${query}`));
    const links = names.map(async (name) => (await site.get(`/root/slashes/${name}`)).headers.get("link"));
    expect(await Promise.all(links)).toEqual(
      names.map((name) => `<https://www.example.com/${name}>; rel="canonical"`),
    );
  });

  test("is written as all servers read it, whatever else the URL percent-encodes", async () => {
    await add({ name: "written", type: "web", baseUrl: web.url, allowHosts });
    expect(await writtenAs("a%2fb%20%63+%252F.txt")).toBe("/a%2Fb%20c%2B%252F.txt");
    expect(await writtenAs("tr:orig-true/a%2Fb/c.txt")).toBe("/a%2Fb/c.txt");
    expect(await writtenAs("ik-seo/a%2Fb/name.txt")).toBe("/a%2Fb.txt");
    expect(await raw("/root/written/a%2F..%2Fb.txt")).toBe("400 InvalidPath");
  });

  test("is gone with a purge of its file", async () => {
    await add({ name: "purged", type: "web", baseUrl: web.url, allowHosts });
    await texts("/root/purged");
    for (const name of names) {
      const { length } = web.asked;
      await purgeUrl(site.store, await locateUrl(site.store, `/root/purged/${name}`));
      await answering(() => site.get(`/root/purged/${name}`));
      expect(web.asked.slice(length)).toEqual([`GET /${name}`]);
    }
  });

  test("is a slash to storage services, own buckets too", async () => {
    await site.put("a/b.txt", Buffer.from("own"));
    expect((await site.get("/root/a%2Fb.txt")).body.toString()).toBe("own");
    const s3 = { type: "s3-compatible", bucket: "box", endpointUrl: web.url, pathStyle: true, allowHosts };
    await add({ name: "s3slashes", ...s3 });
    const text = "/box/a/b.txt?x-id=GetObject";
    expect(await texts("/root/s3slashes")).toEqual([text, text]);
    expect(web.asked.length).toBe(1);
    await add({ name: "gcsslashes", type: "gcs", bucket: "box", endpointUrl: web.url, allowHosts });
    expect(await texts("/root/gcsslashes")).toEqual(["/box/a/b.txt", "/box/a/b.txt"]);
  });

  test("is looked for percent-encoded once more where the origin says so", async () => {
    await add({ name: "twice", type: "web", baseUrl: web.url, encodeKeys: true, allowHosts });
    there = ["/a%2Fb%20c.txt"];
    expect(outcomeOf(await site.get("/root/twice/a%2Fb%20c.txt"))).toBe("200 -");
    expect(web.asked).toEqual(["GET /a%252Fb%2520c.txt", "GET /a%2Fb%2Bc.txt", "GET /a%2Fb%20c.txt"]);
  });
});

describe("no path leaves the origin's folder", () => {
  beforeAll(async () => {
    const folder = "inside";
    await add({ name: "webin", type: "web", baseUrl: web.url, folder, allowHosts });
    const s3 = { type: "s3-compatible", bucket: "box", endpointUrl: web.url, pathStyle: true };
    await add({ name: "s3in", ...s3, folder, allowHosts });
    await add({
      name: "azurein",
      type: "azure",
      azureAccount: "account1",
      container: "box",
      azureEndpoint: web.url,
      folder,
      allowHosts,
    });
    await add({ name: "gcsin", type: "gcs", bucket: "box", endpointUrl: web.url, folder, allowHosts });
  });

  test.each(["webin", "s3in", "azurein", "gcsin"])("of %s", async (name) => {
    const paths = [
      "../secret.jpg",
      "%2e%2e%2fsecret.jpg",
      "%2E%2E/secret.jpg",
      "a/../../secret.jpg",
      "a/%2e%2e/%2e./secret.jpg",
      "./secret.jpg",
      "..",
      "a/..",
      "tr:w-10/../secret.jpg",
    ];
    const answers = [];
    for (const path of paths) answers.push(await raw(`/root/${name}/${path}`));
    expect(new Set(answers)).toEqual(new Set(["400 InvalidPath"]));
    expect(web.asked).toEqual([]);
    for (const path of [
      "..%5csecret.jpg",
      "%252e%252e%252fsecret.jpg",
      "a%0d%0aHost:%20evil.jpg",
      "a%00b.jpg",
    ])
      expect(await raw(`/root/${name}/${path}`)).toMatch(/^40[04] /);
    for (const line of web.asked) {
      // The same path to whoever takes it apart: Azure's SDK writes slashes as %2F or plainly.
      const { pathname } = new URL(line.replace(/^\w+ /, ""), "http://host");
      expect(decodeURIComponent(pathname)).toMatch(/^\/(box\/)?inside\//);
    }
  });
});

const hostsTold = ({ headers }: WebServer) => headers.map((one) => [one.host, one["x-forwarded-host"]]);

test("a web server is told the client's host where it wants to know it, and files are kept for each host", async () => {
  await add({ name: "hosts", type: "web", baseUrl: web.url, forwardHost: true, allowHosts });
  await add({ name: "nohosts", type: "web", baseUrl: web.url, allowHosts });
  there = ["/a.jpg"];
  for (const host of ["one.example.com", "two.example.com", "one.example.com"]) {
    expect(await raw("/root/hosts/a.jpg", { host })).toBe("200 -");
    expect(await raw("/root/nohosts/a.jpg", { host })).toBe("200 -");
  }
  expect(hostsTold(web)).toEqual([
    ["one.example.com", "one.example.com"],
    [`127.0.0.1:${web.port}`, undefined],
    ["two.example.com", "two.example.com"],
  ]);
});

test("a web server's redirect takes the client's host along, but to no other server", async () => {
  await using other = await startWeb((_, response) => void response.end("ok"));
  await add({ name: "moving", type: "web", baseUrl: web.url, forwardHost: true, allowHosts });
  const before = web.answer;
  web.answer = (asked, response) => {
    const location = asked.url === "/a.jpg" ? "/b.jpg" : `${other.url}/c.jpg`;
    response.writeHead(302, { location }).end();
  };
  expect(await raw("/root/moving/a.jpg", { host: "one.example.com" })).toBe("200 -");
  web.answer = before;
  expect(hostsTold(web)).toEqual([
    ["one.example.com", "one.example.com"],
    ["one.example.com", "one.example.com"],
  ]);
  expect(hostsTold(other)).toEqual([[`127.0.0.1:${other.port}`, undefined]]);
});

test("a host that a web server is told and fails at doesn't take the others with it", async () => {
  await add({ name: "tenants", type: "web", baseUrl: web.url, forwardHost: true, allowHosts });
  const before = web.answer;
  web.answer = ({ headers: { host } }, response) => {
    response.writeHead(host === "ill.example.com" ? 500 : 200, { "content-length": 2 }).end("ok");
  };
  for (let n = 0; n < 5; n++) await raw(`/root/tenants/${n}.jpg`, { host: "ill.example.com" });
  expect(await raw("/root/tenants/a.jpg", { host: "ill.example.com" })).toBe("503 ServiceUnavailable");
  expect(await raw("/root/tenants/a.jpg", { host: "well.example.com" })).toBe("200 -");
  for (let n = 0; n < 6; n++)
    expect(await raw(`/root/tenants/${n}.png`, { host: "a b" })).toBe("400 InvalidPath");
  web.answer = before;
});

test("a web server's redirect may name a path in letters that it has not encoded", async () => {
  // What stands in a header is bytes: nginx and PHP send those of UTF-8, old servers those of Latin-1.
  const ways = { one: Buffer.from("/어린 왕자.png").toString("latin1"), other: "/caf\u00e9.png" };
  const files = ["/%EC%96%B4%EB%A6%B0%20%EC%99%95%EC%9E%90.png", "/caf%C3%A9.png"];
  await using moved = await startWeb(({ url }, response) => {
    const location = ways[url!.slice(1) as keyof typeof ways];
    if (location !== undefined) response.writeHead(302, { location });
    else if (!files.includes(url!)) response.writeHead(404);
    response.end();
  });
  await add({ name: "letters", type: "web", baseUrl: moved.url, allowHosts });
  for (const name of ["one", "other"])
    expect(outcomeOf(await site.get(`/root/letters/${name}`))).toBe("200 -");
});

test("a proxy's dead host doesn't take the others with it", async () => {
  await add({ name: "proxy", type: "web-proxy", allowHosts: ["127.0.0.1"] });
  there = ["/a.jpg"];
  const dead = await startWeb(() => undefined);
  await dead[Symbol.asyncDispose]();
  for (let n = 0; n < 6; n++) await site.get(`/root/proxy/${dead.url}/${n}.jpg`);
  expect(outcomeOf(await site.get(`/root/proxy/${dead.url}/a.jpg`))).toBe("503 ServiceUnavailable");
  expect(outcomeOf(await site.get(`/root/proxy/${web.url}/a.jpg`))).toBe("200 -");
});

test("what is no URL of a host that a proxy may ask is looked for in the origins behind it", async () => {
  await createOrigin(site.store, { name: "first", type: "web-proxy", allowHosts });
  const origins = ["first", "photos"];
  await createEndpoint(site.store, { name: "behind", origins });
  await createEndpoint(site.store, { name: "instead", origins, defaultImage: "own.jpg" });
  for (const key of ["own.jpg", "https://example.com/own.jpg"]) await site.put(key, Buffer.from("own"));
  there = ["/a.jpg"];
  const answers = [];
  for (const path of [
    `behind/${web.url}/a.jpg`,
    "behind/own.jpg",
    "behind/https://example.com/own.jpg",
    "behind/missing.jpg",
    "behind/https://example.com/missing.jpg",
    "instead/missing.jpg",
    "instead/https://example.com/missing.jpg",
  ]) {
    const reply = await site.get(`/root/${path}`);
    answers.push(`${outcomeOf(reply)} ${reply.status === 200 ? reply.body.toString() : ""}`);
  }
  expect(answers).toEqual([
    "200 - ok",
    "200 - own",
    "200 - own",
    "404 NotFound ",
    "404 NotFound ",
    "200 - own",
    "200 - own",
  ]);
});

test("a web proxy whose hosts must be public reaches none that isn't, until root names it", async () => {
  const hosts = { allowHosts: ["localhost"] };
  await add({ name: "outer", type: "web-proxy", ...hosts, publicHosts: true });
  there = ["/a.jpg"];
  const path = `/root/outer/http://localhost:${web.port}/a.jpg`;
  expect(outcomeOf(await site.get(path))).toBe("403 OriginRefused");
  await updateOrigin(site.store, { name: "outer" }, { timeout: 5 });
  expect(outcomeOf(await site.get(path))).toBe("403 OriginRefused");
  await updateOrigin(site.store, { name: "outer" }, hosts);
  expect(outcomeOf(await site.get(path))).toBe("200 -");
});

test("a web proxy's URL may be as long as a presigned one, on an endpoint with other origins too", async () => {
  await createOrigin(site.store, { name: "signing", type: "web-proxy", allowHosts });
  const s3 = { type: "s3-compatible", bucket: "box", endpointUrl: web.url, pathStyle: true, allowHosts };
  await createOrigin(site.store, { name: "signings3", ...s3 });
  await createEndpoint(site.store, { name: "long", origins: ["photos", "signings3", "signing"] });
  const path = `/a.jpg?X-Amz-Security-Token=${"x".repeat(3000)}`;
  there = [path];
  const url = encodeURIComponent(web.url + path);
  expect(outcomeOf(await site.get(`/file/signing/${url}`))).toBe("200 -");
  const signed = await signUrl(site.store, await locateUrl(site.store, `/root/long/${url}`));
  expect(outcomeOf(await site.get(signed))).toBe("200 -");
  expect(web.asked).toEqual([`GET ${path}`]);
  await purgeUrl(site.store, await locateUrl(site.store, `/root/long/${url}`));
  expect(outcomeOf(await site.get(`/root/long/${url}`))).toBe("200 -");
  expect(web.asked.length).toBe(2);
  expect(outcomeOf(await site.get(`/root/long/${url.replace("127.0.0.1", "127.0.0.2")}`))).toBe(
    "404 NotFound",
  );
  expect(outcomeOf(await site.get(`/file/signing/${url}${"x".repeat(6000)}`))).toMatch(/^414 /);
  const longer = `/file/signing/${url}${"x".repeat(9000)}`;
  await expect(purgeUrl(site.store, await locateUrl(site.store, longer))).rejects.toThrow("8192 bytes");
});

test("a file whose host sends to one that may not be asked is no missing file", async () => {
  const elsewhere = await startWeb((_, response) => {
    response.writeHead(302, { location: "http://example.org/a.jpg" }).end();
  });
  await createOrigin(site.store, { name: "sent", type: "web-proxy", allowHosts });
  await createEndpoint(site.store, { name: "sent", origins: ["sent", "photos"], defaultImage: "own.jpg" });
  expect(outcomeOf(await site.get(`/root/sent/${elsewhere.url}/a.jpg`))).toBe("403 OriginRefused");
  await elsewhere[Symbol.asyncDispose]();
});

test("a changed origin is asked anew, and what was begun with the old settings ends well", async () => {
  await add({ name: "moved", type: "web", baseUrl: web.url, folder: "old", allowHosts });
  const body = Buffer.alloc(1 << 20, "x");
  const before = web.answer;
  let end: (() => void) | undefined;
  web.answer = (_, response) => {
    response.writeHead(200, { "content-length": body.length });
    response.write(body.subarray(0, 1000));
    end = () => response.end(body.subarray(1000));
  };
  const slow = site.get("/root/moved/a.bin");
  while (web.asked.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  web.answer = before;
  there = ["/new/a.bin"];
  await updateOrigin(site.store, { name: "moved" }, { folder: "new" });
  expect(outcomeOf(await site.get("/root/moved/a.bin"))).toBe("200 -");
  end?.();
  expect((await slow).body.equals(body)).toBe(true);
});

test("what a test finds holds nothing that moves a terminal's cursor", async () => {
  await add({ name: "rude", type: "web", baseUrl: web.url, allowHosts });
  const before = web.answer;
  web.answer = (_, response) => void response.writeHead(404, { server: "\u009b31mroot# \t<b>" }).end();
  const { findings } = await testOrigin(site.store, { name: "rude" });
  web.answer = before;
  expect(findings).toEqual([`127.0.0.1:${web.port} answers (31mroot b): 404 to its base URL.`]);
});

test.each([
  [200, "true"],
  // Its files may be open to all the same.
  [403, "true"],
  [404, "true"],
  [401, "false"],
  [500, "false"],
])("%i to its base URL: a web server's test says %s", async (status, ok) => {
  await add({ name: `base-${status}`, type: "web", baseUrl: web.url, allowHosts });
  const before = web.answer;
  web.answer = (_, response) => void response.writeHead(status).end();
  const tested = await testOrigin(site.store, { name: `base-${status}` });
  web.answer = before;
  expect(`${tested.ok} ${tested.findings[0]}`).toBe(
    `${ok} 127.0.0.1:${web.port} answers: ${status} to its base URL.`,
  );
});

test.each([
  [404, "404 NotFound"],
  [410, "404 NotFound"],
  [401, "403 OriginDenied"],
  [403, "403 OriginDenied"],
  [407, "403 OriginDenied"],
  [400, "502 OriginFailed"],
])("a web server's %i is %s", async (status, expected) => {
  await add({ name: `says-${status}`, type: "web", baseUrl: web.url, allowHosts });
  const before = web.answer;
  web.answer = (_, response) => void response.writeHead(status).end();
  expect(outcomeOf(await site.get(`/root/says-${status}/a.jpg`))).toBe(expected);
  web.answer = before;
});

test("an S3 that finds our clock wrong is asked once more, by its own clock", async () => {
  const s3 = { type: "s3-compatible", bucket: "box", endpointUrl: web.url, pathStyle: true, allowHosts };
  await add({ name: "skewed", ...s3, accessKey: "AKIA", secretKey: "secret" });
  const before = web.answer;
  const ahead = Date.now() + 3_600_000;
  web.answer = (asked, response) => {
    const [, day, time] = /^(\d{8})T(\d{4})/.exec(String(asked.headers["x-amz-date"]))!;
    const right = new Date(ahead).toISOString().replaceAll(/[-:]/g, "");
    if (right.startsWith(`${day}T${time}`)) response.writeHead(200, { "content-length": 2 }).end("ok");
    else {
      response.writeHead(403, { date: new Date(ahead).toUTCString() });
      response.end("<Error><Code>RequestTimeTooSkewed</Code></Error>");
    }
  };
  expect(outcomeOf(await site.get("/root/skewed/a.jpg"))).toBe("200 -");
  web.answer = before;
  expect(web.asked).toHaveLength(2);
});

test.each([
  [404, "NoSuchKey", "404 NotFound"],
  [403, "AccessDenied", "404 NotFound"],
  [404, "NoSuchBucket", "502 OriginFailed"],
  [401, "AuthenticationRequired", "403 OriginDenied"],
])("Google's %i %s is %s", async (status, code, expected) => {
  const before = web.answer;
  web.answer = (_, response) =>
    void response.writeHead(status).end(`<?xml version='1.0'?><Error><Code>${code}</Code></Error>`);
  expect(outcomeOf(await site.get(`/root/gcsin/${status}-${code}.jpg`))).toBe(expected);
  web.answer = before;
  expect(web.asked).toHaveLength(1);
});
