/** Pictures by URLs that ask for nothing to be done to them. */
import { readFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import sharp, { type Sharp } from "sharp";
import { afterAll, beforeAll, expect, test } from "vitest";
import { sceneJpeg } from "./conformance/scene.ts";
import { noise, openSite, quadrants, RED, stripes, WHITE, type Site } from "./site.ts";

let site: Site;
let photo: Buffer;

beforeAll(async () => {
  site = await openSite();
  photo = await noise(300, 200);
});
afterAll(() => site[Symbol.asyncDispose]());

/** An animation of that many frames, each another. */
async function moving(frames: number): Promise<Sharp> {
  const pictures = Array.from({ length: frames }, (_, n) =>
    stripes(64, 48, [[(n * 40) % 256, (n * 90) % 256, 0], WHITE, RED])
      .png()
      .toBuffer(),
  );
  return sharp(await Promise.all(pictures), { join: { animated: true } });
}

const SAFARI = "image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5";
const CHROME = "image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8";

test("every client gets what f-auto gives it: upright, and silent of where it was taken", async () => {
  const taken = quadrants(120, 80).withExif({ IFD3: { GPSLatitude: "51/1 30/1 0/1" } });
  const turned = async (format: "jpeg" | "png" | "webp" | "tiff" | "avif") =>
    taken.clone().withMetadata({ orientation: 6 }).toFormat(format).toBuffer();
  await site.put("taken.jpg", await turned("jpeg"), { meta: { contentType: "image/jpg" } });
  await site.put("taken.zip.jpg", gzipSync(await turned("jpeg")), { meta: { contentEncoding: "gzip" } });
  for (const format of ["png", "webp", "tiff", "avif"] as const) {
    await site.put(`taken.${format}`, await turned(format));
  }
  await site.put("taken.heic", await readFile("test/delivery/fixtures/exif.heic"));
  for (const key of ["jpg", "zip.jpg", "png", "webp", "tiff", "avif", "heic"]) {
    const original = await site.get(`/root/tr:orig-true/taken.${key}`);
    const size = key === "heic" ? "96x64" : "80x120";
    for (const accept of ["*/*", "application/json", "image/heic,*/*", SAFARI, "image/webp", CHROME]) {
      const [plain, auto] = await Promise.all(
        [`taken.${key}`, `tr:f-auto/taken.${key}`].map((path) =>
          site.get(`/root/${path}`, { headers: { accept } }),
        ),
      );
      const { exif, xmp, icc, orientation = 1, width, height } = await sharp(plain!.body).metadata();
      expect([key, accept, exif, xmp, icc, orientation, `${width}x${height}`]).toEqual([
        key,
        accept,
        undefined,
        undefined,
        undefined,
        1,
        size,
      ]);
      expect(plain!.body.equals(original.body)).toBe(false);
      const told = ["content-type", "vary", "etag"].map((name) => plain!.headers.get(name));
      expect([key, ...told]).toEqual([
        key,
        auto!.headers.get("content-type"),
        "Accept",
        auto!.headers.get("etag"),
      ]);
    }
  }
  const named = await site.get("/root/ik-seo/taken/a-name.jpg?ik-attachment=true", {
    headers: { accept: CHROME },
  });
  expect(named.headers.get("content-disposition")).toMatch(/^attachment; filename="taken\.(avif|webp)"/);
});

test("aliases and orig-true give the file as it is, and endpoints one of quality 80", async () => {
  const big = await quadrants(600, 400).jpeg({ quality: 100 }).toBuffer();
  await site.put("big.jpg", big, { meta: { contentType: "image/jpeg" } });
  for (const accept of ["*/*", CHROME]) {
    for (const path of [
      "/root/tr:orig-true/big.jpg",
      "/root/big.jpg?tr=orig-true",
      "/image/photos/big.jpg",
    ]) {
      const { body, headers } = await site.get(path, { headers: { accept } });
      expect([path, body.equals(big), headers.get("vary")]).toEqual([path, true, null]);
    }
  }
  const types = await Promise.all(
    ["*/*", CHROME].map(async (accept) => {
      const { body, headers } = await site.get("/root/big.jpg", { headers: { accept } });
      expect(body.length).toBeLessThan(big.length);
      return headers.get("content-type");
    }),
  );
  expect(types).toEqual(["image/jpeg", "image/avif"]);
});

test("AVIF and WebP go to those alone that name them, and stay what they are where nothing is smaller", async () => {
  const scene = sharp(await sceneJpeg()).resize(400);
  await site.put("low.avif", await scene.avif({ quality: 20, effort: 2 }).toBuffer());
  await site.put("low.webp", await scene.webp({ quality: 20 }).toBuffer());
  await site.put("moving.webp", await (await moving(3)).webp().toBuffer());
  for (const [key, accept, type, same] of [
    ["low.avif", "image/webp,image/png,image/*;q=0.8", "image/webp", false],
    ["low.avif", SAFARI, "image/jpeg", false],
    ["low.avif", CHROME, "image/avif", true],
    ["low.avif", "image/avif", "image/avif", true],
    ["low.webp", SAFARI, "image/jpeg", false],
    ["low.webp", "image/webp", "image/webp", true],
    ["moving.webp", SAFARI, "image/gif", false],
    ["moving.webp", "image/webp", "image/webp", undefined],
  ] as const) {
    const { body, headers } = await site.get(`/root/${key}`, { headers: { accept } });
    const original = (await site.get(`/root/tr:orig-true/${key}`)).body;
    const kept = same === undefined ? undefined : body.equals(original);
    expect([key, accept, headers.get("content-type"), headers.get("vary"), kept]).toEqual([
      key,
      accept,
      type,
      "Accept",
      same,
    ]);
  }
});

test("it says that others may get something else, and only where they may", async () => {
  const meta = { contentType: "image/jpeg" };
  await site.put("plain.jpg", photo, { meta });
  await site.put("notes.txt", Buffer.from("notes"), { meta: { contentType: "text/plain" } });
  const varyOf = async (path: string, etag?: string | null): Promise<string> => {
    const headers = { accept: "*/*", ...(etag ? { "if-none-match": etag } : {}) };
    const reply = await fetch(site.url + path, { method: "HEAD", headers });
    return `${reply.status} ${reply.headers.get("vary")}`;
  };
  expect(await varyOf("/root/plain.jpg")).toBe("200 Accept");
  const { headers } = await site.get("/root/plain.jpg");
  expect(await varyOf("/root/plain.jpg", headers.get("etag"))).toBe("304 Accept");
  for (const path of ["/root/tr:orig-true/plain.jpg", "/image/photos/plain.jpg", "/file/photos/plain.jpg"]) {
    expect([path, await varyOf(path)]).toEqual([path, "200 null"]);
  }
  expect(await varyOf("/root/notes.txt")).toBe("200 Accept-Encoding");
});

test("animations stay whole and moving, and WebP is read again only where that makes it smaller", async () => {
  const long = await (await moving(20)).gif().toBuffer();
  await site.put("short.gif", await (await moving(5)).gif().toBuffer());
  await site.put("long.gif", long);
  await site.put("rich.webp", await (await moving(5)).webp({ lossless: true, effort: 0 }).toBuffer());
  const small = await quadrants(64, 64).webp({ quality: 1 }).toBuffer();
  await site.put("small.webp", small);
  const accept = "image/webp,*/*";
  for (const key of ["short.gif", "rich.webp"]) {
    const { body, headers } = await site.get(`/root/${key}`, { headers: { accept } });
    const { pages } = await sharp(body).metadata();
    expect([key, headers.get("x-cache"), pages]).toEqual([key, "MISS", 5]);
  }
  // Longer than what is decoded.
  expect((await site.get("/root/long.gif", { headers: { accept } })).body.equals(long)).toBe(true);
  expect((await site.get("/root/tr:f-auto/long.gif", { headers: { accept } })).body.equals(long)).toBe(true);
  // Two frames of one colour are fewer bytes as GIF.
  const flat = await Promise.all([RED, WHITE].map((one) => stripes(60, 40, [one]).png().toBuffer()));
  const gif = await sharp(flat, { join: { animated: true } })
    .gif()
    .toBuffer();
  await site.put("flat.gif", gif);
  for (const path of ["flat.gif", "tr:f-auto/flat.gif", "tr:w-60/flat.gif"]) {
    const kept = await site.get(`/root/${path}`, { headers: { accept } });
    expect([path, kept.body.equals(gif)]).toEqual([path, true]);
  }
  const paged = await site.get("/root/tr:pg-1-3/long.gif", { headers: { accept } });
  expect((await sharp(paged.body).metadata()).pages).toBe(3);
  expect((await site.get("/root/small.webp", { headers: { accept } })).body.equals(small)).toBe(true);
});

test("a GIF that says something is made again without that, however small it is", async () => {
  const long = await (await moving(20)).gif().toBuffer();
  const colours = 13 + 3 * 2 ** ((long[10]! & 7) + 1);
  const xmp = Buffer.from("\x21\xff\x0bXMP DataXMP\x0e<GPSLatitude/>\0", "latin1");
  await site.put("says.gif", Buffer.concat([long.subarray(0, colours), xmp, long.subarray(colours)]));
  const { body } = await site.get("/root/says.gif");
  expect([(await sharp(body).metadata()).pages, body.includes("GPSLatitude")]).toEqual([20, false]);
});

test("what can't be improved is the file as it is, whole, in part and on condition", async () => {
  await site.put("broken.jpg", Buffer.from("no picture"), { meta: { contentType: "image/jpeg" } });
  await site.put("icon.ico", Buffer.from("no picture"));
  for (const key of ["broken.jpg", "icon.ico"]) {
    for (const accept of ["image/webp", "*/*"]) {
      const ask = (headers: object) => site.get(`/root/${key}`, { headers: { accept, ...headers } });
      const { status, body, headers } = await ask({});
      expect([key, status, body.toString(), headers.get("vary")]).toEqual([key, 200, "no picture", "Accept"]);
      const etag = headers.get("etag")!;
      const part = await ask({ range: "bytes=3-", "if-range": etag, "if-match": etag });
      expect([part.status, part.body.toString()]).toEqual([206, "picture"]);
      expect((await ask({ "if-none-match": etag })).status).toBe(304);
      expect((await ask({ "if-match": '"another"' })).status).toBe(412);
    }
  }
});
