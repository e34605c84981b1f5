/** Films on disks that are full, take no files, or lose some of what they have. */
import { mkdir, readdir, rm, stat, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test, type TestContext } from "vitest";
import { run } from "../../clients/tools.ts";
import { eventually } from "../../process.ts";
import { openSite, outcomeOf, type Site } from "../site.ts";
import { clip, hasFfmpeg, inFolder, remade } from "./clips.ts";
import { urisOf } from "./streaming.ts";

const here = await hasFfmpeg();

const answerOf = async (site: Site, path: string): Promise<string> => {
  const reply = await site.get(path);
  return `${outcomeOf(reply)} ${reply.headers.get("retry-after") ?? "-"}`;
};

const streams = (site: Site): string => join(site.folder, "cache", "video", "streams");
const textOf = async (site: Site, path: string): Promise<string> => (await site.get(path)).body.toString();

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

  test("is to be asked again, and is made then, where the cache was emptied meanwhile", async () => {
    await using site = await openSite();
    await site.put("film.mp4", await clip({ width: 320, height: 240, seconds: 8 }));
    const cache = join(site.folder, "cache");
    const answer = answerOf(site, paths[0]!);
    await eventually("it is worked on", async () => {
      const names = await readdir(join(cache, "video", "work")).catch(() => []);
      return names.some((name) => name.startsWith("film-"));
    });
    await rm(cache, { recursive: true, force: true });
    expect(await answer).toBe("503 ServiceUnavailable 1");
    expect(await answerOf(site, paths[0]!)).toBe("200 - -");
  });

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

describe.skipIf(!here)("streams", () => {
  const master = "/root/film.mp4/ik-master.m3u8?tr=sr-240_360";
  /** Asks for a stream until it is complete; gives what its pieces' addresses begin with. */
  async function complete(site: Site): Promise<string> {
    const lasting = async (): Promise<string | null> => (await site.get(master)).headers.get("cache-control");
    await expect.poll(lasting, { timeout: 30_000 }).toMatch(/^public/);
    const [media = ""] = urisOf(await textOf(site, master));
    return `/root/film.mp4/${media.slice(0, media.lastIndexOf("/"))}`;
  }

  const damages = {
    gone: (file: string) => rm(file),
    empty: (file: string) => truncate(file),
    cut: async (file: string) => truncate(file, Math.floor((await stat(file)).size / 2)),
  };
  const files: readonly [name: string, ...of: (keyof typeof damages)[]][] = [
    ["done", "gone", "empty"],
    ["set.json", "cut"],
    ["v0.m3u8", "gone", "cut"],
    ["v1.00000.m4s", "gone", "empty", "cut"],
    ["v0.init.mp4", "cut"],
    ["a0.m3u8", "empty"],
    ["a0.00000.m4s", "gone"],
  ];

  test("of which a file is damaged are made again, and lack nothing then", async () => {
    await using site = await openSite();
    await site.put("film.mp4", await clip({ width: 640, height: 360, seconds: 1 }));
    const base = await complete(site);
    const [id = ""] = await readdir(streams(site));
    const asked = (file: string): string =>
      /^(done|set)/.test(file) ? master : `${base}/${file}?tr=sr-240_360`;
    for (const [file, ...names] of files) {
      const whole = await site.get(asked(file));
      for (const name of names) {
        await damages[name](join(streams(site), id, file));
        const reply = await site.get(asked(file));
        expect([file, name, reply.status, reply.body.length]).toEqual([file, name, 200, whole.body.length]);
        expect(await complete(site)).toBe(base);
      }
    }
    for (const never of ["v0.00001.m4s", "v2.m3u8", "a0.00007.m4s"]) {
      expect(await answerOf(site, asked(never))).toBe("404 NotFound -");
    }
  }, 120_000);

  test.each([
    ["a playlist", "rm v1.m3u8"],
    ["the end of a playlist", "sed -i '/ENDLIST/d' v0.m3u8"],
    ["half of a piece", "truncate -s 1000 v0.00000.m4s"],
    ["a piece", "rm v1.00000.m4s"],
    ["the sound", "rm a0.m3u8"],
    ["what pieces begin with", "truncate -s 0 a0.init.mp4"],
  ])(
    "to which the disk took all but %s are not taken for complete",
    async (_, loss) => {
      await inFolder(async (folder) => {
        // As ffmpeg does on a full disk: it says nothing, and ends well.
        const lossy = join(folder, "lossy");
        await writeFile(
          lossy,
          `#!/bin/sh\nffmpeg "$@"\nfor to; do :; done\n[ ! -e ${folder}/full ] || case $to in *a0.m3u8) cd "\${to%/*}" && ${loss};; esac\n`,
          { mode: 0o755 },
        );
        await writeFile(join(folder, "full"), "");
        await using site = await openSite({}, { ffmpeg: lossy });
        await site.put("film.mp4", await clip({ width: 640, height: 360, seconds: 1 }));
        await site.get(master);
        await expect.poll(() => readdir(streams(site)), { timeout: 30_000 }).toEqual([]);
        await rm(join(folder, "full"));
        const base = await complete(site);
        expect(await textOf(site, `${base}/v1.m3u8?tr=sr-240_360`)).toContain("#EXT-X-ENDLIST");
      });
    },
    60_000,
  );

  test("of a part without a sound have none", async () => {
    await using site = await openSite();
    const film = await clip({ width: 64, height: 48, seconds: 1 });
    const late = "-f lavfi -i color=s=64x48:d=4 -map 1:v -map 0:a -c:a copy".split(" ");
    await site.put("film.mp4", await remade(film, late));
    const path = "/root/film.mp4/ik-master.m3u8?tr=sr-240,so-3";
    const lasting = async (): Promise<string | null> => (await site.get(path)).headers.get("cache-control");
    await expect.poll(lasting, { timeout: 30_000 }).toMatch(/^public/);
    expect(await textOf(site, path)).not.toMatch(/AUDIO|Infinity|null/);
  }, 60_000);
});
