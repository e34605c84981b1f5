/** What Cloudinary's and imgix's URLs make of pictures, over HTTP. */
import sharp from "sharp";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createEndpoint } from "../../src/delivery/origins/endpoints.ts";
import { openSite, quadrants, sizeOf, type Site } from "./site.ts";

let site: Site;

const plain = (width: number, height: number, background: string): Promise<Buffer> =>
  sharp({ create: { width, height, channels: 3, background } })
    .png()
    .toBuffer();

beforeAll(async () => {
  site = await openSite();
  await site.put("wide.png", await quadrants(400, 300).png().toBuffer());
  await site.put("black.png", await plain(400, 300, "black"));
  const places = Buffer.alloc(400 * 300 * 3);
  for (let n = 0; n < 400 * 300; n++) places.set([(n % 400) / 2, n / 400 / 2, 0], n * 3);
  const raw = { width: 400, height: 300, channels: 3 } as const;
  await site.put("places.png", await sharp(places, { raw }).png().toBuffer());
  await site.put("logo.png", await plain(40, 20, "red"));
  const clear = { create: { width: 40, height: 20, channels: 4, background: "#0f08" } } as const;
  await site.put("clear.png", await sharp(clear).png().toBuffer());
  const origins = ["photos"];
  await createEndpoint(site.store, { name: "cloud", origins, rewriter: "cloudinary" });
  await createEndpoint(site.store, { name: "whole", origins, rewriter: "cloudinary-preserve-types" });
  await createEndpoint(site.store, { name: "imgix", origins, rewriter: "imgix" });
});
afterAll(() => site[Symbol.asyncDispose]());

/** The answer's picture; the request must have been served. */
async function picture(path: string): Promise<Buffer> {
  const reply = await site.get(`/root/${path}`);
  expect([path, reply.status, reply.headers.get("x-windlass-error")]).toEqual([path, 200, null]);
  return reply.body;
}

/** Where something lies on the black picture: left, top, width and height of what is not black. */
async function lies(transformation: string): Promise<number[]> {
  const { data, info } = await sharp(await picture(`cloud/image/upload/${transformation}/black.png`))
    .greyscale()
    .raw()
    .toBuffer({ resolveWithObject: true });
  const lit = [...data].flatMap((value, n) => (value > 10 ? [n] : []));
  const [xs, ys] = [lit.map((n) => n % info.width), lit.map((n) => Math.floor(n / info.width))];
  const [left, top] = [Math.min(...xs), Math.min(...ys)];
  return [left, top, Math.max(...xs) - left + 1, Math.max(...ys) - top + 1];
}

test.each([
  ["cloud/image/upload/c_scale,w_1.0/wide.png", "400x300"],
  ["cloud/image/upload/c_scale,w_2.0/wide.png", "800x600"],
  ["cloud/image/upload/w_200/c_scale,w_1.5/wide.png", "300x225"],
  ["cloud/image/upload/c_crop,h_0.5,w_1.0/wide.png", "400x150"],
  ["imgix/wide.png?w=1.0&h=0.5&fit=crop", "400x150"],
  ["imgix/wide.png?w=1", "1x1"],
  ["imgix/wide.png?w=100&h=100", "100x75"],
  ["imgix/wide.png?w=800&h=800", "800x600"],
  // The SDKs say it in a component of its own.
  ["cloud/image/upload/c_scale,w_100/dpr_2.0/wide.png", "200x150"],
  ["cloud/image/upload/c_fill,w_100,h_100/a_90/c_crop,h_20,w_30/f_png/dpr_1.5/v1/wide.png", "45x30"],
  ["cloud/image/upload/c_scale,dpr_3.0,w_100/dpr_2.0/wide.png", "300x225"],
  ["cloud/image/upload/dpr_2.0/wide.png", "400x300"],
])("%s is %s", async (path, size) => {
  expect(await sizeOf(await picture(path))).toBe(`png ${size}`);
});

test.each([
  ["l_logo.png,w_0.5", [190, 145, 20, 10]],
  ["l_logo.png,w_1.0", [180, 140, 40, 20]],
  ["l_logo.png,fl_relative,w_0.5", [100, 100, 200, 100]],
  ["l_logo.png,x_-50,y_20,g_center", [130, 160, 40, 20]],
  ["l_logo.png,x_10,y_-20,g_south_east", [350, 280, 40, 20]],
  ["l_logo.png,x_10,y_-20,g_east", [350, 120, 40, 20]],
  ["l_logo.png,x_0.25,y_30,g_north_west", [100, 30, 40, 20]],
  ["l_logo.png,x_-1000,y_-30,g_center", [0, 110, 40, 20]],
  ["l_logo.png,g_xy_center,x_100,y_50", [80, 40, 40, 20]],
  ["l_logo.png/fl_relative,w_1.0/fl_layer_apply.no_overflow,g_north", [0, 0, 400, 200]],
])("%s lies at %j", async (transformation, place) => {
  expect(await lies(transformation)).toEqual(place);
});

test("texts have their opacity and angle, and styles that are unknown here leave them as they are", async () => {
  const layer = "l_text:Roboto_60:Hello,co_white";
  const [, , width, height] = await lies(layer);
  expect(await lies(`${layer},a_90`)).toEqual([expect.any(Number), expect.any(Number), height, width]);
  const brightest: number[] = [];
  for (const transformation of [layer, `${layer},o_50`]) {
    const body = await picture(`cloud/image/upload/${transformation}/black.png`);
    brightest.push((await sharp(body).stats()).channels[0]!.max);
  }
  expect([brightest[0], Math.round(brightest[1]! / 10)]).toEqual([255, 13]);
  for (const style of ["letter_spacing_5", "line_spacing_-10", "stroke_letter_spacing_0.5"])
    expect([style, await lies(layer.replace("60", `60_${style}`))]).toEqual([style, await lies(layer)]);
});

test.each([
  ["x_10,y_20", 10, 20],
  ["x_30", 30, 0],
  ["g_north_west,x_30,y_40", 30, 40],
  ["g_south_east,x_30,y_40", 270, 210],
  ["g_east,x_30,y_-40", 270, 85],
  ["g_center,x_30,y_40", 180, 165],
  ["g_xy_center,x_200,y_150", 150, 125],
  ["g_north_west,x_0.5,y_0.1", 200, 30],
])("a crop of 100 by 50 with %s begins at %i, %i", async (place, left, top) => {
  // Red tells the column, green the row.
  const body = await picture(`cloud/image/upload/c_crop,w_100,h_50,${place},f_png/places.png`);
  const { data, info } = await sharp(body).raw().toBuffer({ resolveWithObject: true });
  expect([info.width, info.height, data[0]! * 2, data[1]! * 2]).toEqual([
    100,
    50,
    left - (left % 2),
    top - (top % 2),
  ]);
});

test.each([
  ["cloud/image/upload/c_pad,w_400,h_400/wide.png", [255, 255, 255, 255]],
  ["cloud/image/upload/c_lpad,w_500,h_500/c_scale,w_400/wide.png", [255, 255, 255, 255]],
  ["cloud/image/upload/a_45/wide.png", [255, 255, 255, 255]],
  ["cloud/image/upload/b_red,c_pad,w_400,h_400/wide.png", [255, 0, 0, 255]],
  ["cloud/image/upload/c_pad,w_400,h_400/clear.png", [0, 0, 0, 0]],
  ["imgix/wide.png?w=400&h=400&fit=fill", [255, 255, 255, 255]],
  ["imgix/wide.png?w=500&h=500&fit=fillmax&fill=solid", [255, 255, 255, 255]],
  ["imgix/wide.png?w=400&h=400&fit=fill&fill-color=f00", [255, 0, 0, 255]],
  ["imgix/clear.png?w=400&h=400&fit=fill", [0, 0, 0, 0]],
  ["tr:w-400,h-400,cm-pad_resize/wide.png", [0, 0, 0, 255]],
])("beside the picture of %s is %j", async (path, colour) => {
  const corner = sharp(await picture(path)).extract({ left: 1, top: 1, width: 1, height: 1 });
  expect([...(await corner.ensureAlpha().raw().toBuffer())]).toEqual(colour);
});

test("without a crop mode Cloudinary's pictures are stretched: nothing of them is missing", async () => {
  const body = await picture("cloud/image/upload/w_100,h_200,f_png/places.png");
  const { data, info } = await sharp(body).raw().toBuffer({ resolveWithObject: true });
  expect([info.width, info.height]).toEqual([100, 200]);
  expect(data[0]).toBeLessThan(5);
  expect(data.at(-3)).toBeGreaterThan(194);
});

test("image/upload stays in the path of files where it is asked to", async () => {
  await site.put("image/upload/only.png", await plain(40, 20, "blue"));
  expect(await sizeOf(await picture("whole/image/upload/only.png"))).toBe("png 40x20");
  expect(await sizeOf(await picture("whole/image/upload/w_20/v1/only.png"))).toBe("png 20x10");
  expect((await site.get("/root/cloud/image/upload/only.png")).status).toBe(404);
});
