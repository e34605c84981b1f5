/** Text that comes out in the font, the size and the place that were asked for; and text and fonts that mean harm. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import sharp from "sharp";
import { describe, expect, test, vi } from "vitest";
import { bundledFace } from "../../../../src/delivery/image/fonts.ts";
import { coverageOf, renamed } from "../../../../src/delivery/image/fontsfile.ts";
import { pixelsOf, surfaceOf, type Surface } from "../../../../src/delivery/image/surface.ts";
import { renderText } from "../../../../src/delivery/image/text.ts";
import { plainText } from "../../../../src/delivery/image/textmarkup.ts";
import type { TextStyle } from "../../../../src/delivery/plan/plan.ts";
import { replaced } from "../../../delivery/hostile/fonts.ts";
import { colourAt, environment, refusal, sizeOf } from "./layerssetup.ts";

const PARENT = { width: 600, height: 400 };
const WHITE = { r: 255, g: 255, b: 255, a: 1 };
const RED = { r: 255, g: 0, b: 0, a: 1 };

const draw = (
  text: string,
  style: TextStyle = {},
  fonts: Readonly<Record<string, Buffer>> = {},
): Promise<Surface> => renderText(text, style, environment(PARENT, fonts));

/** A font with a sign for every second character. */
const mapped = (entries: number): Buffer => {
  const map = Buffer.alloc(28 + entries * 12);
  for (const [at, value] of [
    [2, 1],
    [4, 3],
    [6, 10],
    [12, 12],
  ] as const)
    map.writeUInt16BE(value, at);
  map.writeUInt32BE(12, 8);
  map.writeUInt32BE(entries, 24);
  for (let n = 0; n < entries; n++) {
    map.writeUInt32BE(n * 2, 28 + n * 12);
    map.writeUInt32BE(n * 2, 32 + n * 12);
  }
  return replaced({ cmap: map });
};

/** Left, top, right and bottom of what isn't transparent, or differs from white. */
async function inkOf(surface: Surface): Promise<[number, number, number, number]> {
  const { data, width, height } = await pixelsOf(surface);
  const box: [number, number, number, number] = [width, height, 0, 0];
  for (let n = 0; n < width * height; n++) {
    const [r = 0, g = 0, b = 0, a = 0] = data.subarray(n * 4, n * 4 + 4);
    if (a < 40 || r + g + b > 600) continue;
    const [x, y] = [n % width, Math.floor(n / width)];
    box[0] = Math.min(box[0], x);
    box[1] = Math.min(box[1], y);
    box[2] = Math.max(box[2], x + 1);
    box[3] = Math.max(box[3], y + 1);
  }
  return box;
}

const pngOf = async (surface: Surface): Promise<string> =>
  (await surface.image.png().toBuffer()).toString("base64");

const fontFile = (path: string): Buffer =>
  readFileSync(createRequire(import.meta.url).resolve(`@expo-google-fonts/${path}`));
const MONOTON = fontFile("monoton/400Regular/Monoton_400Regular.ttf");
const CUSTOM: TextStyle = { font: { path: "fonts/own.ttf" } };

describe("fonts", () => {
  const FAMILIES = [
    "AbrilFatFace",
    "Amaranth",
    "Arvo",
    "Audiowide",
    "Chivo",
    "Crimson Text",
    "exo",
    "Fredoka One",
    "Gravitas One",
    "Kanit",
    "Lato",
    "Lobster",
    "Lora",
    "Monoton",
    "Montserrat",
    "PT Mono",
    "PT_Serif",
    "Open Sans",
    "Roboto",
    "Old Standard",
    "Ubuntu",
    "Vollkorn",
  ];
  test("each of ImageKit's 22 is one of its own, and looks bold and italic, whether it has such a cut or not", async () => {
    const seen = new Map<string, string>();
    for (const family of FAMILIES) {
      for (const cut of [{}, { bold: true }, { italic: true }]) {
        const picture = await pngOf(await draw("Rag 8%", { font: { family }, ...cut }));
        const name = `${family} ${JSON.stringify(cut)}`;
        expect([name, seen.get(picture)]).toEqual([name, undefined]);
        seen.set(picture, name);
      }
    }
    expect(seen.size).toBe(22 * 3);
  });

  test("lines one pixel high lie upon one another", async () => {
    const heights = [];
    for (const lineHeight of [1, 2, 20]) {
      heights.push((await inkOf(await draw("one two", { width: 60, fontSize: 20, lineHeight })))[3]);
    }
    expect([heights[0]! < 60, heights[0]! <= heights[1]!, heights[1]! < heights[2]!]).toEqual([
      true,
      true,
      true,
    ]);
  });

  test("the default is Open Sans at 45 pixels, black", async () => {
    const plain = await draw("overlay made easy");
    const said = await draw("overlay made easy", {
      font: { family: "Open Sans" },
      fontSize: 45,
      colour: { r: 0, g: 0, b: 0, a: 1 },
    });
    expect(await pngOf(plain)).toBe(await pngOf(said));
    expect(plain.width).toBeGreaterThan(380);
    expect(plain.width).toBeLessThan(395);
  });

  test("an unknown family is refused with those that there are", async () => {
    const message = await refusal("InvalidParameter", draw("a", { font: { family: "constructor" } }));
    expect(message).toContain("Crimson Text");
  });

  test("a file of one's own is used, under a name that nobody else can take", async () => {
    const own = await draw("Hello", CUSTOM, { "fonts/own.ttf": MONOTON });
    expect(await pngOf(own)).toBe(await pngOf(await draw("Hello", { font: { family: "Monoton" } })));
    // Lobster that calls itself Roboto: Roboto stays Roboto.
    const before = await pngOf(await draw("Hello", { font: { family: "Roboto" } }));
    const liar = renamed(fontFile("lobster/400Regular/Lobster_400Regular.ttf"), "Roboto");
    await draw("Hello", CUSTOM, { "fonts/own.ttf": liar });
    expect(await pngOf(await draw("Hello", { font: { family: "Roboto" } }))).toBe(before);
  });

  test("a file of one's own doesn't lend its signs to later texts", async () => {
    const before = await pngOf(await draw("漢 \u{F0000} ﷽", { font: { family: "Lobster" } }));
    await draw("Hello", CUSTOM, { "fonts/own.ttf": fontFile("vollkorn/400Regular/Vollkorn_400Regular.ttf") });
    expect(await pngOf(await draw("漢 \u{F0000} ﷽", { font: { family: "Lobster" } }))).toBe(before);
  });

  test("a file of one's own leaves no trace on disk, nor does that of a process that was killed", async () => {
    await draw("Hello", CUSTOM, { "fonts/own.ttf": MONOTON });
    const orphan = mkdtempSync(join(tmpdir(), "windlass-font-999999999-"));
    await draw("Hello", CUSTOM, { "fonts/own.ttf": MONOTON });
    expect(existsSync(orphan)).toBe(false);
    // Another thread of this process may be drawing just now.
    await vi.waitFor(() => {
      const left = readdirSync(tmpdir()).filter((name) => name.startsWith(`windlass-font-${process.pid}-`));
      expect(left).toEqual([]);
    });
  });

  test("a missing file is said to be missing", async () => {
    expect(await refusal("NotFound", draw("a", CUSTOM))).toContain("fonts/own.ttf");
  });

  test("signs that a font lacks come from another one", async () => {
    const { covers } = await bundledFace("Lobster", false, false);
    expect([covers("A".codePointAt(0)!), covers("ส".codePointAt(0)!)]).toEqual([true, false]);
    const thai = await draw("สวัสดี", { font: { family: "Lobster" } });
    expect(await pngOf(thai)).toBe(await pngOf(await draw("สวัสดี", { font: { family: "Kanit" } })));
  });

  test("Korean comes from a font that comes along, whatever the text's, bold too", async () => {
    for (const cut of [{}, { bold: true }]) {
      const korean = await pngOf(await draw("안녕하세요", { font: { family: "Arvo" }, ...cut }));
      expect(korean).toBe(
        await pngOf(await draw("안녕하세요", { font: { family: "Nanum Gothic" }, ...cut })),
      );
      // Not the same box for every letter.
      expect(korean).not.toBe(await pngOf(await draw("세하요안녕", { font: { family: "Arvo" }, ...cut })));
    }
  });

  test("emoji have their own looks, and joined ones are one", async () => {
    const [grin, dog, family] = await Promise.all(["😀", "🐶", "👨‍👩‍👧"].map((text) => draw(text)));
    expect(await pngOf(grin!)).not.toBe(await pngOf(dog!));
    expect(family!.width).toBeLessThan(1.5 * grin!.width);
    const flags = await Promise.all(["🇰🇷", "🇩🇪"].map((text) => draw(text)));
    expect(await pngOf(flags[0]!)).not.toBe(await pngOf(flags[1]!));
  });

  test("a machine without fonts and without fontconfig draws the same", async () => {
    const { file } = await bundledFace("Lobster", false, false);
    const text = {
      text: `<span font_family="Lobster" fallback="false">Rag</span>`,
      fontfile: file,
      font: "Lobster 40",
      dpi: 72,
    };
    const program = `const sharp = require("sharp");
      sharp({ text: ${JSON.stringify(text)} }).raw().toBuffer().then((data) => process.stdout.write(data.toString("base64")));`;
    const bare = execFileSync(process.execPath, ["-e", program], {
      env: {
        PATH: process.env["PATH"],
        FONTCONFIG_FILE: "/nonexistent",
        FONTCONFIG_PATH: "/nonexistent",
        HOME: "/nonexistent",
      },
      stdio: ["ignore", "pipe", "ignore"],
    });
    expect(bare.toString()).toBe((await sharp({ text }).raw().toBuffer()).toString("base64"));
  });
});

describe("style", () => {
  test("colour, with transparency", async () => {
    const solid = await draw("■■", { colour: RED, font: { family: "Roboto" } });
    expect(await colourAt(solid, Math.floor(solid.width / 4), Math.floor(solid.height / 2))).toBe("ff0000ff");
    const half = await draw("■■", { colour: { ...RED, a: 0.5 }, font: { family: "Roboto" } });
    const place = await colourAt(half, Math.floor(half.width / 4), Math.floor(half.height / 2));
    expect(place).toMatch(/^f[ef]0000(7[ef]|80)$/);
  });

  test("size scales the ink", async () => {
    const [small, large] = [await draw("Hxg", { fontSize: 30 }), await draw("Hxg", { fontSize: 120 })];
    expect(large.width / small.width).toBeCloseTo(4, 0);
    expect(large.height / small.height).toBeCloseTo(4, 0);
  });

  test("a size that is an expression of the parent", async () => {
    const fontSize = { op: "mul", left: { variable: "bw" }, right: 0.1 } as const;
    expect(sizeOf(await draw("Hxg", { fontSize }))).toBe(sizeOf(await draw("Hxg", { fontSize: 60 })));
  });

  test("padding goes around the ink, clockwise from the top", async () => {
    const bare = await draw("Hxg", { background: WHITE });
    const padded = await draw("Hxg", { background: WHITE, padding: [25, 50, 75, 100] });
    expect([padded.width - bare.width, padded.height - bare.height]).toEqual([150, 100]);
    const [left, top, right, bottom] = await inkOf(padded);
    expect(Math.abs(left - 100)).toBeLessThan(3);
    expect(Math.abs(top - 25)).toBeLessThan(3);
    expect(Math.abs(padded.width - right - 50)).toBeLessThan(3);
    expect(Math.abs(padded.height - bottom - 75)).toBeLessThan(3);
    expect(await colourAt(padded, 0, 0)).toBe("ffffffff");
  });

  test("width wraps, also in the middle of words that are longer", async () => {
    const one = await draw("overlay made easy");
    const wrapped = await draw("overlay made easy", { width: 200 });
    expect(wrapped.width).toBe(200);
    expect(wrapped.height).toBeGreaterThan(one.height * 1.9);
    expect((await draw("W".repeat(40), { width: 150 })).width).toBeLessThanOrEqual(155);
  });

  test.each(["left", "center", "right"] as const)("ia-%s", async (align) => {
    const surface = await draw("Hi", { width: 300, align, background: WHITE });
    const [left, , right] = await inkOf(surface);
    const middle = (left + right) / 2;
    if (align === "left") expect(left).toBeLessThan(5);
    if (align === "center") expect(Math.abs(middle - 150)).toBeLessThan(3);
    if (align === "right") expect(right).toBeGreaterThan(295);
    expect(surface.width).toBe(300);
  });

  test("line height says how far lines are apart", async () => {
    const heights = await Promise.all(
      [60, 100].map(async (lineHeight) => (await draw("x\nx\nx", { lineHeight })).height),
    );
    expect(heights[1]! - heights[0]!).toBe(80);
  });

  test("strikethrough", async () => {
    const surface = await draw("i  i", { strikethrough: true });
    const { data, width, height } = await pixelsOf(surface);
    const rows = Array.from({ length: height }, (_, y) =>
      Array.from({ length: width }, (__, x) => data[(y * width + x) * 4 + 3]!).every((alpha) => alpha > 100),
    );
    expect(rows).toContain(true);
  });

  test("radius, opacity, turning and mirroring act on the box", async () => {
    const padding = [20, 20, 20, 20] as const;
    const round = await draw("Hi", { background: RED, padding, radius: [20, 20, 20, 20] });
    expect([await colourAt(round, 0, 0), await colourAt(round, 20, 1)]).toEqual(["ff000000", "ff0000ff"]);
    const faint = await draw("Hi", { background: RED, padding, opacity: 4 });
    expect(await colourAt(faint, 1, 1)).toBe("ff000066");
    const [plain, turned] = [await draw("Hi", { padding }), await draw("Hi", { padding, rotate: 90 })];
    expect([turned.width, turned.height]).toEqual([plain.height, plain.width]);
    const flipped = await draw("L", { padding, flip: { horizontal: true, vertical: false } });
    const back = surfaceOf(await pixelsOf(flipped));
    expect(await pngOf({ ...back, image: back.image.flop() })).toBe(
      await pngOf(await draw("L", { padding })),
    );
  });

  test("blanks are a box without ink", async () => {
    expect(sizeOf(await draw("  ", { padding: [5, 5, 5, 5] }))).toBe("11x11");
  });
});

describe("harm", () => {
  test("markup is text", async () => {
    const shown = await draw(`<span size="9999999">a</span> & <b>`);
    expect(shown.height).toBeLessThan(70);
    expect(await pngOf(await draw("&lt;"))).not.toBe(await pngOf(await draw("<")));
  });

  test("whatever the text, there is a picture", async () => {
    const text = fc.string({ unit: "binary", minLength: 1, maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(text, async (value) => {
        const surface = await draw(value, { fontSize: 12 });
        expect(surface.width).toBeGreaterThan(0);
      }),
      { numRuns: 40 },
    );
  });

  test("control characters and halves of pairs don't reach the renderer", () => {
    expect(plainText("a\0b\u0007c\r\nd\te\uD800f\u2028g")).toBe("abc\nd e\uFFFDf\ng");
  });

  test.each<[string, string, TextStyle]>([
    ["letters as large as houses", "WWWWWWWWWWWWWWWWWWWW", { fontSize: 16_000 }],
    ["lines without end", "W".repeat(2000), { fontSize: 400 }],
    ["a wall of text", "W".repeat(2000), { fontSize: 400, width: 16_000 }],
    ["lines far apart", "a\n".repeat(1000), { lineHeight: 16_000 }],
    ["wide signs", "﷽".repeat(2000), {}],
    ["padding", "a", { padding: [16_000, 16_000, 16_000, 16_000] }],
  ])("%s are refused", async (_, text, style) => {
    expect(await refusal("LimitExceeded", draw(text, style))).not.toBe("");
  });

  test.each<[string, TextStyle]>([
    ["fs", { fontSize: 0 }],
    ["fs", { fontSize: 20_000 }],
    ["w", { width: 0 }],
    ["lh", { lineHeight: 100_000 }],
    ["pa", { padding: [-5, 0, 0, 0] }],
  ])("%s out of bounds is refused by its name: %o", async (name, style) => {
    expect(await refusal("InvalidParameter", draw("a", style))).toMatch(new RegExp(`^${name}: `));
  });

  test.each<[string, Buffer]>([
    ["nothing", Buffer.alloc(0)],
    ["noise", Buffer.alloc(5000, 7)],
    ["a picture", Buffer.from("89504e470d0a1a0a0000000d49484452", "hex")],
    ["WOFF", Buffer.from("wOFF\0\x01\0\0")],
    ["a collection", Buffer.from("ttcf\0\x01\0\0\0\0\0\x02")],
    ["a font cut short", MONOTON.subarray(0, 2000)],
    ["a font cut in half", MONOTON.subarray(0, MONOTON.length / 2)],
    ["a directory without end", Buffer.concat([Buffer.from("00010000ffff", "hex"), Buffer.alloc(100)])],
  ])("%s is no font", async (_, font) => {
    expect(await refusal("InvalidParameter", draw("a", CUSTOM, { "fonts/own.ttf": font }))).toMatch(
      /^ff: fonts\/own/,
    );
  });

  test("a font that says that its tables lie elsewhere", async () => {
    for (let n = 0; n < MONOTON.readUInt16BE(4); n++) {
      const font = Buffer.from(MONOTON);
      font.writeUInt32BE(0xfffffff0, 12 + n * 16 + 8);
      expect(await refusal("InvalidParameter", draw("a", CUSTOM, { "fonts/own.ttf": font }))).toContain(
        "cut short",
      );
    }
  });

  test("a font that FreeType refuses isn't replaced in silence", async () => {
    const font = Buffer.from(MONOTON);
    for (let n = 0; n < font.readUInt16BE(4); n++) {
      const entry = 12 + n * 16;
      // A head without its magic number.
      if (font.toString("latin1", entry, entry + 4) === "head")
        font.fill(0, font.readUInt32BE(entry + 8), font.readUInt32BE(entry + 8) + 54);
    }
    expect(await refusal("InvalidParameter", draw("a", CUSTOM, { "fonts/own.ttf": font }))).toContain(
      "damaged",
    );
  });

  test("a font with noise in its tables is drawn or refused, and nothing else", async () => {
    for (let seed = 0; seed < 20; seed++) {
      const font = Buffer.from(MONOTON);
      for (let n = 400 + seed * 13; n < font.length; n += 97 + seed) font[n] = (n * 31 + seed * 77) & 0xff;
      const result = await draw("Hello", CUSTOM, { "fonts/own.ttf": font }).then(
        (surface) => surface.width > 0,
        (reason: unknown) => (reason as { code?: string }).code,
      );
      expect([true, "InvalidParameter", "LimitExceeded"]).toContain(result);
    }
  });

  test("a font too large to be one", async () => {
    const font = Buffer.concat([MONOTON, Buffer.alloc(21 * 1024 ** 2)]);
    expect(await refusal("LimitExceeded", draw("a", CUSTOM, { "fonts/own.ttf": font }))).toContain("bytes");
  });

  test("maps of characters have as many entries as those of real fonts at most", () => {
    expect([64, 65].map(coverageOf(mapped(30_000)))).toEqual([true, false]);
    expect(() => coverageOf(mapped(40_000))).toThrow("damaged");
  });

  test("maps of characters that lie are read within their bounds", () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: MONOTON.length - 1 }),
        fc.integer({ min: 0, max: 255 }),
        (at, byte) => {
          const font = Buffer.from(MONOTON);
          font[at] = byte;
          let covered: boolean | string;
          try {
            covered = coverageOf(font)(65);
          } catch (error) {
            covered = (error as Error).name;
          }
          expect([true, false, "FontError"]).toContain(covered);
        },
      ),
      { numRuns: 300 },
    );
  });
});
