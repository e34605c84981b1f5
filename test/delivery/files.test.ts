/** Who may read what under which URL, and the HTTP of it. */
import { gzipSync } from "node:zlib";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createEndpoint } from "../../src/delivery/origins/endpoints.ts";
import { createOrigin } from "../../src/delivery/origins/origins.ts";
import { createTransformation, updateTransformation } from "../../src/delivery/origins/transformations.ts";
import { ALL_USERS } from "../../src/store/types.ts";
import { colourAt, noise, openSite, privateTo, quadrants, sizeOf, type Site } from "./site.ts";

const ALICE = "b".repeat(64);
let site: Site;
let photo: Buffer;

beforeAll(async () => {
  site = await openSite();
  photo = await noise(300, 200);
  await site.put("photo.jpg", photo, { meta: { contentType: "image/jpeg" } });
  await site.store.accounts.create({ name: "alice", id: ALICE });
  await createOrigin(site.store, { name: "borrowed", type: "bucket", bucket: "photos", owner: "alice" });
});
afterAll(() => site[Symbol.asyncDispose]());

const status = async (path: string, init?: RequestInit): Promise<number> =>
  (await site.get(path, init)).status;

const ORIGINAL = "/root/tr:orig-true/photo.jpg";

describe("the original", () => {
  test("comes byte for byte under the account and under the alias", async () => {
    for (const path of [
      ORIGINAL,
      "/root/photo.jpg?tr=orig-true",
      "/image/photos/photo.jpg",
      "/file/photos/photo.jpg?w=1",
      `${ORIGINAL}?v=2`,
    ]) {
      const reply = await site.get(path);
      expect([path, reply.body.equals(photo)]).toEqual([path, true]);
      expect(reply.headers.get("content-type")).toBe("image/jpeg");
      expect(reply.headers.get("content-length")).toBe(String(photo.length));
    }
  });

  test("is answered to HEAD without a body", async () => {
    const reply = await site.get(ORIGINAL, { method: "HEAD" });
    expect([reply.status, reply.body.length, reply.headers.get("content-length")]).toEqual([
      200,
      0,
      String(photo.length),
    ]);
  });

  test.each([
    ["bytes=0-9", 0, 10],
    ["bytes=100-", 100, Infinity],
    ["bytes=-7", -7, Infinity],
  ])("%s", async (range, start, end) => {
    const reply = await site.get(ORIGINAL, { headers: { range } });
    expect(reply.status).toBe(206);
    expect(reply.body.equals(photo.subarray(start, end))).toBe(true);
    expect(reply.headers.get("content-range")).toMatch(new RegExp(`^bytes \\d+-\\d+/${photo.length}$`));
  });

  test("a range beyond the end is 416, and of another version the whole file", async () => {
    const beyond = await site.get(ORIGINAL, { headers: { range: "bytes=99999999-" } });
    expect([beyond.status, beyond.headers.get("content-range")]).toEqual([416, `bytes */${photo.length}`]);
    expect(await status(ORIGINAL, { headers: { range: "bytes=0-9", "if-range": '"other"' } })).toBe(200);
  });

  test("keeps the headers that were stored with it", async () => {
    const meta = {
      contentType: "text/css",
      cacheControl: "no-cache",
      contentDisposition: "inline",
      contentLanguage: "de",
    };
    await site.put("style.css", Buffer.from("a{}"), { meta });
    const { headers } = await site.get("/root/style.css");
    expect(
      ["content-type", "cache-control", "content-disposition", "content-language"].map((name) =>
        headers.get(name),
      ),
    ).toEqual(["text/css", "no-cache", "inline", "de"]);
  });

  test("without a stored type has the type of its name", async () => {
    await site.put("untyped.WEBP", photo);
    await site.put("untyped.constructor", photo, { meta: { contentType: "binary/octet-stream" } });
    expect((await site.get("/root/tr:orig-true/untyped.WEBP")).headers.get("content-type")).toBe(
      "image/webp",
    );
    expect((await site.get("/root/untyped.constructor")).headers.get("content-type")).toBe(
      "application/octet-stream",
    );
  });
});

const LONG_AGO = "Thu, 01 Jan 1970 00:00:00 GMT";

describe.each([ORIGINAL, "/root/photo.jpg", "/root/tr:w-50/photo.jpg"])("conditions on %s", (path) => {
  test("304 for who has it, 412 for who has another, 200 for all else", async () => {
    const first = await site.get(path);
    const etag = first.headers.get("etag")!;
    const again = await site.get(path, { headers: { "if-none-match": etag } });
    expect([again.status, again.body.length, again.headers.get("etag")]).toEqual([304, 0, etag]);
    expect(await status(path, { headers: { "if-none-match": `"x", W/${etag}` } })).toBe(304);
    expect(await status(path, { headers: { "if-none-match": '"x"' } })).toBe(200);
    expect(await status(path, { headers: { "if-match": '"x"' } })).toBe(412);
    expect(await status(path, { headers: { "if-match": etag } })).toBe(200);
    expect(await status(path, { headers: { "if-match": "*" } })).toBe(200);
    expect(await status(path, { headers: { "if-match": `W/${etag}` } })).toBe(412);
    expect(await status(path, { headers: { "if-match": `W/${etag}, ${etag}` } })).toBe(200);
  });

  test("everything is public, cacheable, and inert", async () => {
    const { headers } = await site.get(path);
    expect(headers.get("cache-control")).toMatch(/^public, max-age=\d+$/);
    expect(headers.get("access-control-allow-origin")).toBe("*");
    expect(headers.get("content-security-policy")).toMatch(/default-src 'none';.*sandbox$/);
    expect(headers.get("x-content-type-options")).toBe("nosniff");
    // Shown in any site's pages, and measured there; whose pages ask for hints get them.
    expect(headers.get("cross-origin-resource-policy")).toBe("cross-origin");
    expect(headers.get("timing-allow-origin")).toBe("*");
    expect(headers.get("access-control-expose-headers")).toBe("*");
    expect(headers.get("accept-ch")).toBe("Sec-CH-Width, Sec-CH-DPR, Save-Data");
  });
});

test("an original has the date of its file, by which it can be asked for", async () => {
  const modified = (await site.get(ORIGINAL)).headers.get("last-modified")!;
  for (const [name, date, expected] of [
    ["if-modified-since", modified, 304],
    ["if-modified-since", LONG_AGO, 200],
    ["if-unmodified-since", modified, 200],
    ["if-unmodified-since", LONG_AGO, 412],
  ] as const) {
    const answered = await status(ORIGINAL, { headers: { [name]: date } });
    expect([name, date, answered]).toEqual([name, date, expected]);
  }
  const dayAfter = new Date(Date.parse(modified) + 86_400_000).toUTCString();
  for (const [date, expected] of [
    [modified, 206],
    [LONG_AGO, 200],
    // No date that we gave: of the file that is there now, nobody has a part.
    [dayAfter, 200],
  ] as const) {
    const headers = { range: "bytes=0-9", "if-range": date };
    expect([date, await status(ORIGINAL, { headers })]).toEqual([date, expected]);
  }
});

test("a result is no older than its transformation: dates say nothing of it", async () => {
  await createTransformation(site.store, { name: "thumb", chain: "w-30" });
  const path = "/root/tr:n-thumb/photo.jpg";
  const first = await site.get(path);
  expect([await sizeOf(first.body), first.headers.get("last-modified")]).toEqual(["jpeg 30x20", null]);
  await updateTransformation(site.store, { name: "thumb" }, { chain: "w-60" });
  const date = first.headers.get("date")!;
  const since = await site.get(path, { headers: { "if-modified-since": date } });
  expect([since.status, await sizeOf(since.body)]).toEqual([200, "jpeg 60x40"]);
  const rest = await site.get(path, { headers: { range: "bytes=10-", "if-range": date } });
  expect([rest.status, await sizeOf(rest.body)]).toEqual([200, "jpeg 60x40"]);
  expect(await status(path, { headers: { "if-unmodified-since": LONG_AGO } })).toBe(200);
});

test("HEAD tells of the whole, whatever range stands beside it", async () => {
  for (const path of [ORIGINAL, "/root/photo.jpg", "/root/tr:w-50/photo.jpg"]) {
    const whole = await site.get(path);
    for (const range of ["bytes=0-9", "bytes=99999999-"]) {
      const { status: said, headers } = await site.get(path, { method: "HEAD", headers: { range } });
      expect([said, headers.get("content-length"), headers.get("content-range")]).toEqual([
        200,
        String(whole.body.length),
        null,
      ]);
    }
  }
});

test("a result is rendered once, and a range of it is a range of the same bytes", async () => {
  const first = await site.get("/root/tr:w-77/photo.jpg");
  const second = await site.get("/root/tr:w-77/photo.jpg", { headers: { range: "bytes=10-19" } });
  expect([first.headers.get("x-cache"), second.headers.get("x-cache")]).toEqual(["MISS", "HIT"]);
  expect(second.body.equals(first.body.subarray(10, 20))).toBe(true);
});

test("plans that mean the same share one result", async () => {
  await site.get("/root/tr:w-66,h-66,f-webp/photo.jpg");
  for (const same of [
    "/root/tr:f-webp,h-66,q-80,w-66,c-maintain_ratio/photo.jpg",
    "/image/photos/photo.jpg?f=webp&h=66&w=66",
  ]) {
    expect([same, (await site.get(same)).headers.get("x-cache")]).toEqual([same, "HIT"]);
  }
});

test("a changed object is never served stale, and neither is a deleted one", async () => {
  await site.put("changing.png", await quadrants(40, 40).png().toBuffer());
  const before = await site.get("/root/tr:w-0.5/changing.png");
  await site.put("changing.png", await quadrants(80, 40).png().toBuffer());
  const after = await site.get("/root/tr:w-0.5/changing.png", {
    headers: { "if-none-match": before.headers.get("etag")! },
  });
  expect([await sizeOf(before.body), await sizeOf(after.body)]).toEqual(["png 20x20", "png 40x20"]);
  await site.store.deleteObject(site.bucket, "changing.png");
  expect(await status("/root/tr:w-0.5/changing.png")).toBe(404);
  expect(await status("/root/changing.png")).toBe(404);
});

test("what was stored compressed is transformed as what it is", async () => {
  const meta = { contentEncoding: "gzip" };
  const svg =
    '<svg xmlns="http://www.w3.org/2000/svg" width="30" height="20"><rect width="30" height="20" fill="red"/></svg>';
  await site.put("packed.jpg", gzipSync(photo), { meta: { ...meta, contentType: "image/jpeg" } });
  await site.put("packed.svg", gzipSync(svg), { meta: { ...meta, contentType: "image/svg+xml" } });
  await site.put("drawing.svgz", gzipSync(svg));
  const [plain, packed] = [
    await site.get("/root/tr:w-50/photo.jpg"),
    await site.get("/root/tr:w-50/packed.jpg"),
  ];
  expect([packed.status, packed.headers.get("content-encoding"), packed.body.equals(plain.body)]).toEqual([
    200,
    null,
    true,
  ]);
  for (const name of ["packed.svg", "drawing.svgz"]) {
    const drawn = await site.get(`/root/tr:w-60,f-png/${name}`);
    expect([name, await sizeOf(drawn.body), await colourAt(drawn.body, 0.5, 0.5)]).toEqual([
      name,
      "png 60x40",
      "red",
    ]);
    expect((await site.get(`/root/tr:f-svg/${name}`)).body.toString()).toMatch(/^<svg.*<rect/s);
  }
  const { body } = await site.get("/root/tr:w-100,h-100,l-image,i-packed.svg,l-end,f-png/photo.jpg");
  expect(await colourAt(body, 0.5, 0.5)).toBe("red");
});

test("what lies over a picture is named when it can't be had", async () => {
  const stranger = "5".repeat(64);
  await site.put("theirs.png", await quadrants(4, 4).png().toBuffer(), { ownerId: stranger });
  await site.put("hidden.png", await quadrants(4, 4).png().toBuffer(), {
    meta: { user: { isprivatefile: "true" } },
  });
  const said = async (layer: string): Promise<string | null> => {
    const { headers } = await site.get(`/root/tr:w-10,${layer},l-end/photo.jpg`);
    return headers.get("x-windlass-error");
  };
  const missing = "NotFound - Layer brand/logo.png: No origin has this file.";
  expect(await said("l-image,i-brand@@logo.png")).toBe(missing);
  expect(await said("l-text,i-hello,ff-brand@@logo.ttf")).toBe(missing.replace("png", "ttf"));
  expect(await said("l-image,i-theirs.png")).toMatch(/^AccessDenied - Layer theirs\.png: /);
  expect(await said("l-image,i-hidden.png")).toMatch(/^SignatureRequired - Layer hidden\.png: /);
  expect(await said("l-image,i-a%0Ab.png")).toMatch(/^NotFound - Layer a\\u000ab\.png: /);
});

test("who may not list a bucket can't tell by the next origin what it holds", async () => {
  const bucket = await site.store.createBucket({
    name: "strangers",
    ownerId: ALICE,
    location: "",
    acl: privateTo(ALICE),
    maxBuckets: 100,
  });
  await site.put("salaries.txt", Buffer.from("theirs"), { bucket, ownerId: ALICE });
  for (const key of ["salaries.txt", "guessed.txt"]) await site.put(key, Buffer.from("own"));
  await createOrigin(site.store, { name: "strangers", type: "bucket", bucket: "strangers" });
  await createEndpoint(site.store, { name: "spying", origins: ["strangers", "photos"] });
  await createEndpoint(site.store, { name: "blind", origins: ["strangers"] });
  for (const key of ["salaries.txt", "guessed.txt"]) {
    expect((await site.get(`/root/spying/${key}`)).body.toString()).toBe("own");
    expect([key, await status(`/root/blind/${key}`)]).toEqual([key, 403]);
  }
});

test.each(["image/jpg", "IMAGE/JPEG", "image/jpeg; charset=utf-8", "text/plain"])(
  "a photograph that is called %s gets a better format all the same",
  async (contentType) => {
    const picture = await quadrants(300, 200).jpeg({ quality: 100 }).toBuffer();
    await site.put("called.jpg", picture, { meta: { contentType } });
    const better = await site.get("/root/called.jpg", { headers: { accept: "image/webp" } });
    expect([await sizeOf(better.body), better.headers.get("content-type")]).toEqual([
      "webp 300x200",
      "image/webp",
    ]);
    expect((await site.get("/root/called.jpg")).headers.get("content-type")).toBe("image/jpeg");
    const { headers, body } = await site.get("/root/tr:orig-true/called.jpg");
    expect([headers.get("content-type"), body.equals(picture)]).toEqual([contentType, true]);
  },
);

test("what is made of a picture by the URL of a thumbnail is one picture, as JPEG", async () => {
  const frames = [1, 2].map((n) => quadrants(20 * n, 20));
  const pages = await Promise.all(frames.map((one) => one.resize(20, 20, { fit: "fill" }).png().toBuffer()));
  await site.put(
    "moving.gif",
    await sharp(pages, { join: { animated: true } })
      .gif()
      .toBuffer(),
  );
  const headers = { accept: "image/avif,image/webp" };
  for (const query of ["", "?tr=w-10", "?tr=w-10,f-auto"]) {
    const { body } = await site.get(`/root/moving.gif/ik-thumbnail.jpg${query}`, { headers });
    expect([query, await sizeOf(body)]).toEqual([query, query === "" ? "jpeg 20x20" : "jpeg 10x10"]);
  }
  const named = await site.get("/root/moving.gif/ik-thumbnail.jpg?tr=f-png");
  expect(await sizeOf(named.body)).toBe("png 20x20");
});

test("keys with blanks, signs, letters of all scripts and odd slashes are found as they were written", async () => {
  for (const key of [
    "a b.txt",
    "a+b.txt",
    "100%.txt",
    "a%2Bb.txt",
    "grüße/日本.txt",
    "a//b.txt",

    "tr:w-1",
    "x/tr:w-1/y",
  ]) {
    await site.put(key, Buffer.from(key));
    const encoded = key.split("/").map(encodeURIComponent).join("/");
    const reply = await site.get(`/file/photos/${encoded}`);
    expect(reply.body.toString()).toBe(key);
  }
});

describe("errors", () => {
  test.each([
    ["/", 404, "NotFound"],
    ["/root", 404, "NotFound"],
    ["/root/", 404, "NotFound"],
    ["/root/missing.jpg", 404, "NotFound"],
    ["/root/tr:w-10/missing.jpg", 404, "NotFound"],
    ["/nobody/photo.jpg", 404, "NotFound"],
    ["/image/nothing/photo.jpg", 404, "NotFound"],
    ["/image/photos", 404, "NotFound"],
    ["/root/%zz.jpg", 400, "InvalidPath"],
    ["/root/%ff.jpg", 400, "InvalidPath"],
    [`/root/${"a".repeat(1025)}`, 400, "InvalidPath"],
    ["/root/tr:w-0/photo.jpg", 400, "InvalidParameter"],
    ["/root/tr:w-20000/photo.jpg", 422, "LimitExceeded"],
    ["/root/photo.jpg?tr=q-101", 400, "InvalidParameter"],
    ["/root/photo.jpg?ik-t=1&ik-s=00", 401, "InvalidSignature"],
    ["/image/photos/photo.jpg?blur=30", 400, "InvalidParameter"],
    ["/image/photos/photo.jpg?ai=make it pop", 422, "PromptNotUnderstood"],
    ["/video/photos/photo.jpg?blur=3", 400, "InvalidParameter"],
    ["/root/tr:w-16000,h-16000/photo.jpg", 422, "LimitExceeded"],
  ])("%s is %i %s", async (path, code, name) => {
    const reply = await site.get(path);
    expect(reply.status).toBe(code);
    expect(reply.headers.get("x-windlass-error")).toMatch(new RegExp(`^${name} - ..`));
    expect(JSON.parse(reply.body.toString())).toMatchObject({ code: name });
    expect(reply.headers.get("cache-control")).toBeNull();
    expect(reply.headers.get("content-security-policy")).toMatch(/default-src 'none';.*sandbox$/);
    expect(reply.headers.get("x-content-type-options")).toBe("nosniff");
    expect(reply.headers.get("access-control-allow-origin")).toBe("*");
  });

  test.each([
    ["/root/missing.jpg", 404, "ENOENT"],
    ["/alice/photo.jpg", 403, "EACCES"],
    ["/root/tr:w-20000/photo.jpg", 422, "ELIMIT"],
    ["/root/tr:w-0/photo.jpg", 400, "UNIDENTIFIED"],
  ])("%s is %i %s to ImageKit's clients", async (path, code, word) => {
    const reply = await site.get(path);
    const [, message] = reply.headers.get("x-windlass-error")!.split(/ - (.*)/);
    expect([reply.status, reply.headers.get("ik-error")]).toEqual([code, `${word} - ${message}`]);
  });

  test.each([
    ["a long URL", `/root/${"a".repeat(9000)}`, {}, 414, "InvalidPath"],
    ["a long header", "/root/photo.jpg", { "x-long": "a".repeat(9000) }, 431, "InvalidParameter"],
    ["an endless header", "/root/photo.jpg", { "x-long": "a".repeat(100_000) }, 431, "InvalidParameter"],
  ])("%s is refused by the status that HTTP has for it", async (_, path, headers, code, name) => {
    const reply = await site.get(path, { headers });
    expect([reply.status, reply.headers.get("x-windlass-error")?.split(" ")[0]]).toEqual([code, name]);
  });

  test("what a URL says beside its options is left out of account, and named where asked for", async () => {
    const plain = await site.get("/image/photos/photo.jpg?w=40");
    for (const more of [
      "utm_source=x",
      "fbclid=%zz",
      "_=1",
      "blurr=3",
      "__proto__=1",
      "%0d%0aset-cookie=1",
    ]) {
      const reply = await site.get(`/image/photos/photo.jpg?w=40&${more}`);
      expect([more, reply.status, reply.body.equals(plain.body)]).toEqual([more, 200, true]);
      expect(reply.headers.get("etag")).toBe(plain.headers.get("etag"));
      expect(reply.headers.get("x-windlass-ignored")).toBeNull();
    }
    const ignored = async (url: string): Promise<string | null> =>
      (await site.get(url)).headers.get("x-windlass-ignored");
    const query = "utm_source=x&blurr=3&b%C3%A9=1&%0D%0Aset-cookie=1&debug=true&v=1";
    expect(await ignored(`/image/photos/photo.jpg?w=40&${query}`)).toBe(
      "utm_source, blurr, b%C3%A9, %0D%0Aset-cookie",
    );
    expect(await ignored("/root/photo.jpg?tr=w-40&utm_source=x&ik-debug=true")).toBe("utm_source");
    expect(await ignored("/image/photos/photo.jpg?w=40&debug=true")).toBeNull();
    const many = Array.from({ length: 500 }, (_, n) => `x${n}=`).join("&");
    expect((await ignored(`/image/photos/photo.jpg?${many}&debug=true`))!.length).toBeLessThan(2000);
  });

  test("a value from the URL can't add a header", async () => {
    const reply = await site.get("/root/tr:w-%0d%0ax-evil:%201/photo.jpg");
    expect([reply.status, reply.headers.get("x-evil")]).toEqual([400, null]);
  });

  test("only reading is offered", async () => {
    for (const method of ["POST", "PUT", "DELETE", "PATCH"]) {
      const reply = await site.get("/root/photo.jpg", { method });
      expect([reply.status, reply.headers.get("allow")]).toEqual([405, "GET, HEAD, OPTIONS"]);
    }
    const preflight = await site.get("/root/photo.jpg", { method: "OPTIONS" });
    expect([preflight.status, preflight.headers.get("access-control-allow-methods")]).toEqual([
      204,
      "GET, HEAD",
    ]);
  });
});

describe("the origin's owner must be able to read", () => {
  test("what is another account's is 403 until its ACL says READ, and again when it no longer does", async () => {
    const paths = ["/alice/photo.jpg", "/alice/tr:w-20/photo.jpg", "/image/borrowed/photo.jpg"];
    const statuses = async (): Promise<number[]> => Promise.all(paths.map((path) => status(path)));
    expect(await statuses()).toEqual([403, 403, 403]);
    const open = {
      grants: [
        ...privateTo("a".repeat(64)).grants,
        { grantee: { type: "Group" as const, uri: ALL_USERS }, permission: "READ" as const },
      ],
    };
    await site.store.updateObject(site.bucket, "photo.jpg", undefined, { acl: open });
    expect(await statuses()).toEqual([200, 200, 200]);
    await site.store.updateObject(site.bucket, "photo.jpg", undefined, { acl: privateTo("a".repeat(64)) });
    expect(await statuses()).toEqual([403, 403, 403]);
  });

  test("who may not list a bucket does not learn which keys it has", async () => {
    expect(await status("/alice/missing.jpg")).toBe(403);
  });
});

test("an endpoint asks its origins in order, each with its folder", async () => {
  const { store } = site;
  const owner = "carol";
  const { account } = await store.accounts.create({ name: owner });
  const make = (name: string) =>
    store.createBucket({
      name,
      ownerId: account.id,
      location: "",
      acl: privateTo(account.id),
      maxBuckets: 9,
    });
  const [first, second] = [await make("first"), await make("second")];
  await site.put("both.txt", Buffer.from("first"), { bucket: first, ownerId: account.id });
  await site.put("both.txt", Buffer.from("root of second"), { bucket: second, ownerId: account.id });
  await site.put("assets/both.txt", Buffer.from("second"), { bucket: second, ownerId: account.id });
  await site.put("assets/only.txt", Buffer.from("only"), { bucket: second, ownerId: account.id });
  await createOrigin(store, { name: "one", type: "bucket", bucket: "first", owner });
  await createOrigin(store, { name: "two", type: "bucket", bucket: "second", owner, folder: "/assets" });
  await createOrigin(store, { name: "gone", type: "bucket", bucket: "never-made", owner });
  await createEndpoint(store, { name: "all", owner, prefix: "media", origins: ["gone", "one", "two"] });
  await createEndpoint(store, { name: "turned", owner, origins: ["two", "one"] });
  const texts = await Promise.all(
    ["/carol/both.txt", "/carol/media/both.txt", "/carol/media/only.txt", "/carol/turned/both.txt"].map(
      async (path) => (await site.get(path)).body.toString(),
    ),
  );
  expect(texts).toEqual(["first", "first", "only", "second"]);
  expect([await status("/carol/only.txt"), await status("/carol/all/both.txt")]).toEqual([404, 404]);
});
