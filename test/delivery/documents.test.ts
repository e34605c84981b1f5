/** Pages of PDFs and the pictures of PSDs. What they must look like is known from how they were written. */
import { writePsdBuffer } from "ag-psd";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { difference, imageOf, pixelsOf, type Pixels } from "./conformance/pixels.ts";
import { pdfOf, pdfWith, psdOf, resource } from "./documents.ts";
import { u16 } from "./hostile/rasters.ts";
import { colourAt, openSite, quadrants, sizeOf, type Reply, type Site } from "./site.ts";

let site: Site;
beforeAll(async () => {
  site = await openSite();
});
afterAll(() => site[Symbol.asyncDispose]());

async function picture(path: string, accept?: string): Promise<Buffer> {
  const reply = await site.get(path, accept === undefined ? undefined : { headers: { accept } });
  expect([path, reply.status, reply.headers.get("x-windlass-error")]).toEqual([path, 200, null]);
  return reply.body;
}
const error = ({ status, headers }: Reply): string => `${status} ${headers.get("x-windlass-error")}`;

/** 144 by 72 points: left red, right green; 72 by 144: blue below, white above; a red one on its side. */
const PDF = pdfWith([
  { box: "0 0 144 72", draws: "1 0 0 rg 0 0 72 72 re f 0 1 0 rg 72 0 72 72 re f" },
  { box: "0 0 72 144", draws: "0 0 1 rg 0 0 72 72 re f" },
  { box: "0 0 144 72", draws: "1 0 0 rg 0 0 72 72 re f", more: "/Rotate 90" },
]);
const TEXT = pdfWith([
  {
    box: "0 0 200 100",
    draws: "BT /T 40 Tf 10 40 Td (Hello) Tj ET",
    more: "/Resources<</Font<</T<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>>>>>",
  },
]);

const encrypted = (filter: string): Buffer => {
  const secret = `<${"5a".repeat(32)}>`;
  return pdfOf(
    ["<</Type/Catalog/Pages 2 0 R>>", "<</Type/Pages/Kids[]/Count 0>>"],
    `/ID[${secret}${secret}]/Encrypt<</Filter/${filter}/V 1/R 2/P -4/O${secret}/U${secret}>>`,
  );
};

describe("a PDF", () => {
  beforeAll(async () => {
    await site.put("doc.pdf", PDF, { meta: { contentType: "application/pdf" } });
    await site.put("drawing.ai", PDF, { meta: { contentType: "application/postscript" } });
    await site.put("text.pdf", TEXT);
    await site.put("base.png", await quadrants(400, 400).png().toBuffer());
  });

  test.each(["*/*", "image/avif,image/webp,*/*", undefined])("is the file itself to %s", async (accept) => {
    for (const path of ["/root/doc.pdf", "/file/photos/doc.pdf", "/image/photos/doc.pdf"]) {
      const { status, headers, body } = await site.get(
        path,
        accept === undefined ? undefined : { headers: { accept } },
      );
      expect([path, status, headers.get("content-type")]).toEqual([path, 200, "application/pdf"]);
      expect(body.equals(PDF)).toBe(true);
    }
  });

  test("is drawn at 150 pixels an inch", async () => {
    const body = await picture("/root/doc.pdf/ik-thumbnail.jpg");
    expect(await sizeOf(body)).toBe("jpeg 300x150");
    expect([await colourAt(body, 0.25, 0.5), await colourAt(body, 0.75, 0.5)]).toEqual(["red", "green"]);
    // To the pixel: the halves meet in the middle.
    const { data } = await pixelsOf(await picture("/root/tr:f-png/doc.pdf"));
    const row = [149, 150].map((x) => [...data.subarray((75 * 300 + x) * 4, (75 * 300 + x) * 4 + 4)]);
    expect(row).toEqual([
      [255, 0, 0, 255],
      [0, 255, 0, 255],
    ]);
  });

  test.each([
    ["/root/doc.pdf/ik-thumbnail.jpg?tr=pg-2", "jpeg 150x300", "white", "blue"],
    ["/root/doc.pdf/ik-thumbnail.jpg?tr=w-75,pg-2,f-webp", "webp 75x150", "white", "blue"],
    ["/root/tr:pg-2/doc.pdf", "jpeg 150x300", "white", "blue"],
    ["/root/tr:pg-2-3/doc.pdf", "jpeg 150x300", "white", "blue"],
    ["/root/tr:pg-2-,w-50/doc.pdf", "jpeg 50x100", "white", "blue"],
    ["/root/tr:pg-3_1/doc.pdf", "jpeg 150x300", "red", "white"],
    ["/root/tr:w-150/drawing.ai", "jpeg 150x75", "red", "red"],
    ["/image/photos/doc.pdf?w=60", "jpeg 60x30", "red", "red"],
  ])("%s is a picture of the page: %s", async (path, size, above, below) => {
    const body = await picture(path);
    const seen = [await sizeOf(body), await colourAt(body, 0.25, 0.25), await colourAt(body, 0.25, 0.75)];
    expect(seen).toEqual([size, above, below]);
  });

  test.each([
    ["pg-4", "InvalidParameter - pg: There is no page 4; the source has 3."],
    ["pg-2_9", "InvalidParameter - pg: There is no page 9; the source has 3."],
    ['pg-name-"a"', "InvalidParameter - pg: The source has no layers that can be had by their names."],
  ])("%s is refused", async (pages, message) => {
    expect(error(await site.get(`/root/doc.pdf/ik-thumbnail.jpg?tr=${pages}`))).toBe(`400 ${message}`);
  });

  test("lies over pictures with any of its pages", async () => {
    const layer = "l-image,i-doc.pdf,pg-2,w-100,t-false,lx-0,ly-0,l-end";
    const body = await picture(`/root/tr:${layer},f-png/base.png`);
    expect(await sizeOf(body)).toBe("png 400x400");
    const places = [
      [50, 50],
      [50, 150],
      [50, 250],
      [150, 50],
    ].map(([x = 0, y = 0]) => colourAt(body, x / 400, y / 400));
    expect(await Promise.all(places)).toEqual(["white", "blue", "blue", "red"]);
  });

  test("is black on white and nothing between but greys", async () => {
    const { data, width, height } = await pixelsOf(await picture("/root/tr:f-png/text.pdf"));
    let dark = 0;
    for (let n = 0; n < data.length; n += 4) {
      expect([data[n + 1], data[n + 2], data[n + 3]]).toEqual([data[n], data[n], 255]);
      if (data[n]! < 64) dark++;
    }
    expect([width, height]).toEqual([416, 208]);
    expect(dark).toBeGreaterThan(1000);
  });

  test("says what it is", async () => {
    const facts: unknown = JSON.parse(String(await picture("/root/doc.pdf/metadata")));
    const expected = { format: "pdf", width: 300, height: 150, pages: 3, density: 150, size: PDF.length };
    expect(facts).toMatchObject(expected);
  });

  test("is no file that a client gets in place of a picture, however small it is", async () => {
    const { headers } = await site.get("/root/tr:q-80/text.pdf", { headers: { accept: "*/*" } });
    expect(headers.get("content-type")).toBe("image/jpeg");
  });

  test("with pages of any size is drawn within the limits", async () => {
    const red = "1 0 0 rg 0 0 1000000 1000000 re f";
    await site.put("large.pdf", pdfWith([{ box: "0 0 1000000 1000000", draws: red }]));
    await site.put("strip.pdf", pdfWith([{ box: "0 0 1000000 1", draws: red }]));
    expect(await sizeOf(await picture("/root/tr:w-100/large.pdf"))).toBe("jpeg 100x100");
    const { width, height, density } = JSON.parse(
      String(await picture("/root/large.pdf/metadata")),
    ) as Record<string, number>;
    expect([width, height, density]).toEqual([4000, 4000, 1]);
    expect(await sizeOf(await picture("/root/tr:f-png/strip.pdf"))).toBe("png 16383x1");
  });

  test.each([
    ["encrypted", encrypted("Standard"), "415 UnsupportedSource - The PDF is encrypted"],
    ["encrypted in another way", encrypted("Other"), "415 UnsupportedSource - The PDF is encrypted"],
    ["without pages", pdfWith([]), "422 DamagedSource - The PDF has no pages."],
    ["cut short", PDF.subarray(0, 300), "422 DamagedSource - The PDF is damaged."],
  ])("%s is refused", async (name, body, message) => {
    await site.put(`${name}.pdf`, body);
    expect(error(await site.get(`/root/tr:w-10/${encodeURIComponent(name)}.pdf`))).toContain(message);
    expect((await site.get(`/root/${encodeURIComponent(name)}.pdf`)).status).toBe(200);
  });
});

/** Written by another hand: layers of other colours, and a flattened picture behind them. */
async function layered({ data, width, height }: Pixels, psb = false): Promise<Buffer> {
  const imageData = { data: new Uint8ClampedArray(data), width, height };
  const plain = new Uint8ClampedArray(width * height * 4).fill(128);
  return writePsdBuffer(
    { width, height, imageData, children: [{ name: "plain", imageData: { data: plain, width, height } }] },
    { psb },
  );
}

describe("a PSD", () => {
  test("is its flattened picture, and the file itself without a transformation", async () => {
    const scene = await pixelsOf(quadrants(301, 97));
    for (const psb of [false, true]) {
      const key = psb ? "large.psb" : "layers.psd";
      const file = await layered(scene, psb);
      const contentType = psb ? "image/vnd.adobe.photoshop" : "image/x-photoshop";
      await site.put(key, file, { meta: { contentType } });
      const plain = await site.get(`/root/${key}`, { headers: { accept: "image/webp,*/*" } });
      expect(plain.headers.get("content-type")).toBe(contentType);
      expect(plain.body.equals(file)).toBe(true);
      expect(difference(await pixelsOf(await picture(`/root/tr:f-png/${key}`)), scene).worst).toBe(0);
      expect(await sizeOf(await picture(`/root/${key}/ik-thumbnail.jpg?tr=w-100,h-50`))).toBe("jpeg 100x50");
      const facts: unknown = JSON.parse(String(await picture(`/root/${key}/metadata`)));
      expect(facts).toMatchObject({
        format: "psd",
        width: 301,
        height: 97,
        pages: 1,
        hasTransparency: false,
      });
    }
  });

  test("is transparent without Photoshop's white below", async () => {
    const data = Buffer.alloc(256 * 8 * 4);
    for (let n = 0; n < data.length / 4; n++) data.set([200, 30, 90, n % 256], n * 4);
    await site.put("clear.psd", await layered({ data, width: 256, height: 8 }));
    const seen = await pixelsOf(await picture("/root/tr:f-png/clear.psd"));
    for (let x = 0; x < 256; x++) {
      const [r = 0, g = 0, b = 0, alpha] = seen.data.subarray(x * 4);
      expect(alpha).toBe(x);
      // What eight bits and the white have left of a colour.
      const far = Math.max(...[r - 200, g - 30, b - 90].map(Math.abs));
      if (x > 0) expect([x, far <= Math.ceil(255 / x)]).toEqual([x, true]);
    }
    expect((await sharp(await picture("/root/tr:w-64/clear.psd")).metadata()).hasAlpha).toBe(true);
  });

  const [width, height] = [32, 16];
  /** What left and right half have in it. */
  const plane = (left: number, right: number, bytes = 1): Buffer =>
    Buffer.concat(
      Array.from({ length: height }, () =>
        Buffer.concat([Buffer.alloc((width / 2) * bytes, left), Buffer.alloc((width / 2) * bytes, right)]),
      ),
    );
  const palette = Buffer.alloc(768);
  palette.set([255], 7);
  palette.set([255], 256 + 9);
  const RGB = { width, height, bits: 8, mode: 3 };
  /** A row of PackBits as two repeats. */
  const packed = (...halves: readonly (readonly [number, number])[]): Buffer =>
    Buffer.concat([
      u16(...halves.flatMap(() => Array.from({ length: height }, () => 4))),
      ...halves.flatMap(([left, right]) =>
        Array.from({ length: height }, () => Buffer.from([241, left, 241, right])),
      ),
    ]);
  // The channels stand in one buffer; the other ones are there to be counted.
  const rest = Array.from({ length: 3 }, () => Buffer.alloc(0));

  test.each([
    ["RGB", psdOf({ ...RGB, planes: [plane(255, 0), plane(0, 255), plane(0, 0)] })],
    [
      "RGB of 16 bits",
      psdOf({ ...RGB, bits: 16, planes: [plane(255, 0, 2), plane(0, 255, 2), plane(0, 0, 2)] }),
    ],
    [
      "RGB with a channel that is no transparency",
      psdOf({ ...RGB, planes: [plane(255, 0), plane(0, 255), plane(0, 0), plane(9, 99)] }),
    ],
    ["indexed", psdOf({ ...RGB, mode: 2, palette, planes: [plane(7, 9)] })],
    [
      "CMYK",
      psdOf({ ...RGB, mode: 4, planes: [plane(255, 0), plane(0, 255), plane(0, 0), plane(255, 255)] }),
    ],
    [
      "packed CMYK",
      psdOf({
        ...RGB,
        mode: 4,
        packing: 1,
        planes: [packed([255, 0], [0, 255], [0, 0], [255, 255]), ...rest],
      }),
    ],
  ])("of %s has its colours", async (name, file) => {
    await site.put(`${name}.psd`, file);
    const body = await picture(`/root/tr:f-png/${encodeURIComponent(name)}.psd`);
    expect(await sizeOf(body)).toBe("png 32x16");
    const { data } = await pixelsOf(body);
    const [left, right] = [data.subarray(0, 4), data.subarray(31 * 4, 31 * 4 + 4)].map((one) => [...one]);
    // Inks have no pure colours.
    const slack = name.includes("CMYK") ? 120 : 1;
    const near = (seen: readonly number[], wanted: readonly number[]): boolean =>
      seen.every((value, n) => Math.abs(value - wanted[n]!) <= slack);
    expect([left, near(left!, [255, 0, 0, 255])]).toEqual([left, true]);
    expect([right, near(right!, [0, 255, 0, 255])]).toEqual([right, true]);
  });

  test.each([
    ["greys", psdOf({ ...RGB, mode: 1, planes: [plane(60, 200)] }), [60, 200]],
    ["greys of 16 bits", psdOf({ ...RGB, mode: 1, bits: 16, planes: [plane(60, 200, 2)] }), [60, 200]],
    ["duotones", psdOf({ ...RGB, mode: 8, planes: [plane(60, 200)] }), [60, 200]],
    [
      "one bit",
      psdOf({
        ...RGB,
        mode: 0,
        bits: 1,
        planes: [
          plane(255, 0)
            .subarray(0, 64)
            .fill(Buffer.from([255, 255, 0, 0])),
        ],
      }),
      [0, 255],
    ],
  ])("of %s has its lights", async (name, file, lights) => {
    await site.put(`${name}.psd`, file);
    const { data } = await pixelsOf(await picture(`/root/tr:f-png/${encodeURIComponent(name)}.psd`));
    expect([0, 31].map((x) => [...data.subarray(x * 4, x * 4 + 3)])).toEqual(
      lights.map((one) => [one, one, one]),
    );
  });

  test("has the colours of its profile", async () => {
    const { icc } = await sharp(await quadrants(8, 8).withIccProfile("p3").png().toBuffer()).metadata();
    const planes = [plane(200, 60), plane(60, 200), plane(60, 60)];
    await site.put("p3.psd", psdOf({ ...RGB, planes, resources: resource(1039, icc!) }));
    const seen = await pixelsOf(await picture("/root/tr:f-png/p3.psd"));
    // Computed from the primaries of both: (200, 60, 60) of Display P3 is beyond what (200, 60, 60) of sRGB shows.
    const far = [217, 42, 52].map((value, n) => Math.abs(value - seen.data[n]!));
    expect([[...seen.data.subarray(0, 3)], Math.max(...far) <= 3]).toEqual([
      [...seen.data.subarray(0, 3)],
      true,
    ]);
    const kept = await sharp(await picture("/root/tr:f-png,cp-true/p3.psd")).metadata();
    expect(kept.icc?.equals(icc!)).toBe(true);
  });

  test("lies over pictures", async () => {
    await site.put("over.psd", await layered(await pixelsOf(quadrants(100, 100))));
    await site.put(
      "white.png",
      await imageOf({ data: Buffer.alloc(40_000, 255), width: 100, height: 100 })
        .png()
        .toBuffer(),
    );
    const body = await picture("/root/tr:l-image,i-over.psd,w-50,lx-0,ly-0,l-end,f-png/white.png");
    expect([
      await colourAt(body, 0.1, 0.1),
      await colourAt(body, 0.4, 0.1),
      await colourAt(body, 0.7, 0.1),
    ]).toEqual(["red", "green", "white"]);
  });

  const good = psdOf({ ...RGB, planes: [plane(255, 0), plane(0, 255), plane(0, 0)] });
  test.each([
    ["in Lab", psdOf({ ...RGB, mode: 9, planes: [plane(1, 2)] }), "", "415 UnsupportedSource - A PSD in Lab"],
    [
      "of 32 bits",
      psdOf({ ...RGB, bits: 32, planes: [plane(1, 2)] }),
      "",
      "415 UnsupportedSource - A PSD of 32 bits",
    ],
    [
      "with ZIP",
      psdOf({ ...RGB, packing: 2, planes: [plane(1, 2), plane(1, 2), plane(1, 2)] }),
      "",
      "415 UnsupportedSource",
    ],
    [
      "without a picture",
      psdOf({
        ...RGB,
        planes: [plane(1, 2), plane(1, 2), plane(1, 2)],
        resources: resource(1057, Buffer.alloc(13)),
      }),
      "",
      "415 UnsupportedSource - A PSD without its flattened picture",
    ],
    ["cut short", good.subarray(0, -1), "", "422 DamagedSource - The PSD is damaged or cut short."],
    ["cut in its head", good.subarray(0, 20), "", "422 DamagedSource - The PSD is damaged or cut short."],
    ["layer", good, ",pg-2", "400 InvalidParameter - pg: There is no page 2; the source has 1."],
    [
      "named layer",
      good,
      ',pg-name-"a"',
      "400 InvalidParameter - pg: The source has no layers that can be had",
    ],
  ])("%s is refused", async (name, file, pages, message) => {
    await site.put(`${name}.psd`, file);
    const path = `/root/${encodeURIComponent(name)}.psd/ik-thumbnail.jpg?tr=w-10${pages}`;
    expect(error(await site.get(path))).toContain(message);
  });
});
