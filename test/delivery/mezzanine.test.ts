/** Sources that are dear to decode: decoded once, whatever is made of them. */
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { sceneJpeg } from "./conformance/scene.ts";
import { difference, pixelsOf, within } from "./conformance/pixels.ts";
import { colourAt, openSite, quadrants, sizeOf, type Site } from "./site.ts";

let site: Site;
/** 96 by 64, four coloured quarters, colours in Display P3. */
let heic: Buffer;
let scene: Buffer;
let jxl: Buffer;
let clear: Buffer;

beforeAll(async () => {
  site = await openSite();
  heic = await readFile("test/delivery/fixtures/display-p3.heic");
  scene = await sceneJpeg();
  const { default: load } = await import("wasm-vips");
  const vips = await load({ dynamicLibraries: ["vips-jxl.wasm"] });
  const toJxl = async (png: Promise<Buffer>): Promise<Buffer> =>
    Buffer.from(vips.Image.newFromBuffer(await png).jxlsaveBuffer({ lossless: true }));
  jxl = await toJxl(sharp(scene).png().toBuffer());
  clear = await toJxl(
    sharp({ create: { width: 40, height: 30, channels: 4, background: "#ff000000" } })
      .png()
      .toBuffer(),
  );
});
afterAll(() => site[Symbol.asyncDispose]());

/** No test finds what another one made. */
beforeEach(async () => {
  await rm(join(site.folder, "cache"), { recursive: true, force: true });
});

async function picture(path: string): Promise<Buffer> {
  const reply = await site.get(path);
  expect([path, reply.status, reply.headers.get("x-windlass-error")]).toEqual([path, 200, null]);
  return reply.body;
}

/** How much work renderers had with these. */
async function rendersFor(...paths: string[]): Promise<number> {
  const before = site.delivery.counts().renders.done;
  for (const path of paths) await picture(path);
  return site.delivery.counts().renders.done - before;
}

test.each(["photo.heic", "photo.jxl"])("%s is decoded once for all sizes and formats", async (key) => {
  await site.put(key, key.endsWith("jxl") ? jxl : heic);
  const chains = ["w-48", "w-20,h-20", "w-60,f-webp", "w-30,f-avif:rt-90", "e-grayscale", "w-48,q-30"];
  const paths = [...chains.map((chain) => `/root/tr:${chain}/${key}`), `/image/photos/${key}?w=33`];
  expect(await rendersFor(...paths)).toBe(1 + paths.length);
  expect(await sizeOf(await picture(paths[3]!))).toBe("heif 20x30");
});

test("of a large one the bytes are read once", async () => {
  await site.put("read.jxl", jxl);
  const before = site.reads.count;
  for (const width of [10, 20, 30]) await picture(`/root/tr:w-${width}/read.jxl`);
  expect(site.reads.count - before).toBe(1);
});

test("what is to keep every pixel is made of the source itself", async () => {
  await site.put("exact.jxl", jxl);
  const original = await pixelsOf(scene);
  for (const chain of ["f-png", "lo-true,f-webp", "w-600:if-w_gt_10,f-png,if-end"]) {
    const path = `/root/tr:${chain}/exact.jxl`;
    expect([path, await rendersFor(path)]).toEqual([path, 1]);
    // The profile's conversion rounds.
    expect(difference(await pixelsOf(await picture(path)), original).worst).toBeLessThan(1);
  }
});

test("nobody sees the difference, colours beyond sRGB included", async () => {
  await site.put("seen.heic", heic);
  await site.put("seen.jxl", jxl);
  for (const chain of ["w-64", "w-64,cp-true", "cm-extract,w-60,h-40"]) {
    for (const key of ["seen.heic", "seen.jxl"]) {
      const body = await picture(`/root/tr:${chain},q-100,f-jpg/${key}`);
      const direct = sharp(await picture(`/root/tr:${chain},f-png/${key}`)).keepIccProfile();
      const wanted = await direct.jpeg({ quality: 100 }).toBuffer();
      const off = difference(await pixelsOf(body), await pixelsOf(wanted));
      // A JPEG is scaled while it is decoded.
      const near = within(off, { mean: 1.5, worst: 3 });
      expect([chain, key, off, near]).toEqual([chain, key, off, true]);
      const [is, should] = await Promise.all([body, wanted].map((one) => sharp(one).metadata()));
      expect(is?.icc?.length).toBe(should?.icc?.length);
    }
  }
});

test("EXIF is there for those who ask for it, and turns nothing that is upright already", async () => {
  // Made with heif-enc 1.15 of a JPEG with the orientation 6, which a HEIC's pixels don't follow.
  await site.put("exif.heic", await readFile("test/delivery/fixtures/exif.heic"));
  for (const [chain, expected] of [
    ["w-48,f-jpg", [48, 32, undefined, false]],
    ["w-48,f-jpg,md-true", [48, 32, 1, true]],
    ["w-48,f-webp,md-true", [48, 32, 1, true]],
  ] as const) {
    const { width, height, orientation, exif } = await sharp(
      await picture(`/root/tr:${chain}/exif.heic`),
    ).metadata();
    const seen = [width, height, orientation, exif?.includes("Windlass") ?? false];
    expect([chain, ...seen]).toEqual([chain, ...expected]);
  }
});

test("what is transparent stays so", async () => {
  await site.put("clear.jxl", clear);
  const body = await picture("/root/tr:w-20,f-webp/clear.jxl");
  expect((await sharp(body).metadata()).hasAlpha).toBe(true);
  expect((await sharp(body).stats()).isOpaque).toBe(false);
});

test("what only bears the name is taken for what it is", async () => {
  await site.put("renamed.heic", await quadrants(100, 100).jpeg({ quality: 95 }).toBuffer());
  const body = await picture("/root/tr:w-50/renamed.heic");
  expect([await sizeOf(body), await colourAt(body, 0.9, 0.1)]).toEqual(["jpeg 50x50", "green"]);
});

test("another file of that name is decoded anew, and so is one that had to make room", async () => {
  await site.put("changing.heic", heic);
  expect(await sizeOf(await picture("/root/tr:w-48/changing.heic"))).toBe("jpeg 48x32");
  await site.put("changing.heic", await quadrants(90, 90).jpeg().toBuffer());
  expect(await sizeOf(await picture("/root/tr:w-30/changing.heic"))).toBe("jpeg 30x30");
  await rm(join(site.folder, "cache"), { recursive: true });
  expect(await sizeOf(await picture("/root/tr:w-40/changing.heic"))).toBe("jpeg 40x40");
});

test("what can't be decoded is tried once", async () => {
  await site.put("cut.heic", heic.subarray(0, 900));
  const before = site.delivery.counts().renders.failed;
  for (const width of [10, 20, 30]) {
    const { status, headers } = await site.get(`/root/tr:w-${width}/cut.heic`);
    expect([status, headers.get("x-windlass-error")?.split(" ")[0]]).toEqual([422, "DamagedSource"]);
  }
  expect(site.delivery.counts().renders.failed - before).toBe(1);
});
