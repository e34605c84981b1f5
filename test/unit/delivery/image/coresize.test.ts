/** How large pictures become, and which part of them is shown. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { around, geometryOf, resultOf } from "../../../../src/delivery/image/geometry.ts";
import type { Crop, CropMode, Focus, Options } from "../../../../src/delivery/plan/plan.ts";
import { startWeb } from "../../../delivery/origins/storage.ts";
import {
  BLUE,
  choice,
  colour,
  drawn,
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
  type Setup,
} from "./coresetup.ts";

const wide = stripes(400, 200, [RED, GREEN, BLUE, WHITE]);
const ACROSS = [0.1, 0.4, 0.6, 0.9];
const ALL = ["red", "green", "blue", "white"];
const iw = { variable: "iw" } as const;

describe("sizes of a picture of 400 by 200", () => {
  test.each<[string, Partial<Options>, string]>([
    ["width", { width: 100 }, "100x50"],
    ["height", { height: 50 }, "100x50"],
    ["a fraction", { width: 0.5 }, "200x100"],
    ["fractions", { width: 0.25, height: 0.5 }, "100x100"],
    ["larger", { width: 800 }, "800x400"],
    ["an odd ratio", { height: 1 }, "2x1"],
    ["an expression", { width: { op: "div", left: iw, right: 8 } }, "50x25"],
    ["an expression between two pixels", { width: { op: "mul", left: iw, right: 0.334 } }, "134x67"],
    ["an expression below 1", { width: { op: "div", left: iw, right: 1600 } }, "100x50"],
    ["width and ratio", { width: 300, aspectRatio: 1.5 }, "300x200"],
    ["height and ratio", { height: 100, aspectRatio: 0.5 }, "50x100"],
    ["a ratio alone", { aspectRatio: 1 }, "200x200"],
    ["a wide ratio alone", { aspectRatio: 4 }, "400x100"],
    ["all three", { width: 90, height: 80, aspectRatio: 4 }, "90x80"],
    ["maintain_ratio", { width: 100, height: 100 }, "100x100"],
    ["maintain_ratio, larger", { width: 500, height: 500 }, "500x500"],
    ["no_enlarge, smaller", { width: 100, height: 100, crop: "maintain_ratio_no_enlarge" }, "100x100"],
    ["no_enlarge, larger", { width: 300, height: 300, crop: "maintain_ratio_no_enlarge" }, "200x200"],
    ["no_enlarge with one side", { width: 900, crop: "maintain_ratio_no_enlarge" }, "400x200"],
    ["force", { width: 90, height: 100, crop: "force" }, "90x100"],
    ["force with one side", { width: 100, crop: "force" }, "100x50"],
    ["at_max", { width: 100, height: 100, crop: "at_max" }, "100x50"],
    ["at_max, larger", { width: 1000, height: 1000, crop: "at_max" }, "400x200"],
    ["at_max with one side", { width: 1000, crop: "at_max" }, "400x200"],
    ["at_max_enlarge", { width: 1000, height: 1000, crop: "at_max_enlarge" }, "1000x500"],
    ["at_least", { width: 100, height: 100, crop: "at_least" }, "200x100"],
    ["at_least, larger", { width: 500, height: 500, crop: "at_least" }, "1000x500"],
    ["pad_resize", { width: 100, height: 100, cropMode: "pad_resize" }, "100x100"],
    ["pad_resize with one side", { width: 800, cropMode: "pad_resize" }, "800x400"],
    ["pad_resize_no_enlarge with one side", { width: 900, cropMode: "pad_resize_no_enlarge" }, "400x200"],
    ["pad_resize_no_enlarge", { width: 500, height: 500, cropMode: "pad_resize_no_enlarge" }, "500x500"],
    ["extract", { width: 150, height: 120, cropMode: "extract" }, "150x120"],
    ["extract, larger", { width: 600, height: 100, cropMode: "extract" }, "400x100"],
    ["pad_extract", { width: 600, height: 100, cropMode: "pad_extract" }, "600x100"],
    ["pad_extract_no_shrink", { width: 600, height: 100, cropMode: "pad_extract_no_shrink" }, "600x200"],
    ["dpr", { width: 100, dpr: 2 }, "200x100"],
    ["a small dpr", { width: 100, dpr: 0.5 }, "50x25"],
    ["dpr with nothing to multiply", { dpr: 2 }, "400x200"],
    ["a dpr beyond 5000", { width: 1100, dpr: 5 }, "1100x550"],
    ["a dpr that brings the other side beyond 5000", { height: 600, dpr: 5 }, "1200x600"],
    ["a dpr below a pixel", { width: 4, dpr: 0.1 }, "4x2"],
  ])("%s", async (_, options, size) => {
    expect((await make(wide, { options })).size).toBe(size);
  });

  test("steps work on the result of the one before; `iw` stays what the source was, `cw` is what it has become", async () => {
    const half = { op: "div", left: { variable: "cw" }, right: 2 } as const;
    expect((await make(wide, { steps: [step({ width: 200 }), step({ width: half })] })).size).toBe("100x50");
    expect((await make(wide, { steps: [step({ width: 200 }), step({ width: iw })] })).size).toBe("400x200");
    expect(
      (await make(wide, { steps: [step({ width: 200, height: 200 }), step({ width: 0.5 })] })).size,
    ).toBe("100x100");
  });

  test("a condition looks at the picture as it is when its turn comes", async () => {
    const steps: Setup["steps"] = [
      step({ width: 100 }),
      choice(
        { left: "cw", comparison: "lt", right: 200 },
        [step({ width: 60 }), step({ height: 10 })],
        [step({ width: 70 })],
      ),
    ];
    expect((await make(wide, { steps })).size).toBe("20x10");
    const tall = choice({ left: "iar", comparison: "lt", right: 1 }, [], [step({ width: 70 })]);
    expect((await make(wide, { steps: [tall] })).size).toBe("70x35");
  });

  test("what comes to nothing or less is refused by name", async () => {
    const negative = { op: "sub", left: iw, right: 500 } as const;
    expect(await refusal(wide, { options: { width: negative } })).toBe(
      "InvalidParameter: w comes to -100 here. Allowed: what is above 0.",
    );
    expect(await refusal(wide, { options: { width: 10, aspectRatio: negative } })).toMatch(
      /^InvalidParameter: ar /,
    );
    expect(await refusal(wide, { options: { width: { variable: "bw" } } })).toMatch(/^InvalidParameter: bw /);
  });
});

test("whatever is asked for, the size that is computed is the size that is made", async () => {
  const side = fc.option(fc.integer({ min: 1, max: 40 }), { nil: undefined });
  const crops: (Crop | undefined)[] = [
    undefined,
    "maintain_ratio",
    "maintain_ratio_no_enlarge",
    "force",
    "at_max",
    "at_max_enlarge",
    "at_least",
  ];
  const modes: (CropMode | undefined)[] = [
    undefined,
    "pad_resize",
    "pad_resize_no_enlarge",
    "extract",
    "pad_extract",
    "pad_extract_no_shrink",
  ];
  const asked = fc.record({
    from: fc.record({ width: fc.integer({ min: 1, max: 40 }), height: fc.integer({ min: 1, max: 40 }) }),
    width: side,
    height: side,
    crop: fc.constantFrom(...crops),
    cropMode: fc.constantFrom(...modes),
    at: fc.constantFrom("center", "top_left", "right"),
  });
  await fc.assert(
    fc.asyncProperty(asked, async ({ from, width, height, crop, cropMode, at }) => {
      const options = {
        ...(width === undefined ? {} : { width }),
        ...(height === undefined ? {} : { height }),
        ...(crop === undefined ? {} : { crop }),
        ...(cropMode === undefined ? {} : { cropMode }),
        focus: { at } as Focus,
      };
      const expected = resultOf(from, geometryOf(from, { width, height, ratio: undefined, dpr: 1 }, options));
      const seen = await make(plain(from.width, from.height, RED), { options });
      expect(seen.size).toBe(`${expected.width}x${expected.height}`);
      expect([seen.picture.width, seen.picture.height]).toEqual([expected.width, expected.height]);
    }),
    { numRuns: 120 },
  );
});

test("a part always lies within the whole", () => {
  const fraction = fc.double({ min: 0, max: 1, noNaN: true });
  const length = fc.integer({ min: 1, max: 500 });
  fc.assert(
    fc.property(fraction, fraction, length, length, length, length, (x, y, w, h, moreW, moreH) => {
      const whole = { width: w + moreW, height: h + moreH };
      const { left, top } = around({ x, y }, { width: w, height: h }, whole);
      expect(left >= 0 && top >= 0 && left + w <= whole.width && top + h <= whole.height).toBe(true);
    }),
  );
});

describe("what is shown", () => {
  test.each<[Partial<Options>, string[]]>([
    [{ width: 100, height: 100 }, ["green", "green", "blue", "blue"]],
    [{ width: 100, height: 100, crop: "force" }, ALL],
    [{ width: 100, height: 100, crop: "at_max" }, ALL],
    [{ width: 500, height: 500 }, ["green", "green", "blue", "blue"]],
    [{ width: 100, height: 100, focus: { at: "left" } }, ["red", "red", "green", "green"]],
    [{ width: 100, height: 100, focus: { at: "right" } }, ["blue", "blue", "white", "white"]],
    [{ width: 500, height: 500, focus: { at: "right" } }, ["blue", "blue", "white", "white"]],
    [{ width: 200, height: 100, cropMode: "extract" }, ["green", "green", "blue", "blue"]],
    [
      { width: 200, height: 100, cropMode: "extract", focus: { at: "bottom_right" } },
      ["blue", "blue", "white", "white"],
    ],
    [{ width: 200, height: 100, cropMode: "extract", x: 0, y: 50 }, ["red", "red", "green", "green"]],
    [
      { width: 200, height: 100, cropMode: "extract", x: { op: "sub", left: iw, right: 200 }, y: 0 },
      ["blue", "blue", "white", "white"],
    ],
    [
      { width: 200, height: 100, cropMode: "extract", centreX: 100, centreY: 100 },
      ["red", "red", "green", "green"],
    ],
    [{ aspectRatio: 1, focus: { at: "left" } }, ["red", "red", "green", "green"]],
    [
      { width: 200, height: 200, crop: "maintain_ratio_no_enlarge", focus: { at: "left" } },
      ["red", "red", "green", "green"],
    ],
  ])("%o", async (options, colours) => {
    expect((await make(wide, { options })).row(ACROSS)).toEqual(colours);
  });

  test.each([
    [{ x: 300, y: 0 }, "x"],
    [{ x: -1, y: 0 }, "x"],
    [{ x: 0, y: 150 }, "y"],
    [{ centreX: 50, centreY: 100 }, "xc"],
    [{ centreX: 200, centreY: 190 }, "yc"],
  ])("an extract at %o doesn't lie within the picture", async (place, name) => {
    const options = { width: 200, height: 100, cropMode: "extract", ...place } as const;
    expect(await refusal(wide, { options })).toMatch(new RegExp(`^InvalidParameter: ${name}: `));
  });
});

describe("padding", () => {
  const red = { kind: "colour", colour: colour(YELLOW) } as const;
  const pad = { width: 200, height: 200, cropMode: "pad_resize" } as const;
  test("keeps the whole picture in the middle of a black canvas", async () => {
    const seen = await make(wide, { options: pad });
    expect([0.1, 0.5, 0.9].map((y) => seen.row([0.1], y)[0])).toEqual(["black", "red", "black"]);
    expect(seen.row(ACROSS)).toEqual(ALL);
  });
  test("takes the colour that is asked for, and moves the picture to the side that is named", async () => {
    const seen = await make(wide, { options: { ...pad, background: red, focus: { at: "top" } } });
    expect([0.1, 0.4, 0.6, 0.9].map((y) => seen.row([0.1], y)[0])).toEqual([
      "red",
      "red",
      "yellow",
      "yellow",
    ]);
    const tall = await make(wide, {
      options: { width: 600, height: 100, cropMode: "pad_extract", focus: { at: "right" }, background: red },
    });
    expect(tall.row([0.1, 0.3, 0.35, 0.9])).toEqual(["yellow", "yellow", "red", "white"]);
  });
  test("leaves a small picture as it is where it isn't to be enlarged", async () => {
    const seen = await make(wide, {
      options: { width: 800, height: 400, cropMode: "pad_resize_no_enlarge", background: red },
    });
    expect(seen.row([0.2, 0.26, 0.74, 0.8])).toEqual(["yellow", "red", "white", "yellow"]);
  });
  test("is transparent around a picture that has transparency, and as transparent as the colour says", async () => {
    const clear = drawn(40, 20, () => [255, 0, 0, 128]);
    expect((await make(clear, { options: { ...pad } })).alpha(1, 1)).toBe(0);
    const half = { kind: "colour", colour: colour(RED, 0.5) } as const;
    expect((await make(wide, { options: { ...pad, background: half } })).rgba(1, 1)).toEqual([
      255, 0, 0, 128,
    ]);
  });
  test("cuts nothing off without shrinking", async () => {
    const seen = await make(wide, {
      options: { width: 600, height: 100, cropMode: "pad_extract_no_shrink", background: red },
    });
    expect(seen.row([0.1, 0.2, 0.8, 0.9], 0.01)).toEqual(["yellow", "red", "white", "yellow"]);
  });
});

/** Grey, with a spot that catches the eye. */
const spotted = (x: number, y: number) =>
  drawn(400, 200, (px, py) =>
    Math.hypot(px - x, py - y) < 30 ? ((px + py) % 8 < 4 ? RED : YELLOW) : [90, 90, 90],
  );

/** In how many of 100 columns the spot is seen. */
async function seenOf(options: Partial<Options>): Promise<number> {
  const seen = await make(spotted(340, 100), { options });
  return Array.from({ length: 100 }, (_, x) => seen.rgba(x, 50)[0]! > 200).filter(Boolean).length;
}

/** With a service that answers this to everything. */
async function detecting<T>(regions: unknown, work: (detector: Setup["detector"]) => Promise<T>): Promise<T> {
  await using web = await startWeb((request, response) => {
    request.resume().on("end", () => response.end(JSON.stringify(regions)));
  });
  return await work({ url: `${web.url}/`, token: undefined });
}

describe("focus", () => {
  test.each<Partial<Options>>([
    { width: 100, height: 100, focus: { at: "auto" } },
    { width: 100, height: 100, focus: { at: "entropy" } },
    { width: 100, height: 100, cropMode: "extract", focus: { at: "auto" } },
    { width: 100, height: 100, cropMode: "extract", focus: { at: "entropy" } },
  ])("%o finds the spot", async (options) => {
    expect(await seenOf(options)).toBeGreaterThan(15);
  });

  test("custom coordinates are shown, as large as they can be", async () => {
    const options = { width: 100, height: 100, focus: { at: "custom" } } as const;
    const seen = await make(wide, { options, customCoordinates: "300,0,100,100" });
    expect(seen.row(ACROSS)).toEqual(["white", "white", "white", "white"]);
    const cut = { ...options, width: 50, height: 50, cropMode: "extract" } as const;
    expect((await make(wide, { options: cut, customCoordinates: "300,0,100,100" })).row(ACROSS)).toEqual([
      "white",
      "white",
      "white",
      "white",
    ]);
    // A box that is wider than what is asked for stays whole.
    const tall = { ...options, width: 50, height: 100 } as const;
    expect((await make(wide, { options: tall, customCoordinates: "100,50,100,20" })).row(ACROSS)).toEqual([
      "green",
      "green",
      "green",
      "green",
    ]);
  });

  test("of custom coordinates no zoom makes more or less; without width and height all is shown", async () => {
    const options = { width: 100, height: 100, focus: { at: "custom" }, zoom: 2 } as const;
    const customCoordinates = "50,0,200,200";
    expect((await make(wide, { options, customCoordinates })).row(ACROSS)).toEqual([
      "red",
      "green",
      "green",
      "blue",
    ]);
    const whole = await make(wide, { options: { focus: { at: "custom" } }, customCoordinates });
    expect([whole.size, whole.row(ACROSS)]).toEqual(["400x200", ALL]);
  });

  test.each([undefined, "1,2,3", "0,0,500,10", "0,150,50,100", "a,b,c,d", "0,0,0,0"])(
    "custom coordinates %o say nothing: what catches the eye is shown, and said to be",
    async (customCoordinates) => {
      const setup = customCoordinates === undefined ? {} : { customCoordinates };
      const options = { width: 100, height: 100, focus: { at: "custom" } } as const;
      const { picture } = await make(wide, { options, ...setup });
      expect(picture.headers).toEqual(["x-windlass-focus", "fallback"]);
    },
  );

  test("without a detector faces and objects fall back to what catches the eye", async () => {
    for (const focus of [{ at: "face" }, { at: "object", name: "dog" }] as const) {
      const options = { width: 100, height: 100, focus };
      const { picture } = await make(spotted(340, 100), { options });
      expect(picture.headers).toEqual(["x-windlass-focus", "fallback"]);
      expect(await seenOf(options)).toBeGreaterThan(15);
      const alone = await make(wide, { options: { focus } });
      expect([alone.size, alone.picture.headers]).toEqual(["400x200", ["x-windlass-focus", "fallback"]]);
    }
  });

  describe("with a detector", () => {
    /** In fractions of the picture: the green stripe, but for its edges. */
    const answer = { regions: [{ x: 0.25, y: 0.25, width: 0.25, height: 0.5, score: 0.9 }] };
    const dog = { at: "object", name: "dog" } as const;

    test("an object alone is cut out tightly", async () => {
      const seen = await detecting(answer, (detector) =>
        make(wide, { options: { focus: dog }, detector: detector! }),
      );
      expect([seen.size, seen.row(ACROSS), seen.picture.headers]).toEqual([
        "100x100",
        ["green", "green", "green", "green"],
        [],
      ]);
    });
    test("several are cut out together", async () => {
      const regions = [
        { x: 0.25, y: 0.25, width: 0.125, height: 0.25 },
        { x: 0.5, y: 0.5, width: 0.25, height: 0.25 },
      ];
      const seen = await detecting({ regions }, (detector) =>
        make(wide, { options: { focus: dog }, detector: detector! }),
      );
      expect([seen.size, seen.row(ACROSS), seen.picture.headers]).toEqual([
        "200x100",
        ["green", "green", "blue", "blue"],
        [],
      ]);
    });
    test("with a ratio, as little more as it takes", async () => {
      const options = { focus: dog, aspectRatio: 2 };
      const seen = await detecting(answer, (detector) => make(wide, { options, detector: detector! }));
      expect([seen.size, seen.row([0.1, 0.4, 0.6, 0.9])]).toEqual([
        "200x100",
        ["red", "green", "green", "blue"],
      ]);
    });
    test("with both sides it fills them; the zoom brings it closer or farther", async () => {
      const options = { focus: dog, width: 50, height: 50 };
      const near = await detecting(answer, (detector) => make(wide, { options, detector: detector! }));
      expect([near.size, near.row(ACROSS)]).toEqual(["50x50", ["green", "green", "green", "green"]]);
      const far = await detecting(answer, (detector) =>
        make(wide, { options: { ...options, zoom: 0.5 }, detector: detector! }),
      );
      expect([far.size, far.row(ACROSS)]).toEqual(["50x50", ["red", "green", "green", "blue"]]);
    });
    test("an extract lies around it", async () => {
      const options = { focus: { at: "face" }, width: 90, height: 90, cropMode: "extract" } as const;
      const seen = await detecting(answer, (detector) => make(wide, { options, detector: detector! }));
      expect([seen.size, seen.row(ACROSS)]).toEqual(["90x90", ["green", "green", "green", "green"]]);
    });
    test("nothing found is a fallback", async () => {
      const options = { focus: dog, width: 50, height: 50 };
      const seen = await detecting({ regions: [] }, (detector) =>
        make(wide, { options, detector: detector! }),
      );
      expect([seen.size, seen.picture.headers]).toEqual(["50x50", ["x-windlass-focus", "fallback"]]);
    });
  });
});

describe("client hints", () => {
  test("w-auto is the hinted width", async () => {
    expect((await make(wide, { options: { width: "auto" }, hints: { width: 300, dpr: 2 } })).size).toBe(
      "300x150",
    );
  });
  test("without a hint the width is left out of account", async () => {
    const { size, picture } = await make(wide, { options: { width: "auto", height: 100 } });
    expect([size, picture.headers]).toEqual(["200x100", []]);
  });
  test("the hinted width is in device pixels: dpr multiplies the height alone", async () => {
    const options = { width: "auto", height: 50, dpr: "auto", crop: "force" } as const;
    expect((await make(wide, { options, hints: { width: 100, dpr: 2 } })).size).toBe("100x100");
    const named = { width: "auto", dpr: 2 } as const;
    expect((await make(wide, { options: named, hints: { width: 100 } })).size).toBe("100x50");
  });
  test("dpr-auto", async () => {
    const options = { width: 100, dpr: "auto" } as const;
    expect((await make(wide, { options, hints: { dpr: 1.5 } })).size).toBe("150x75");
    expect((await make(wide, { options })).size).toBe("100x50");
  });
});

test("a picture that was taken sideways is turned before anything is measured", async () => {
  const turned = await quadrants(200, 100).withMetadata({ orientation: 6 }).jpeg({ quality: 95 }).toBuffer();
  const corners = async (options: Partial<Options>) => {
    const seen = await make(turned, { options });
    return [seen.size, ...seen.row([0.2, 0.8], 0.2), ...seen.row([0.2, 0.8], 0.8)];
  };
  // Turned clockwise: what was below left is now above left.
  expect(await corners({})).toEqual(["100x200", "blue", "red", "white", "green"]);
  expect(await corners({ width: 50 })).toEqual(["50x100", "blue", "red", "white", "green"]);
  expect(await corners({ width: 50, height: 50, focus: { at: "top" } })).toEqual([
    "50x50",
    "blue",
    "red",
    "blue",
    "red",
  ]);
  expect(await corners({ width: 80, height: 80, cropMode: "extract", x: 10, y: 10 })).toEqual([
    "80x80",
    "blue",
    "red",
    "blue",
    "red",
  ]);
  expect(await corners({ width: 50, rotate: "auto" })).toEqual(["50x100", "blue", "red", "white", "green"]);
});

test.each([
  [1, ["red", "green", "blue", "white"]],
  [2, ["green", "red", "white", "blue"]],
  [3, ["white", "blue", "green", "red"]],
  [4, ["blue", "white", "red", "green"]],
  [5, ["red", "blue", "green", "white"]],
  [6, ["blue", "red", "white", "green"]],
  [7, ["white", "green", "blue", "red"]],
  [8, ["green", "white", "red", "blue"]],
])("orientation %i of EXIF", async (orientation, corners) => {
  const source = await quadrants(200, 100).withMetadata({ orientation }).jpeg({ quality: 95 }).toBuffer();
  for (const options of [{}, { blur: 1 }, { width: 0.5 }] satisfies Partial<Options>[]) {
    const seen = await make(source, { options });
    expect([...seen.row([0.2, 0.8], 0.2), ...seen.row([0.2, 0.8], 0.8)]).toEqual(corners);
  }
});
