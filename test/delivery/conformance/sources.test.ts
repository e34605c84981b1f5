/** Rows and forms of the table that need more than one picture and a chain: pages, models, defaults, names, wishes. */
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createTransformation } from "../../../src/delivery/origins/transformations.ts";
import { at300, part, scaled, type Expected, type Picture } from "./expected.ts";
import {
  canvas,
  difference,
  each,
  imageOf,
  laid,
  mirrored,
  pixelsOf,
  quarterTurned,
  type Rgba,
} from "./pixels.ts";
import { openStage, served, verdict, wanted, type Stage } from "./setup.ts";

let stage: Stage;
const SMALL: Expected = { is: "jpeg 300x200", picture: scaled(300, 200) };
const FRAMES: readonly Rgba[] = [
  [255, 0, 0, 255],
  [0, 255, 0, 255],
  [0, 0, 255, 255],
];

beforeAll(async () => {
  stage = await openStage();
  const { site, scene } = stage;
  const frames = await Promise.all(
    FRAMES.map((colour) =>
      imageOf(canvas(60, 40, colour))
        .png()
        .toBuffer(),
    ),
  );
  await site.put(
    "moving.gif",
    await sharp(frames, { join: { animated: true } })
      .gif()
      .toBuffer(),
  );
  await site.put("folder/photo.jpg", scene);
  await createTransformation(site.store, { name: "thumb", chain: "w-300,h-200:fl-h" });
});
afterAll(() => stage[Symbol.asyncDispose]());

const judged = async (body: Buffer, expected: Expected): Promise<string> =>
  verdict(body, await wanted(stage.scene, "", expected), expected);
const seen = async (path: string, expected: Expected): Promise<string> =>
  judged((await served(stage, path)).body, expected);
const plain = (width: number, height: number, colour: Rgba): Expected => ({
  is: `png ${width}x${height}`,
  picture: () => Promise.resolve(canvas(width, height, colour)),
});

/** The pixel of the middle row of a picture of 100 by 40 pixels. */
const at = (data: Buffer, x: number): number[] => [
  ...data.subarray((20 * 100 + x) * 4, (20 * 100 + x) * 4 + 4),
];

describe("pg", () => {
  test.each([1, 2, 3])("-%i is that frame, behind /ik-thumbnail.jpg", async (page) => {
    expect(
      await seen(
        `/root/tr:pg-${page},w-30,f-png/moving.gif/ik-thumbnail.jpg`,
        plain(30, 20, FRAMES[page - 1]!),
      ),
    ).toBe("png 30x20");
  });

  test("in a layer is that frame of the layer's picture", async () => {
    const layer = "l-image,i-moving.gif,pg-2,t-false,lfo-top_left,l-end";
    expect(
      await seen(`/root/tr:w-300,h-200,${layer}/photo.jpg`, {
        is: "jpeg 300x200",
        picture: at300((pixels) => laid(pixels, canvas(60, 40, FRAMES[1]!), 0, 0)),
      }),
    ).toBe("jpeg 300x200");
  });

  test("beyond the last is an error that says so", async () => {
    const reply = await stage.site.get("/root/tr:pg-9/moving.gif/ik-thumbnail.jpg");
    expect([reply.status, reply.headers.get("x-windlass-error")?.includes("pg")]).toEqual([400, true]);
  });
});

test("an animation keeps its frames, each of them resized and worked on", async () => {
  const { body } = await served(stage, "/root/tr:w-30,e-grayscale/moving.gif");
  const { format, pages, width, pageHeight } = await sharp(body, { pages: -1 }).metadata();
  expect({ format, pages, width, pageHeight }).toEqual({
    format: "gif",
    pages: 3,
    width: 30,
    pageHeight: 20,
  });
  const { data } = await pixelsOf(sharp(body, { pages: -1 }));
  // Rec. 709's weights of pure red, green and blue.
  for (const [frame, light] of [54, 182, 18].entries()) {
    expect(Math.abs(data[frame * 30 * 20 * 4 + 4 * 300]! - light)).toBeLessThan(6);
  }
});

describe("work of models", () => {
  test("is done by the service to the picture as it is then, and goes on from there", async () => {
    const half: Expected = {
      is: "png 300x200",
      picture: at300((pixels) => each(pixels, ([r, g, b], x) => [r, g, b, x < 150 ? 0 : 255])),
    };
    expect(await seen("/root/tr:w-300:e-bgremove/photo.jpg", half)).toBe(half.is);
    expect(stage.asked.at(-1)?.path).toBe("/models/bgremove");
    expect(
      await seen("/root/tr:w-300:e-bgremove:fl-h/photo.jpg", {
        is: "png 300x200",
        picture: async (scene) => mirrored(await half.picture!(scene)),
      }),
    ).toBe("png 300x200");
  });

  test("leaves places where they were, unless it may make another picture", async () => {
    await stage.site.put("marked.jpg", stage.scene, {
      meta: { user: { customcoordinates: "430,262,90,90" } },
    });
    const shown: Expected = { is: "jpeg 90x90", picture: part(430, 262, 90, 90) };
    expect(await seen("/root/tr:e-bgremove:w-90,h-90,fo-custom,f-jpg/marked.jpg", shown)).toBe(shown.is);
    const edited = await served(stage, "/root/tr:e-edit-prompt-no hat:w-90,h-90,fo-custom/marked.jpg");
    expect(edited.headers.get("x-windlass-focus")).toBe("fallback");
  });

  test.each([
    ["e-removedotbg", "/models/removedotbg"],
    ["e-upscale", "/models/upscale"],
    ["e-retouch", "/models/retouch"],
    ["e-genvar", "/models/genvar"],
    ["e-changebg-prompt-a beach", "/models/changebg?prompt=a+beach"],
    ["e-edit-prompt-no hat", "/models/edit?prompt=no+hat"],
    ["e-dropshadow-az-90_st-20", "/models/dropshadow?azimuth=90&elevation=45&saturation=20"],
  ])("%s asks for it by name, with the picture", async (effect, path) => {
    const { body } = await served(stage, `/root/photo.jpg?tr=w-60:${encodeURIComponent(effect)}`);
    const { path: asked, body: sent } = stage.asked.at(-1)!;
    expect(asked).toBe(path);
    expect(difference(await pixelsOf(sent), await scaled(60, 40)(stage.scene)).mean).toBeLessThan(1);
    const { data } = await pixelsOf(body);
    expect([data[3], data[4 * 59 + 3]]).toEqual([0, 255]);
  });

  test("paints what padding adds", async () => {
    const fill = "bg-genfill-prompt-a beach,w-100,h-40,cm-pad_resize,f-png";
    const { body } = await served(stage, `/root/photo.jpg?tr=${encodeURIComponent(fill)}`);
    const { path: asked, body: sent } = stage.asked.at(-1)!;
    expect(asked).toBe("/models/genfill?prompt=a+beach");
    const [before, after] = [await pixelsOf(sent), await pixelsOf(body)];
    expect([at(before.data, 5)[3], at(before.data, 50)[3], at(before.data, 95)[3]]).toEqual([0, 255, 0]);
    expect([at(after.data, 5), at(after.data, 95)]).toEqual([
      [0, 255, 0, 255],
      [0, 255, 0, 255],
    ]);
    expect(at(after.data, 50)).toEqual(at(before.data, 50));
    const { status, headers } = await stage.site.get("/root/tr:bg-genfill,w-100,h-40/photo.jpg");
    expect([status, headers.get("x-windlass-error")]).toEqual([
      400,
      expect.stringContaining("cm-pad_resize"),
    ]);
  });
});

test("di is served, transformed, where there is no file, and not where there is one", async () => {
  expect(await seen("/root/tr:w-300,di-folder@@photo.jpg/missing.jpg", SMALL)).toBe(SMALL.is);
  expect(
    await seen("/root/tr:w-30,f-png,di-moving.gif/photo.jpg", {
      is: "png 30x20",
      picture: scaled(30, 20),
    }),
  ).toBe("png 30x20");
  expect((await stage.site.get("/root/tr:w-300,di-missing.jpg/missing.jpg")).status).toBe(404);
});

test("n-thumb is the chain of that name", async () => {
  const named: Expected = { is: "jpeg 300x200", picture: at300(mirrored) };
  expect(await seen("/root/tr:n-thumb/photo.jpg", named)).toBe(named.is);
  expect(await seen("/root/photo.jpg?tr=n-thumb", named)).toBe(named.is);
  expect(
    await seen("/root/tr:n-thumb:w-150/photo.jpg", {
      is: "jpeg 150x100",
      picture: async (scene) => pixelsOf(imageOf(await at300(mirrored)(scene)).resize(150, 100)),
    }),
  ).toBe("jpeg 150x100");
});

test("photo.jpg/metadata tells size, format and colours", async () => {
  const { body, headers } = await served(stage, "/root/photo.jpg/metadata");
  const facts = JSON.parse(body.toString()) as Record<string, unknown>;
  expect(headers.get("content-type")).toBe("application/json");
  expect(facts).toMatchObject({ width: 600, height: 400, format: "jpg", size: stage.scene.length });
  // The sky is the most of it.
  const hex = /^#(..)(..)(..)$/.exec(String(facts["dominantColor"]))!.slice(1);
  const [r, , b] = hex.map((digits) => Number.parseInt(digits, 16));
  expect(b).toBeGreaterThan(r! + 10);
});

test("photo.png/metadata tells what is seen, whatever the profile and the depth", async () => {
  const one = sharp({ create: { width: 20, height: 20, channels: 3, background: "#e02022" } });
  await stage.site.put("deep.png", await one.toColourspace("rgb16").withIccProfile("p3").png().toBuffer());
  const { body } = await served(stage, "/root/deep.png/metadata");
  const { dominantColor } = JSON.parse(body.toString()) as { dominantColor: string };
  const channels = /^#(..)(..)(..)$/
    .exec(dominantColor)!
    .slice(1)
    .map((hex) => Number.parseInt(hex, 16));
  for (const [n, channel] of [0xe0, 0x20, 0x22].entries()) {
    expect(Math.abs(channels[n]! - channel)).toBeLessThan(4);
  }
});

test("ik-seo/photo/ is photo.jpg", async () => {
  expect(await seen("/root/tr:w-300/ik-seo/photo/a-name-for-search-engines.jpg", SMALL)).toBe(SMALL.is);
});

test("ik-attachment=true is the same picture, to be saved", async () => {
  const reply = await served(stage, "/root/tr:w-300/photo.jpg?ik-attachment=true");
  expect(reply.headers.get("content-disposition")).toMatch(/^attachment; filename="photo\.jpg"/);
  expect(await judged(reply.body, SMALL)).toBe(SMALL.is);
});

describe("?ai=", () => {
  test.each<[string, string, Picture]>([
    ["ai=make it square", "jpeg 400x400", part(100, 0, 400, 400)],
    [
      "ai=rotate the image to the right and resize to 300 wide",
      "jpeg 300x450",
      async (scene) => quarterTurned(await scaled(450, 300)(scene)),
    ],
    ["ai=reduce the size by half", "jpeg 300x200", scaled(300, 200)],
  ])("%s", async (wish, is, picture) => {
    expect(await seen(`/image/photos/photo.jpg?${wish.replaceAll(" ", "%20")}`, { is, picture })).toBe(is);
  });
});

test("v=2 is another URL of the same picture", async () => {
  expect(await seen("/image/photos/photo.jpg?w=300&v=2", SMALL)).toBe(SMALL.is);
  expect(await seen("/root/tr:w-300/photo.jpg?v=2&updatedAt=1", SMALL)).toBe(SMALL.is);
});
