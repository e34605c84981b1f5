/** In which format results come, how large in bytes, what they keep of the source; animations; limits of results. */
import sharp from "sharp";
import { beforeAll, describe, expect, test } from "vitest";
import type { Format, FormatChoice, Options } from "../../../../src/delivery/plan/plan.ts";
import { avifQuality } from "../../../../src/delivery/image/encode.ts";
import { render } from "../../../../src/delivery/image/render.ts";
import {
  animation,
  BLUE,
  choice,
  chunk,
  colour,
  drawn,
  frames,
  GREEN,
  jobOf,
  make,
  plain,
  promising,
  quadrants,
  RED,
  refusal,
  step,
  WHITE,
  type Setup,
} from "./coresetup.ts";

let jpeg: Buffer;
let png: Buffer;
let clear: Buffer;
/** Soft enough for lossy encoders, rough enough to have bytes. */
const photo = drawn(200, 150, (x, y) => [
  Math.round(128 + 100 * Math.sin(x / 9 + y / 17)),
  Math.round(128 + 80 * Math.cos(y / 7)),
  (x * 7 + y * 13) % 90,
]).removeAlpha();
const ramp = drawn(64, 64, (x, y) => [x * 4, y * 4, 128]).removeAlpha();

beforeAll(async () => {
  jpeg = await photo.clone().jpeg({ quality: 95 }).toBuffer();
  png = await photo.clone().png().toBuffer();
  clear = await drawn(40, 30, (x) => [255, 0, 0, x < 20 ? 0 : 255])
    .png()
    .toBuffer();
});

const type = async (source: Buffer, setup: Setup): Promise<string> => {
  const { picture } = await make(source, setup);
  const { format } = await sharp(picture.data).metadata();
  const said = picture.type.slice("image/".length);
  return format === "heif" && said === "avif" ? "avif" : said === format ? said : `${said}, but ${format}`;
};
const bytes = async (source: Buffer, setup: Setup): Promise<number> =>
  (await make(source, setup)).picture.data.length;

describe("formats", () => {
  test.each<Format>(["jpeg", "png", "webp", "avif", "gif", "tiff"])(
    "%s is written where it is asked for",
    async (format) => {
      expect(await type(jpeg, { options: { format, width: 50 } })).toBe(format);
      expect(await type(clear, { options: { format } })).toBe(format);
    },
  );

  test.each<[string, () => Buffer, FormatChoice, Format[], string]>([
    ["a JPEG", () => jpeg, "auto", [], "jpeg"],
    ["a JPEG", () => jpeg, "auto", ["webp"], "webp"],
    ["a JPEG", () => jpeg, "auto", ["avif", "webp"], "avif"],
    ["a JPEG", () => jpeg, "source", ["avif", "webp"], "jpeg"],
    ["a PNG", () => png, "auto", [], "png"],
    ["a PNG", () => png, "source", ["avif"], "png"],
    ["a transparent PNG", () => clear, "auto", [], "png"],
  ])("%s %o as %s for %o is %s", async (_, source, format, accepts, expected) => {
    expect(await type(source(), { format, hints: { accepts }, options: { width: 100 } })).toBe(expected);
  });

  test.each<[Format, FormatChoice, string]>([
    ["webp", "source", "webp"],
    ["webp", "auto", "jpeg"],
    ["avif", "source", "avif"],
    ["tiff", "source", "tiff"],
    ["tiff", "auto", "jpeg"],
    ["gif", "source", "gif"],
    ["gif", "auto", "jpeg"],
  ])("a %s as %s for clients that read neither WebP nor AVIF is %s", async (from, format, expected) => {
    const source = await plain(30, 20, RED)[from]().toBuffer();
    const is = await type(source, { format, options: { width: 10 } });
    // GIFs are opened with an alpha channel.
    expect(is === expected || (from === "gif" && is === "png")).toBe(true);
  });

  test("the last step that names a format is heard, and a condition's only where it holds", async () => {
    const steps = [step({ width: 20, format: "webp" }), step({ format: "png" })];
    expect(await type(jpeg, { steps })).toBe("png");
    const when = { left: "cw", comparison: "gt", right: 1000 } as const;
    expect(await type(jpeg, { steps: [choice(when, steps, [step({ format: "jpeg" })])] })).toBe("jpeg");
  });

  test("AVIF is not for what it isn't good at", async () => {
    const auto = { format: "auto", hints: { accepts: ["avif", "webp"] } } as const;
    expect(await type(jpeg, { ...auto, options: { colourProfile: true } })).toBe("webp");
    expect(await type(jpeg, { ...auto, options: { lossless: true } })).toBe("webp");
    const unsharp = { radius: 2, sigma: 2, amount: 0.8, threshold: 0.02 };
    expect(await type(jpeg, { ...auto, options: { unsharp } })).toBe("webp");
  });

  test("budgets: large pictures get the encoder that they can pay", async () => {
    const auto = { format: "auto", hints: { accepts: ["avif", "webp"] } } as const;
    const source = await plain(100, 100, RED).jpeg().toBuffer();
    expect(await type(source, { ...auto, options: { width: 2000, height: 2000 } })).toBe("avif");
    expect(await type(source, { ...auto, options: { width: 2001, height: 2000 } })).toBe("webp");
    expect(await type(source, { ...auto, options: { width: 4100, height: 4000 } })).toBe("jpeg");
  });

  const auto = { format: "auto", hints: { accepts: ["avif", "webp"] } } as const;

  test("the smallest wins: a drawing is smaller without loss", async () => {
    const drawing = await drawn(200, 150, (x, y) => (((x >> 4) + (y >> 4)) % 3 === 0 ? RED : WHITE))
      .removeAlpha()
      .png()
      .toBuffer();
    const { picture } = await make(drawing, { format: "auto", hints: { accepts: ["avif", "webp"] } });
    const lossy = await bytes(drawing, { options: { format: "avif" } });
    expect(picture.data.length).toBeLessThan(lossy);
    // A photograph isn't: one of the lossy ones is.
    const lossless = await bytes(png, { options: { format: "webp", lossless: true } });
    expect((await make(png, auto)).picture.data.length).toBeLessThan(lossless);
  });

  test("the smallest wins: AVIF or WebP, of what the client reads", async () => {
    const [avif, webp] = [
      await bytes(png, { options: { format: "avif" } }),
      await bytes(png, { options: { format: "webp" } }),
    ];
    expect((await make(png, auto)).picture.data.length).toBe(Math.min(avif, webp));
    expect(await type(png, { format: "auto", hints: { accepts: ["avif"] } })).toBe("avif");
  });

  test.each<FormatChoice>(["mp4", "webm", "svg"])("%s is nothing that a JPEG becomes", async (format) => {
    expect(await refusal(jpeg, { options: { format } })).toMatch(/^InvalidParameter: f can't be /);
  });
});

describe("SVG", () => {
  const svg = Buffer.from(
    '<svg xmlns="http://www.w3.org/2000/svg" width="60" height="40"><script>1</script><rect width="60" height="40" fill="#f00"/></svg>',
  );
  test.each<FormatChoice>(["auto", "source", "svg"])(
    "as %s it stays one, without what could run",
    async (format) => {
      const picture = await render([svg], jobOf({ format }));
      expect([picture.type, picture.width, picture.height]).toEqual(["image/svg+xml", 60, 40]);
      const text = picture.data.toString();
      expect([text.includes("<rect"), text.includes("script")]).toEqual([true, false]);
    },
  );
  test("becomes pixels where something is done to it beside its size, or another format asked for", async () => {
    // Opaque now, and still a drawing.
    const worked = await make(svg, { format: "auto", options: { width: 30, blur: 1 } });
    expect([worked.picture.type, (await sharp(worked.picture.data).metadata()).hasAlpha]).toEqual([
      "image/png",
      false,
    ]);
    expect(await type(svg, { options: { format: "jpeg" } })).toBe("jpeg");
    expect(await refusal(svg, { options: { format: "svg", width: 30, blur: 1 } })).toMatch(
      /^InvalidParameter: f /,
    );
  });
});

const plainly = (setup: Setup) => bytes(jpeg, { format: "jpeg", ...setup });
const progressive = async (options: Partial<Options>) =>
  (await sharp((await make(jpeg, { options })).picture.data).metadata()).isProgressive;

describe("quality", () => {
  test.each<Format>(["jpeg", "webp", "avif"])("of %s: less is smaller", async (format) => {
    const sizes = await Promise.all(
      [10, 50, 80, 100].map((quality) => bytes(jpeg, { options: { format, quality } })),
    );
    expect(sizes).toEqual(sizes.toSorted((a, b) => a - b));
    expect(new Set(sizes).size).toBe(4);
  });
  test("is 80 unless the plan says otherwise, and lower for those who save data", async () => {
    expect(await plainly({})).toBe(await plainly({ options: { quality: 80 } }));
    expect(await plainly({ hints: { saveData: true } })).toBe(await plainly({ options: { quality: 60 } }));
    expect(await plainly({ options: { quality: 80 }, hints: { saveData: true } })).toBe(
      await plainly({ options: { quality: 80 } }),
    );
  });
  test("AVIF's scale rises with JPEG's, within 1 to 100", () => {
    const all = Array.from({ length: 100 }, (_, n) => avifQuality(n + 1));
    expect(all).toEqual(all.toSorted((a, b) => a - b));
    expect([all[0], all[79], all[99]]).toEqual([1, 60, 100]);
  });
  test.each<Format>(["webp", "avif", "png", "tiff"])("lossless %s gives back every pixel", async (format) => {
    const seen = await make(ramp, { options: { format, lossless: true } });
    for (const [x, y] of [
      [0, 0],
      [13, 57],
      [63, 63],
      [40, 5],
    ] as const) {
      expect(seen.rgba(x, y)).toEqual([x * 4, y * 4, 128, 255]);
    }
  });
  test("progressive", async () => {
    expect(await progressive({ format: "jpeg", progressive: true })).toBe(true);
    expect(await progressive({ format: "png", progressive: true })).toBe(true);
    expect(await progressive({ format: "jpeg" })).toBe(false);
  });
});

/** The source itself is what comes out. */
const served = async (source: Buffer, setup: Setup): Promise<boolean> =>
  (await make(source, setup)).picture.data.equals(source);

/** A quality for pictures that are wider. */
const named = (right: number) => choice({ left: "cw", comparison: "gt", right }, [step({ quality: 80 })]);

describe("never larger than a source to which nothing was done", () => {
  let small: Buffer;
  beforeAll(async () => {
    small = await photo.clone().jpeg({ quality: 20 }).toBuffer();
  });

  test("then it is served as it is", async () => {
    expect(await served(small, { format: "auto" })).toBe(true);
    expect(await served(small, { format: "source" })).toBe(true);
    expect(await served(small, { format: "auto", options: { width: 200 } })).toBe(true);
  });
  test("not where something is asked for", async () => {
    expect(await served(small, { format: "auto", options: { quality: 80 } })).toBe(false);
    expect(await served(small, { format: "auto", steps: [named(100)] })).toBe(false);
    expect(await served(small, { format: "auto", steps: [named(1000)] })).toBe(true);
    expect(await served(small, { format: "auto", options: { format: "jpeg" } })).toBe(false);
    expect(await served(small, { format: "auto", options: { width: 199 } })).toBe(false);
    expect(await served(small, { format: "auto", options: { progressive: true } })).toBe(false);
    expect(await served(small, { format: "auto", options: { colourProfile: true } })).toBe(false);
    expect(await served(small, { format: "auto", options: { metadata: true } })).toBe(false);
  });
  test("not where it tells of more than its pixels", async () => {
    const pixels = () => photo.clone().jpeg({ quality: 20 });
    const xmp = '<x:xmpmeta xmlns:x="adobe:ns:meta/"></x:xmpmeta>';
    const palette = await photo.clone().png({ colours: 16 }).toBuffer();
    expect(await served(palette, { format: "auto" })).toBe(true);
    const comment = Buffer.from("\xff\xfe\0\x09at home", "latin1");
    for (const told of [
      await pixels()
        .withExif({ IFD0: { Copyright: "Somebody" } })
        .toBuffer(),
      await pixels().withXmp(xmp).toBuffer(),
      await pixels().withIccProfile("p3").toBuffer(),
      Buffer.concat([small.subarray(0, 2), comment, small.subarray(2)]),
      Buffer.concat([
        palette.subarray(0, 33),
        chunk("tEXt", Buffer.from("Comment\0at home")),
        palette.subarray(33),
      ]),
    ]) {
      expect(await served(told, { format: "auto" })).toBe(false);
    }
  });
  test("not what the client can't read", async () => {
    const webp = await photo.clone().webp({ quality: 5 }).toBuffer();
    expect(await served(webp, { format: "auto" })).toBe(false);
    expect(await served(webp, { format: "auto", hints: { accepts: ["webp"] } })).toBe(true);
  });
});

describe("metadata and colours", () => {
  let told: Buffer;
  beforeAll(async () => {
    told = await photo
      .clone()
      .jpeg()
      .withExif({ IFD0: { Copyright: "Somebody" } })
      .withMetadata({ orientation: 6 })
      .toBuffer();
  });
  const kept = async (options: Partial<Options>) => {
    const { picture } = await make(told, { options: { format: "jpeg", ...options } });
    const { exif, orientation = 1, width, height } = await sharp(picture.data).metadata();
    return {
      copyright: exif?.toString("latin1").includes("Somebody") ?? false,
      orientation,
      size: `${width}x${height}`,
    };
  };
  test("are left out, unless asked for; the picture is upright either way", async () => {
    expect(await kept({ width: 75 })).toEqual({ copyright: false, orientation: 1, size: "75x100" });
    expect(await kept({ width: 75, metadata: true })).toEqual({
      copyright: true,
      orientation: 1,
      size: "75x100",
    });
  });
  test("are kept on pixels that were worked on, too", async () => {
    const options = { width: 75, metadata: true, border: { width: 5, colour: colour(RED) } };
    expect(await kept(options)).toEqual({ copyright: true, orientation: 1, size: "85x110" });
    const seen = await make(told, { options });
    expect([seen.at(2, 2), seen.at(82, 107)]).toEqual(["red", "red"]);
  });

  test("wide gamut becomes sRGB; with cp-true the profile stays", async () => {
    // The same sRGB red, told in Display P3.
    const p3 = await plain(20, 20, [200, 60, 40]).withIccProfile("p3").png().toBuffer();
    const raw = await sharp(p3, { ignoreIcc: true }).raw().toBuffer();
    expect(Math.abs(raw[0]! - 200)).toBeGreaterThan(5);
    const seen = await make(p3, { options: { format: "png" } });
    expect(Math.abs(seen.rgba(5, 5)[0]! - 200)).toBeLessThan(4);
    expect((await sharp(seen.picture.data).metadata()).icc).toBeUndefined();
    const keeping = await make(p3, { options: { format: "png", colourProfile: true, width: 10 } });
    const { icc } = await sharp(keeping.picture.data).metadata();
    expect(icc!.equals((await sharp(p3).metadata()).icc!)).toBe(true);
    expect(Math.abs(keeping.rgba(5, 5)[0]! - 200)).toBeLessThan(4);
    const worked = await make(p3, { options: { format: "png", colourProfile: true, blur: 2 } });
    expect((await sharp(worked.picture.data).metadata()).icc).toBeDefined();
    expect(Math.abs(worked.rgba(5, 5)[0]! - 200)).toBeLessThan(4);
    const all = await make(p3, { options: { format: "png", colourProfile: true, metadata: true, blur: 2 } });
    expect(Math.abs(all.rgba(5, 5)[0]! - 200)).toBeLessThan(4);
  });
  test("CMYK becomes RGB, in colours that are about right", async () => {
    const cmyk = await plain(20, 20, RED).toColourspace("cmyk").jpeg({ quality: 95 }).toBuffer();
    expect((await sharp(cmyk).metadata()).space).toBe("cmyk");
    for (const options of [
      {},
      { width: 10 },
      { blur: 2 },
      { colourProfile: true },
    ] satisfies Partial<Options>[]) {
      const seen = await make(cmyk, { options: { format: "png", ...options } });
      const [r, g, b] = seen.rgba(5, 5) as [number, number, number];
      expect([r > 180, g < 90, b < 90]).toEqual([true, true, true]);
      expect((await sharp(seen.picture.data).metadata()).space).toBe("srgb");
    }
  });
  test("16 bits a channel become 8", async () => {
    const deep = await plain(20, 20, [200, 60, 40]).toColourspace("rgb16").png().toBuffer();
    expect((await sharp(deep).metadata()).depth).toBe("ushort");
    for (const options of [
      {},
      { blur: 2 },
      { format: "webp", lossless: true },
    ] satisfies Partial<Options>[]) {
      const seen = await make(deep, { options });
      expect(seen.rgba(5, 5).map((one, n) => Math.abs(one - [200, 60, 40, 255][n]!) < 3)).toEqual([
        true,
        true,
        true,
        true,
      ]);
      expect((await sharp(seen.picture.data).metadata()).depth).toBe("uchar");
    }
  });
  test("what is transparent becomes white in a JPEG, or the background that the URL names", async () => {
    expect((await make(clear, { options: { format: "jpeg" } })).at(5, 5)).toBe("white");
    const background = { kind: "colour", colour: colour(BLUE) } as const;
    expect((await make(clear, { options: { format: "jpeg", background } })).at(5, 5)).toBe("blue");
    const half = { kind: "colour", colour: colour(BLUE, 0.5) } as const;
    const steps = [step({ background: half }), step({ width: 20, format: "jpeg" })];
    expect((await make(clear, { steps })).at(2, 5)).toBe("blue");
  });
});

describe("animations", () => {
  test.each([
    ["gif", "source", [], "gif"],
    ["gif", "auto", ["webp"], "webp"],
    ["gif", "auto", ["avif", "webp"], "webp"],
    ["gif", "auto", [], "gif"],
    ["webp", "source", [], "webp"],
    ["webp", "auto", [], "gif"],
    ["webp", "gif", [], "gif"],
    ["gif", "webp", [], "webp"],
  ] as const)("a %s as %s for %o plays on as %s", async (from, format, accepts, expected) => {
    const source = await animation(from, 40, 30, [RED, GREEN, BLUE]);
    const { picture } = await make(source, {
      options: { width: 20, format },
      hints: { accepts: [...accepts] },
    });
    expect(await frames(picture)).toEqual({
      format: expected,
      size: "20x15",
      loop: 3,
      delay: [120, 120, 120],
      colours: ["red", "green", "blue"],
    });
  });
  test.each<Format>(["jpeg", "png", "avif", "tiff"])("as %s it is its first frame", async (format) => {
    const source = await animation("gif", 40, 30, [RED, GREEN]);
    for (const steps of [
      [step({ format })],
      [choice({ left: "cw", comparison: "gt", right: 1 }, [step({ format, blur: 1 })])],
    ]) {
      const seen = await make(source, { steps, format: "auto" });
      expect([seen.size, seen.picture.height, seen.at(5, 5)]).toEqual(["40x30", 30, "red"]);
    }
  });
  test("pages are chosen", async () => {
    const source = await animation("gif", 20, 20, [RED, GREEN, BLUE, WHITE]);
    const of = async (pages: Options["pages"], more: Partial<Options> = {}) =>
      (await frames((await make(source, { options: { pages, ...more }, format: "source" })).picture)).colours;
    expect(await of({ kind: "range", from: 2, to: 2 })).toEqual(["green"]);
    expect(await of({ kind: "range", from: 2, to: undefined })).toEqual(["green", "blue", "white"]);
    expect(await of({ kind: "list", pages: [1, 3] })).toEqual(["red", "blue"]);
    expect(await of({ kind: "list", pages: [1, 3] }, { width: 10, height: 5 })).toEqual(["red", "blue"]);
    expect(
      await refusal(source, { options: { pages: { kind: "range", from: 9, to: 9 } }, format: "source" }),
    ).toMatch(/^InvalidParameter: pg/);
  });
  test("a chosen page to which nothing was done is that page, and not the whole file", async () => {
    const source = await animation("gif", 20, 20, [RED, GREEN]);
    const pages = { kind: "range", from: 2, to: 2 } as const;
    expect(await served(source, { options: { pages }, format: "auto" })).toBe(false);
  });
  test("layers lie on each frame", async () => {
    const source = await animation("gif", 40, 40, [RED, GREEN]);
    const block = { height: 20, background: { kind: "colour", colour: colour(BLUE) } } as const;
    const layers = [
      { kind: "canvas", placement: { focus: "left" }, steps: [step({ ...block, width: 5 })] },
    ] as const;
    const beside = await make(source, { steps: [{ options: { width: 20 }, layers }], format: "auto" });
    expect((await frames(beside.picture)).colours).toEqual(["red", "green"]);
    expect(beside.at(1, 10)).toBe("blue");
  });
  test("an animation of too many frames is cut off nowhere: refused, or served as it is where nothing is done to it", async () => {
    const source = await animation("gif", 20, 20, [RED, GREEN, BLUE, WHITE]);
    const large = await animation("webp", 200, 200, [RED, GREEN, BLUE]);
    const three = { kind: "range", from: 1, to: 3 } as const;
    const limits = { frames: 2, sourcePixels: 50_000 };
    for (const options of [{ width: 10 }, { width: 10, format: "webp" }, { pages: three }] as const) {
      expect(await refusal(source, { format: "source", options, limits })).toBe(
        `LimitExceeded: The animation has ${"pages" in options ? 3 : 4} frames of 20 by 20 pixels, and 2 may be worked on: pg-1-2 takes these.`,
      );
    }
    expect(await refusal(large, { format: "auto", options: { width: 10 }, limits })).toContain(
      "3 frames of 200",
    );
    expect(await served(source, { format: "auto", limits })).toBe(true);
    const few = await make(source, {
      format: "source",
      options: { width: 10, pages: { ...three, to: 2 } },
      limits,
    });
    expect((await frames(few.picture)).colours).toEqual(["red", "green"]);
    const still = await make(source, { format: "jpeg", options: { width: 10 }, limits });
    expect(still.at(5, 5)).toBe("red");
  });
  test("a GIF to which nothing is done isn't made again for who reads nothing better, unless it says something", async () => {
    const setup = { format: "auto", hints: { accepts: [] } } as const;
    const source = await animation("gif", 60, 40, [RED, GREEN, BLUE]);
    expect(await served(source, setup)).toBe(true);
    expect((await make(source, { ...setup, hints: { accepts: ["webp"] } })).picture.type).toMatch(/^image/);
  });
});

describe("limits of results", () => {
  test("bytes", async () => {
    expect(await refusal(jpeg, { options: { format: "png" }, limits: { resultBytes: 1000 } })).toBe(
      "LimitExceeded: The result has more than 1000 bytes.",
    );
  });
  test("sides and pixels, of a picture to which nothing is done as well", async () => {
    expect(await refusal(jpeg, { limits: { resultSide: 100 } })).toMatch(/^LimitExceeded: 200 by 150/);
    expect(await refusal(jpeg, { limits: { resultPixels: 100 } })).toMatch(/^LimitExceeded: 200 by 150/);
  });
});

describe("what is no picture", () => {
  test.each<[string, Buffer, string]>([
    ["nothing", Buffer.alloc(0), "UnsupportedSource"],
    ["text", Buffer.from("Dear server, I am a picture."), "UnsupportedSource"],
    ["a header alone", Buffer.from("\x89PNG\r\n\x1a\n", "latin1"), "DamagedSource"],
    ["a PNG that promises more than it holds", promising(100, 100), "DamagedSource"],
  ])("%s", async (_, source, code) => {
    expect(await refusal(source, { options: { width: 10 } })).toMatch(new RegExp(`^${code}: `));
  });
  test("a JPEG that was cut short; nothing of the codec's own words is said", async () => {
    const said = await refusal(jpeg.subarray(0, jpeg.length / 2), { options: { width: 10 } });
    expect(said).toBe("DamagedSource: The source is damaged or cut short.");
  });
});

test("one render after another gives the same bytes", async () => {
  const setup = { options: { width: 50, height: 50, format: "webp", blur: 2 } } as const;
  const [one, other] = [await make(quadrants(80, 60), setup), await make(quadrants(80, 60), setup)];
  expect(one.picture.data.equals(other.picture.data)).toBe(true);
});
