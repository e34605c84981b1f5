/** PNGs made to hurt whoever opens them. */
import { deflateSync } from "node:zlib";
import { quadrants } from "../site.ts";
import { cuts, DAMAGED, deeply, HARMLESS, NO_PICTURE, SERVED, survives, TOO_MUCH, ways } from "./cases.ts";
import { apngOf, chunk, deflatedZeros, flatPng, junk, latin, png, pngWith, u32 } from "./rasters.ts";

const gigabyte = deflatedZeros(1 << 30);
const megabytes = deflatedZeros(50 << 20);
const tiny = deflateSync(Buffer.alloc(200));

const text = async (type: string, head: string): Promise<Buffer> =>
  chunk(type, Buffer.concat([latin(head), await megabytes]));

survives("PNG", [
  {
    name: "of 31 kB that holds 256 million pixels",
    files: { "bomb.png": () => flatPng(16_000, 16_000, { depth: 1, colour: 0 }) },
    urls: [...ways("bomb.png"), "tr:rt-45/bomb.png", "tr:f-avif/bomb.png"],
    ends: TOO_MUCH,
  },
  {
    name: "just within the limits, which turning would leave",
    files: { "within.png": () => flatPng(7000, 7000, { depth: 1, colour: 0 }) },
    urls: ["tr:rt-45/within.png", "tr:bl-100:rt-45/within.png", "tr:w-2,bl-100:w-16000,h-16000/within.png"],
    ends: TOO_MUCH,
  },
  {
    name: "just within the limits, at eight bytes a pixel",
    files: { "deep.png": () => flatPng(7000, 7000, { depth: 16, colour: 6 }) },
    urls: ["tr:w-10/deep.png"],
    ends: HARMLESS,
  },
  {
    name: "just within the limits, at eight bytes a pixel, interlaced",
    files: { "laced.png": () => flatPng(7000, 7000, { depth: 16, colour: 6, interlaced: true }) },
    urls: ["tr:w-10/laced.png"],
    ends: HARMLESS,
  },
  {
    name: "just within the limits, with heavy work",
    files: { "heavy.png": () => flatPng(7000, 7000, { colour: 6 }) },
    urls: [
      "tr:f-avif/heavy.png",
      "tr:r-max,b-10_FF0000/heavy.png",
      "tr:e-distort-a-40/heavy.png",
      "tr:e-usm-2-2-0.8-0.024/heavy.png",
      "tr:l-image,i-heavy.png,lm-multiply,l-end/heavy.png",
      "tr:l-image,i-heavy.png,lm-displace,x-10,l-end/heavy.png",
    ],
    ends: HARMLESS,
  },
  {
    name: "that claim what no PNG has, and have nothing",
    files: {
      "1.png": png(0xffffffff, 0xffffffff),
      "2.png": png(0x7fffffff, 0x7fffffff),
      "3.png": png(1, 0x7fffffff),
      "4.png": png(0x7fffffff, 1),
      "5.png": png(65_536, 65_536),
      "6.png": png(0, 0),
    },
    urls: [1, 2, 3, 4, 5, 6].flatMap((n) => ways(`${n}.png`)),
    ends: NO_PICTURE,
  },
  { name: "of no pixels", files: { "none.png": png(100, 100) }, urls: ways("none.png"), ends: DAMAGED },
  {
    name: "whose pixels inflate to a gigabyte more than there are",
    files: { "more.png": async () => png(10, 10, { idat: await gigabyte }) },
    urls: ways("more.png"),
    ends: HARMLESS,
  },
  {
    name: "with text that inflates to a gigabyte",
    files: {
      "text.png": async () => pngWith(chunk("zTXt", Buffer.concat([latin("K\0\0"), await gigabyte]))),
    },
    urls: deeply("text.png"),
    ends: HARMLESS,
  },
  {
    name: "with forty texts that inflate to fifty megabytes each",
    files: {
      "texts.png": async () => {
        const texts = Array.from({ length: 20 }, (_, n) => text("zTXt", `K${n}\0\0`));
        const others = Array.from({ length: 20 }, (_, n) => text("iTXt", `I${n}\0\x01\0\0\0`));
        return pngWith(...(await Promise.all([...texts, ...others])));
      },
    },
    urls: ["tr:w-10/texts.png", "tr:w-10,md-true/texts.png", "texts.png/metadata"],
    ends: HARMLESS,
  },
  {
    name: "with a colour profile, or XMP, that inflates to a gigabyte",
    files: {
      "icc.png": async () => pngWith(chunk("iCCP", Buffer.concat([latin("p\0\0"), await gigabyte]))),
      "xmp.png": async () =>
        pngWith(chunk("iTXt", Buffer.concat([latin("XML:com.adobe.xmp\0\x01\0\0\0"), await gigabyte]))),
    },
    urls: [...deeply("icc.png"), ...deeply("xmp.png")],
    ends: HARMLESS,
  },
  {
    name: "with a hundred thousand texts",
    files: {
      "many.png": () =>
        pngWith(...Array.from({ length: 100_000 }, (_, n) => chunk("tEXt", latin(`k${n}\0v`)))),
    },
    urls: deeply("many.png"),
    ends: HARMLESS,
  },
  {
    name: "with ten megabytes of EXIF that are noise",
    files: {
      "exif.png": () => pngWith(chunk("eXIf", Buffer.concat([latin("II*\0\x08\0\0\0"), junk(10 << 20)]))),
    },
    urls: deeply("exif.png"),
    ends: HARMLESS,
  },
  {
    name: "that claims four billion frames",
    files: {
      "apng.png": png(8, 8, {
        idat: tiny,
        before: [
          chunk("acTL", u32(0xffffffff, 0)),
          chunk("fcTL", Buffer.concat([u32(0, 8, 8, 0, 0), Buffer.alloc(6)])),
        ],
        after: Array.from({ length: 5000 }, (_, n) => chunk("fdAT", Buffer.concat([u32(n), tiny]))),
      }),
    },
    urls: [...ways("apng.png"), "tr:w-10,f-gif/apng.png"],
    ends: SERVED,
  },
  {
    name: "of nine thousand dots on a canvas of 49 million pixels, and of a hundred thousand",
    files: {
      "dots.png": () => apngOf(7000, 7000, 9000, "dots"),
      "more.png": () => apngOf(10, 10, 100_000, "dots"),
      "turns.png": () => apngOf(3500, 3500, 40, "turns"),
    },
    urls: [
      ...["tr:w-5/", "tr:w-5,pg-8000/", "tr:pg-1_9000/"].map((way) => `${way}dots.png`),
      "dots.png/metadata",
      ...ways("more.png"),
      "tr:pg-40_1_40,w-10/turns.png",
    ],
    ends: HARMLESS,
  },
  {
    name: "with frames that are beyond the canvas, empty, or say too little of themselves",
    files: Object.fromEntries(
      [u32(1, 0xffffffff, 1, 1, 0), u32(1, 8, 8, 0xfffffff8, 0xfffffff8), u32(1, 0, 0, 0, 0), u32(1, 1)].map(
        (control, n) => [
          `frame-${n}.png`,
          png(8, 8, {
            idat: tiny,
            before: [
              chunk("acTL", u32(2, 0)),
              chunk("fcTL", Buffer.concat([u32(0, 8, 8, 0, 0), Buffer.alloc(6)])),
            ],
            after: [
              chunk("fcTL", Buffer.concat([control, Buffer.alloc(control.length < 20 ? 0 : 6)])),
              chunk("fdAT", u32(2)),
            ],
          }),
        ],
      ),
    ),
    urls: [0, 1, 2, 3].flatMap((n) => [`tr:w-10/frame-${n}.png`, `tr:pg-2/frame-${n}.png`]),
    ends: DAMAGED,
  },
  {
    name: "with colours that its palette doesn't have",
    files: {
      "palette.png": png(8, 8, {
        colour: 3,
        idat: deflateSync(Buffer.alloc(72, 0xff)),
        before: [chunk("PLTE", Buffer.alloc(3)), chunk("tRNS", Buffer.alloc(256))],
      }),
    },
    urls: ways("palette.png"),
    ends: HARMLESS,
  },
  {
    name: "with a megabyte of a page behind it",
    files: {
      "page.png": async () =>
        Buffer.concat([
          await quadrants(20, 20).png().toBuffer(),
          Buffer.alloc(1 << 20, "<script>x()</script>"),
        ]),
    },
    urls: ways("page.png"),
    ends: SERVED,
  },
  cuts(() => quadrants(200, 200).png().toBuffer(), "png", [1, 12, 30, 45, 60, 0.5, 0.9]),
]);
