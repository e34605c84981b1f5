/** What is shown of a picture, and what lies beside and behind it, over HTTP. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { canvas, each, imageOf, pixelsOf, type Pixels, type Rgba } from "./conformance/pixels.ts";
import { openSite, type Site } from "./site.ts";

const CLEAR: Rgba = [0, 0, 0, 0];

let site: Site;
beforeAll(async () => {
  site = await openSite();
});
afterAll(() => site[Symbol.asyncDispose]());

/** A PNG by a rule. */
async function put(
  key: string,
  width: number,
  height: number,
  rule: (x: number, y: number) => Rgba,
  customcoordinates?: string,
): Promise<void> {
  const drawn = each(canvas(width, height, CLEAR), (_, x, y) => rule(x, y));
  const body = await imageOf(drawn).png().toBuffer();
  await site.put(key, body, customcoordinates === undefined ? {} : { meta: { user: { customcoordinates } } });
}

async function shown(transformation: string, key: string): Promise<Pixels> {
  const { status, headers, body } = await site.get(`/root/tr:${transformation},f-png/${key}`);
  expect([transformation, status, headers.get("x-windlass-error")]).toEqual([transformation, 200, null]);
  return pixelsOf(body);
}

/** At fractions of the picture. */
function at({ data, width, height }: Pixels, x: number, y: number): number[] {
  const n =
    (Math.min(height - 1, Math.floor(y * height)) * width + Math.min(width - 1, Math.floor(x * width))) * 4;
  return [...data.subarray(n, n + 4)];
}

describe("an extract of which one edge is named", () => {
  beforeAll(async () => {
    await put("places.png", 200, 100, (x, y) => [x, y, 0, 255], "150,60,20,20");
  });

  test.each<[string, number, number]>([
    ["y-10,fo-right", 150, 10],
    ["y-10,fo-bottom_left", 0, 10],
    ["x-10,fo-bottom", 10, 50],
    ["xc-60,fo-top", 35, 0],
    ["yc-40,fo-left", 0, 15],
    ["y-10,fo-custom", 135, 10],
    ["x-10,fo-custom", 10, 45],
    ["y-10", 75, 10],
    ["x-10,y-20,fo-right", 10, 20],
  ])("lies by the focus along the other side: %s", async (places, left, top) => {
    const seen = await shown(`w-50,h-50,cm-extract,${places}`, "places.png");
    expect([seen.width, seen.height, at(seen, 0, 0)]).toEqual([50, 50, [left, top, 0, 255]]);
  });
});
