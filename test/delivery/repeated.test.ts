/** What is asked for again and again is taken apart once, and yet says at once what has changed since. */
import { get } from "node:http";
import { afterAll, afterEach, beforeAll, expect, test, vi } from "vitest";
import { createEndpoint, deleteEndpoint, updateEndpoint } from "../../src/delivery/origins/endpoints.ts";
import { updateOrigin } from "../../src/delivery/origins/origins.ts";
import { createTransformation, updateTransformation } from "../../src/delivery/origins/transformations.ts";
import { createUrlKey, deleteUrlKey, signUrl } from "../../src/delivery/signature.ts";
import { locateUrl, purgeUrl } from "../../src/delivery/urls.ts";
import {
  openSite,
  outcomeOf,
  privateTo,
  quadrants,
  sizeOf,
  type Reply,
  type Site,
  type Worker,
} from "./site.ts";

let site: Site;
let other: Worker;
const SIZE = [60, 40];

beforeAll(async () => {
  site = await openSite();
  other = await site.openNode();
  await createTransformation(site.store, { name: "small", chain: "w-30" });
  await createEndpoint(site.store, { name: "shop", origins: ["photos"] });
  await putPhoto("photo.png");
});
afterEach(() => void vi.useRealTimers());
afterAll(async () => {
  await other[Symbol.asyncDispose]();
  await site[Symbol.asyncDispose]();
});

async function putPhoto(key: string, [width, height] = SIZE, user = {}): Promise<void> {
  await site.put(key, await quadrants(width!, height!).png().toBuffer(), {
    meta: { contentType: "image/png", user },
  });
}

/** Of this process and of another one. */
const askAll = (path: string, init?: RequestInit): Promise<Reply[]> =>
  Promise.all([site, other].map((worker) => worker.get(path, init)));
const outcomes = async (path: string): Promise<string[]> => (await askAll(path)).map(outcomeOf);
const sizes = async (path: string): Promise<string[]> =>
  Promise.all((await askAll(path)).map(({ body }) => sizeOf(body)));

const both = <T>(value: T): T[] => [value, value];

/** Until both have it in their memories. */
async function repeat(path: string): Promise<void> {
  for (let n = 0; n < 3; n++) expect(await outcomes(path)).toEqual(both("200 -"));
  for (const { headers } of await askAll(path)) expect(headers.get("x-cache")).toBe("HIT");
}

test("an endpoint's rules", async () => {
  const path = "/root/shop/tr:w-20/photo.png";
  const change = (rules: Parameters<typeof updateEndpoint>[2]) =>
    updateEndpoint(site.store, { name: "shop" }, rules);
  await repeat(path);
  await change({ namedOnly: true });
  expect(await outcomes(path)).toEqual(both("400 UnnamedTransformation"));
  await change({ namedOnly: false, cacheSeconds: 7 });
  for (const { headers } of await askAll(path)) expect(headers.get("cache-control")).toContain("max-age=7");
  await change({ signedOnly: true });
  expect(await outcomes(path)).toEqual(both("401 SignatureRequired"));
  await change({ signedOnly: false });
  await repeat(path);
  await deleteEndpoint(site.store, { name: "shop" });
  expect(await outcomes(path)).toEqual(both("404 NotFound"));
});

test("a named transformation", async () => {
  const path = "/root/tr:n-small/photo.png";
  await repeat(path);
  expect(await sizes(path)).toEqual(both("png 30x20"));
  await updateTransformation(site.store, { name: "small" }, { chain: "w-25" });
  expect(await sizes(path)).toEqual(both("png 25x17"));
});

test("the origin", async () => {
  const path = "/root/tr:w-0.5/photo.png";
  await putPhoto("elsewhere/photo.png", [80, 80]);
  await repeat(path);
  expect(await sizes(path)).toEqual(both("png 30x20"));
  await updateOrigin(site.store, { name: "photos" }, { folder: "elsewhere/" });
  expect(await sizes(path)).toEqual(both("png 40x40"));
  await updateOrigin(site.store, { name: "photos" }, { folder: "" });
  expect(await sizes(path)).toEqual(both("png 30x20"));
});

test("the object, its metadata and its ACL", async () => {
  const path = "/root/tr:w-0.5/mine.png";
  await putPhoto("mine.png");
  await repeat(path);
  await putPhoto("mine.png", [100, 20]);
  expect(await sizes(path)).toEqual(both("png 50x10"));
  await repeat(path);
  await site.store.updateObject(site.bucket, "mine.png", undefined, { acl: privateTo("b".repeat(64)) });
  expect(await outcomes(path)).toEqual(both("403 AccessDenied"));
  await putPhoto("mine.png", SIZE, { isprivatefile: "true" });
  expect(await outcomes(path)).toEqual(both("401 SignatureRequired"));
  await site.store.deleteObject(site.bucket, "mine.png");
  expect(await outcomes(path)).toEqual(both("404 NotFound"));
});

test("the account", async () => {
  const path = "/root/tr:w-21/photo.png";
  await repeat(path);
  const { ownerId } = site.bucket;
  await site.store.accounts.update(ownerId, { status: "suspended" });
  expect(await outcomes(path)).toEqual(both("403 AccessDenied"));
  await site.store.accounts.update(ownerId, { status: "active", name: "renamed" });
  expect(await outcomes(path)).toEqual(both("404 NotFound"));
  expect(await outcomes("/renamed/tr:w-21/photo.png")).toEqual(both("200 -"));
  await site.store.accounts.update(ownerId, { name: "root" });
  await repeat(path);
});

test("a purge", async () => {
  const path = "/root/tr:w-22/photo.png";
  await repeat(path);
  const before = (await askAll(path)).map(({ headers }) => headers.get("etag"));
  await purgeUrl(site.store, await locateUrl(site.store, path));
  const after = await askAll(path);
  expect(after.map(({ headers }) => headers.get("x-cache"))).toContain("MISS");
  for (const { headers } of after) expect(before).not.toContain(headers.get("etag"));
});

test("a signature's end, and its key", async () => {
  await createUrlKey(site.store, { id: "one" });
  const { url, place } = await locateUrl(site.store, "/root/tr:w-23/photo.png");
  const ending = await signUrl(site.store, { url, place, expires: 3600 });
  const endless = await signUrl(site.store, { url, place });
  await repeat(ending);
  await repeat(endless);
  vi.useFakeTimers({ toFake: ["Date"], now: Date.now() + 3_601_000 });
  expect(await outcomes(ending)).toEqual(both("401 ExpiredUrl"));
  expect(await outcomes(endless)).toEqual(both("200 -"));
  await deleteUrlKey(site.store, { id: "one" });
  expect(await outcomes(endless)).toEqual(both("401 InvalidSignature"));
});

test("what the client says of itself", async () => {
  const path = "/root/tr:w-24,f-auto/photo.png";
  await repeat(path);
  const typed = async (accept: string): Promise<(string | null)[]> =>
    (await askAll(path, { headers: { accept } })).map(({ headers }) => headers.get("content-type"));
  for (let n = 0; n < 2; n++) {
    expect(await typed("image/webp")).toEqual(both("image/webp"));
    expect(await typed("image/*")).toEqual(both("image/png"));
  }
  const [whole] = await askAll(path);
  const etag = whole!.headers.get("etag")!;
  for (let n = 0; n < 2; n++) {
    const of = async (init: RequestInit) =>
      (await askAll(path, init)).map(({ status, body }) => [status, body.length]);
    const { length } = whole!.body;
    expect(await of({ headers: { "if-none-match": etag } })).toEqual(both([304, 0]));
    expect(await of({ headers: { "if-match": '"other"' } })).toEqual(both([412, expect.anything()]));
    expect(await of({ headers: { range: "bytes=0-9" } })).toEqual(both([206, 10]));
    expect(await of({ method: "HEAD" })).toEqual(both([200, 0]));
    expect(await of({})).toEqual(both([200, length]));
  }
});

test("one host's paths are not another's", async () => {
  const byHost = async (host: string): Promise<string[]> =>
    Promise.all(
      [site, other].map(
        async ({ url }) =>
          await new Promise<string>((resolve, reject) => {
            get(url, { path: "/tr:w-26/photo.png", headers: { host } }, (response) => {
              response.resume();
              response.on("end", () => resolve(String(response.statusCode)));
            }).on("error", reject);
          }),
      ),
    );
  await createEndpoint(site.store, { name: "domain", origins: ["photos"], domain: "images.example.com" });
  for (let n = 0; n < 2; n++) {
    expect(await byHost("images.example.com")).toEqual(both("200"));
    expect(await byHost("localhost")).toEqual(both("404"));
  }
  await updateEndpoint(site.store, { name: "domain" }, { domain: null });
  expect(await byHost("images.example.com")).toEqual(both("404"));
});
