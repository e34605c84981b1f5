/** Films that are see-through: they lie on their background, whatever is made of them. By their pixels. */
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { openSite, type Site } from "../site.ts";
import { frameAt, hasFfmpeg, made } from "./clips.ts";
import { streamed } from "./streaming.ts";

const here = await hasFfmpeg();

/** Green on the right; on the left a red that nobody sees, and in its middle half of it. */
function seeThrough(format: string, encoding: string): Promise<Buffer> {
  const red = "r='if(lt(X,80),255,0)':g='if(lt(X,80),0,255)':b=0";
  const seen = "a='if(lt(X,80),if(between(Y,40,50),128,0),255)'";
  const picture = `color=black:s=160x90:r=10:d=0.5,format=rgba,geq=${red}:${seen}`;
  return made(["-f", "lavfi", "-i", picture, ...encoding.split(" ")], format);
}

/** Left, in its middle, and right. */
async function colours(picture: Buffer): Promise<string[]> {
  const { data, info } = await sharp(picture).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  const at = (x: number, y: number): string => {
    const n = (Math.floor(y * info.height) * info.width + Math.floor(x * info.width)) * info.channels;
    return [...data.subarray(n, n + 3)].map((value) => Math.round(value / 128) * 128).join(" ");
  };
  return [at(0.25, 0.2), at(0.25, 0.5), at(0.75, 0.5)];
}
const GREEN = "0 256 0";
const ON_BLACK = ["0 0 0", "128 0 0", GREEN];
const ON_BLUE = ["0 0 256", "128 0 128", GREEN];
/** GIFs see a pixel or don't. */
const whole = ([left, , right]: readonly string[]): (string | undefined)[] => [left, right];

describe.skipIf(!here)("see-through films", () => {
  let site: Site;
  beforeAll(async () => {
    site = await openSite();
    const files = {
      "prores.mov": await seeThrough("mov", "-c:v prores_ks -profile:v 4444 -pix_fmt yuva444p10le"),
      "vp9.webm": await seeThrough("webm", "-c:v libvpx-vp9 -pix_fmt yuva420p -crf 10 -auto-alt-ref 0"),
      "vp8.webm": await seeThrough("webm", "-c:v libvpx -pix_fmt yuva420p -b:v 2M -auto-alt-ref 0"),
      "moving.gif": await seeThrough("gif", "-vf split[a][b];[a]palettegen[p];[b][p]paletteuse"),
    };
    for (const [name, body] of Object.entries(files)) await site.put(name, body);
  }, 60_000);
  afterAll(() => site[Symbol.asyncDispose]());

  const get = async (path: string): Promise<Buffer> => {
    const reply = await site.get(`/root/${path}`);
    expect([path, reply.status, reply.headers.get("x-windlass-error")]).toEqual([path, 200, null]);
    return reply.body;
  };

  test.each(["prores.mov", "vp9.webm", "vp8.webm"])(
    "%s lies on black, and on bg where the URL has one",
    async (name) => {
      const film = async (chain: string): Promise<string[]> =>
        colours(await frameAt(await get(`${name}?tr=${chain}`), 0));
      expect(await film("f-mp4")).toEqual(ON_BLACK);
      expect(await film("f-webm,w-80")).toEqual(ON_BLACK);
      expect(await film("w-80,bg-0000FF")).toEqual(ON_BLUE);
      expect(await film("fl-v:bg-0000FF80")).toEqual(ON_BLUE);
      expect(await film("r-5")).toEqual(ON_BLACK);
      expect(await film("l-image,i-ik_canvas,bg-FFFFFF,w-9,h-9,lx-0,ly-0,l-end:b-1_white")).toEqual(ON_BLACK);
      const still = async (chain: string): Promise<string[]> =>
        colours(await get(`${name}/ik-thumbnail.jpg?tr=${chain}`));
      expect(await still("so-0.2")).toEqual(ON_BLACK);
      expect(await still("f-png")).toEqual(ON_BLACK);
      expect(await still("bg-0000FF")).toEqual(ON_BLUE);
      const { film: stream } = await streamed(site, `/root/${name}/ik-master.m3u8?tr=sr-240,bg-0000FF`);
      expect(await colours(await frameAt(stream, 0))).toEqual(ON_BLUE);
    },
    60_000,
  );

  test("GIFs do so, too", async () => {
    const film = async (chain: string): Promise<unknown> =>
      whole(await colours(await frameAt(await get(`moving.gif/ik-gif-video.mp4${chain}`), 0)));
    expect(await film("")).toEqual(whole(ON_BLACK));
    expect(await film("?tr=bg-0000FF")).toEqual(whole(ON_BLUE));
    expect(await film("?tr=w-300,h-90,cm-pad_resize,bg-0000FF:c-force,w-160,h-90")).toEqual([
      "0 0 256",
      GREEN,
    ]);
  }, 60_000);

  test("are seen through as layers", async () => {
    const layer = "l-video,i-vp9.webm,lx-0,ly-0,l-end";
    const both = await get(`vp8.webm?tr=bg-0000FF,f-mp4:${layer}`);
    expect((await colours(await frameAt(both, 0)))[0]).toBe("0 0 256");
  }, 60_000);
});
