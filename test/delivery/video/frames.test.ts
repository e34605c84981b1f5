/** Frames of films, by their pixels: colours of what is made of them and of what lies on it, and lines. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openSite, outcomeOf, type Site } from "../site.ts";
import { colourTags, frameAt, hasFfmpeg, hasFilter, inFolder, made, remade } from "./clips.ts";
import { streamed } from "./streaming.ts";

const here = await hasFfmpeg();
const zscale = here && (await hasFilter("zscale"));

type Rgb = readonly [r: number, g: number, b: number];
const RED: Rgb = [255, 0, 0];
const GREEN: Rgb = [0, 255, 0];
const BLUE: Rgb = [0, 0, 255];
const GREY: Rgb = [128, 128, 128];
const BARS = [RED, GREEN, BLUE, GREY];
/** BARS with the light of white paper, as numbers of HLG and of PQ in BT.2020, and what they are on any screen. */
const HLG: readonly Rgb[] = [
  [171, 74, 41],
  [141, 187, 82],
  [61, 35, 186],
  [114, 114, 114],
];
const PQ: readonly Rgb[] = [
  [135, 83, 56],
  [119, 146, 89],
  [74, 50, 144],
  [107, 106, 106],
];
const DIMMED: readonly Rgb[] = [
  [214, 4, 4],
  [9, 214, 8],
  [10, 6, 212],
  [128, 128, 128],
];
/** Far from grey: by another matrix it is another colour. */
const LEAF: Rgb = [29, 185, 84];

interface Look {
  readonly lines: number;
  /** As `scale` calls it. */
  readonly matrix: string;
  /** What the film says of its colours, for `setparams`. */
  readonly says: string;
  readonly shows?: readonly Rgb[];
  readonly full?: boolean;
}
const says = (standard: string): string =>
  `colorspace=${standard}:color_primaries=${standard}:color_trc=${standard}`;

/** Bars of colours side by side. */
function bars({ lines, matrix, says: said, shows = BARS, full = false }: Look): Promise<Buffer> {
  const width = (lines * 16) / 9 / shows.length;
  const one = shows.map(
    ([r, g, b], n) =>
      `color=c=0x${Buffer.from([r, g, b]).toString("hex")}:s=${width}x${lines}:d=0.4:r=10,format=rgb24[c${n}]`,
  );
  const all = shows.map((_, n) => `[c${n}]`).join("");
  const format = `scale=out_color_matrix=${matrix}:out_range=${full ? "pc" : "tv"},format=yuv420p`;
  const range = full ? ":range=pc" : "";
  const graph = `${one.join(";")};${all}hstack=${shows.length},${format},setparams=${said}${range}[v]`;
  return made(["-filter_complex", graph, "-map", "[v]", "-c:v", "libx264", "-crf", "4"]);
}

/** In the middle of each of the bars, from left to right. */
async function colours(picture: Buffer): Promise<Rgb[]> {
  const { width } = await sharp(picture).metadata();
  return Promise.all(BARS.map((_, n) => colour(picture, (width * (n + 0.5)) / BARS.length)));
}
/** In the middle of the height where nothing else is said. */
async function colour(picture: Buffer, x: number, y?: number): Promise<Rgb> {
  const { data, info } = await sharp(picture).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  const at = (Math.floor(y ?? info.height / 2) * info.width + Math.floor(x)) * info.channels;
  return [data[at]!, data[at + 1]!, data[at + 2]!];
}

/** What comes near enough is what was meant. */
const near = (found: readonly Rgb[], meant: readonly Rgb[], by = 8): readonly Rgb[] =>
  found.map((one, n) => (one.every((value, c) => Math.abs(value - meant[n]![c]!) <= by) ? meant[n]! : one));

const hdr = (shows: readonly Rgb[], transfer: string, more: string): Look => {
  return { lines: 360, matrix: "bt2020", says: `color_trc=${transfer}:${more}`, shows };
};
const BT2020 = "colorspace=bt2020nc:color_primaries=bt2020";

/** Of what was HDR. */
const nearDimmed = async (picture: Buffer): Promise<readonly Rgb[]> =>
  near(await colours(picture), DIMMED, 16);

/** A white bar that moves to the right in each field of a frame. */
const fields = (): Promise<Buffer> => {
  const bar = "color=black:s=320x180:r=50:d=1[a];color=white:s=40x180:r=50:d=1[b]";
  const graph = `${bar};[a][b]overlay=x=20+200*t,interlace,format=yuv420p[v]`;
  const encoding = "-map [v] -c:v mpeg2video -flags +ilme+ildct -q:v 2";
  return made(["-filter_complex", graph, ...encoding.split(" ")], "ts");
};

/** Pixels that are like those two lines below, and unlike those of the line between. */
async function combs(picture: Buffer): Promise<number> {
  const { data, info } = await sharp(picture).grayscale().raw().toBuffer({ resolveWithObject: true });
  const line = info.width * info.channels;
  let found = 0;
  for (let n = 0; n + 2 * line < data.length; n++) {
    const [one, below, far] = [data[n]!, data[n + line]!, data[n + 2 * line]!];
    if (Math.abs(one - below) > 60 && Math.abs(one - far) < 30) found++;
  }
  return found;
}

describe.skipIf(!here)("frames of films", () => {
  let site: Site;
  const film = async (path: string): Promise<Buffer> => {
    const reply = await site.get(`/root/${path}`);
    expect([path, reply.status, reply.headers.get("x-windlass-error")]).toEqual([path, 200, null]);
    return reply.body;
  };
  const frame = async (path: string): Promise<Buffer> => frameAt(await film(path), 0);
  /** What the rendition of that number shows. */
  const shown = async (path: string, rendition: number, seconds = 0): Promise<Buffer> =>
    frameAt((await streamed(site, `/root/${path}`, rendition)).film, seconds);

  beforeAll(async () => {
    site = await openSite();
    const hd = await bars({ lines: 720, matrix: "bt709", says: says("bt709") });
    const untold = says("unknown");
    const files: Record<string, Buffer> = {
      "hd.mp4": hd,
      "sd.mp4": await bars({ lines: 360, matrix: "bt601", says: says("smpte170m") }),
      "full.mp4": await bars({ lines: 720, matrix: "bt709", says: says("bt709"), full: true }),
      "untold-hd.mp4": await bars({ lines: 720, matrix: "bt709", says: untold }),
      "untold-squeezed.mp4": await remade(await bars({ lines: 720, matrix: "bt709", says: untold }), [
        "-vf",
        "setsar=4/3",
        "-c:v",
        "libx264",
        "-crf",
        "4",
      ]),
      "untold-sd.mp4": await bars({ lines: 360, matrix: "bt601", says: untold }),
      "hlg.mp4": await bars(hdr(HLG, "arib-std-b67", BT2020)),
      "pq.mp4": await bars(hdr(PQ, "smpte2084", BT2020)),
      "constant-pq.mp4": await bars(hdr(PQ, "smpte2084", BT2020.replace("bt2020nc", "bt2020c"))),
      "untold-hlg.mp4": await bars(hdr(HLG, "arib-std-b67", "colorspace=unknown:color_primaries=unknown")),
      "rgb.gif": await remade(
        hd,
        ["-vf", "scale=320:180:flags=neighbor,split[a][b];[a]palettegen[p];[b][p]paletteuse"],
        "gif",
      ),
    };
    for (const [name, body] of Object.entries(files)) await site.put(name, body);
  }, 60_000);
  afterAll(() => site[Symbol.asyncDispose]());

  test.each([
    ["hd.mp4", 2],
    ["sd.mp4", 2],
    ["full.mp4", 2],
    ["untold-hd.mp4", 2],
    ["untold-squeezed.mp4", 2],
    ["untold-sd.mp4", 2],
    ["rgb.gif", 1],
  ])(
    "of %s have the colours that they had, and say so, in films, thumbnails and streams",
    async (name, renditions) => {
      const small = await film(`${name}${name.endsWith("gif") ? "/ik-gif-video.mp4" : ""}?tr=w-160`);
      expect(await colourTags(small)).toMatch(/^(bt709|smpte170m) tv$/);
      expect(near(await colours(await frameAt(small, 0)), BARS)).toEqual(BARS);
      const still = await film(`${name}/ik-thumbnail.jpg?tr=w-160,q-100`);
      expect(near(await colours(still), BARS)).toEqual(BARS);
      for (let n = 0; n < renditions; n++) {
        const seen = await shown(`${name}/ik-master.m3u8?tr=sr-240_360`, n);
        expect(near(await colours(seen), BARS)).toEqual(BARS);
      }
    },
    60_000,
  );

  test.each(["hd.mp4", "sd.mp4", "full.mp4", "untold-hd.mp4", "rgb.gif/ik-gif-video.mp4"])(
    "of %s have the colours of the URL on and around them",
    async (name) => {
      const canvas = "l-image,i-ik_canvas,bg-1DB954,w-60,h-60,lx-0,ly-0,l-end";
      const text = "l-text,i-x,bg-1DB954,pa-30,lx-260,ly-0,l-end";
      const even = await frame(
        `${name}?tr=w-320,h-320,cm-pad_resize,bg-1DB954,b-10_1DB954:${canvas},${text}`,
      );
      const places = [
        [160, 30],
        [4, 170],
        [336, 170],
        [30, 30],
        [270, 10],
      ] as const;
      const found = await Promise.all(places.map(([x, y]) => colour(even, x, y)));
      const leaves = places.map(() => LEAF);
      expect(near(found, leaves)).toEqual(leaves);
      const odd = await frame(`${name}?tr=w-321,h-321,cm-pad_resize,bg-1DB954`);
      expect(near([await colour(odd, 160, 20)], [LEAF])).toEqual([LEAF]);
      expect(near(await colours(odd), BARS)).toEqual(BARS);
    },
    60_000,
  );

  test.each(["yuv420p10le", "yuv422p10le"])(
    "of %s have the colours that they had, wherever they are cut",
    async (pixels) => {
      const deep = `-pix_fmt ${pixels} -c:v libx264 -crf 4`;
      const name = `${pixels}.mp4`;
      await site.put(
        name,
        await remade(await bars({ lines: 360, matrix: "bt601", says: says("smpte170m") }), deep.split(" ")),
      );
      const at = async (chain: string, ...xs: number[]): Promise<Rgb[]> => {
        const picture = await frame(`${name}?tr=${chain}`);
        return Promise.all(xs.map((x) => colour(picture, x, 20)));
      };
      const found = [await at("w-99,h-91,cm-extract,x-31,y-7", 50), await at("w-98,h-360", 20, 80)];
      const meant = [RED, GREEN, BLUE];
      expect(near(found.flat(), meant)).toEqual(meant);
    },
    60_000,
  );

  test.each([
    ["hd.mp4", "sd.mp4", ""],
    ["sd.mp4", "hd.mp4", ""],
    ["sd.mp4", "full.mp4", ""],
    ["full.mp4", "sd.mp4", ""],
    ["hd.mp4", "rgb.gif", ""],
    ["hd.mp4", "sd.mp4", ",r-20"],
    ["hd.mp4", "sd.mp4", ",o-99"],
  ])(
    "of %s have the colours of %s%s where it lies on them",
    async (below, above, more) => {
      const layer = `l-video,i-${above},w-160,h-90${more},lx-0,ly-0,l-end`;
      const both = await frame(`${below}?tr=w-160,fl-h:${layer}`);
      expect(near(await colours(both), BARS)).toEqual(BARS);
    },
    60_000,
  );

  describe.skipIf(!zscale)("that are HDR are brought down to what all can see", () => {
    test.each([
      ["hlg.mp4", "w-161,h-91,c-force"],
      ["hlg.mp4", "r-10"],
      ["pq.mp4", "w-160"],
      ["constant-pq.mp4", "w-160"],
      ["untold-hlg.mp4", "w-160"],
    ])("%s?tr=%s", async (name, chain) => {
      const small = await film(`${name}?tr=${chain}`);
      expect(await colourTags(small)).toBe("bt709 tv");
      expect(await nearDimmed(await frameAt(small, 0))).toEqual(DIMMED);
    });

    test("as thumbnails, streams and layers, and with something around them", async () => {
      expect(await nearDimmed(await film("hlg.mp4/ik-thumbnail.jpg?tr=w-160,q-100"))).toEqual(DIMMED);
      expect(await nearDimmed(await shown("hlg.mp4/ik-master.m3u8?tr=sr-240", 0))).toEqual(DIMMED);
      const layer = await frame("sd.mp4?tr=w-160,fl-h:l-video,i-hlg.mp4,w-160,h-90,lx-0,ly-0,l-end");
      expect(await nearDimmed(layer)).toEqual(DIMMED);
      const framed = await frame("hlg.mp4?tr=w-320,h-320,cm-pad_resize,bg-1DB954");
      expect(near([await colour(framed, 160, 30)], [LEAF])).toEqual([LEAF]);
    });
  });

  test("that hold two moments, as cameras for television make them, have one in what is made of them", async () => {
    const source = await fields();
    expect(await combs(await frameAt(source, 0.4))).toBeGreaterThan(300);
    await site.put("fields.ts", source, { meta: { contentType: "video/mp2t" } });
    expect(await combs(await frameAt(await film("fields.ts?tr=q-90"), 0.4))).toBeLessThan(20);
    expect(await combs(await film("fields.ts/ik-thumbnail.jpg?tr=so-0.4,q-100"))).toBeLessThan(20);
    expect(await combs(await shown("fields.ts/ik-master.m3u8?tr=sr-240", 0, 0.4))).toBeLessThan(20);
    const layer = "sd.mp4?tr=w-320:l-video,i-fields.ts,lx-0,ly-0,l-end";
    expect(await combs(await frameAt(await film(layer), 0.3))).toBeLessThan(20);
  }, 60_000);
});

test.skipIf(!here)(
  "HDR is told to be beyond an ffmpeg that can't bring it down",
  async () => {
    await inFolder(async (folder) => {
      const ffmpeg = join(folder, "ffmpeg");
      const lacking = 'case "$*" in *-filters) ffmpeg "$@" | grep -v zscale;; *) exec ffmpeg "$@";; esac';
      await writeFile(ffmpeg, `#!/bin/sh\n${lacking}\n`, { mode: 0o700 });
      await using site = await openSite({}, { ffmpeg });
      await site.put("hlg.mp4", await bars(hdr(HLG, "arib-std-b67", BT2020)));
      await site.put("sd.mp4", await bars({ lines: 360, matrix: "bt601", says: says("smpte170m") }));
      const answer = async (path: string): Promise<string> => outcomeOf(await site.get(`/root/${path}`));
      expect(await answer("hlg.mp4?tr=w-160")).toBe("501 NotAvailable");
      expect(await answer("hlg.mp4/ik-thumbnail.jpg")).toBe("501 NotAvailable");
      expect(await answer("hlg.mp4/ik-master.m3u8?tr=sr-240")).toBe("501 NotAvailable");
      expect(await answer("sd.mp4?tr=w-160")).toBe("200 -");
    });
  },
  60_000,
);
