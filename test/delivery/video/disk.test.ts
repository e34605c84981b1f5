/** Films on disks that are full, take no files, or lose some of what they have. */
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test, type TestContext } from "vitest";
import { run } from "../../clients/tools.ts";
import { openSite, type Site } from "../site.ts";
import { clip, hasFfmpeg } from "./clips.ts";

const here = await hasFfmpeg();

const answerOf = async (site: Site, path: string): Promise<string> => {
  const { status, headers } = await site.get(path);
  return `${status} ${headers.get("x-windlass-error")?.split(" ")[0] ?? "-"} ${headers.get("retry-after") ?? "-"}`;
};

/** A site with the cache on a disk of its own of 8 MiB, and what changes how that is mounted. */
async function onSmallDisk(
  context: TestContext,
  body: (site: Site, cache: string, remount: (options: string) => Promise<void>) => Promise<void>,
): Promise<void> {
  await using site = await openSite();
  const cache = join(site.folder, "cache");
  await mkdir(cache);
  const { code } = await run("mount", ["-t", "tmpfs", "-o", "size=8m", "tmpfs", cache]);
  if (code !== 0) context.skip("file systems can't be mounted here");
  try {
    await body(site, cache, async (options) => {
      expect((await run("mount", ["-o", `remount,${options}`, cache])).code).toBe(0);
    });
  } finally {
    await run("umount", ["--lazy", cache]);
  }
}

describe.skipIf(!here)("what is asked of films", () => {
  const paths = [
    "/root/tr:w-32/film.mp4",
    "/root/film.mp4/ik-thumbnail.jpg?tr=w-32",
    "/root/film.mp4/metadata",
    "/root/film.mp4/ik-master.m3u8?tr=sr-240",
  ];
  const heard = async (site: Site): Promise<string[]> => {
    const answers: string[] = [];
    for (const path of paths) answers.push(await answerOf(site, path));
    return answers;
  };

  test("is to be asked again where the disk is full, and is made when there is room", async (context) => {
    await onSmallDisk(context, async (site, cache) => {
      await site.put("film.mp4", await clip({ width: 64, height: 48, seconds: 1 }));
      const filler = join(cache, "filler");
      await writeFile(filler, Buffer.alloc(9 << 20)).catch(() => undefined);
      expect(await heard(site)).toEqual(paths.map(() => "503 ServiceUnavailable 60"));
      await rm(filler);
      expect(await heard(site)).toEqual(paths.map(() => "200 - -"));
    });
  }, 60_000);

  test("is to be asked again where the disk takes no files any more, unless it was made before", async (context) => {
    await onSmallDisk(context, async (site, _, remount) => {
      await site.put("film.mp4", await clip({ width: 64, height: 48, seconds: 1 }));
      expect(await answerOf(site, "/root/tr:w-48/film.mp4")).toBe("200 - -");
      await remount("ro");
      expect(await answerOf(site, "/root/tr:w-48/film.mp4")).toBe("200 - -");
      expect(await heard(site)).toEqual(paths.map(() => "503 ServiceUnavailable 60"));
      await remount("rw");
      expect(await heard(site)).toEqual(paths.map(() => "200 - -"));
    });
  }, 60_000);
});
