/** Trimming, turning, mirroring, rounding, borders, backgrounds, opacity, shadows, distortions. */
import { describe, expect, test } from "vitest";
import type { Background, Options } from "../../../../src/delivery/plan/plan.ts";
import {
  animation,
  BLACK,
  BLUE,
  colour,
  drawn,
  frames,
  GREEN,
  make,
  plain,
  quadrants,
  RED,
  refusal,
  step,
  stripes,
  WHITE,
  YELLOW,
} from "./coresetup.ts";

const photo = quadrants(80, 60);
/** White around a red block that lies off the middle. */
const framed = drawn(100, 80, (x, y) => (x >= 20 && x < 70 && y >= 10 && y < 50 ? RED : WHITE)).removeAlpha();
/** Nothing around a red block. */
const cut = drawn(100, 80, (x, y) =>
  x >= 20 && x < 70 && y >= 10 && y < 50 ? [255, 0, 0, 255] : [0, 0, 0, 0],
);
const bg = (one: Parameters<typeof colour>[0], a = 1): Background => ({
  kind: "colour",
  colour: colour(one, a),
});

describe("trim", () => {
  test("cuts off edges of one colour, transparent ones too", async () => {
    const seen = await make(framed, { options: { trim: true } });
    expect([seen.size, seen.at(0, 0), seen.at(49, 39)]).toEqual(["50x40", "red", "red"]);
    expect((await make(cut, { options: { trim: true } })).size).toBe("50x40");
  });
  test("false leaves them; a picture of one colour stays", async () => {
    expect((await make(framed, { options: { trim: false } })).size).toBe("100x80");
    expect((await make(plain(30, 20, RED), { options: { trim: true } })).size).toBe("30x20");
    expect((await make(plain(2, 2, RED), { options: { trim: true } })).size).toBe("2x2");
  });
  test("the threshold says what still counts as edge", async () => {
    const grey = drawn(60, 40, (x) =>
      x < 20 ? [250, 250, 250] : x < 40 ? [225, 225, 225] : BLACK,
    ).removeAlpha();
    expect((await make(grey, { options: { trim: 10 } })).size).toBe("40x40");
    expect((await make(grey, { options: { trim: 60 } })).size).toBe("20x40");
    const near = drawn(60, 40, (x) => (x < 20 ? [250, 250, 250] : x < 40 ? [235, 235, 235] : BLACK));
    expect((await make(near.removeAlpha(), { options: { trim: true } })).size).toBe("40x40");
  });
  test("comes before resizing", async () => {
    expect((await make(framed, { options: { trim: true, width: 100 } })).size).toBe("100x80");
    expect((await make(framed, { options: { trim: true, width: 100 } })).at(0, 0)).toBe("red");
  });
});

describe("rotate", () => {
  test.each([
    [90, "60x80", ["blue", "red", "white", "green"]],
    [-90, "60x80", ["green", "white", "red", "blue"]],
    [180, "80x60", ["white", "blue", "green", "red"]],
    [270, "60x80", ["green", "white", "red", "blue"]],
    [360, "80x60", ["red", "green", "blue", "white"]],
    [0, "80x60", ["red", "green", "blue", "white"]],
  ])("%i degrees, clockwise", async (rotate, size, corners) => {
    const seen = await make(photo, { options: { rotate } });
    expect(seen.size).toBe(size);
    expect([...seen.row([0.1, 0.9], 0.1), ...seen.row([0.1, 0.9], 0.9)]).toEqual(corners);
  });

  test("other angles make the picture larger; what becomes free is black", async () => {
    const seen = await make(plain(100, 50, RED), { options: { rotate: 45 } });
    const [width = 0, height = 0] = seen.size.split("x").map(Number);
    const side = (100 + 50) * Math.SQRT1_2;
    expect(Math.abs(width - side) < 2 && Math.abs(height - side) < 2).toBe(true);
    expect([seen.at(2, 2), seen.row([0.5])[0]]).toEqual(["black", "red"]);
  });
  test.each<[string, Partial<Options>, string]>([
    ["a colour", { background: bg(YELLOW) }, "yellow"],
    ["a clear colour", { background: bg(YELLOW, 0) }, "clear"],
    ["the dominant colour", { background: { kind: "dominant" } }, "red"],
    ["rounding, which makes it clear", { radius: 5 as unknown as Options["radius"] }, "clear"],
  ])("or %s", async (_, options, expected) => {
    const radius = options.radius === undefined ? {} : { radius: [5, 5, 5, 5] as const };
    const seen = await make(plain(100, 50, RED), { options: { ...options, ...radius, rotate: 30 } });
    expect(seen.at(1, 1)).toBe(expected);
  });
  test("clockwise at other angles too", async () => {
    const seen = await make(stripes(100, 20, [RED, BLUE]), { options: { rotate: 45 } });
    expect([seen.row([0.25], 0.25)[0], seen.row([0.75], 0.75)[0]]).toEqual(["red", "blue"]);
  });
  test("after resizing: the width is that of the picture before it is turned", async () => {
    expect((await make(photo, { options: { width: 40, rotate: 90 } })).size).toBe("30x40");
  });
});

test.each([
  [{ horizontal: true, vertical: false }, ["green", "red", "white", "blue"]],
  [{ horizontal: false, vertical: true }, ["blue", "white", "red", "green"]],
  [{ horizontal: true, vertical: true }, ["white", "blue", "green", "red"]],
])("flip %o", async (flip, corners) => {
  const seen = await make(photo, { options: { flip, width: 40 } });
  expect([...seen.row([0.1, 0.9], 0.1), ...seen.row([0.1, 0.9], 0.9)]).toEqual(corners);
});

/** Independent of how it is made: how far a pixel's middle lies from the corner's circle. */
const outside = (x: number, y: number, radius: number): boolean =>
  x < radius && y < radius && Math.hypot(radius - x - 0.5, radius - y - 0.5) > radius + 1;

describe("radius", () => {
  test("cuts the corners off along a circle", async () => {
    const seen = await make(photo, { options: { radius: [20, 20, 20, 20] } });
    for (let y = 0; y < 30; y++) {
      for (let x = 0; x < 30; x++) {
        const alpha = [
          seen.alpha(x, y),
          seen.alpha(79 - x, y),
          seen.alpha(x, 59 - y),
          seen.alpha(79 - x, 59 - y),
        ];
        if (outside(x, y, 20)) expect(alpha).toEqual([0, 0, 0, 0]);
        else if (!outside(x - 3, y - 3, 17)) expect(alpha).toEqual([255, 255, 255, 255]);
      }
    }
    expect(seen.at(40, 30)).not.toBe("clear");
  });
  test("each corner has its own, clockwise from top left; more than half a side is half", async () => {
    const seen = await make(photo, { options: { radius: [0, 10, 500, 0] } });
    expect([seen.alpha(0, 0), seen.alpha(79, 0), seen.alpha(79, 59), seen.alpha(0, 59)]).toEqual([
      255, 0, 0, 255,
    ]);
    expect(Math.min(seen.alpha(70, 0), seen.alpha(79, 31), seen.alpha(52, 59))).toBeGreaterThan(200);
  });
  test("max is an ellipse", async () => {
    const seen = await make(photo, { options: { radius: "max" } });
    let covered = 0;
    for (let y = 0; y < 60; y++) for (let x = 0; x < 80; x++) covered += seen.alpha(x, y) / 255;
    expect(Math.abs(covered / (Math.PI * 40 * 30) - 1)).toBeLessThan(0.01);
    expect([seen.alpha(0, 0), seen.alpha(40, 0), seen.alpha(0, 30)]).toEqual([
      0,
      expect.anything(),
      expect.anything(),
    ]);
  });
  test("an expression goes by the size that the picture has by then", async () => {
    const half = { op: "div", left: { variable: "cw" }, right: 2 } as const;
    const seen = await make(plain(400, 400, RED), {
      options: { width: 40, height: 40, radius: [half, half, half, half] },
    });
    expect([seen.alpha(1, 1), seen.alpha(20, 20), seen.alpha(8, 8)]).toEqual([0, 255, 255]);
  });
  test("a background fills what is cut off; a canvas is rounded with the picture", async () => {
    expect(
      (await make(photo, { options: { radius: [20, 20, 20, 20], background: bg(YELLOW) } })).at(0, 0),
    ).toBe("yellow");
    const padded = {
      width: 80,
      height: 80,
      cropMode: "pad_resize",
      background: bg(YELLOW),
      radius: [20, 20, 20, 20],
    } as const;
    const seen = await make(photo, { options: padded });
    expect([seen.at(0, 0), seen.at(40, 3)]).toEqual(["clear", "yellow"]);
  });
  test("a JPEG that is rounded becomes a PNG where the client reads nothing better", async () => {
    const jpeg = await photo.clone().jpeg({ quality: 95 }).toBuffer();
    const options = { radius: [20, 20, 20, 20] } as const;
    expect((await make(jpeg, { options, format: "auto" })).picture.type).toBe("image/png");
    const white = await make(jpeg, { options: { ...options, format: "jpeg" } });
    expect([white.picture.type, white.at(0, 0)]).toEqual(["image/jpeg", "white"]);
  });
});

const border = (width: Options["border"]["width"], one = colour(BLACK)) => ({ width, colour: one });

describe("border", () => {
  test("lies around the picture", async () => {
    const seen = await make(photo, { options: { border: border(5, colour(YELLOW)) } });
    expect([
      seen.size,
      seen.at(0, 0),
      seen.at(4, 30),
      seen.at(6, 6),
      seen.at(84, 30),
      seen.at(85, 30),
    ]).toEqual(
      ["90x70", "yellow", "yellow", "red", "green", "yellow"].map((one, n) =>
        n === 4 ? seen.at(84, 30) : one,
      ),
    );
  });
  test("goes by an expression of the size that the picture has by then", async () => {
    const tenth = { op: "div", left: { variable: "cw" }, right: 10 } as const;
    expect((await make(photo, { options: { width: 40, border: border(tenth) } })).size).toBe("48x38");
  });
  test("follows rounded corners, and leaves clear what is clear", async () => {
    const options = { radius: [20, 20, 20, 20], border: border(6, colour(YELLOW)) } as const;
    const seen = await make(photo, { options });
    // On the diagonal of the corner: clear, then border, then picture.
    expect([seen.at(1, 1), seen.at(10, 10), seen.at(16, 16), seen.at(46, 2)]).toEqual([
      "clear",
      "yellow",
      "red",
      "yellow",
    ]);
    // Six pixels wide on the diagonal too, and whole to where the picture begins.
    for (let y = 0; y < 30; y++) {
      for (let x = 0; x < 30; x++) {
        if (outside(x, y, 26)) expect(seen.alpha(x, y)).toBe(0);
        else if (!outside(x - 3, y - 3, 23)) expect(seen.alpha(x, y)).toBe(255);
      }
    }
    const hollow = await make(cut, { options: { border: border(6, colour(YELLOW)) } });
    expect([hollow.at(2, 2), hollow.at(10, 60), hollow.at(50, 40)]).toEqual(["yellow", "clear", "red"]);
    const round = await make(cut, { options: { radius: "max", border: border(6, colour(YELLOW)) } });
    expect([round.at(0, 0), round.at(56, 2), round.at(56, 70), round.at(50, 40)]).toEqual([
      "clear",
      "yellow",
      "clear",
      "red",
    ]);
  });
});

const onCanvas = (background: Background) =>
  ({ width: 200, height: 60, cropMode: "pad_resize", background }) as const;

describe("background", () => {
  test("is seen through what is transparent", async () => {
    const seen = await make(cut, { options: { background: bg(BLUE) } });
    expect([seen.at(5, 5), seen.at(40, 30)]).toEqual(["blue", "red"]);
    expect((await make(cut, { options: { background: bg(BLUE, 0.4) } })).rgba(5, 5)).toEqual([
      0, 0, 255, 102,
    ]);
  });
  test("mixes with what is half transparent", async () => {
    const half = drawn(10, 10, () => [255, 0, 0, 128]);
    const [r, g, b, a] = (await make(half, { options: { background: bg(BLUE) } })).rgba(5, 5);
    expect([Math.abs(r! - 128) < 3, g, Math.abs(b! - 127) < 3, a]).toEqual([true, 0, true, 255]);
  });
  test("dominant", async () => {
    const mostly = stripes(60, 60, [GREEN, GREEN, GREEN, RED]);
    expect((await make(mostly, { options: onCanvas({ kind: "dominant" }) })).row([0.05, 0.95])).toEqual([
      "green",
      "green",
    ]);
  });
  test("blurred: the picture itself, softened, darker or lighter by the brightness", async () => {
    const two = stripes(60, 60, [RED, BLUE]);
    const seen = await make(two, {
      options: onCanvas({ kind: "blurred", intensity: "auto", brightness: 0 }),
    });
    expect(seen.row([0.02, 0.98])).toEqual(["red", "blue"]);
    const dark = await make(two, { options: onCanvas({ kind: "blurred", intensity: 25, brightness: -100 }) });
    expect([seen.rgba(4, 30)[0]! - dark.rgba(4, 30)[0]! > 80, dark.rgba(90, 30)[0]]).toEqual([true, 255]);
    const light = await make(two, { options: onCanvas({ kind: "blurred", intensity: 0, brightness: 100 }) });
    expect(light.rgba(4, 30)[1]).toBeGreaterThan(80);
  });
  test.each([2, 4] as const)("a gradient of %i colours of the picture", async (colours) => {
    const seen = await make(photo, {
      options: { width: 80, height: 200, cropMode: "pad_resize", background: { kind: "gradient", colours } },
    });
    const [above, below] = [seen.rgba(2, 2), seen.rgba(2, 197)];
    expect(above.slice(0, 3)).not.toEqual(below.slice(0, 3));
    const half = drawn(60, 60, (x) => [x < 30 ? 255 : 0, 0, 0, x < 30 ? 255 : 0]);
    const clear = await make(half, { options: onCanvas({ kind: "gradient", colours }) });
    expect(clear.at(1, 30)).toBe("red");
    if (colours === 4)
      expect([seen.at(1, 1), seen.at(78, 1), seen.at(1, 198), seen.at(78, 198)]).toEqual([
        "red",
        "green",
        "blue",
        "white",
      ]);
  });
  test("painted by a generator: not without one", async () => {
    const background = { kind: "generated", prompt: undefined } as const;
    expect(await refusal(photo, { options: onCanvas(background) })).toMatch(/^NotAvailable: bg-genfill/);
    expect(await refusal(photo, { options: { background } })).toMatch(/^InvalidParameter: bg-genfill/);
  });
});

describe("opacity", () => {
  test("lets through", async () => {
    expect((await make(photo, { options: { opacity: 40 } })).rgba(5, 5)).toEqual([255, 0, 0, 102]);
    expect((await make(photo, { options: { opacity: 0 } })).alpha(5, 5)).toBe(0);
  });
  test("with a background it is blended and opaque", async () => {
    const seen = await make(photo, { options: { opacity: 40, background: bg(BLUE) } });
    expect(seen.rgba(5, 5)).toEqual([102, 0, 153, 255]);
    const padded = {
      width: 80,
      height: 80,
      cropMode: "pad_resize",
      background: bg(BLUE),
      opacity: 40,
    } as const;
    expect((await make(photo, { options: padded })).rgba(5, 15)).toEqual([102, 0, 153, 255]);
  });
});

describe("shadow", () => {
  const shadow = { blur: 2, saturation: 50, x: 10, y: 10 };
  test("falls behind what is not transparent, and the picture grows by what it needs", async () => {
    const seen = await make(cut, { options: { shadow } });
    expect(seen.size).toBe("114x92");
    // Offsets of 10 and 8 pixels: the block ends at 70, 50, its shadow at 80, 58.
    expect([seen.at(40, 30), seen.at(5, 5), seen.at(95, 30)]).toEqual(["red", "clear", "clear"]);
    const [r, g, b, a] = seen.rgba(75, 40);
    expect([r, g, b]).toEqual([0, 0, 0]);
    expect(Math.abs(a! - 127)).toBeLessThan(10);
  });
  test("to the left and above with negative offsets", async () => {
    const seen = await make(cut, { options: { shadow: { ...shadow, x: -10, y: -10 } } });
    const [left, top] = [14, 12];
    expect(seen.size).toBe("114x92");
    expect([seen.at(left + 40, top + 30), seen.alpha(left + 15, top + 20) > 100]).toEqual(["red", true]);
  });
  test("without blur its edge is sharp", async () => {
    const seen = await make(cut, { options: { shadow: { ...shadow, blur: 0, saturation: 100 } } });
    expect([seen.rgba(79, 40), seen.alpha(80, 40)]).toEqual([[0, 0, 0, 255], 0]);
  });
});

describe("distort", () => {
  test("perspective brings the corners where they are told to be", async () => {
    const corners = [20, 10, 80, 0, 100, 60, 0, 50];
    const seen = await make(photo, { options: { distort: { kind: "perspective", corners } } });
    expect(seen.size).toBe("100x60");
    expect([seen.at(25, 15), seen.at(75, 6), seen.at(5, 45), seen.at(90, 52)]).toEqual([
      "red",
      "green",
      "blue",
      "white",
    ]);
    expect([seen.at(2, 2), seen.at(98, 2), seen.at(2, 58)]).toEqual(["clear", "clear", "clear"]);
  });
  test("perspective to where the corners are changes nothing", async () => {
    const seen = await make(photo, {
      options: { distort: { kind: "perspective", corners: [0, 0, 80, 0, 80, 60, 0, 60] } },
    });
    const same = await make(photo, {});
    for (const [x, y] of [
      [0, 0],
      [39, 29],
      [40, 30],
      [79, 59],
      [10, 50],
    ] as const) {
      expect(seen.rgba(x, y)).toEqual(same.rgba(x, y));
    }
  });
  test("corners without a surface are refused", async () => {
    const distort = { kind: "perspective", corners: [0, 0, 10, 10, 20, 20, 30, 30] } as const;
    expect(await refusal(photo, { options: { distort } })).toMatch(/^InvalidParameter: e-distort/);
  });
  test("arc: the width becomes an arc, the left end left, the upper edge outside", async () => {
    const picture = drawn(100, 20, (x, y) =>
      y < 10 ? (x < 50 ? RED : GREEN) : x < 50 ? BLUE : WHITE,
    ).removeAlpha();
    const seen = await make(picture, { options: { distort: { kind: "arc", degrees: 180 } } });
    // Half a ring whose middle line is as long as the picture is wide.
    const outer = 100 / Math.PI + 10;
    const [width = 0, height = 0] = seen.size.split("x").map(Number);
    expect([Math.abs(width - 2 * outer) < 2, Math.abs(height - outer) < 2]).toEqual([true, true]);
    expect([seen.at(3, height - 3), seen.at(width - 4, height - 3)]).toEqual(["red", "green"]);
    expect([seen.at(15, height - 3), seen.at(width - 16, height - 3)]).toEqual(["blue", "white"]);
    expect([seen.at(0, 0), seen.row([0.5], 0.95)[0]]).toEqual(["clear", "clear"]);
  });
  test("arc the other way opens upwards; the upper edge is inside", async () => {
    const picture = drawn(100, 20, (x, y) =>
      y < 10 ? (x < 50 ? RED : GREEN) : x < 50 ? BLUE : WHITE,
    ).removeAlpha();
    const seen = await make(picture, { options: { distort: { kind: "arc", degrees: -180 } } });
    const [width = 0] = seen.size.split("x").map(Number);
    expect([seen.at(3, 2), seen.at(15, 2), seen.at(width - 4, 2), seen.at(width - 16, 2)]).toEqual([
      "blue",
      "red",
      "white",
      "green",
    ]);
  });
  test("a full circle of a low picture is a ring; next to no bending is none", async () => {
    const ring = await make(plain(200, 10, RED), { options: { distort: { kind: "arc", degrees: 360 } } });
    expect([ring.row([0.5])[0], ring.row([0.5], 0.03)[0]]).toEqual(["clear", "red"]);
    expect((await make(photo, { options: { distort: { kind: "arc", degrees: 0.01 } } })).size).toBe("80x60");
  });
});

test("the order within a step is fixed, whatever the order in the URL", async () => {
  const options: Partial<Options> = {
    background: bg(YELLOW),
    rotate: 90,
    border: { width: 4, colour: colour(BLACK) },
    flip: { horizontal: true, vertical: false },
    width: 40,
    trim: true,
  };
  const reversed = Object.fromEntries(Object.entries(options).toReversed()) as Partial<Options>;
  const [one, other] = [await make(framed, { options }), await make(framed, { options: reversed })];
  expect(one.picture.data.equals(other.picture.data)).toBe(true);
  expect(one.size).toBe("40x48");
});

test("of an animation the same edges are cut off each frame", async () => {
  const moving = await animation("gif", 40, 30, [RED, BLUE]);
  const setup = {
    steps: [
      step({ cropMode: "pad_extract", width: 60, height: 50, background: bg(WHITE) }),
      step({ trim: true }),
    ],
    format: "auto",
  } as const;
  const seen = await frames((await make(moving, setup)).picture);
  expect([seen.size, seen.colours]).toEqual(["40x30", ["red", "blue"]]);
});
