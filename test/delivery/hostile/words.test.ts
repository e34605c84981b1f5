/** Texts, fonts and layers. */
import { quadrants } from "../site.ts";
import { HARMLESS, SERVED, survives, TOO_MUCH, type Ending, type Hostile } from "./cases.ts";
import { changed, composites, pictures, replaced, ROBOTO } from "./fonts.ts";
import { deflatedZeros, flatPng, gifOf, junk, png, u16, u32 } from "./rasters.ts";

/** What can't be drawn, said to the URL's user. */
const BAD_TEXT: Ending = /400 InvalidParameter|422 LimitExceeded/;
const BAD_FONT: Ending = /400 InvalidParameter|422 (LimitExceeded|DamagedSource)|415 UnsupportedSource/;
const MISSING: Ending = /400 (InvalidParameter|InvalidPath)|404 NotFound|415 UnsupportedSource/;
const b64 = (text: string): string => encodeURIComponent(Buffer.from(text).toString("base64"));
const text = (said: string, more = ""): string => `tr:l-text,ie-${b64(said)}${more},l-end/honest.png`;

const TEXTS: Hostile[] = [
  {
    name: "letters of 65,535 pixels",
    urls: [
      text("W", ",fs-65535"),
      text("W", ",fs-16383"),
      text("WWWW", ",fs-9000"),
      text("W", ",fs-1000000"),
      text("W", ",fs-bh_pow_9"),
      text("W", ",fs-8000"),
    ],
    ends: BAD_TEXT,
  },
  {
    name: "a word of 1,800 letters",
    urls: [
      text("W".repeat(1800), ",fs-100"),
      text("W".repeat(1800), ",fs-100,w-100"),
      text("W".repeat(1800), ",fs-45,w-1"),
      text("W".repeat(1800), ",fs-4"),
      text("W".repeat(1800), ",fs-400,w-10"),
    ],
    ends: HARMLESS,
  },
  {
    name: "1,800 lines",
    urls: [
      text("W\n".repeat(900), ",fs-100"),
      text("\n".repeat(1800), ",fs-100"),
      text("W\n".repeat(900), ",lh-16000"),
      text("W\n".repeat(900), ",fs-1,lh-100"),
    ],
    ends: HARMLESS,
  },
  {
    name: "letters with hundreds of marks",
    urls: [
      text(`e${"\u0301".repeat(800)}`, ",fs-100"),
      text(`e${"\u0301\u0323".repeat(20)}`.repeat(20), ",fs-60,w-50"),
      text("\u0e49".repeat(600)),
      text("\u0488".repeat(800)),
    ],
    ends: HARMLESS,
  },
  {
    name: "overrides of direction, and joiners",
    urls: [
      text("\u202e\u202d\u2067".repeat(250)),
      text("\u202eabc\u202c\u2066\u2069\u200f"),
      text("\u{1F468}\u200d".repeat(250)),
      text("\u{E0067}\u{E007F}".repeat(300)),
      text("\u{1F1E6}".repeat(400)),
    ],
    ends: HARMLESS,
  },
  {
    name: "Arabic, Devanagari, Han, emoji, private",
    urls: [
      text("\u0627\u0644\u0633\u0644\u0627\u0645".repeat(60)),
      text("\u0915\u094d\u0937\u094d".repeat(100)),
      text("\u4e00".repeat(700), ",w-100"),
      text("\u{1F600}".repeat(400), ",fs-100,w-500"),
      text("\ue000\uf8ff\u{10FFFF}".repeat(150)),
    ],
    ends: HARMLESS,
  },
  {
    name: "markup of Pango",
    urls: [
      text('<span size="99999999" foreground="red">x</span>'),
      text("<b><i><u>".repeat(60), ",fs-4"),
      text("&amp;&#0;&#xffffff;&x;"),
      text("</span></span></span>"),
      text(`<span font_family="x" fallback="true" rise="1000000">x`),
    ],
    ends: SERVED,
  },
  {
    name: "NULs and halves of letters",
    urls: [
      text("\0\0\0"),
      text("a\0b\x07\x1b[31m\x7f"),
      `tr:l-text,i-a%00b,l-end/honest.png`,
      `tr:l-text,ie-${encodeURIComponent(Buffer.from("eda080eda080c0afff", "hex").toString("base64"))},l-end/honest.png`,
      "tr:l-text,ie-%25%25%25,l-end/honest.png",
      "tr:l-text,ie-,l-end/honest.png",
      "tr:l-text,i-,l-end/honest.png",
    ],
    ends: HARMLESS,
  },
  {
    name: "padding, borders, corners and turns without end",
    urls: [
      text("a", ",pa-16383"),
      text("a", ",pa-9000,bg-FF0000"),
      text("a", ",pa-99999999999"),
      text("a", ",pa-N5"),
      text("a", ",r-99999999"),
      text("a", ",rt-99999999999"),
      text("a", ",w-65535"),
      text("a", ",w-16383,fs-3000"),
      text("a", ",lh-0"),
      text("a", ",fs-0"),
      text("a", ",al-99"),
    ],
    ends: HARMLESS,
  },
  {
    name: "sixteen texts, and seventeen",
    urls: [
      `tr:${Array(16).fill("l-text,i-Hello,fs-90,rt-45,l-end").join(",")}/honest.png`,
      `tr:${Array(17).fill("l-text,i-a,l-end").join(",")}/honest.png`,
      `tr:${Array(300).fill("l-text,i-a,l-end").join(",")}/honest.png`,
    ],
    ends: HARMLESS,
  },
  {
    name: "fonts that aren't",
    urls: [
      "..@@..@@etc@@passwd",
      "@@etc@@passwd",
      "http:@@@@127.0.0.1@@x.ttf",
      "Roboto%00",
      "%22%3E%3Cspan",
      "Roboto,Sans%20Bold%20999999",
      "honest.png",
    ].map((font) => `tr:l-text,i-a,ff-${font},l-end/honest.png`),
    ends: MISSING,
  },
];
survives("texts", TEXTS);

const fonts = (name: string, files: NonNullable<Hostile["files"]>, ends: Ending = HARMLESS): Hostile => ({
  name,
  files,
  urls: Object.keys(files).flatMap((file) => [
    `tr:l-text,i-AAABgq%20W,ff-${file},fs-40,l-end/honest.png`,
    `tr:l-text,i-A,ff-${file},fs-900,l-end/honest.png`,
  ]),
  ends,
});
const FONTS: Hostile[] = [
  fonts(
    "noise, nothing, a picture, a page",
    {
      "a.ttf": junk(100_000),
      "b.ttf": Buffer.alloc(0),
      "c.ttf": () => quadrants(9, 9).png().toBuffer(),
      "d.ttf": Buffer.from("<html>"),
      "e.ttf": Buffer.concat([u32(0x00010000), junk(5000)]),
      "f.otf": Buffer.concat([Buffer.from("OTTO"), junk(5000)]),
      "g.ttf": Buffer.from("wOF2".padEnd(500)),
      "h.ttf": Buffer.from("ttcf".padEnd(500)),
    },
    BAD_FONT,
  ),
  fonts(
    "cut short",
    Object.fromEntries(
      [3, 12, 100, 1000, 0.3, 0.6, 0.9].map((at) => [
        `c${at}.ttf`,
        ROBOTO.subarray(0, at < 1 ? ROBOTO.length * at : at),
      ]),
    ),
    BAD_FONT,
  ),
  fonts(
    "directories of 65,535 tables, of tables beyond the end",
    {
      "a.ttf": Buffer.concat([u32(0x00010000), u16(65_535, 0, 0, 0), Buffer.alloc(65_535 * 16)]),
      "b.ttf": Buffer.concat([ROBOTO.subarray(0, 20), u32(0xfffffff0, 0xfffffff0), ROBOTO.subarray(28)]),
    },
    BAD_FONT,
  ),
  fonts("glyphs that don't exist", {
    "a.ttf": changed("maxp", (table) => table.writeUInt16BE(65_535, 4)),
    "b.ttf": changed("maxp", (table) => table.writeUInt16BE(0, 4)),
    "c.ttf": changed("loca", (table) => table.fill(0xff)),
    "d.ttf": changed("hmtx", (table) => table.fill(0x7f)),
    "e.ttf": changed("hhea", (table) => table.fill(0xff, 4)),
    "f.ttf": changed("head", (table) => table.writeUInt16BE(0, 18)),
    "g.ttf": changed("head", (table) => table.writeUInt16BE(1, 18)),
    "h.ttf": changed("glyf", (table) => void junk(table.length).copy(table)),
  }),
  fonts("maps of characters that lie", {
    "a.ttf": changed("cmap", (table) => table.fill(0xff, 4)),
    "b.ttf": replaced({
      cmap: Buffer.concat([u16(0, 1, 3, 10), u32(12), u16(12, 0), u32(28, 0, 0xffffffff, 0, 0xffffffff, 0)]),
    }),
    "c.ttf": replaced({
      cmap: Buffer.concat([
        u16(0, 1, 3, 10),
        u32(12),
        u16(12, 0),
        u32(16 + 12 * 100_000, 0, 100_000),
        Buffer.alloc(12 * 100_000),
      ]),
    }),
    "d.ttf": replaced({ cmap: Buffer.concat([u16(0, 1, 3, 1), u32(0xfffffff0)]) }),
    "e.ttf": replaced({
      cmap: Buffer.concat([
        u16(0, 1, 3, 1),
        u32(12),
        u16(4, 0xffff, 0, 0xffff, 0, 0, 0),
        Buffer.alloc(300, 0xff),
      ]),
    }),
  }),
  fonts("glyphs made of themselves, and of each other by the dozen", {
    "a.ttf": composites(1),
    "b.ttf": composites(2),
    "c.ttf": composites(12),
  }),
  fonts("programs that never end", {
    "a.ttf": replaced({
      fpgm: Buffer.from([0x40, 1, 0, 0xb8, 0xff, 0xfd, 0x1c]),
      prep: Buffer.from([0xb8, 0xff, 0xfc, 0x1c, 0xb8, 0xff, 0xfc, 0x1c]),
    }),
    "b.ttf": replaced({ prep: Buffer.concat(Array<Buffer>(60_000).fill(Buffer.from([0xb0, 1]))) }),
  }),
  fonts("glyphs that are pictures of a billion pixels", {
    "a.ttf": async () => pictures(await flatPng(32_000, 32_000, { depth: 1, colour: 0 })),
    "b.ttf": async () => pictures(png(32_767, 32_767, { idat: await deflatedZeros(1 << 28) })),
  }),
  fonts("tables of shaping made of noise", {
    "a.ttf": replaced({
      GSUB: junk(50_000),
      GPOS: junk(50_000, 7),
      GDEF: junk(5000, 3),
      kern: junk(50_000, 5),
    }),
    "b.ttf": replaced({
      GSUB: Buffer.concat([u32(0x00010000), u16(10, 10, 10), Buffer.alloc(60_000, 0)]),
      morx: junk(60_000),
      fvar: junk(60_000),
      gvar: junk(60_000),
    }),
    "c.ttf": replaced({
      "SVG ": junk(60_000),
      COLR: junk(60_000),
      CPAL: junk(6000),
      CBDT: junk(60_000),
      CBLC: junk(60_000),
    }),
  }),
  fonts("a font of 25 MiB", { "a.ttf": Buffer.concat([ROBOTO, Buffer.alloc(25 << 20)]) }, BAD_FONT),
];
survives("fonts", FONTS);

const image = (file: string, more = ""): string => `l-image,i-${file}${more},l-end`;
const LAYERS: Hostile[] = [
  {
    name: "a picture as a layer of itself, sixteen times, seventeen times, three hundred times",
    urls: [
      `tr:${image("honest.png")}/honest.png`,
      `tr:${Array(16).fill(image("honest.png", ",w-2.0")).join(",")}/honest.png`,
      `tr:${Array(17).fill(image("honest.png")).join(",")}/honest.png`,
      `tr:${Array(300).fill("l-image,i-honest.png,l-end").join(",")}/honest.png`,
    ],
    ends: HARMLESS,
  },
  {
    name: "layers in layers in layers in layers",
    urls: [4, 5, 9, 60].map(
      (depth) =>
        `tr:${"l-image,i-honest.png,".repeat(depth)}${Array(depth).fill("l-end").join(",")}/honest.png`,
    ),
    ends: BAD_TEXT,
  },
  {
    name: "layers that never end, or end alone",
    urls: [
      "tr:l-image,i-honest.png/honest.png",
      "tr:l-end/honest.png",
      "tr:l-end,l-end,w-5/honest.png",
      "tr:l-image,l-end/honest.png",
      "tr:l-image,i-,l-end/honest.png",
      "tr:l-nothing,i-a,l-end/honest.png",
    ],
    ends: MISSING,
  },
  {
    name: "layers that aren't there, or aren't pictures",
    files: { "t.txt": Buffer.from("text"), "e.png": Buffer.alloc(0) },
    urls: [
      `tr:${image("missing.png")}/honest.png`,
      `tr:${image("t.txt")}/honest.png`,
      `tr:${image("e.png")}/honest.png`,
      `tr:${image("..@@..@@etc@@passwd")}/honest.png`,
      `tr:${image("http:@@@@127.0.0.1:1@@x.png")}/honest.png`,
    ],
    ends: MISSING,
  },
  {
    name: "layers that are bombs",
    files: {
      "b.png": () => flatPng(16_000, 16_000, { depth: 1, colour: 0 }),
      "g.gif": gifOf(60_000, 60_000, 3, 0, 60_000),
      "c.png": png(60_000, 60_000),
      "s.svg": Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="30000" height="30000"/>'),
    },
    urls: ["b.png", "g.gif", "c.png", "s.svg"].map((file) => `tr:${image(file, ",w-10")}/honest.png`),
    ends: TOO_MUCH,
  },
  {
    name: "layers made large",
    urls: [
      `tr:${image("honest.png", ",w-16000")}/honest.png`,
      `tr:${image("honest.png", ",w-bw_mul_1000")}/honest.png`,
      `tr:l-image,i-ik_canvas,w-16383,h-16383,bg-FF0000,l-end/honest.png`,
      `tr:${image("honest.png", ",b-9000_FF0000")}/honest.png`,
      `tr:${image("honest.png", ",e-distort-p-0_0_90000_0_90000_90000_0_90000")}/honest.png`,
    ],
    ends: TOO_MUCH,
  },
  {
    name: "layers laid far outside",
    urls: [
      `tr:${image("honest.png", ",lx-99999999999,ly-N99999999999")}/honest.png`,
      `tr:${image("honest.png", ",lx-bw_pow_99")}/honest.png`,
      `tr:${image("honest.png", ",lx-0_div_0,ly-1_div_0")}/honest.png`,
      `tr:${image("honest.png", ",lm-displace,x-99999999,y-N99999999")}/honest.png`,
      `tr:${image("honest.png", ",lm-cutter,lx-N9999")}/honest.png`,
    ],
    ends: HARMLESS,
  },
  {
    name: "sixteen layers of five megapixels each, on five hundred frames",
    files: { "f.png": () => flatPng(2400, 2000), "m.gif": gifOf(200, 200, 500) },
    urls: [
      `tr:${Array(16).fill(image("f.png")).join(",")}/m.gif`,
      `tr:${Array(16).fill(image("f.png", ",rt-45,bl-20")).join(",")}/m.gif`,
    ],
    ends: HARMLESS,
  },
  {
    name: "layers of thirty megabytes each",
    files: Object.fromEntries(
      [1, 2, 3].map((n) => [
        `l${n}.png`,
        async () => Buffer.concat([await quadrants(20, 20).png().toBuffer(), Buffer.alloc(30 << 20, n)]),
      ]),
    ),
    urls: [`tr:${[1, 2, 3].map((n) => image(`l${n}.png`)).join(",")}/honest.png`],
    ends: /413 SourceTooLarge/,
  },
];
survives("layers", LAYERS);
