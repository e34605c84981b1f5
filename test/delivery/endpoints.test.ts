/** What endpoints allow: domains, signatures, names, privacy, defaults. */
import { get as httpGet } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { requestPurge } from "../../src/delivery/cache/purge.ts";
import { createEndpoint, updateEndpoint } from "../../src/delivery/origins/endpoints.ts";
import { createOrigin } from "../../src/delivery/origins/origins.ts";
import { createTransformation } from "../../src/delivery/origins/transformations.ts";
import { locateUrl, purgeUrl } from "../../src/delivery/urls.ts";
import { noise, openSite, outcomeOf, privateTo, quadrants, sizeOf, type Site } from "./site.ts";

let site: Site;
let photo: Buffer;

beforeAll(async () => {
  site = await openSite();
  photo = await noise(300, 200);
  await site.put("photo.jpg", photo, { meta: { contentType: "image/jpeg" } });
  await site.put("default.png", await quadrants(40, 40).png().toBuffer());
  await site.put("secret.jpg", photo, {
    meta: { contentType: "image/jpeg", user: { isprivatefile: "true" } },
  });
  await createTransformation(site.store, { name: "small", chain: "w-50" });
  const origins = ["photos"];
  await createEndpoint(site.store, { name: "named", origins, namedOnly: true });
  await createEndpoint(site.store, { name: "private", origins, privateFiles: true });
  await createEndpoint(site.store, { name: "domain", origins, domain: "images.example.com" });
  await createEndpoint(site.store, { name: "fallback", origins, defaultImage: "default.png" });
  await createEndpoint(site.store, {
    name: "keeping",
    origins,
    defaultImage: "default.png",
    cacheSeconds: 3600,
  });
  await createEndpoint(site.store, { name: "long", origins, cacheSeconds: 31_536_000 });
  await createEndpoint(site.store, { name: "webp", origins, formats: ["webp", "jpeg"] });
  await createEndpoint(site.store, { name: "cloud", origins, rewriter: "cloudinary" });
  await createEndpoint(site.store, { name: "imgix", origins, rewriter: "imgix" });
});
afterAll(() => site[Symbol.asyncDispose]());

const errorOf = async (path: string): Promise<string> => outcomeOf(await site.get(path));

/** As a client that was told another host name. */
const byHost = (host: string, path: string): Promise<{ status: number; length: number }> =>
  new Promise((resolve, reject) => {
    httpGet(site.url, { path, headers: { host } }, (response) => {
      let length = 0;
      response.on("data", (chunk: Buffer) => (length += chunk.length));
      response.on("end", () => resolve({ status: response.statusCode!, length }));
    }).on("error", reject);
  });

describe("a domain of its own", () => {
  test("holds neither account nor prefix", async () => {
    const original = await byHost("images.example.com", "/tr:orig-true/photo.jpg");
    expect(original).toEqual({ status: 200, length: photo.length });
    for (const host of ["Images.Example.com:8080", "images.example.com.", "images.example.com.:8080"])
      expect([host, (await byHost(host, "/tr:w-50/photo.jpg")).status]).toEqual([host, 200]);
    for (const path of ["/root/photo.jpg", "/image/photos/photo.jpg"])
      expect((await byHost("images.example.com", path)).status).toBe(404);
    expect((await byHost("other.example.com", "/photo.jpg")).status).toBe(404);
    // As proxies are asked.
    expect((await byHost("other.example.com", "http://images.example.com/photo.jpg")).status).toBe(200);
    expect((await byHost("images.example.com", "http://other.example.com/photo.jpg")).status).toBe(404);
  });
});

test("a suspended account's files are 403, by whatever URL they are asked for", async () => {
  const { store } = site;
  const { account } = await store.accounts.create({ name: "alice" });
  const [ownerId, acl] = [account.id, privateTo(account.id)];
  const bucket = await store.createBucket({ name: "hers", ownerId, location: "", acl, maxBuckets: 1 });
  await site.put("a.jpg", photo, { bucket, ownerId });
  await createOrigin(store, { name: "hers", type: "bucket", bucket: "hers", owner: "alice" });
  const domain = "alice.example.com";
  await createEndpoint(store, { name: "own", owner: "alice", origins: ["hers"], domain });
  const statuses = async (): Promise<number[]> => [
    (await site.get("/alice/a.jpg")).status,
    (await site.get("/alice/own/a.jpg")).status,
    (await site.get("/image/hers/a.jpg")).status,
    (await byHost(domain, "/a.jpg")).status,
  ];
  expect(await statuses()).toEqual([200, 200, 200, 200]);
  await store.accounts.update(ownerId, { status: "suspended" });
  expect(await statuses()).toEqual([403, 403, 403, 403]);
  await store.accounts.update(ownerId, { status: "active" });
  expect(await statuses()).toEqual([200, 200, 200, 200]);
});

test("an endpoint for named transformations refuses all others, and the original it gives", async () => {
  expect(await errorOf("/root/named/tr:n-small/photo.jpg")).toBe("200 -");
  expect(await errorOf("/root/named/photo.jpg?tr=n-small")).toBe("200 -");
  expect(await errorOf("/root/named/tr:w-50/photo.jpg")).toBe("400 UnnamedTransformation");
  expect(await errorOf("/root/named/tr:n-small,h-10/photo.jpg")).toBe("400 UnnamedTransformation");
  expect(await errorOf("/root/named/tr:n-unknown/photo.jpg")).toBe("400 InvalidParameter");
  expect(await errorOf("/root/named/photo.jpg")).toBe("200 -");
  expect(await errorOf("/root/named/photo.jpg?tr=n-small,")).toBe("200 -");
  expect(await errorOf("/root/named/photo.jpg?tr=,orig-true")).toBe("400 UnnamedTransformation");
  expect(await errorOf("/root/named/photo.jpg/metadata")).toBe("400 UnnamedTransformation");
});

test("private files are for signed URLs and named transformations, as layers too", async () => {
  for (const path of [
    "/root/private/photo.jpg",
    "/root/private/tr:w-9/photo.jpg",
    "/root/private/photo.jpg?tr=",
    "/root/secret.jpg",
    "/root/secret.jpg?tr=,",
    "/root/tr::/secret.jpg",
    "/root/tr:orig-true/secret.jpg",
    "/root/tr:w-9/secret.jpg",
    "/image/photos/secret.jpg",
    "/root/tr:l-image,i-secret.jpg,l-end/photo.jpg",
  ]) {
    expect([path, await errorOf(path)]).toEqual([path, "401 SignatureRequired"]);
  }
  expect(await errorOf("/root/private/tr:n-small/photo.jpg")).toBe("200 -");
  expect(await errorOf("/root/tr:n-small/secret.jpg")).toBe("200 -");
});

test("a default image stands in for what is missing, with all that was asked for", async () => {
  const reply = await site.get("/root/fallback/tr:w-20,h-10/missing.jpg");
  expect([reply.status, await sizeOf(reply.body), reply.headers.get("x-windlass-default-image")]).toEqual([
    200,
    "png 20x10",
    "true",
  ]);
  const named = await site.get("/root/tr:w-20,h-10,di-default.png/missing.jpg");
  expect(await sizeOf(named.body)).toBe("png 20x10");
  expect(await errorOf("/root/tr:w-20,di-nothing.png/missing.jpg")).toBe("404 NotFound");
  for (const path of [
    "/root/fallback/tr:w-20,h-10/missing.mp4/ik-thumbnail.jpg",
    "/root/missing.gif/ik-thumbnail.jpg?tr=w-20,h-10,di-default.png",
  ]) {
    const { body, headers } = await site.get(path);
    expect([path, headers.get("x-windlass-default-image"), await sizeOf(body)]).toEqual([
      path,
      "true",
      "jpeg 20x10",
    ]);
  }
});

test("a default image that the URL's endpoint lacks is the default endpoint's, where that one would give it", async () => {
  const bucket = await site.store.createBucket({
    name: "others",
    ownerId: site.bucket.ownerId,
    location: "",
    acl: site.bucket.acl,
    maxBuckets: 100,
  });
  await site.put("own.png", await quadrants(60, 60).png().toBuffer(), { bucket });
  await createOrigin(site.store, { name: "others", type: "bucket", bucket: "others" });
  await createEndpoint(site.store, { name: "others", origins: ["others"], defaultImage: "default.png" });
  const shown = async (path: string) => {
    const { status, body } = await site.get(path);
    return status === 200 ? sizeOf(body) : String(status);
  };
  for (const path of ["others/none.jpg", "others/tr:di-default.png/none.jpg"])
    expect([path, await shown(`/root/${path}`)]).toEqual([path, "png 40x40"]);
  expect(await shown("/root/others/tr:di-own.png/none.jpg")).toBe("png 60x60");
  for (const rule of ["signedOnly", "namedOnly", "privateFiles"]) {
    await updateEndpoint(site.store, { name: "default" }, { [rule]: true });
    expect([rule, await shown("/root/others/tr:di-default.png/none.jpg")]).toEqual([rule, "404"]);
    await updateEndpoint(site.store, { name: "default" }, { [rule]: false });
  }
});

test("a default image is kept by nobody for longer than a 404 would be", async () => {
  for (const path of ["fallback/tr:w-20/none.jpg", "fallback/none.jpg", "keeping/none.jpg"]) {
    const { status, headers } = await site.get(`/root/${path}`);
    expect([path, status, headers.get("cache-control")]).toEqual([path, 200, "public, max-age=5"]);
  }
  const there = await site.get("/root/keeping/photo.jpg");
  expect(there.headers.get("cache-control")).toBe("public, max-age=3600");
});

test("an endpoint says how long its answers may be kept", async () => {
  for (const path of ["/root/long/photo.jpg", "/root/long/tr:w-9/photo.jpg"]) {
    expect((await site.get(path)).headers.get("cache-control")).toBe("public, max-age=31536000");
  }
});

test("an endpoint's formats are all that may be asked of it; who reads none of them gets a JPEG", async () => {
  const headers = { accept: "image/avif,image/webp,*/*" };
  const reply = await site.get("/root/webp/tr:w-50/photo.jpg", { headers });
  expect(reply.headers.get("content-type")).toBe("image/webp");
  const avif = await site.get("/root/webp/tr:w-50/photo.jpg", { headers: { accept: "image/avif,*/*" } });
  expect(avif.headers.get("content-type")).toBe("image/jpeg");
  for (const chain of [
    "w-50,f-png",
    "if-iw_gt_1,f-png,if-end:w-51",
    "if-iw_gt_1,w-52,if-else,f-avif,if-end",
    "f-png:if-iw_gt_1,f-webp,if-end",
    "if-iw_gt_1,f-webp,if-else,f-png,if-end",
  ]) {
    expect([chain, await errorOf(`/root/webp/tr:${chain}/photo.jpg`)]).toEqual([
      chain,
      "400 InvalidParameter",
    ]);
  }
  // What counts is said last.
  for (const chain of ["f-png:f-webp", "if-iw_gt_1,f-png,if-end:f-webp", "if-iw_gt_1,f-webp,if-end:w-53"]) {
    const { status, headers: said } = await site.get(`/root/webp/tr:${chain}/photo.jpg`);
    expect([chain, status, said.get("content-type")]).toEqual([chain, 200, "image/webp"]);
  }
  await updateEndpoint(site.store, { name: "webp" }, { formats: ["webp"] });
  expect(await errorOf("/root/webp/tr:w-50,f-jpg/photo.jpg")).toBe("400 InvalidParameter");
  const other = await site.get("/root/webp/tr:w-50/photo.jpg");
  expect(other.headers.get("content-type")).toBe("image/jpeg");
});

test("URLs of Cloudinary and imgix are understood where they are asked to be", async () => {
  const cloudinary = await site.get("/root/cloud/image/upload/w_120,h_90,c_fill/v123/photo.jpg");
  expect(await sizeOf(cloudinary.body)).toBe("jpeg 120x90");
  const imgix = await site.get("/root/imgix/photo.jpg?w=120&h=90&fit=crop");
  expect(await sizeOf(imgix.body)).toBe("jpeg 120x90");
});

test("a folder whose name looks like Cloudinary's never stands for another file", async () => {
  await site.put("a_team/photo.jpg", await noise(31, 21));
  await site.put("t_small_things/photo.jpg", await noise(32, 22));
  const sizes = async (path: string): Promise<string> => sizeOf((await site.get(`/root/cloud/${path}`)).body);
  expect(await sizes("a_team/photo.jpg")).toBe("jpeg 31x21");
  expect(await sizes("w_10/a_team/photo.jpg")).toBe("jpeg 10x7");
  expect(await sizes("image/upload/v1/a_team/photo.jpg")).toBe("jpeg 31x21");
  expect(await sizes("t_small_things/photo.jpg")).toBe("jpeg 32x22");
  expect(await sizes("t_small/photo.jpg")).toBe("jpeg 50x33");
  expect(await errorOf("/root/cloud/e_books/photo.jpg")).toBe("404 NotFound");
});

test("prompts make pictures, say how with debug, and never guess", async () => {
  const turned = await site.get(
    "/image/photos/photo.jpg?ai=rotate%20the%20image%20to%20the%20right&debug=true",
  );
  expect(await sizeOf(turned.body)).toBe("jpeg 200x300");
  expect(JSON.parse(turned.headers.get("x-weekerp-applied-options")!)).toEqual({ rotate: 90 });
  expect(turned.headers.get("x-windlass-plan")).toContain("rt-90");
  const half = await site.get("/image/photos/photo.jpg?ai=reduce the size by half");
  expect(await sizeOf(half.body)).toBe("jpeg 150x100");
  const square = await site.get("/image/photos/photo.jpg?ai=정사각형으로 만들어줘&debug=true");
  expect(await sizeOf(square.body)).toBe("jpeg 200x200");
  expect(JSON.parse(square.headers.get("x-weekerp-applied-options")!)).toEqual({
    fit: "cover",
    position: "centre",
    relativeResize: 1,
  });
  const both = await site.get("/image/photos/photo.jpg?ai=make it black and white&w=30");
  expect(await sizeOf(both.body)).toBe("jpeg 30x20");
  const chain = await site.get("/root/photo.jpg?ai=make it black and white&tr=w-60:rt-90");
  expect(await sizeOf(chain.body)).toBe("jpeg 40x60");
  const guess = await site.get("/image/photos/photo.jpg?ai=make it square and give it soul");
  expect([guess.status, guess.headers.get("x-windlass-error")]).toEqual([
    422,
    expect.stringContaining("make square"),
  ]);
});

test("attachments are downloads under their name", async () => {
  const reply = await site.get("/root/photo.jpg?ik-attachment=true");
  expect(reply.headers.get("content-disposition")).toBe(
    `attachment; filename="photo.jpg"; filename*=UTF-8''photo.jpg`,
  );
  await site.put('a"b\\ü.jpg', photo);
  const odd = await site.get("/root/a%22b%5C%C3%BC.jpg?ik-attachment=true");
  expect(odd.headers.get("content-disposition")).toBe(
    `attachment; filename="a_b__.jpg"; filename*=UTF-8''a%22b%5C%C3%BC.jpg`,
  );
  await site.put("it's (1)*.jpg", photo);
  const quoted = await site.get("/root/it's (1)*.jpg?ik-attachment=true");
  expect(quoted.headers.get("content-disposition")).toBe(
    `attachment; filename="it's (1)*.jpg"; filename*=UTF-8''it%27s%20%281%29%2A.jpg`,
  );
});

test("facts of a picture come as JSON", async () => {
  const reply = await site.get("/root/photo.jpg/metadata");
  expect([reply.headers.get("content-type"), reply.headers.get("vary")]).toEqual([
    "application/json",
    "Accept-Encoding",
  ]);
  const again = await site.get("/root/photo.jpg/metadata", { headers: { accept: "image/webp" } });
  expect([again.headers.get("x-cache"), again.headers.get("etag")]).toEqual([
    "HIT",
    reply.headers.get("etag"),
  ]);
  expect(JSON.parse(reply.body.toString())).toMatchObject({
    width: 300,
    height: 200,
    format: "jpg",
    size: photo.length,
  });
});

test("facts of a private file are the file's own: a named transformation opens them no more than itself", async () => {
  expect((await site.get("/root/tr:n-small/secret.jpg")).status).toBe(200);
  for (const path of [
    "secret.jpg/metadata",
    "tr:n-small/secret.jpg/metadata",
    "secret.jpg/metadata?tr=n-small",
  ]) {
    expect([path, await errorOf(`/root/${path}`)]).toEqual([path, "401 SignatureRequired"]);
  }
  expect(await errorOf("/root/private/tr:n-small/photo.jpg/metadata")).toBe("401 SignatureRequired");
});

test("a URL of another service's, with a named transformation, is purged like any other", async () => {
  const path = "/root/cloud/image/upload/t_small/v1/photo.jpg";
  const cached = async (): Promise<string | null> => (await site.get(path)).headers.get("x-cache");
  await cached();
  expect(await cached()).toBe("HIT");
  await purgeUrl(site.store, await locateUrl(site.store, site.url + path));
  expect(await cached()).toBe("MISS");
});

test("a purge takes effect with the next request, for a file, a folder, an origin", async () => {
  await site.put("folder/a.jpg", photo);
  const cacheOf = async (path: string): Promise<string | null> =>
    (await site.get(path)).headers.get("x-cache");
  const owner = (await site.store.accounts.byName("root"))!;
  const scopes = [
    { path: "folder/a.jpg" },
    { prefix: "folder/" },
    { prefix: "/folder/" },
    { origin: "photos" },
    {},
  ];
  for (const scope of scopes) {
    await cacheOf("/root/tr:w-33/folder/a.jpg");
    expect(await cacheOf("/root/tr:w-33/folder/a.jpg")).toBe("HIT");
    await requestPurge(site.store, { ownerId: owner.id, ...scope });
    expect([scope, await cacheOf("/root/tr:w-33/folder/a.jpg")]).toEqual([scope, "MISS"]);
  }
  await requestPurge(site.store, { ownerId: owner.id, path: "folder/b.jpg" });
  expect(await cacheOf("/root/tr:w-33/folder/a.jpg")).toBe("HIT");
});

test("rules can be changed, and hold with the next request", async () => {
  await createOrigin(site.store, { name: "second", type: "bucket", bucket: "photos", folder: "folder" });
  expect(await errorOf("/root/a.jpg")).toBe("404 NotFound");
  await updateEndpoint(site.store, { name: "default" }, { origins: ["second", "photos"] });
  expect(await errorOf("/root/a.jpg")).toBe("200 -");
  expect(await errorOf("/root/photo.jpg")).toBe("200 -");
  await updateEndpoint(site.store, { name: "default" }, { signedOnly: true });
  expect([await errorOf("/root/photo.jpg"), await errorOf("/image/photos/photo.jpg")]).toEqual([
    "401 SignatureRequired",
    "401 SignatureRequired",
  ]);
  await updateEndpoint(site.store, { name: "default" }, { signedOnly: false, origins: ["photos"] });
  expect(await errorOf("/root/photo.jpg")).toBe("200 -");
});

test("two hundred who ask for one picture wait for one rendering", async () => {
  const before = site.reads.count;
  const replies = await Promise.all(Array.from({ length: 200 }, () => site.get("/root/tr:w-123/photo.jpg")));
  expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]));
  expect(replies.every(({ body }) => body.equals(replies[0]!.body))).toBe(true);
  expect(site.reads.count - before).toBe(1);
  expect(replies.filter(({ headers }) => headers.get("x-cache") === "MISS")).toHaveLength(1);
});
