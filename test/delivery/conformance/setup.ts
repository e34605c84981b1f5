/** A server with the scene on it, and services that know what is on the scene. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import sharp from "sharp";
import { expect } from "vitest";
import { collect } from "../../../src/lib/chunks.ts";
import { startWeb } from "../origins/storage.ts";
import { openSite, sizeOf, type Reply, type Site } from "../site.ts";
import { APPLE, FACE, SCENE_HEIGHT, SCENE_WIDTH } from "./scene.ts";
import { asServed, toleranceOf, type Expected } from "./expected.ts";
import { difference, imageOf, pixelsOf, within, type Difference, type Pixels } from "./pixels.ts";

const root = new URL("../../../", import.meta.url).pathname;
export const goldenPath = (name: string): string => `${root}test/golden/${name}`;
export const docsPicture = (name: string): string => `${root}docs/images/transformations/${name}.jpg`;
export const read = (path: string): Buffer => readFileSync(path);

export function write(path: string, data: Buffer): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, data);
}

/** What was asked of the operator's services. */
export interface Asked {
  readonly path: string;
  readonly body: Buffer;
}
export interface Stage extends AsyncDisposable {
  readonly site: Site;
  readonly scene: Buffer;
  readonly asked: Asked[];
}

/**
 * `photo.jpg` is the scene. The detector finds the face and the apple on it; the models make transparent what is in
 * the left half, and paint lime what is transparent.
 */
export async function openStage(): Promise<Stage> {
  const asked: Asked[] = [];
  const web = await startWeb((request, response) => {
    const path = request.url ?? "";
    void collect(request)
      .then((body) => {
        asked.push({ path, body });
        return answer(path, body);
      })
      .then((data) => response.end(data));
  });
  const { url } = web;
  const detector = { url: `${url}/detector`, token: undefined };
  const models = { url: `${url}/models`, token: undefined };
  const site = await openSite({}, { services: { detector, models } });
  const scene = read(goldenPath("scene.jpg"));
  await site.put("photo.jpg", scene);
  return {
    site,
    scene,
    asked,
    async [Symbol.asyncDispose]() {
      await site[Symbol.asyncDispose]();
      await web[Symbol.asyncDispose]();
    },
  };
}

async function answer(path: string, body: Buffer): Promise<Buffer> {
  if (path.startsWith("/models/genfill")) return sharp(body).flatten({ background: "lime" }).png().toBuffer();
  if (path.startsWith("/models/")) return withoutLeftHalf(body);
  const box = { face: FACE, apple: APPLE }[/[?&]class=(\w+)/.exec(path)?.[1] ?? ""];
  const region = box && {
    x: box.x / SCENE_WIDTH,
    y: box.y / SCENE_HEIGHT,
    width: box.width / SCENE_WIDTH,
    height: box.height / SCENE_HEIGHT,
    score: 0.9,
  };
  return Buffer.from(JSON.stringify({ regions: region === undefined ? [] : [region] }));
}

async function withoutLeftHalf(picture: Buffer): Promise<Buffer> {
  const { data, width, height } = await pixelsOf(picture);
  for (let n = 0; n < data.length; n += 4) if ((n / 4) % width < width / 2) data[n + 3] = 0;
  return imageOf({ data, width, height }).png().toBuffer();
}

/** The answer, which must be one. Without a word on what the client accepts. */
export async function served(
  { site }: Pick<Stage, "site">,
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Reply> {
  const reply = await site.get(path, { headers: { accept: "*/*", ...headers } });
  expect([path, reply.status, reply.headers.get("x-windlass-error")]).toEqual([path, 200, null]);
  return reply;
}

/** What the picture has to be, with its format's traces. */
export const wanted = async (scene: Buffer, name: string, expected: Expected): Promise<Pixels> =>
  expected.picture === undefined
    ? pixelsOf(read(goldenPath(`${name}.png`)))
    : asServed(await expected.picture(scene), expected);

/** Format and size, and how far the pixels are from the target where that is more than allowed. */
export async function verdict(body: Buffer, target: Pixels, expected: Expected): Promise<string> {
  const off = offBy(await pixelsOf(body), target, toleranceOf(expected));
  return (await sizeOf(body)) + off;
}

/** Nothing where it is within what is allowed. */
export function offBy(one: Pixels, other: Pixels, allowed: Difference): string {
  const far = difference(one, other);
  return within(far, allowed) ? "" : `, off by ${JSON.stringify(far)}; allowed ${JSON.stringify(allowed)}`;
}
