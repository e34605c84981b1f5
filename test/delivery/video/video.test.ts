/** Work on films as the processes of one server share it: once for all, told of, limited, ended. */
import { execFileSync, spawn } from "node:child_process";
import { mkdir, readdir, readFile, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { DeliveryError } from "../../../src/delivery/errors.ts";
import { ffmpeg, run } from "../../../src/delivery/video/ffmpeg.ts";
import type { VideoRequest } from "../../../src/delivery/video/video.ts";
import { programUrl } from "../../../src/lib/program.ts";
import { burst, clip, hasFfmpeg, inFolder, picturesFrom, probeFilm, remade, turnedFilm } from "./clips.ts";
import { bytesOf, inputOf, openStudio, type Studio } from "./studio.ts";

const here = await hasFfmpeg();
const POLLING = { timeout: 10_000 };
/** Where the module lies that starts children. */
const SOURCE = new URL("../../../src/delivery/video/ffmpeg.ts", import.meta.url).href;
/** How much its pieces take is foreseen first, and measured when they are there. */
const unmeasured = (master: string): string => master.replace(/BANDWIDTH=\d+/, "");
const failure = (work: Promise<unknown>): Promise<string> =>
  work.then(
    () => "nothing failed",
    (error: unknown) => (error instanceof DeliveryError ? error.code : String(error)),
  );

describe.skipIf(!here)("films", () => {
  let studio: Studio;
  let film: Buffer;
  beforeAll(async () => {
    studio = await openStudio();
    film = await clip({ width: 160, height: 90, seconds: 2 });
  }, 60_000);
  afterAll(() => studio[Symbol.asyncDispose]());

  test("are made once for all who ask at once, in whichever process", async () => {
    let reads = 0;
    const counted = (): ReturnType<Studio["request"]> => ({
      ...studio.request(film, "w-80", { key: "a".repeat(40) }),
      source: {
        size: film.length,
        read: () => {
          reads++;
          return inputOf(film).read();
        },
      },
    });
    const other = studio.another();
    const videos = [studio.video, other, studio.video, other];
    const made = await Promise.all(videos.map((video) => video.render(counted(), 30_000)));
    expect(reads).toBe(1);
    const entries = made.flatMap((one) => ("entry" in one ? [one.entry] : []));
    const bytes = await Promise.all(entries.map(bytesOf));
    expect(bytes.map((one) => one.equals(bytes[0]!))).toEqual([true, true, true, true]);
    expect(await other.render(counted(), 0)).toMatchObject({ hit: true });
  }, 60_000);

  test("that take longer than the client waits go on, and any process tells how they stand", async () => {
    await using busy = await openStudio();
    const other = busy.another();
    const long = busy.request(await clip({ width: 1280, height: 720, seconds: 10 }), "w-1200,f-webm,q-100");
    expect(await busy.video.render(long, 1)).toMatchObject({
      pending: { id: long.key, progress: 0, retryAfterSeconds: 2 },
    });
    await expect.poll(() => other.status(long.key), POLLING).toMatchObject({ state: "running" });
    const short = studio.request(film, "w-90");
    expect(Object.keys(await studio.video.render(short, 0))).toEqual(["pending"]);
    const done = { state: "done", progress: 1 };
    await expect.poll(() => studio.video.status(short.key), POLLING).toEqual(done);
    await expect.poll(() => studio.another().status(short.key), POLLING).toEqual(done);
    expect(await studio.video.render(short, 0)).toMatchObject({ hit: true });
  }, 60_000);

  test("of which nobody asked have no state, and names that lead elsewhere neither", async () => {
    await writeFile(join(studio.folder, "video", "secret.json"), '{"state":"done","progress":1}');
    for (const id of ["f".repeat(40), "../secret", "", "..%2fsecret"]) {
      expect(await studio.video.status(id)).toBeUndefined();
    }
  });

  test("that can't be made fail for all who wait, say why, and aren't tried again at once", async () => {
    let reads = 0;
    const broken = film.subarray(0, 600);
    const request = {
      ...studio.request(film, "w-80"),
      source: {
        size: broken.length,
        read: () => {
          reads++;
          return inputOf(broken).read();
        },
      },
    };
    const answers = await Promise.all([1, 2, 3].map(() => failure(studio.video.render(request, 30_000))));
    expect([...answers, await failure(studio.video.render(request, 30_000)), reads]).toEqual([
      "DamagedSource",
      "DamagedSource",
      "DamagedSource",
      "DamagedSource",
      1,
    ]);
    expect(await studio.video.status(request.key)).toMatchObject({ state: "failed" });
  }, 60_000);

  test("leave no files behind, whatever became of them", async () => {
    await studio.make(film, "w-70");
    await failure(studio.make(film.subarray(0, 600), "w-70"));
    expect(await readdir(join(studio.folder, "video", "work"))).toEqual([]);
    const drafts = await readdir(join(studio.folder, "cache", "tmp"));
    expect(drafts.filter((name) => name.startsWith("film-"))).toEqual([]);
  }, 60_000);

  test("of a process that died are taken over", async () => {
    const request = studio.request(film, "w-60");
    const claims = join(studio.folder, "video", "claims");
    await mkdir(claims, { recursive: true });
    await writeFile(join(claims, request.key), "");
    const longAgo = Date.now() / 1000 - 60;
    await utimes(join(claims, request.key), longAgo, longAgo);
    await mkdir(join(studio.folder, "video", "work", "film-999999999-dead"), { recursive: true });
    expect(await studio.video.render(request, 30_000)).toMatchObject({ hit: false });
    expect(await readdir(claims)).toEqual([]);
    expect(await readdir(join(studio.folder, "video", "work"))).toEqual([]);
  }, 60_000);

  test("are known in all processes as soon as anybody is told of them", async () => {
    await using shared = await openStudio();
    const fresh = shared.request(film, "w-60");
    const failed = shared.request(film.subarray(0, 600), "w-60");
    await failure(shared.another().render(failed, 30_000));
    const states: unknown[] = [];
    for (const request of [fresh, failed]) {
      // Another process has just claimed the work and hasn't told of it yet.
      await writeFile(join(shared.folder, "video", "claims", request.key), "");
      expect(await shared.video.render(request, 0)).toHaveProperty("pending");
      states.push((await shared.another().status(request.key))?.state);
    }
    expect(states).toEqual(["queued", "queued"]);
  }, 60_000);

  test("of one account don't keep those of others out of the line, and take turns with them", async () => {
    await using small = await openStudio({ limits: { queueLength: 1 } });
    const long = await clip({ width: 640, height: 360, seconds: 6 });
    const mine = ["w-300", "w-310"].map((chain) => small.request(long, chain));
    const made: string[] = [];
    const waits = async (request: VideoRequest, whose: string): Promise<void> => {
      expect(await small.video.render(request, 30_000)).toHaveProperty("entry");
      made.push(whose);
    };
    for (const request of mine) {
      expect(await small.video.render(request, 0)).toHaveProperty("pending");
      await expect
        .poll(async () => (await small.video.status(mine[0]!.key))?.state, POLLING)
        .not.toBe("queued");
    }
    const other = small.request(film, "w-60");
    const facts = { ...other.facts, origin: "another/photos" };
    await Promise.all([
      ...mine.map((request) => waits(request, "mine")),
      waits({ ...other, facts }, "another's"),
    ]);
    expect(made).toEqual(["mine", "another's", "mine"]);
  }, 60_000);

  test("don't keep streams waiting, nor streams them", async () => {
    await using busy = await openStudio();
    const long = await clip({ width: 1280, height: 720, seconds: 10 });
    expect(await busy.video.render(busy.request(long, "w-1200,f-webm,q-100"), 0)).toHaveProperty("pending");
    const stream = { ...busy.request(film, "sr-240"), what: "stream" as const };
    const asking = { waitMs: 20_000, query: "", right: "" };
    expect(await busy.video.stream(stream, { master: "hls" }, asking)).toHaveProperty("type");
    expect(busy.video.counts.running).toBeGreaterThan(0);
    const damaged = { ...busy.request(film.subarray(0, 600), "sr-240"), what: "stream" as const };
    const look = (): Promise<string> =>
      failure(busy.video.stream(damaged, { master: "hls" }, { ...asking, waitMs: 0 }));
    await expect.poll(look, POLLING).toBe("DamagedSource");
  }, 60_000);

  test("wait in line up to a length", async () => {
    await using small = await openStudio({ limits: { queueLength: 1 } });
    const long = await clip({ width: 640, height: 360, seconds: 6 });
    const asked = ["w-300", "w-310", "w-320"].map((chain) =>
      small.video.render(small.request(long, chain), 0).then(
        (made) => ("pending" in made ? made.pending.state : "made"),
        (error: { code: string; headers: string[] }) => `${error.code} ${error.headers[0]}`,
      ),
    );
    expect(await Promise.all(asked)).toEqual([
      expect.stringMatching(/^(queued|running)$/),
      "queued",
      "TooManyRenders Retry-After",
    ]);
    await expect.poll(() => small.video.counts, POLLING).toEqual({ running: 1, waiting: 1 });
  }, 60_000);

  test("wait by the dozen without Node's warning of a leak", async () => {
    const warnings: string[] = [];
    const hear = ({ name }: Error): void => void warnings.push(name);
    process.on("warning", hear);
    await using busy = await openStudio();
    const long = await clip({ width: 640, height: 360, seconds: 6 });
    const many = Array.from({ length: 15 }, (_, n) =>
      busy.video.render(busy.request(long, `w-${300 + n}`), 0),
    );
    await Promise.all(many);
    await expect.poll(() => readdir(join(busy.folder, "video", "jobs")), POLLING).toHaveLength(15);
    await sleep(20);
    process.off("warning", hear);
    expect(warnings).toEqual([]);
  }, 60_000);

  test("end with the server, at once, and their encoder with them", async () => {
    const doomed = await openStudio();
    const long = await clip({ width: 1280, height: 720, seconds: 10 });
    const made = failure(doomed.video.render(doomed.request(long, "w-1200,f-webm,q-100"), 60_000));
    await expect.poll(() => encoders(doomed.folder), { timeout: 10_000 }).toBeGreaterThan(0);
    await doomed.video.close();
    expect([await made, await encoders(doomed.folder)]).toEqual(["ServiceUnavailable", 0]);
    expect(await readdir(join(doomed.folder, "video", "work"))).toEqual([]);
    await doomed[Symbol.asyncDispose]();
  }, 60_000);

  test.each([
    [{ sourceBytes: 1000 }, "SourceTooLarge"],
    [{ pixels: 100 * 80 }, "LimitExceeded"],
    [{ duration: 1 }, "LimitExceeded"],
    [{ resultBytes: 2000 }, "LimitExceeded"],
    [{ encodeSeconds: 0.02 }, "LimitExceeded"],
  ])(
    "obey %j: %s",
    async (limits, code) => {
      await using small = await openStudio({ limits });
      expect(await failure(small.make(film, "w-100,q-100"))).toBe(code);
    },
    60_000,
  );

  test("one frame is a PNG in the film's own size, also where only sound is left", async () => {
    const first = await studio.video.frame(studio.request(film, "so-0", { what: "thumbnail" }));
    const last = await studio.video.frame(studio.request(film, "so-1.999,w-10", { what: "thumbnail" }));
    for (const frame of [first, last]) {
      expect(await sharp(frame).metadata()).toMatchObject({ format: "png", width: 160, height: 90 });
    }
    expect(await failure(studio.video.frame(studio.request(film, "so-2")))).toBe("InvalidParameter");
  }, 60_000);

  test("of origins that send a byte now and then are given up, and hold nobody else's place", async () => {
    const dripping = studio.request(film, "sr-240", { what: "metadata" });
    const slow: VideoRequest = {
      ...dripping,
      source: {
        size: 1000,
        async *read() {
          for (;;) {
            await sleep(100);
            yield Buffer.from("x");
          }
        },
      },
    };
    const hasty = studio.another({ limits: { frameSeconds: 1 } });
    const failed = await hasty.render(slow, 10_000).catch((error: unknown) => error);
    expect(failed).toMatchObject({ code: "OriginTimeout" });
  });

  test("a stream that went away is made again from the same request", async () => {
    const request = studio.request(film, "sr-240", { what: "hls" });
    const right = "a".repeat(32);
    const read = async (name?: string): Promise<string> => {
      const file = name === undefined ? { master: "hls" as const } : { id: right + request.key, name };
      const found = await studio.video.stream(request, file, { waitMs: 30_000, query: "", right });
      return "read" in found ? (await bytesOf(found)).toString() : "pending";
    };
    const master = await read();
    await expect.poll(() => read("v0.m3u8")).toContain("#EXT-X-ENDLIST");
    const small = studio.another({ limits: { streamBytes: 1 } });
    const [id] = await readdir(join(studio.folder, "video", "streams"));
    await small.stream(
      studio.request(film, "sr-360", { what: "dash" }),
      { master: "dash" },
      { waitMs: 30_000, query: "", right },
    );
    await expect.poll(() => readdir(join(studio.folder, "video", "streams")), POLLING).not.toContain(id);
    expect(unmeasured(await read())).toBe(unmeasured(master));
    expect(await read("v0.00000.m4s")).not.toBe("");
  }, 60_000);

  test("pieces of a stream that another process makes are served as they come, also where the line is full", async () => {
    await inFolder(async (folder) => {
      // Makes all of a stream, and goes on for ever.
      const endless = join(folder, "endless");
      const script = '#!/bin/sh\nffmpeg "$@"\ncase "$*" in *.m3u8*) exec sleep 600;; esac\n';
      await writeFile(endless, script, { mode: 0o755 });
      await using maker = await openStudio({ ffmpeg: endless, limits: { queueLength: 1 } });
      const other = maker.another();
      const requests = ["sr-240", "sr-360", "sr-480", "sr-720"].map((chain) => maker.request(film, chain));
      const master = { master: "hls" } as const;
      const how = { waitMs: 30_000, query: "", right: "" };
      expect(await maker.video.stream(requests[0]!, master, how)).toMatchObject({ live: true });
      const line = [];
      for (const one of requests.slice(1))
        line.push(await failure(other.stream(one, master, { ...how, waitMs: 0 })));
      expect(line).toEqual(["nothing failed", "nothing failed", "TooManyRenders"]);
      const piece = { id: requests[0]!.key, name: "v0.00000.m4s" };
      expect(await other.stream(requests[0]!, piece, how)).toMatchObject({ type: "video/iso.segment" });
    });
  }, 60_000);

  test("pieces can't be had without their stream's right and their set's id", async () => {
    const request = studio.request(film, "sr-240", { what: "stream" });
    const right = "a".repeat(32);
    for (const [id, name] of [
      ["b".repeat(32) + request.key, "v0.m3u8"],
      [right + "f".repeat(request.key.length), "v0.m3u8"],
      [right, "v0.m3u8"],
      ["", "v0.m3u8"],
      ["..", "set.json"],
    ] as const) {
      const asked = studio.video.stream(request, { id, name }, { waitMs: 0, query: "", right });
      expect(await failure(asked)).toBe("NotFound");
    }
  });

  test("turned phones, squeezed pixels and mad rates become upright, square and sane", async () => {
    expect((await probeFilm(await studio.make(turnedFilm(film), "h-80"))).streams).toContain("h264 44x80");
    const squeezed = await remade(film, ["-vf", "setsar=2", "-c:v", "libx264", "-preset", "ultrafast"]);
    expect((await probeFilm(await studio.make(squeezed, "h-90"))).streams).toContain("h264 320x90");
    const fast = await remade(film, ["-r", "240", "-c:v", "libx264", "-preset", "ultrafast", "-an"]);
    const made = await studio.make(fast, "w-100");
    expect((await probeFilm(made)).frames).toBeLessThanOrEqual(125);
  }, 60_000);

  test("pictures that come now and then, and squeezed, all stay", async () => {
    const squeezed = await remade(await burst(), [
      "-vf",
      "setsar=2",
      "-fps_mode",
      "vfr",
      "-preset",
      "ultrafast",
    ]);
    expect(await picturesFrom(2, await studio.make(squeezed, "w-320,q-90"))).toBe(30);
  }, 60_000);

  test("nothing of a source but picture and sound gets into a result", async () => {
    const chatty = await remade(film, [
      "-c",
      "copy",
      "-metadata",
      "title=secret title",
      "-metadata",
      "location=+48.1+11.5/",
    ]);
    expect(chatty.includes("secret title")).toBe(true);
    expect((await studio.make(chatty, "w-100")).includes("secret title")).toBe(false);
  }, 60_000);
});

describe.skipIf(!here)("children", () => {
  const signal = new AbortController().signal;
  const options = { folder: "/tmp", seconds: 20, memoryBytes: 2 ** 32, threads: 1, signal };

  test("see nothing of our environment", async () => {
    process.env["WINDLASS_TEST_SECRET"] = "hush";
    const { stdout } = await run("env", [], options);
    delete process.env["WINDLASS_TEST_SECRET"];
    expect(stdout).toContain("PATH=");
    expect(stdout).not.toContain("hush");
  });

  test("get their arguments as they are", async () => {
    const nasty = ["$(id)", "`id`", "a b", "'", '"', "*", "-n", ";ls"];
    const { stdout } = await run("printf", ["%s\n", ...nasty], options);
    expect(stdout.trimEnd().split("\n")).toEqual(nasty);
  });

  test("are polite, and are ended at their deadline with all that they began", async () => {
    const { stdout } = await run("nice", [], options);
    expect(Number(stdout)).toBeGreaterThanOrEqual(10);
    const slow = run("sh", ["-c", "sleep 987 & wait"], { ...options, seconds: 0.3 });
    expect(await failure(slow)).toBe("LimitExceeded");
    // What was killed is gone when the system has come round to it.
    await expect.poll(running, { timeout: 10_000 }).not.toContain("sleep 987");
  });

  test("have as much memory as they may", async () => {
    const { stdout } = await run("sh", ["-c", "ulimit -v"], { ...options, memoryBytes: 300 * 1024 ** 2 });
    expect(stdout.trim()).toBe(String(300 * 1024));
  });

  test("are told of by what ended them", async () => {
    expect(await failure(run("sh", ["-c", "kill -SEGV $$"], options))).toBe("RendererFailed");
    expect(await failure(run("sh", ["-c", "kill -XCPU $$"], options))).toBe("LimitExceeded");
    expect(await run("/nonexistent/ffmpeg", [], options)).toMatchObject({ code: 127 });
  });

  test("that can't do what we told them are no damaged films", async () => {
    const args = "-f lavfi -i color=red:s=10x10:d=1 -vf pad=5:5 -f null -".split(" ");
    const programs = { ffmpeg: "ffmpeg", ffprobe: "ffprobe" };
    expect(await failure(ffmpeg(programs, args, options))).toBe("LimitExceeded");
  });

  test("don't outlive a process that is killed", async () => {
    await inFolder(async (folder) => {
      const script = `
        import { run } from ${JSON.stringify(programUrl(SOURCE, "./ffmpeg.ts").href)};
        const { signal } = new AbortController();
        const options = { folder: ${JSON.stringify(folder)}, seconds: 600, memoryBytes: 2 ** 32, threads: 1, signal };
        await run("sh", ["-c", "echo $$ > pid; exec sleep 600"], options);`;
      const parent = spawn(process.execPath, ["--input-type=module", "-e", script], { stdio: "inherit" });
      const pid = async (): Promise<number> =>
        Number(await readFile(join(folder, "pid"), "utf8").catch(() => 0));
      await expect.poll(pid, { timeout: 10_000 }).toBeGreaterThan(0);
      const child = await pid();
      expect(isAlive(child)).toBe(true);
      parent.kill("SIGKILL");
      await expect.poll(() => isAlive(child), { timeout: 10_000 }).toBe(false);
    });
  }, 30_000);
});

const running = (): string => execFileSync("ps", ["-eo", "args"]).toString();

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** ffmpeg processes that work on films of that folder. */
async function encoders(folder: string): Promise<number> {
  await sleep(20);
  const list = execFileSync("ps", ["-eo", "args"]).toString().split("\n");
  return list.filter((line) => line.startsWith("ffmpeg") && line.includes(folder)).length;
}
