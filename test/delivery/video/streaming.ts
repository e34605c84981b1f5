/** What players get of streams. */
import { expect } from "vitest";
import type { Site } from "../site.ts";

/** Lines of a playlist that are no comments. */
export const urisOf = (playlist: string): string[] =>
  playlist.split("\n").filter((line) => line !== "" && !line.startsWith("#"));

export interface Streamed {
  readonly master: string;
  /** All of it, to be decoded. */
  readonly film: Buffer;
  readonly pieces: readonly { readonly seconds: number; readonly bytes: number }[];
}

/** The rendition of that number of a master playlist, or its sound, once it is made. */
export async function streamed(site: Site, path: string, rendition: number | "sound" = 0): Promise<Streamed> {
  const get = async (url: URL): Promise<Buffer> => {
    const reply = await site.get(url.href.slice(site.url.length));
    expect([url.href, reply.status, reply.headers.get("x-windlass-error")]).toEqual([url.href, 200, null]);
    return reply.body;
  };
  const from = new URL(site.url + path);
  const master = (await get(from)).toString();
  const sound = /TYPE=AUDIO.*URI="([^"]+)"/.exec(master)?.[1];
  const media = new URL(rendition === "sound" ? sound! : urisOf(master)[rendition]!, from);
  const read = async (): Promise<string> => (await get(media)).toString();
  await expect.poll(read, { timeout: 60_000 }).toContain("#EXT-X-ENDLIST");
  const playlist = await read();
  const seconds = Array.from(playlist.matchAll(/#EXTINF:([\d.]+)/g), ([, one]) => Number(one));
  const names = [/#EXT-X-MAP:URI="([^"]+)"/.exec(playlist)![1]!, ...urisOf(playlist)];
  const parts = await Promise.all(names.map((name) => get(new URL(name, media))));
  const pieces = parts.slice(1).map(({ length }, n) => ({ seconds: seconds[n]!, bytes: length }));
  return { master, film: Buffer.concat(parts), pieces };
}
