/** Where layers go and what they do to what lies below. */
import * as fc from "fast-check";
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { spotOf } from "../../../../src/delivery/image/geometry.ts";
import { applyLayers } from "../../../../src/delivery/image/layers.ts";
import { applySteps } from "../../../../src/delivery/image/rendersteps.ts";
import { pixelsOf, settle, type Environment, type Surface } from "../../../../src/delivery/image/surface.ts";
import type {
  Colour,
  Layer,
  Options,
  Placement,
  Position,
  Step,
} from "../../../../src/delivery/plan/plan.ts";
import { colourAt, environment, refusal, sizeOf, solid } from "./layerssetup.ts";

const PARENT = { width: 200, height: 100 };
const RED: Colour = { r: 255, g: 0, b: 0, a: 1 };

/** A still of one colour. */
async function base(background = "#ffffff", alpha = 1): Promise<Surface> {
  const { r, g, b } = parse(background);
  const create = { ...PARENT, channels: alpha === 1 ? 3 : 4, background: { r, g, b, alpha } } as const;
  return settle({ image: sharp({ create }), ...PARENT, alpha: alpha < 1, pages: 1, fresh: false });
}
const parse = (hex: string): { r: number; g: number; b: number } => {
  const [r = 0, g = 0, b = 0] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  return { r, g, b };
};

/** White, and blue up to a place. */
async function blueTo(width: number): Promise<Surface> {
  const left = { input: await solid(width, PARENT.height, "#0000ff"), left: 0, top: 0 };
  const white = await base();
  return settle({ ...white, image: white.image.composite([left]), fresh: false });
}

const steps = (options: Partial<Options>, layers: readonly Layer[] = []): Step[] => [{ options, layers }];
const image = (path: string, placement: Placement = {}, own: readonly Step[] = []): Layer => ({
  kind: "image",
  path,
  placement,
  steps: own,
});
const block = (
  options: Partial<Options>,
  placement: Placement = {},
  layers: readonly Layer[] = [],
): Layer => ({
  kind: "canvas",
  placement,
  steps: steps(options, layers),
});

async function lay(
  layers: readonly Layer[],
  { on, inputs = {} }: { on?: Surface; inputs?: Readonly<Record<string, Buffer>> } = {},
): Promise<Surface> {
  const env: Environment = { ...environment(PARENT, inputs), parent: undefined };
  return applyLayers(on ?? (await base()), layers, env, applySteps);
}

describe("placement", () => {
  const LAYER = { width: 40, height: 20 };
  const spot = (placement: Placement, layer = LAYER): string => {
    const values = { bw: 200, bh: 100, cw: layer.width, ch: layer.height, iw: 80, ih: 40 };
    const { left, top } = spotOf(placement, PARENT, layer, values);
    return `${left},${top}`;
  };

  test.each<[Position, string]>([
    ["center", "80,40"],
    ["top", "80,0"],
    ["left", "0,40"],
    ["bottom", "80,80"],
    ["right", "160,40"],
    ["top_left", "0,0"],
    ["top_right", "160,0"],
    ["bottom_left", "0,80"],
    ["bottom_right", "160,80"],
  ])("lfo-%s", (focus, at) => {
    expect(spot({ focus })).toBe(at);
  });

  test.each<[string, Placement, string]>([
    ["without a word", {}, "80,40"],
    ["lx-10,ly-15", { x: 10, y: 15 }, "10,15"],
    ["lx alone", { x: 10 }, "10,0"],
    ["lx-N35: from the right", { x: -35, y: 0 }, "125,0"],
    ["ly-N10: from the bottom", { x: 0, y: -10 }, "0,70"],
    ["coordinates beat lfo", { x: 1, y: 2, focus: "bottom_right" }, "1,2"],
    ["too far to the right", { x: 500, y: 99 }, "160,80"],
    ["too far to the left", { x: -500, y: 5 }, "0,5"],
    ["lxc-50,lyc-50", { centreX: 50, centreY: 50 }, "30,40"],
    ["lxc with ly", { centreX: 100, y: 3 }, "80,3"],
    ["lap-bottom_right", { x: 10, y: 5, anchor: "bottom_right" }, "150,75"],
    ["lap-top_right", { x: 10, y: 5, anchor: "top_right" }, "150,5"],
    ["lap-center", { x: 10, y: -5, anchor: "center" }, "90,35"],
    ["lap-center with lxc", { centreX: 10, anchor: "center" }, "90,40"],
    ["lap without coordinates", { anchor: "top_left" }, "80,40"],
    ["bw_sub_cw", { x: { op: "sub", left: { variable: "bw" }, right: { variable: "cw" } }, y: 0 }, "160,0"],
    ["iw", { x: { variable: "iw" }, y: { variable: "ch" } }, "80,20"],
  ])("%s", (_, placement, at) => {
    expect(spot(placement)).toBe(at);
  });

  test("a layer larger than its base shows its middle, or the side that is asked for", () => {
    const large = { width: 300, height: 100 };
    expect(spot({}, large)).toBe("-50,0");
    expect(spot({ focus: "left" }, large)).toBe("0,0");
    expect(spot({ focus: "right" }, large)).toBe("-100,0");
    expect(spot({ x: 20, y: 0 }, large)).toBe("0,0");
  });

  test("whatever is said, the layer lies within its base or covers it", () => {
    const side = fc.integer({ min: 1, max: 500 });
    const offset = fc.option(fc.integer({ min: -1000, max: 1000 }), { nil: undefined });
    const position = fc.constantFrom<Position>("center", "top", "bottom_right", "left", "top_left");
    fc.assert(
      fc.property(side, side, offset, offset, position, (width, height, x, centreY, anchor) => {
        const placement: Placement = {
          ...(x === undefined ? {} : { x }),
          ...(centreY === undefined ? {} : { centreY }),
          anchor,
          focus: anchor,
        };
        const { left, top } = spotOf(placement, PARENT, { width, height }, {});
        const across = PARENT.width - width;
        const down = PARENT.height - height;
        expect(left).toBeGreaterThanOrEqual(Math.min(0, across));
        expect(left).toBeLessThanOrEqual(Math.max(0, across));
        expect(top).toBeGreaterThanOrEqual(Math.min(0, down));
        expect(top).toBeLessThanOrEqual(Math.max(0, down));
      }),
    );
  });
});

describe("pictures", () => {
  test("lie over the base, which stays opaque and as large as it is", async () => {
    const inputs = { "logo.png": await solid(20, 10, "#0000ff") };
    const result = await lay([image("logo.png", { x: 30, y: 40 })], { inputs });
    expect([sizeOf(result), result.alpha]).toEqual(["200x100", false]);
    expect(await colourAt(result, 29, 40)).toBe("ffffffff");
    expect(await colourAt(result, 30, 40)).toBe("0000ffff");
    expect(await colourAt(result, 49, 49)).toBe("0000ffff");
    expect(await colourAt(result, 50, 50)).toBe("ffffffff");
  });

  test("go through their steps first, in which bw and bh are the base's", async () => {
    const inputs = { "logo.png": await solid(20, 10, "#0000ff") };
    const half = { op: "mul", left: { variable: "bw" }, right: 0.5 } as const;
    const result = await lay(
      [image("logo.png", { focus: "top_left" }, steps({ width: half, height: 30, crop: "force" }))],
      {
        inputs,
      },
    );
    expect(await colourAt(result, 99, 29)).toBe("0000ffff");
    expect(await colourAt(result, 100, 30)).toBe("ffffffff");
  });

  test("lose edges of one colour, unless told not to", async () => {
    const dot = { input: await solid(10, 10, "#ff0000"), left: 20, top: 20 };
    const framed = await sharp(await solid(50, 50, "#00ff00"))
      .composite([dot])
      .png()
      .toBuffer();
    const inputs = { "framed.png": framed };
    const trimmed = await lay([image("framed.png", { x: 0, y: 0 })], { inputs });
    expect(await colourAt(trimmed, 5, 5)).toBe("ff0000ff");
    expect(await colourAt(trimmed, 15, 15)).toBe("ffffffff");
    const whole = await lay([image("framed.png", { x: 0, y: 0 }, steps({ trim: false }))], { inputs });
    expect(await colourAt(whole, 5, 5)).toBe("00ff00ff");
    expect(await colourAt(whole, 25, 25)).toBe("ff0000ff");
  });

  test("are turned as their EXIF says", async () => {
    const halves = await sharp(await solid(40, 20, "#ff0000"))
      .composite([{ input: await solid(20, 20, "#0000ff"), left: 20, top: 0 }])
      .withMetadata({ orientation: 6 })
      .jpeg({ quality: 100, chromaSubsampling: "4:4:4" })
      .toBuffer();
    const result = await lay([image("turned.jpg", { x: 0, y: 0 }, steps({ trim: false }))], {
      inputs: { "turned.jpg": halves },
    });
    expect(await colourAt(result, 10, 5)).toMatch(/^f[a-f0-9]0/);
    expect(await colourAt(result, 10, 35)).toMatch(/^0[0-9]0[0-9]f/);
  });

  test("that are vectors are drawn in their final size, and lose their edges too", async () => {
    const circle = `<svg xmlns="http://www.w3.org/2000/svg" width="12" height="12"><circle cx="6" cy="6" r="4"/></svg>`;
    const inputs = { "circle.svg": Buffer.from(circle) };
    const result = await lay([image("circle.svg", { x: 0, y: 0 }, steps({ width: 90 }))], { inputs });
    const { data } = await pixelsOf(result);
    const grey = data.filter((value, n) => n % 4 === 0 && value > 20 && value < 235).length;
    // Eight pixels enlarged to ninety would have a soft edge of some ten pixels' width.
    expect(grey).toBeLessThan(900);
    expect([
      await colourAt(result, 45, 2),
      await colourAt(result, 45, 87),
      await colourAt(result, 95, 45),
    ]).toEqual(["000000ff", "000000ff", "ffffffff"]);
  });

  test("show what is below where they are transparent, and are cut off where they stick out", async () => {
    const clear = await sharp({ create: { width: 400, height: 300, channels: 4, background: "#ff000080" } })
      .png()
      .toBuffer();
    const result = await lay([image("clear.png")], { inputs: { "clear.png": clear } });
    expect(sizeOf(result)).toBe("200x100");
    expect(await colourAt(result, 0, 0)).toMatch(/^ff7[ef]7[ef]ff$/);
    expect(await colourAt(result, 199, 99)).toMatch(/^ff7[ef]7[ef]ff$/);
  });

  test("nest: the inner one lies on the outer one", async () => {
    const inputs = {
      "outer.png": await solid(60, 40, "#0000ff"),
      "inner.png": await solid(10, 10, "#ff0000"),
    };
    const inner = image("inner.png", { focus: "bottom_right" });
    const result = await lay([image("outer.png", { focus: "top_left" }, steps({ trim: false }, [inner]))], {
      inputs,
    });
    expect(await colourAt(result, 59, 39)).toBe("ff0000ff");
    expect(await colourAt(result, 49, 29)).toBe("0000ffff");
    expect(await colourAt(result, 60, 40)).toBe("ffffffff");
  });

  test("later ones lie above earlier ones", async () => {
    const layers = [block({ width: 50, height: 50, background: { kind: "colour", colour: RED } })];
    const blue = { ...RED, r: 0, b: 255 };
    layers.push(block({ width: 20, height: 20, background: { kind: "colour", colour: blue } }));
    const result = await lay(layers);
    expect([await colourAt(result, 100, 50), await colourAt(result, 80, 30)]).toEqual([
      "0000ffff",
      "ff0000ff",
    ]);
  });

  test("that aren't there, or are none, are refused", async () => {
    expect(await refusal("NotFound", lay([image("gone.png")]))).toContain("gone.png");
    const inputs = { "text.png": Buffer.from("no picture") };
    expect(await refusal("UnsupportedSource", lay([image("text.png")], { inputs }))).toMatch(
      /^Layer text\.png: .*no picture/,
    );
  });

  test.each(["video", "subtitles"] as const)("a layer of %s is refused on a picture", async (kind) => {
    const layer: Layer =
      kind === "video"
        ? { kind, path: "a.mp4", placement: {}, steps: [] }
        : { kind, path: "a.srt", placement: {}, style: {} };
    expect(await refusal("InvalidParameter", lay([layer]))).toContain(`l-${kind}`);
  });
});

describe("blocks", () => {
  test("have a size, a colour and an opacity", async () => {
    const options = {
      width: 40,
      height: 20,
      background: { kind: "colour", colour: RED },
      opacity: 50,
    } as const;
    const result = await lay([block(options, { x: 10, y: 10 })]);
    expect(await colourAt(result, 10, 10)).toMatch(/^ff(7[ef]|80){2}ff$/);
    expect(await colourAt(result, 50, 30)).toBe("ffffffff");
  });

  test("whose colour is transparent itself take no opacity on top", async () => {
    const colour = { ...RED, a: 0.5 };
    const result = await lay([
      block({ width: 40, height: 20, background: { kind: "colour", colour }, opacity: 10 }),
    ]);
    expect(await colourAt(result, 100, 50)).toMatch(/^ff(7[ef]|80){2}ff$/);
  });

  test("are black and as large as their base where nothing is said", async () => {
    expect(await colourAt(await lay([block({})]), 199, 99)).toBe("000000ff");
  });

  test("have round corners", async () => {
    const options = {
      width: 60,
      height: 60,
      background: { kind: "colour", colour: RED },
      radius: "max",
    } as const;
    const result = await lay([block(options, { x: 0, y: 0 })]);
    expect([await colourAt(result, 1, 1), await colourAt(result, 30, 30)]).toEqual(["ffffffff", "ff0000ff"]);
  });

  test("are gradients", async () => {
    const gradient = { direction: 180, from: RED, to: { ...RED, a: 0 }, stop: 1 };
    const result = await lay([block({ width: 40, height: 100, gradient })]);
    const [top, bottom] = [await colourAt(result, 100, 2), await colourAt(result, 100, 97)];
    expect(parseInt(top.slice(2, 4), 16)).toBeLessThan(20);
    expect(parseInt(bottom.slice(2, 4), 16)).toBeGreaterThan(235);
  });

  test("larger than allowed are refused", async () => {
    expect(await refusal("LimitExceeded", lay([block({ width: 16_000, height: 16_000 })]))).toContain(
      "16000",
    );
  });
});

describe("modes", () => {
  const half = {
    width: 100,
    height: 100,
    background: { kind: "colour", colour: { r: 255, g: 128, b: 0, a: 1 } },
  } as const;

  test("multiply", async () => {
    const result = await lay([block(half, { focus: "left", mode: "multiply" })], {
      on: await base("#8080ff"),
    });
    expect(await colourAt(result, 50, 50)).toMatch(/^804[01]00ff$/);
    expect([await colourAt(result, 150, 50), result.alpha]).toEqual(["8080ffff", false]);
  });

  test("cutout makes a hole", async () => {
    const result = await lay([block(half, { focus: "left", mode: "cutout" })]);
    expect(await colourAt(result, 50, 50)).toMatch(/00$/);
    expect([await colourAt(result, 150, 50), sizeOf(result)]).toEqual(["ffffffff", "200x100"]);
  });

  test("cutter leaves what is below the layer, in its size and shape", async () => {
    const on = await blueTo(100);
    const result = await lay(
      [block({ ...half, width: 50, radius: "max" }, { x: 40, y: 0, mode: "cutter" })],
      { on },
    );
    expect(sizeOf(result)).toBe("50x100");
    expect([await colourAt(result, 25, 50), await colourAt(result, 0, 0)]).toEqual(["0000ffff", "0000ff00"]);
  });

  test("displace moves pixels by red and green", async () => {
    const on = await blueTo(100);
    const push = { r: 255, g: 128, b: 0, a: 1 };
    const options = { ...half, width: 200, background: { kind: "colour", colour: push }, x: 30 } as const;
    const moved = await lay([block(options, { mode: "displace" })], { on });
    // White of red takes each pixel from 30 further to the right.
    expect([await colourAt(moved, 65, 50), await colourAt(moved, 75, 50)]).toEqual(["0000ffff", "ffffffff"]);
    const { x: _x, ...without } = options;
    // They are no place of an extract, which is taken from the middle: what pushes ends at 100.
    const pushing = { input: await solid(200, 100, "#ff8000"), left: 0, top: 0 };
    const map = await sharp(await solid(400, 100, "#808000"))
      .composite([pushing])
      .png()
      .toBuffer();
    const cut = { width: 200, height: 100, cropMode: "extract", trim: false, x: 30 } as const;
    const placed = await lay([image("map.png", { mode: "displace" }, steps(cut))], {
      on: await blueTo(150),
      inputs: { "map.png": map },
    });
    expect([await colourAt(placed, 90, 50), await colourAt(placed, 130, 50)]).toEqual([
      "0000ffff",
      "0000ffff",
    ]);
    const alike = await lay([block(without, { mode: "displace", x: 30 })], { on });
    expect(await colourAt(alike, 75, 50)).toBe("ffffffff");
    expect(await refusal("InvalidParameter", lay([block(without, { mode: "displace" })], { on }))).toContain(
      "x-",
    );
  });
});

/** How often a layer is made for three frames. */
async function makings(layers: readonly Layer[], inputs: Readonly<Record<string, Buffer>> = {}) {
  const env: Environment = { ...environment(PARENT, inputs), parent: undefined };
  const seen: string[] = [];
  let made = 0;
  const counted: typeof applySteps = async (surface, own, within) => {
    made++;
    return applySteps(surface, own, within);
  };
  for (const background of ["#ffffff", "#ff0000", "#00ff00"]) {
    const result = await applyLayers(await base(background), layers, env, counted);
    seen.push(await colourAt(result, 5, 5), await colourAt(result, 100, 50));
  }
  return { made, seen };
}

test("the frames of an animation get the layer once made", async () => {
  const inputs = { "logo.png": await solid(20, 10, "#0000ff") };
  expect(await makings([image("logo.png", { x: 0, y: 0 })], inputs)).toEqual({
    made: 1,
    seen: ["0000ffff", "ffffffff", "0000ffff", "ff0000ff", "0000ffff", "00ff00ff"],
  });
});

test("of large layers no more are kept for further frames than memory has room for", async () => {
  // 24 MB each, of 64.
  const large = { width: 3000, height: 2000, background: { kind: "colour", colour: RED } } as const;
  expect((await makings([block(large), block(large), block(large)])).made).toBe(5);
});
