/** `auto` for drawings of any size: the smallest of what the client reads. */
import sharp from "sharp";
import { expect, test } from "vitest";
import { chooseFormat, type Output } from "../../../../src/delivery/image/negotiate.ts";
import type { Options } from "../../../../src/delivery/plan/plan.ts";
import { drawn, make, quadrants } from "./coresetup.ts";

const OUTPUT: Output = {
  format: "auto",
  quality: 80,
  explicitQuality: false,
  progressive: false,
  lossless: false,
  colourProfile: false,
  metadata: false,
  density: undefined,
  unsharp: false,
  background: undefined,
};

/** One over the other, with edges of many colours. */
const circles = (width: number, height: number): Buffer =>
  Buffer.from(
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"><rect width="100%" height="100%" fill="#fff"/>` +
      '<circle cx="30%" cy="50%" r="25%" fill="#e33"/><circle cx="60%" cy="50%" r="25%" fill="#36c" fill-opacity=".7"/></svg>',
  );
/** And an effect: a vector whose size alone is changed stays one. */
const SIZE: Partial<Options> = { width: 1000, rotate: 180 };
const bytes = async (source: Buffer, options: Partial<Options>): Promise<number> =>
  (await make(source, { options: { ...SIZE, ...options } })).picture.data.length;
const auto = async (source: Buffer, options: Partial<Options>): Promise<number> =>
  (await make(source, { format: "auto", hints: { accepts: ["avif", "webp"] }, options })).picture.data.length;

test.each([
  ["four colours", () => quadrants(1600, 1200).png().toBuffer()],
  ["circles", () => sharp(circles(1600, 1200)).png().toBuffer()],
  ["an SVG", () => Promise.resolve(circles(900, 700))],
])("%s", async (_, draw) => {
  const source = await draw();
  const avif = await bytes(source, { format: "avif" });
  const webp = await bytes(source, { format: "webp" });
  const lossless = await bytes(source, { format: "webp", lossless: true });
  expect(Math.min(webp, lossless)).toBeLessThan(avif);
  expect(await auto(source, SIZE)).toBe(Math.min(webp, lossless));
});

test("a large photograph, whatever it is stored in, pays for one encoder", async () => {
  let seed = 1;
  const noise = (): number => (seed = (seed * 16_807) % 2_147_483_647) & 31;
  const photo = drawn(1000, 700, (x, y) => [x / 5 + noise(), y / 4 + noise(), 90 + noise()]).removeAlpha();
  const source = await photo.png().toBuffer();
  expect(await auto(source, { ...SIZE, width: 900 })).toBe(
    await bytes(source, { width: 900, format: "avif" }),
  );
});

test("what moves goes out as WebP to who reads it, however long it is: GIF would cost more", () => {
  const long = { width: 480, height: 270, pages: 300, alpha: false };
  expect(chooseFormat({ format: "gif" }, long, OUTPUT, { accepts: ["avif", "webp"] })).toBe("webp");
  expect(chooseFormat({ format: "gif" }, long, OUTPUT, { accepts: [] })).toBe("gif");
  expect(
    chooseFormat({ format: "jpeg" }, { ...long, width: 48_000, pages: 1 }, OUTPUT, { accepts: ["webp"] }),
  ).toBe("webp");
  expect(
    chooseFormat({ format: "jpeg" }, { ...long, width: 80_000, pages: 1 }, OUTPUT, { accepts: ["webp"] }),
  ).toBe("jpeg");
});
