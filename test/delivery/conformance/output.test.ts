/** How results are written: each of the table's rows about that, looked at by decoding. */
import sharp, { type Metadata } from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sizeOf, type Reply } from "../site.ts";
import { scaled } from "./expected.ts";
import { difference, drawn, imageOf, pixelsOf, type Pixels } from "./pixels.ts";
import { openStage, served, type Stage } from "./setup.ts";

const BROWSER = "image/avif,image/webp,image/apng,image/*,*/*;q=0.8";
let stage: Stage;
/** The scene at 300 by 200, without any loss. */
let plain: Pixels;

beforeAll(async () => {
  stage = await openStage();
  plain = await scaled(300, 200)(stage.scene);
  const { site, scene } = stage;
  const tagged = sharp(scene)
    .withIccProfile("p3")
    .withExif({
      IFD0: { Copyright: "Someone", Artist: "A painter" },
      IFD3: { GPSLatitude: "51/1 30/1 0/1" },
    });
  await site.put("tagged.jpg", await tagged.jpeg({ quality: 95 }).toBuffer());
  await site.put("scene.png", await sharp(scene).png().toBuffer());
  // 16 bits a channel.
  await site.put("deep.png", await sharp(scene).toColourspace("rgb16").png().toBuffer());
  for (const profile of ["p3", "srgb"]) {
    const deep = sharp(scene).toColourspace("rgb16").withIccProfile(profile);
    await site.put(`deep-${profile}.png`, await deep.png().toBuffer());
    await site.put(`deep-${profile}.tiff`, await deep.tiff({ compression: "deflate" }).toBuffer());
  }
  const drawing =
    '<rect width="300" height="200" fill="#fff"/><rect x="30" y="30" width="90" height="60" fill="#d33"/><circle cx="220" cy="120" r="50" fill="#36c"/>';
  await site.put(
    "drawing.png",
    await imageOf(await drawn(300, 200, drawing))
      .png()
      .toBuffer(),
  );
});
afterAll(() => stage[Symbol.asyncDispose]());

/** Of an endpoint. */
const get = (path: string, accept = "*/*"): Promise<Reply> => served(stage, `/root/${path}`, { accept });
const metadataOf = async (path: string): Promise<Metadata> => sharp((await get(path)).body).metadata();

/** Decibels, of the scene at 300 by 200: 40 is hard to see, 30 is easy. */
async function fidelity(body: Buffer): Promise<number> {
  const { data } = await pixelsOf(body);
  let sum = 0;
  for (let n = 0; n < data.length; n++) sum += n % 4 === 3 ? 0 : (data[n]! - plain.data[n]!) ** 2;
  return 10 * Math.log10(255 ** 2 / (sum / ((data.length * 3) / 4)));
}

describe("f", () => {
  test.each([
    ["jpg", "jpeg", "image/jpeg", 32],
    ["jpeg", "jpeg", "image/jpeg", 32],
    ["webp", "webp", "image/webp", 32],
    ["avif", "heif", "image/avif", 32],
    ["png", "png", "image/png", 99],
    ["gif", "gif", "image/gif", 25],
    ["orig", "jpeg", "image/jpeg", 32],
  ])("-%s", async (format, decoded, type, least) => {
    const reply = await get(`tr:w-300,f-${format}/photo.jpg`);
    expect([await sizeOf(reply.body), reply.headers.get("content-type")]).toEqual([
      `${decoded} 300x200`,
      type,
    ]);
    expect(await fidelity(reply.body)).toBeGreaterThan(least);
  });

  test.each([
    ["tiff", "tiff", "image/tiff"],
    ["webp", "webp", "image/webp"],
    ["png", "png", "image/png"],
    ["auto", "jpeg", "image/jpeg"],
  ])("ormat=%s of alias URLs", async (format, decoded, type) => {
    const reply = await served(stage, `/image/photos/photo.jpg?w=300&format=${format}`);
    expect([await sizeOf(reply.body), reply.headers.get("content-type")]).toEqual([
      `${decoded} 300x200`,
      type,
    ]);
    expect(await fidelity(reply.body)).toBeGreaterThan(32);
  });

  test.each([
    ["image/avif", "image/avif"],
    ["image/webp,*/*", "image/webp"],
    ["*/*", "image/jpeg"],
  ])("-auto for Accept: %s is %s, looks alike, and varies", async (accept, type) => {
    const reply = await get("tr:w-300,f-auto/photo.jpg", accept);
    expect([reply.headers.get("content-type"), reply.headers.get("vary")]).toEqual([type, "Accept"]);
    expect(await fidelity(reply.body)).toBeGreaterThan(32);
  });

  test("-auto gives the smallest of what the client reads, however small the picture is", async () => {
    for (const width of [40, 150, 300]) {
      const size = async (format: string) => (await get(`tr:w-${width},f-${format}/photo.jpg`)).body.length;
      const [jpeg, webp, avif] = [await size("jpg"), await size("webp"), await size("avif")];
      const auto = async (accept: string) => (await get(`tr:w-${width}/photo.jpg`, accept)).body.length;
      expect(await auto(BROWSER)).toBe(Math.min(webp, avif));
      expect(await auto("image/webp")).toBe(webp);
      expect(webp).toBeLessThan(jpeg);
    }
  });

  test("-auto writes a drawing without loss where that is smaller", async () => {
    const { body, headers } = await get("tr:w-300/drawing.png", BROWSER);
    const named = (await get("tr:w-300,f-avif/drawing.png")).body;
    expect(headers.get("content-type")).toBe("image/webp");
    expect(body.length).toBeLessThan(named.length);
    const exact = await pixelsOf(sharp((await get("tr:w-300,f-png/drawing.png")).body));
    expect(difference(await pixelsOf(body), exact)).toEqual({ mean: 0, worst: 0 });
  });

  test("-auto keeps to PNG where the source is one and the client says nothing, and to JPEG where effects made pixels of one", async () => {
    expect(await sizeOf((await get("tr:w-300/scene.png")).body)).toBe("png 300x200");
    expect(await sizeOf((await get("tr:w-300,e-usm-2-2-0.8-0.024/photo.jpg")).body)).toBe("jpeg 300x200");
    expect(await sizeOf((await get("tr:w-300,r-20/photo.jpg")).body)).toBe("png 300x200");
  });
});

describe("q", () => {
  test.each(["jpg", "webp", "avif"])("makes %s more faithful and larger, step by step", async (format) => {
    const steps = await Promise.all(
      [10, 30, 60, 80, 95].map(async (quality) => {
        const { body } = await get(`tr:w-300,q-${quality},f-${format}/photo.jpg`);
        return { fidelity: await fidelity(body), size: body.length };
      }),
    );
    for (const [n, { fidelity: now, size }] of steps.entries()) {
      if (n === 0) continue;
      expect(now).toBeGreaterThan(steps[n - 1]!.fidelity);
      expect(size).toBeGreaterThan(steps[n - 1]!.size);
    }
  });

  test("is 80 when left out, and the same in both grammars", async () => {
    const bodies = await Promise.all(
      [
        "/root/tr:w-300,f-jpg/photo.jpg",
        "/root/tr:w-300,f-jpg,q-80/photo.jpg",
        "/image/photos/photo.jpg?w=300&q=80",
        "/image/photos/photo.jpg?w=300",
      ].map(async (path) => (await served(stage, path)).body),
    );
    for (const body of bodies) expect(body.equals(bodies[0]!)).toBe(true);
  });

  test("means alike in each format: the same number, less than 4 dB apart", async () => {
    const all = await Promise.all(
      ["jpg", "webp", "avif"].map(async (format) =>
        fidelity((await get(`tr:w-300,q-80,f-${format}/photo.jpg`)).body),
      ),
    );
    expect(Math.max(...all) - Math.min(...all)).toBeLessThan(4);
  });
});

test("pr writes progressive JPEGs, with the same pixels", async () => {
  const paths = [
    "tr:w-300,pr-true,f-jpg/photo.jpg",
    "tr:w-300,pr-false,f-jpg/photo.jpg",
    "tr:w-300,f-jpg/photo.jpg",
  ];
  expect(await Promise.all(paths.map(async (path) => (await metadataOf(path)).isProgressive))).toEqual([
    true,
    false,
    false,
  ]);
  const [progressive, baseline] = await Promise.all(
    paths.slice(0, 2).map(async (path) => pixelsOf((await get(path)).body)),
  );
  expect(difference(progressive!, baseline!).mean).toBeLessThan(0.1);
});

test.each(["webp", "avif"])("lo writes %s without loss, larger than with it", async (format) => {
  const exact = (await get(`tr:w-300,lo-true,f-${format}/photo.jpg`)).body;
  const lossy = (await get(`tr:w-300,lo-false,f-${format}/photo.jpg`)).body;
  // AVIF is lossless in YCbCr's terms: colours round by one.
  expect(difference(await pixelsOf(exact), plain).mean).toBeLessThan(format === "webp" ? 1e-9 : 0.7);
  expect(difference(await pixelsOf(lossy), plain).mean).toBeGreaterThan(1);
  expect(exact.length).toBeGreaterThan(lossy.length);
});

/** As the eye sees them, whatever the profile. */
const seen = async (path: string): Promise<Pixels> => pixelsOf((await get(path)).body);

describe("what a file says beside its pixels", () => {
  test("is left out unless asked for, and colours become sRGB", async () => {
    const { exif, icc, xmp, iptc } = await metadataOf("tr:w-300/tagged.jpg");
    expect({ exif, icc, xmp, iptc }).toEqual({
      exif: undefined,
      icc: undefined,
      xmp: undefined,
      iptc: undefined,
    });
    expect(difference(await seen("tr:w-300/tagged.jpg"), plain).mean).toBeLessThan(2.5);
  });

  test("cp keeps the profile, and with it the numbers that mean the same colours", async () => {
    const { icc, exif } = await metadataOf("tr:w-300,cp-true/tagged.jpg");
    const source = (await sharp((await stage.site.get("/root/tr:orig-true/tagged.jpg")).body).metadata()).icc;
    expect([icc?.equals(source!), exif]).toEqual([true, undefined]);
    expect(difference(await seen("tr:w-300,cp-true/tagged.jpg"), plain).mean).toBeLessThan(2.5);
    expect((await get("tr:w-300,cp-true/tagged.jpg", BROWSER)).headers.get("content-type")).not.toBe(
      "image/avif",
    );
  });

  test.each(["jpg", "webp", "png", "avif"])("md keeps EXIF in %s", async (format) => {
    const { exif } = await metadataOf(`tr:w-300,md-true,f-${format}/tagged.jpg`);
    expect(exif?.includes("A painter")).toBe(true);
    expect((await metadataOf(`tr:w-300,md-false,f-${format}/tagged.jpg`)).exif).toBe(undefined);
  });

  test.each(["deep.png", "deep-p3.png", "deep-p3.tiff", "deep-srgb.png", "deep-srgb.tiff"])(
    "doesn't change how %s looks, and becomes sRGB",
    async (key) => {
      expect((await sharp((await get(`tr:orig-true/${key}`)).body).metadata()).depth).toBe("ushort");
      for (const chain of ["w-300", "w-300,md-true", "w-300,b-0_red", "w-300,cp-true"]) {
        const path = `tr:${chain},f-png/${key}`;
        expect([path, difference(await seen(path), plain).mean < 1]).toEqual([path, true]);
      }
      expect((await metadataOf(`tr:w-300,f-png/${key}`)).icc).toBe(undefined);
    },
  );

  test("md leaves the profile to cp", async () => {
    for (const work of ["", ",rt-90"]) {
      const { icc } = await metadataOf(`tr:w-300,f-jpg,md-true${work}/tagged.jpg`);
      const both = await metadataOf(`tr:w-300,f-jpg,md-true,cp-true${work}/tagged.jpg`);
      expect([work, icc, both.hasProfile]).toEqual([work, undefined, true]);
    }
    expect(difference(await seen("tr:w-300,md-true,f-png/tagged.jpg"), plain).mean).toBeLessThan(2.5);
  });

  test("md keeps it on pixels that were worked on, too", async () => {
    const { exif, width, height } = await metadataOf("tr:w-300,md-true,rt-90,e-grayscale,f-jpg/tagged.jpg");
    expect([exif?.includes("Someone"), width, height]).toEqual([true, 200, 300]);
  });

  test("md leaves white what is transparent in a JPEG", async () => {
    const { data } = await seen("tr:w-300,r-60,md-true,f-jpg/tagged.jpg");
    expect([...data.subarray(0, 3)].every((channel) => channel > 250)).toBe(true);
  });
});

describe("dn", () => {
  test.each([
    ["w-300,dn-150,f-jpg", 150],
    ["w-300,dn-150,f-png", 150],
    ["dn-300", 300],
    ["w-300,dn-idn_mul_2,f-jpg", 144],
    ["w-300,rt-90,b-1_red,dn-96,f-jpg", 96],
    ["w-300,dn-150,md-true,f-jpg", 150],
  ])("%s says %i pixels an inch, and no more of the file than is asked for", async (chain, density) => {
    const said = await metadataOf(`tr:${chain}/tagged.jpg`);
    const exif = said.exif?.includes("A painter");
    expect([said.density, exif ?? false]).toEqual([density, chain.includes("md-true")]);
    const without = await get(`tr:${chain.replace(/dn-[^,]+,?/, "") || "q-80"}/tagged.jpg`);
    const other = await pixelsOf(without.body);
    expect(difference(await pixelsOf((await get(`tr:${chain}/tagged.jpg`)).body), other).mean).toBe(0);
  });

  test("says nothing that no printer has, and nothing in layers", async () => {
    for (const chain of ["dn-idn_mul_50", "l-image,i-photo.jpg,w-9,dn-90,l-end"])
      expect([chain, (await stage.site.get(`/root/tr:${chain}/tagged.jpg`)).status]).toEqual([chain, 400]);
  });
});

test("orig gives the file byte for byte, whatever else is asked for", async () => {
  for (const path of [
    "tr:orig-true/photo.jpg",
    "tr:orig-true,w-20,e-grayscale/photo.jpg",
    "tr:orig-true,w-abc,n-none/photo.jpg",
  ]) {
    expect((await get(path, BROWSER)).body.equals(stage.scene)).toBe(true);
  }
  expect((await get("tr:orig-false,w-20/photo.jpg")).body.equals(stage.scene)).toBe(false);
});
