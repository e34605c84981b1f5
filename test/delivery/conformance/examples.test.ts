/**
 * Every example of the table of transformations, over HTTP, against pictures that were computed in another way.
 * WINDLASS_WRITE_DOCS=1 writes the pictures of docs/images/transformations/; WINDLASS_WRITE_GOLDEN=1 those of
 * test/golden/, which are to be looked at before they are believed.
 */
import { readdirSync } from "node:fs";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { exampleChains, exampleQueries, FORMS } from "../../../src/delivery/plan/reference.ts";
import { TRANSFORMATIONS } from "../../../src/delivery/plan/transforms.ts";
import { sizeOf, type Reply } from "../site.ts";
import { EXPECTED, toleranceOf } from "./expected.ts";
import {
  difference,
  imageOf,
  mirrored,
  pixelsOf,
  TOLERANCE,
  upsideDown,
  within,
  type Pixels,
} from "./pixels.ts";
import { sceneJpeg } from "./scene.ts";
import {
  docsPicture,
  offBy,
  goldenPath,
  openStage,
  read,
  served,
  verdict,
  wanted,
  write,
  type Stage,
} from "./setup.ts";

/** Rows and forms without an example, and the test that shows what they do. */
const ELSEWHERE: Readonly<Record<string, readonly [file: string, says: string]>> = {
  pages: ["delivery/conformance/sources.test.ts", "pg-"],
  model: ["delivery/conformance/sources.test.ts", "e-bgremove"],
  density: ["delivery/conformance/output.test.ts", "dn-"],
  defaultImage: ["delivery/conformance/sources.test.ts", "di-"],
  videoCodec: ["delivery/conformance/films.test.ts", "vc-"],
  audioCodec: ["delivery/conformance/films.test.ts", "ac-"],
  startOffset: ["delivery/conformance/films.test.ts", "so-"],
  endOffset: ["delivery/conformance/films.test.ts", "eo-"],
  duration: ["delivery/conformance/films.test.ts", "du-"],
  streamingResolutions: ["delivery/conformance/films.test.ts", "sr-240"],
  "`l-video,i-PATH,…,l-end`, `l-subtitles,i-PATH,…,l-end`": ["delivery/conformance/films.test.ts", "l-video"],
  "`n-NAME`": ["delivery/conformance/sources.test.ts", "n-thumb"],
  "`path/ik-thumbnail.jpg`, `path/ik-video.mp4`, `path/ik-gif-video.mp4`": [
    "delivery/video/films.test.ts",
    "ik-gif-video.mp4",
  ],
  "`path/ik-master.m3u8`, `path/ik-master.mpd`": ["delivery/video/streams.test.ts", "ik-master.mpd"],
  "`path/metadata`": ["delivery/conformance/sources.test.ts", "photo.jpg/metadata"],
  "`ik-seo/photo/a-name-for-search-engines.jpg`": ["delivery/conformance/sources.test.ts", "ik-seo/photo/"],
  "`?ik-attachment=true`": ["delivery/conformance/sources.test.ts", "ik-attachment=true"],
  "`?ai=make it square`": ["delivery/conformance/sources.test.ts", "ai=make"],
  "`?v=2`": ["delivery/conformance/sources.test.ts", "v=2"],
};

const EXAMPLES: ReadonlyMap<string, string> = new Map([
  ...[...exampleChains()].map(([name, chain]) => [name, `/root/tr:${chain}/photo.jpg`] as const),
  ...[...exampleQueries()].map(([name, query]) => [name, `/image/photos/photo.jpg?${query}`] as const),
]);

/** Examples whose pictures are the same, each in its own way. */
const ALIKE: readonly (readonly string[])[] = [
  [
    "width",
    "dpr",
    "querySize",
    "progressive",
    "colourProfile",
    "metadata",
    "formatWebp",
    "formatAvif",
    "formatPng",
  ],
  ["flipHorizontal", "queryFlop"],
  ["flipVertical", "queryFlip"],
];
const areAlike = (one: string, other: string): boolean =>
  one === other || ALIKE.some((group) => group.includes(one) && group.includes(other));

let stage: Stage;
const replies = new Map<string, Reply>();
/** Decoded. */
const pictures = new Map<string, Pixels>();
/** What they have to be. */
const targets = new Map<string, Pixels>();

beforeAll(async () => {
  stage = await openStage();
  for (const [name, path] of EXAMPLES) {
    const reply = await served(stage, path);
    replies.set(name, reply);
    pictures.set(name, await pixelsOf(reply.body));
  }
  if (process.env["WINDLASS_WRITE_GOLDEN"] === "1") {
    for (const [name, { picture }] of Object.entries(EXPECTED)) {
      if (picture !== undefined) continue;
      write(goldenPath(`${name}.png`), await imageOf(pictures.get(name)!).png().toBuffer());
    }
  }
  for (const [name, expected] of Object.entries(EXPECTED)) {
    targets.set(name, await wanted(stage.scene, name, expected));
  }
  if (process.env["WINDLASS_WRITE_DOCS"] === "1") {
    for (const [name, pixels] of pictures) write(docsPicture(name), await shown(pixels));
  }
});
afterAll(() => stage[Symbol.asyncDispose]());

describe("the table", () => {
  const rows = Object.entries(TRANSFORMATIONS).map(([row, { examples }]) => [row, examples] as const);
  const forms = FORMS.map(({ syntax, examples }) => [syntax, examples] as const);

  test.each([...rows, ...forms])("%s is shown by a picture", (row, examples) => {
    const names = Object.keys(examples);
    if (names.length > 0) {
      expect(names.filter((name) => EXPECTED[name] === undefined)).toEqual([]);
      expect(Object.hasOwn(ELSEWHERE, row)).toBe(false);
      return;
    }
    const [file, says] = ELSEWHERE[row] ?? expect.fail(`${row} has neither an example nor a test`);
    expect(read(goldenPath(`../${file}`)).includes(says)).toBe(true);
  });

  test("nothing is expected that isn't shown", () => {
    expect(Object.keys(EXPECTED).filter((name) => !EXAMPLES.has(name))).toEqual([]);
    const known = [...rows, ...forms].map(([row]) => row);
    expect(Object.keys(ELSEWHERE).filter((row) => !known.includes(row))).toEqual([]);
  });
});

describe("examples", () => {
  test.each([...EXAMPLES])("%s: %s", async (name) => {
    const expected = EXPECTED[name]!;
    expect(await verdict(replies.get(name)!.body, targets.get(name)!, expected)).toBe(expected.is);
  });

  // What makes the tests above worth something: they refuse what is almost right.
  test.each([...EXAMPLES.keys()])("%s is none of the others, and not mirrored", async (name) => {
    const expected = EXPECTED[name]!;
    const target = targets.get(name)!;
    const accepted = (pixels: Pixels): boolean => within(difference(pixels, target), toleranceOf(expected));
    const wrong = [...pictures].filter(([other, pixels]) => !areAlike(name, other) && accepted(pixels));
    expect(wrong.map(([other]) => other)).toEqual([]);
    const own = pictures.get(name)!;
    expect([accepted(own), accepted(mirrored(own)), accepted(upsideDown(own))]).toEqual([true, false, false]);
    if (name !== "original") expect(accepted(await pixelsOf(stage.scene))).toBe(false);
  });

  test("the scene is what its code draws", async () => {
    const far = difference(await pixelsOf(await sceneJpeg()), await pixelsOf(stage.scene));
    expect(far.mean).toBeLessThan(1);
    expect(stage.scene.length).toBeLessThan(60_000);
  });

  test("there is a golden picture where nothing is computed, and no other", () => {
    const needed = Object.keys(EXPECTED).filter((name) => EXPECTED[name]!.picture === undefined);
    const there = readdirSync(goldenPath("")).filter((name) => name !== "scene.jpg");
    expect(there.toSorted()).toEqual(needed.map((name) => `${name}.png`).toSorted());
  });
});

/** The largest that a picture of the reference page is, in bytes. */
const SHOWN_BYTES = 32_000;

/** As the reference page shows it, in its own size: transparent parts on a chequered ground. */
async function shown(pixels: Pixels): Promise<Buffer> {
  const { width, height, data } = pixels;
  const ground = Buffer.alloc(data.length, 255);
  for (let n = 0; n < data.length; n += 4) {
    const [x, y] = [(n / 4) % width, Math.floor(n / 4 / width)];
    if (((x >> 3) + (y >> 3)) % 2 === 0) ground.fill(220, n, n + 3);
  }
  const flat = await sharp(ground, { raw: { width, height, channels: 4 } })
    .composite([{ input: data, raw: { width, height, channels: 4 } }])
    .removeAlpha()
    .raw()
    .toBuffer();
  return sharp(flat, { raw: { width, height, channels: 3 } })
    .jpeg({ quality: 72, mozjpeg: true })
    .toBuffer();
}

describe("docs/images/transformations", () => {
  test.each([...EXAMPLES.keys()])("%s.jpg is what comes out", async (name) => {
    const file = read(docsPicture(name));
    expect(await sizeOf(file)).toBe(EXPECTED[name]!.is.replace(/^\w+/, "jpeg"));
    expect(file.length).toBeLessThanOrEqual(SHOWN_BYTES);
    const now = await pixelsOf(await shown(pictures.get(name)!));
    expect(offBy(await pixelsOf(file), now, TOLERANCE)).toBe("");
  });

  test("holds a picture of each example and nothing else, in a megabyte", () => {
    const names = readdirSync(docsPicture("").replace(/[^/]*$/, ""));
    expect(names.toSorted()).toEqual([...EXAMPLES.keys()].map((name) => `${name}.jpg`).toSorted());
    const sizes = [...EXAMPLES.keys()].map((name) => read(docsPicture(name)).length);
    expect(sizes.reduce((one, other) => one + other)).toBeLessThan(1_000_000);
  });
});
