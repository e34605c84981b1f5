/** TIFFs made to hurt whoever opens them. */
import sharp from "sharp";
import { noise } from "../site.ts";
import { cuts, deeply, HARMLESS, NO_PICTURE, survives, TOO_MUCH, ways } from "./cases.ts";
import {
  flat,
  latin,
  le16,
  LONG,
  SHORT,
  tiff,
  tiffOfPages,
  tiffOfStrips,
  type TiffEntry,
} from "./rasters.ts";

const DOT = Buffer.alloc(1);
/** One channel of one byte, in one strip; `others` in place of entries of theirs or beside them. */
const grey =
  (width = 1, height = 1, ...others: readonly TiffEntry[]) =>
  (dataAt: number): TiffEntry[] => {
    const own: TiffEntry[] = [
      [256, LONG, 1, width],
      [257, LONG, 1, height],
      [258, SHORT, 1, 8],
      [259, SHORT, 1, 1],
      [262, SHORT, 1, 1],
      [273, LONG, 1, dataAt],
      [277, SHORT, 1, 1],
      [278, LONG, 1, height],
      [279, LONG, 1, 1],
    ];
    const kept = own.filter(([id]) => !others.some(([other]) => other === id));
    return [...kept, ...others].toSorted(([a], [b]) => a - b);
  };

/** Tags and values that none may have. */
const ODD: readonly TiffEntry[] = [
  [258, SHORT, 1, 65_535],
  [259, SHORT, 1, 65_000],
  [259, SHORT, 1, 6],
  [259, SHORT, 1, 7],
  [262, SHORT, 1, 9999],
  [262, SHORT, 1, 6],
  [277, SHORT, 1, 0],
  [278, SHORT, 1, 0],
  [284, SHORT, 1, 77],
  [339, SHORT, 1, 99],
];

survives("TIFF", [
  {
    name: "that claim four billion by four billion, and 65,000 by 65,000",
    files: {
      "all.tif": tiff(grey(0xffffffff, 0xffffffff), DOT),
      "much.tif": tiff(grey(65_000, 65_000), DOT),
    },
    urls: [...ways("all.tif"), ...ways("much.tif")],
    ends: NO_PICTURE,
  },
  {
    name: "that claims what it doesn't have, within the limits",
    files: { "less.tif": tiff(grey(7000, 7000), DOT) },
    urls: ways("less.tif").slice(0, 1),
    ends: NO_PICTURE,
  },
  {
    name: "of 64 million pixels",
    files: { "flat.tif": () => flat(8000, 8000, "tiff") },
    urls: ways("flat.tif"),
    ends: TOO_MUCH,
  },
  {
    name: "whose directories lead to themselves",
    files: {
      "next.tif": tiff(grey(), DOT, () => 8),
      "sub.tif": tiff(grey(1, 1, [330, LONG, 1, 8], [34_665, LONG, 1, 8], [34_853, LONG, 1, 8]), DOT),
    },
    urls: [...deeply("next.tif"), "tr:w-10,pg-2/next.tif", "tr:pg-1-/next.tif", ...deeply("sub.tif")],
    ends: HARMLESS,
  },
  {
    name: "of sixty thousand pages",
    files: { "pages.tif": () => tiffOfPages(60_000) },
    urls: [...ways("pages.tif"), "tr:pg-9000/pages.tif", "tr:pg-1_9000_2/pages.tif"],
    ends: HARMLESS,
  },
  {
    name: "of two million strips",
    files: { "strips.tif": () => tiffOfStrips(1, 2_000_000) },
    urls: ["tr:h-10,w-10/strips.tif", "strips.tif/metadata"],
    ends: HARMLESS,
  },
  {
    name: "of one strip of 49 million pixels of 16 bytes, deflated",
    files: {
      "strip.tif": () =>
        tiffOfStrips(7000, 7000, { rows: 7000, samples: 4, bits: 32, format: 3, deflated: true }),
    },
    urls: ways("strip.tif"),
    ends: HARMLESS,
  },
  {
    name: "of a thousand samples a pixel, and of 65,535",
    files: {
      "1000.tif": () => tiffOfStrips(7000, 7000, { samples: 1000, deflated: true }),
      "65535.tif": () => tiffOfStrips(100, 100, { samples: 65_535, deflated: true }),
    },
    urls: [...ways("1000.tif"), ...ways("65535.tif")],
    ends: NO_PICTURE,
  },
  {
    name: "of tiles of a billion by a billion, of counts without end, of a directory beyond the file",
    files: {
      "tiles.tif": tiff(
        grey(
          7000,
          7000,
          [322, LONG, 1, 1 << 30],
          [323, LONG, 1, 1 << 30],
          [324, LONG, 1, 8],
          [325, LONG, 1, 1],
        ),
        DOT,
      ),
      "counts.tif": tiff(grey(1, 1, [273, LONG, 0xffffffff, 8], [279, LONG, 0xffffffff, 8]), DOT),
      "beyond.tif": Buffer.concat([latin("II+\0"), le16(8, 0), Buffer.alloc(8, 0x7f)]),
    },
    urls: [...ways("tiles.tif"), ...ways("counts.tif"), ...ways("beyond.tif")],
    ends: NO_PICTURE,
  },
  {
    name: "of compressions, photometrics and sample formats that aren't",
    files: Object.fromEntries(ODD.map((odd, n) => [`${n}.tif`, tiff(grey(64, 64, odd), Buffer.alloc(4096))])),
    urls: ODD.flatMap((_, n) => ways(`${n}.tif`)),
    ends: HARMLESS,
  },
  cuts(
    async () =>
      sharp(await noise(200, 200))
        .tiff({ compression: "lzw" })
        .toBuffer(),
    "tif",
    [4, 8, 20, 0.3, 0.6, 0.95],
  ),
]);
