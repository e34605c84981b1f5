/** Films by URL: transformed, cut, overlaid, as thumbnails; and what is no film. */
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { startWeb } from "../origins/storage.ts";
import { colourAt, openSite, outcomeOf, sizeOf, takeNextFound, type Site } from "../site.ts";
import { clip, frameAt, hasFfmpeg, loudness, probeFilm, remade } from "./clips.ts";

const here = await hasFfmpeg();

describe.skipIf(!here)("films", () => {
  let site: Site;
  let film: Buffer;
  beforeAll(async () => {
    site = await openSite();
    film = await clip({ width: 320, height: 180, seconds: 4 });
    await site.put("film.mp4", film, { meta: { contentType: "video/mp4" } });
    await site.put("mute", await clip({ width: 320, height: 180, seconds: 2, sound: false }), {
      meta: { contentType: "video/mp4" },
    });
    await site.put(
      "moving.gif",
      await clip({ width: 64, height: 48, seconds: 1, format: "gif", sound: false }),
      {
        meta: { contentType: "image/gif" },
      },
    );
    await site.put(
      "logo.png",
      await sharp({ create: { width: 40, height: 40, channels: 3, background: "#ffffff" } })
        .png()
        .toBuffer(),
    );
    await site.put("words.srt", Buffer.from("1\n00:00:00,000 --> 00:00:03,000\nHello there\n"));
  }, 60_000);
  afterAll(() => site[Symbol.asyncDispose]());

  test("the original comes byte for byte, and in ranges", async () => {
    const whole = await site.get("/root/film.mp4");
    expect([whole.status, whole.body.equals(film), whole.headers.get("content-type")]).toEqual([
      200,
      true,
      "video/mp4",
    ]);
    const part = await site.get("/video/photos/film.mp4", { headers: { range: "bytes=100-199" } });
    expect([part.status, part.body.equals(film.subarray(100, 200))]).toEqual([206, true]);
  });

  test.each([
    ["tr:w-160/film.mp4", ["h264 160x90", "aac"], 4],
    ["tr:w-100,h-100/film.mp4", ["h264 100x100", "aac"], 4],
    ["tr:w-200,h-200,cm-pad_resize,bg-00FF00/film.mp4", ["h264 200x200", "aac"], 4],
    ["tr:w-200,h-200,cm-pad_resize,bg-blurred/film.mp4", ["h264 200x200", "aac"], 4],
    ["tr:w-161,h-91,c-force/film.mp4", ["h264 160x90", "aac"], 4],
    ["tr:w-101,h-300,cm-pad_resize/film.mp4", ["h264 100x300", "aac"], 4],
    ["tr:w-301,h-101,cm-pad_resize,fo-left,b-3_FF0000/film.mp4", ["h264 306x106", "aac"], 4],
    ["tr:w-400,h-181,cm-pad_extract/film.mp4", ["h264 400x180", "aac"], 4],
    ["tr:l-video,i-film.mp4,w-101,h-77,r-20,l-end/film.mp4", ["h264 320x180", "aac"], 4],
    ["tr:l-video,i-film.mp4,w-101,h-300,cm-pad_resize,l-end/film.mp4", ["h264 320x180", "aac"], 4],
    ["tr:h-90,rt-90/film.mp4", ["h264 90x160", "aac"], 4],
    ["tr:w-100,b-5_FF0000/film.mp4", ["h264 110x66", "aac"], 4],
    ["film.mp4?tr=w-160,ac-none", ["h264 160x90"], 4],
    ["film.mp4?tr=vc-none", ["aac"], 4],
    ["film.mp4?tr=w-160,so-1,du-2", ["h264 160x90", "aac"], 2],
    ["film.mp4?tr=w-160,so-1,eo-1.5", ["h264 160x90", "aac"], 0.5],
    ["film.mp4?tr=w-160:if-w_lt_200,so-1,du-2,if-else,so-3,if-end", ["h264 160x90", "aac"], 2],
    ["film.mp4?tr=h-90,rt-90:if-h_lt_170,so-3,if-end", ["h264 90x160", "aac"], 1],
    ["film.mp4?tr=w-160,f-webm", ["vp9 160x90", "opus"], 4],
    ["film.mp4?tr=w-160,vc-av1,du-1", ["av1 160x90", "opus"], 1],
    ["film.mp4?tr=ac-opus,vc-none", ["opus"], 4],
    ["mute/ik-video.mp4?tr=w-160", ["h264 160x90"], 2],
    ["moving.gif/ik-gif-video.mp4", ["h264 64x48"], 1],
  ])(
    "%s",
    async (path, streams, seconds) => {
      const reply = await site.get(`/root/${path}`);
      expect([reply.status, reply.headers.get("x-windlass-error")]).toEqual([200, null]);
      const probed = await probeFilm(reply.body);
      expect([...probed.streams].toSorted()).toEqual([...streams].toSorted());
      expect(Math.abs(probed.seconds - seconds)).toBeLessThan(0.3);
    },
    60_000,
  );

  test("alias URLs have the options that films know", async () => {
    const reply = await site.get("/video/photos/film.mp4?w=100&h=100&fit=contain");
    expect((await probeFilm(reply.body)).streams).toContain("h264 100x100");
  }, 60_000);

  test("what was made is kept, comes in ranges, and is 304 for who has it", async () => {
    const path = "/root/tr:w-80/film.mp4";
    const { hits, misses } = site.delivery.counts().cache;
    const first = await site.get(path);
    const part = await site.get(path, { headers: { range: "bytes=10-19" } });
    expect(site.delivery.counts().cache).toMatchObject({ hits: hits + 1, misses: misses + 1 });
    expect(first.headers.get("server-timing")).toMatch(/^render;dur=\d/);
    expect([first.headers.get("x-cache"), part.headers.get("x-cache"), part.status]).toEqual([
      "MISS",
      "HIT",
      206,
    ]);
    expect(part.body.equals(first.body.subarray(10, 20))).toBe(true);
    const again = await site.get(path, { headers: { "if-none-match": first.headers.get("etag")! } });
    expect(again.status).toBe(304);
  }, 60_000);

  test("what is taken between its finding and its first byte is made again", async () => {
    const grainy = await remade(film, ["-vf", "noise=alls=100:allf=t"]);
    await site.put("grainy.mp4", grainy, { meta: { contentType: "video/mp4" } });
    const path = "/root/tr:w-240,q-100,du-1/grainy.mp4";
    const { body } = await site.get(path);
    // More than entries that are read whole.
    expect(body.length).toBeGreaterThan(256 * 1024);
    takeNextFound();
    const reply = await site.get(path);
    expect([reply.status, reply.headers.get("x-cache"), reply.body.equals(body)]).toEqual([200, "HIT", true]);
  }, 60_000);

  test("films of which neither type nor name tells are films where the URL says so, or their beginning", async () => {
    for (const contentType of [undefined, "binary/octet-stream", "application/mp4"]) {
      await site.put("untold", film, { meta: contentType === undefined ? {} : { contentType } });
      const plain = await site.get("/root/untold/ik-video.mp4");
      expect([plain.headers.get("content-type"), plain.body.equals(film)]).toEqual(["video/mp4", true]);
      const small = await site.get("/root/untold/ik-video.mp4?tr=w-64");
      expect((await probeFilm(small.body)).streams).toContain("h264 64x36");
      const frame = await site.get("/root/untold/ik-thumbnail.jpg");
      expect([frame.status, await sizeOf(frame.body)]).toEqual([200, "jpeg 320x180"]);
    }
    expect(outcomeOf(await site.get("/root/logo.png/ik-video.mp4?tr=w-64"))).toBe("415 UnsupportedSource");
    const webm = await clip({ width: 64, height: 48, seconds: 1, format: "webm", sound: false });
    for (const [body, type] of [
      [webm, "video/webm"],
      [Buffer.from("a letter"), "application/octet-stream"],
    ] as const) {
      await site.put("untold", body, { meta: { contentType: "binary/octet-stream" } });
      const { headers } = await site.get("/root/untold/ik-video.mp4");
      expect(headers.get("content-type")).toBe(type);
    }
  }, 60_000);

  test("films that uploads call something else are films, and what only looks like one by its name is none", async () => {
    const ogg = await clip({ width: 64, height: 48, seconds: 1, format: "ogg", sound: false });
    const ts = await clip({ width: 64, height: 48, seconds: 1, format: "ts", sound: false });
    for (const [name, contentType, body] of [
      ["spoken.3gp", "audio/3gpp", film],
      ["loud.bin", "VIDEO/MP4", film],
      ["film.ogg", "audio/ogg", ogg],
      ["film.ts", "application/octet-stream", ts],
    ] as const) {
      await site.put(name, body, { meta: { contentType } });
      const reply = await site.get(`/root/tr:w-32/${name}`);
      expect([name, reply.status, reply.headers.get("content-type")]).toEqual([name, 200, "video/mp4"]);
      expect((await site.get(`/root/${name}/metadata`)).body.toString()).toContain('"duration":');
    }
    await site.put("program.ts", Buffer.from("const one = 1;\n"), { meta: { contentType: "text/plain" } });
    const program = await site.get("/root/program.ts");
    expect([program.status, program.headers.get("content-type")]).toEqual([200, "text/plain"]);
    expect(outcomeOf(await site.get("/root/tr:w-32/program.ts"))).toBe("415 UnsupportedSource");
  }, 60_000);

  test("crops keep the side that the focus names", async () => {
    const left = await site.get("/root/tr:w-100,h-180,fo-left/film.mp4");
    const right = await site.get("/root/tr:w-100,h-180,fo-right/film.mp4");
    expect(await colourAt(await frameAt(left.body, 0.5), 0.5, 0.5)).toBe("red");
    expect(await colourAt(await frameAt(right.body, 0.5), 0.5, 0.5)).toBe("blue");
  }, 60_000);

  test("thumbnails are pictures, of the time and with all that pictures have", async () => {
    const first = await site.get("/root/film.mp4/ik-thumbnail.jpg");
    expect([first.headers.get("content-type"), await sizeOf(first.body)]).toEqual([
      "image/jpeg",
      "jpeg 320x180",
    ]);
    expect(await colourAt(first.body, 0.1, 0.5)).toBe("red");
    const later = await site.get("/root/film.mp4/ik-thumbnail.jpg?tr=so-3,w-100,h-100,r-max");
    expect([await sizeOf(later.body), await colourAt(later.body, 0.5, 0.5)]).toEqual([
      "jpeg 100x100",
      "green",
    ]);
    expect(await colourAt(later.body, 0.02, 0.02)).toBe("white");
  }, 60_000);

  test.each(["png", "webp", "avif"])("thumbnails are %s where the plan says so", async (format) => {
    const reply = await site.get(`/root/film.mp4/ik-thumbnail.jpg?tr=f-${format},w-64`);
    expect([reply.status, reply.headers.get("content-type")]).toEqual([200, `image/${format}`]);
  });

  test("the quality is that of films, whatever else stands under a condition", async () => {
    const plain = await site.get("/root/tr:w-160/film.mp4");
    const judged = await site.get("/root/tr:if-iw_gt_10,w-160,if-end/film.mp4");
    const other = await site.get("/root/tr:w-160:if-iw_lt_10,q-90,if-end/film.mp4");
    const better = await site.get("/root/tr:w-160:if-iw_gt_10,q-90,if-end/film.mp4");
    expect([judged.body.length, other.body.length]).toEqual([plain.body.length, plain.body.length]);
    expect(better.body.length).toBeGreaterThan(plain.body.length);
  }, 60_000);

  test.each([
    ["tr:w-64/film.mp4?ik-attachment=true", "film.mp4"],
    ["tr:w-64,f-webm/film.mp4?ik-attachment=true", "film.webm"],
    ["film.mp4/ik-thumbnail.jpg?ik-attachment=true", "film.jpg"],
    ["film.mp4/ik-thumbnail.jpg?tr=f-png&ik-attachment=true", "film.png"],
    ["film.mp4?ik-attachment=true", "film.mp4"],
  ])(
    "%s is saved as %s",
    async (path, name) => {
      const { headers } = await site.get(`/root/${path}`);
      expect(headers.get("content-disposition")).toContain(`attachment; filename="${name}"`);
    },
    60_000,
  );

  test("what a film is can be asked for, and is kept", async () => {
    const reply = await site.get("/root/film.mp4/metadata");
    expect(reply.headers.get("content-type")).toBe("application/json");
    const facts = JSON.parse(reply.body.toString()) as { duration: number; bitRate: number; size: number };
    expect(facts).toMatchObject({ width: 320, height: 180, videoCodec: "h264", audioCodec: "aac" });
    expect(Math.abs(facts.duration - 4)).toBeLessThan(0.3);
    expect(facts.bitRate).toBeCloseTo((facts.size * 8) / facts.duration, -4);
    expect((await site.get("/root/film.mp4/metadata")).headers.get("x-cache")).toBe("HIT");
    const mute = await clip({ width: 64, height: 36, seconds: 1, sound: false });
    await site.put("mute.mp4", mute, { meta: { contentType: "video/mp4" } });
    const said = (await site.get("/root/mute.mp4/metadata")).body.toString();
    expect(said).toMatch(/^\{"height":36,"width":64,.*"videoCodec":"h264"/);
    expect(said).not.toContain("audioCodec");
  }, 60_000);

  test("how long a film is that doesn't say so is found out", async () => {
    const recording =
      "-c:v libvpx -deadline realtime -cpu-used 8 -c:a libopus -live 1 -output_ts_offset 1000";
    const late = await remade(film, recording.split(" "), "webm");
    const bare = await remade(film, "-c:v mpeg2video -an".split(" "), "m2v");
    const cut = await remade(film, "-c copy -output_ts_offset 2".split(" "), "mkv");
    for (const [name, body] of [
      ["late.webm", late],
      ["bare.mpg", bare],
      ["cut.mkv", cut],
    ] as const) {
      await site.put(name, body);
      const facts = await site.get(`/root/${name}/metadata`);
      expect(Math.abs((JSON.parse(facts.body.toString()) as { duration: number }).duration - 4)).toBeLessThan(
        0.1,
      );
      const half = await site.get(`/root/${name}?tr=w-64,so-idu_div_2`);
      expect(Math.abs((await probeFilm(half.body)).seconds - 2)).toBeLessThan(0.1);
      const manifest = await site.get(`/root/${name}/ik-master.mpd?tr=sr-240`);
      expect(manifest.body.toString()).toMatch(/mediaPresentationDuration="PT[34]\./);
      expect(outcomeOf(await site.get(`/root/${name}?tr=w-64,so-5`))).toBe("400 InvalidParameter");
    }
  }, 60_000);

  test.each([
    ["long.ts", "-c:v libx264 -g 250 -bf 2"],
    ["long.mpg", "-c:v mpeg2video -g 250"],
    ["long.hevc", "-an -c:v libx265 -x265-params keyint=250:log-level=none"],
  ])(
    "%s, which has no index, is cut where the URL says",
    async (name, codecs) => {
      await site.put(name, await remade(film, codecs.split(" "), name.slice("long.".length)));
      const frame = async (so: string): Promise<string> => {
        const { body } = await site.get(`/root/${name}/ik-thumbnail.jpg?tr=so-${so}`);
        return (await sizeOf(body)) + (await colourAt(body, 0.1, 0.5));
      };
      expect([await frame("1.5"), await frame("2.5")]).toEqual(["jpeg 320x180red", "jpeg 320x180green"]);
      const part = await site.get(`/root/${name}?tr=w-160,so-1.5,du-1`);
      expect(Math.abs((await probeFilm(part.body)).seconds - 1)).toBeLessThan(0.1);
      expect(await colourAt(await frameAt(part.body, 0.2), 0.1, 0.5)).toBe("red");
      expect(await colourAt(await frameAt(part.body, 0.8), 0.1, 0.5)).toBe("green");
    },
    60_000,
  );

  const cue = Buffer.from("1\n00:00:00,000 --> 00:00:01,000\nHello\n").toString("base64");
  const subtitles = `-f srt -i data:text/plain;base64,${cue} -map 0 -map 1 -c copy -c:s`;
  test.each([
    ["subtitles.mp4", `${subtitles} mov_text`],
    ["subtitles.mkv", `${subtitles} srt`],
    ["styled.mkv", `${subtitles} ass`],
    ["commented.mkv", "-map 0 -map 0:a -c copy -c:a:0 dca -strict -2"],
    ["cover.mkv", "-map 0 -map 0:v -c copy -c:v:1 png -frames:v:1 1 -disposition:v:1 attached_pic"],
    ["camera.mov", "-c:v copy -c:a pcm_s24be"],
    ["studio.mov", "-c:v copy -c:a pcm_f32le"],
    ["disc.ts", "-c:v copy -c:a pcm_bluray -mpegts_m2ts_mode 1"],
  ])(
    "%s has picture and sound, whatever else is in it",
    async (name, args) => {
      await site.put(name, await remade(film, args.split(" "), name.split(".")[1]));
      const reply = await site.get(`/root/tr:w-64/${name}`);
      expect([reply.status, reply.headers.get("x-windlass-error")]).toEqual([200, null]);
      expect((await probeFilm(reply.body)).streams).toEqual(["h264 64x36", "aac"]);
    },
    60_000,
  );

  test("of several sounds that one is heard which the film says is usual", async () => {
    const other = "-f lavfi -i anullsrc=d=4 -map 0:v -map 1:a -map 0:a -c:v copy -c:a flac";
    const usual = "-disposition:a:0 0 -disposition:a:1 default";
    await site.put("tongues.mkv", await remade(film, `${other} ${usual}`.split(" "), "mkv"));
    const { body } = await site.get("/root/tongues.mkv?tr=vc-none");
    expect(await loudness(body)).toBeGreaterThan(-40);
  }, 60_000);

  test("what can't be decoded here is said to be that, and is in nobody's way who doesn't need it", async () => {
    await site.put("pictures.mkv", await remade(film, "-c:v ffv1 -c:a copy".split(" "), "mkv"));
    await site.put("sound.mkv", await remade(film, "-c:v copy -c:a dca -strict -2".split(" "), "mkv"));
    for (const name of ["tr:w-64/pictures.mkv", "pictures.mkv/ik-thumbnail.jpg", "tr:w-64/sound.mkv"]) {
      expect([name, outcomeOf(await site.get(`/root/${name}`))]).toEqual([name, "415 UnsupportedSource"]);
    }
    const silent = await site.get("/root/tr:w-64,ac-none/sound.mkv");
    expect((await probeFilm(silent.body)).streams).toEqual(["h264 64x36"]);
    expect((await site.get("/root/sound.mkv/ik-thumbnail.jpg")).status).toBe(200);
  }, 60_000);

  test("pictures and text lie on films", async () => {
    const logo = await site.get("/root/tr:l-image,i-logo.png,lfo-top_left,l-end/film.mp4");
    expect(await colourAt(await frameAt(logo.body, 0.5), 0.05, 0.1)).toBe("white");
    const nasty = Buffer.from("it's: 100%{pts} \\ [x];,=").toString("base64");
    for (const layer of [
      `l-text,ie-${encodeURIComponent(nasty)},fs-40,co-FFFFFF,l-end`,
      "l-subtitles,i-words.srt,l-end",
    ]) {
      const reply = await site.get(`/root/film.mp4?tr=${layer}`);
      expect([layer, reply.status, reply.headers.get("x-windlass-error")]).toEqual([layer, 200, null]);
      const bright = await sharp(await frameAt(reply.body, 0.5))
        .grayscale()
        .stats();
      expect(bright.channels[0]!.max).toBeGreaterThan(230);
    }
  }, 120_000);

  test.each([
    ["film.mp4?tr=f-mp4,vc-vp9", "400 InvalidParameter"],
    ["film.mp4?tr=f-webm,ac-aac", "400 InvalidParameter"],
    ["film.mp4?tr=so-9", "400 InvalidParameter"],
    ["film.mp4?tr=so-3,eo-2", "400 InvalidParameter"],
    ["film.mp4?tr=rt-45", "400 InvalidParameter"],
    ["film.mp4?tr=w-16000,h-16000", "422 LimitExceeded"],
    ["mute/ik-video.mp4?tr=vc-none", "400 InvalidParameter"],
    ["film.mp4/ik-master.m3u8", "400 InvalidParameter"],
    ["film.mp4/ik-master.m3u8?tr=sr-240,w-100", "400 InvalidParameter"],
    [`film.mp4/ik-stream/${"0".repeat(32)}/media_0.m3u8?tr=sr-240`, "404 NotFound"],
  ])(
    "%s is %s",
    async (path, expected) => {
      expect(outcomeOf(await site.get(`/root/${path}`))).toBe(expected);
    },
    60_000,
  );

  test("who doesn't wait is told where to look, and finds it there", async () => {
    const path = "/root/tr:w-320,f-webm,q-90/film.mp4";
    const first = await site.get(path, { headers: { prefer: "respond-async, WAIT = 0" } });
    expect(JSON.parse(first.body.toString())).toMatchObject({
      state: expect.stringMatching(/^(queued|running)$/),
      progress: 0,
      status: first.headers.get("location"),
    });
    expect([
      first.status,
      first.headers.get("cache-control"),
      Number(first.headers.get("retry-after")) > 0,
    ]).toEqual([202, "no-store", true]);
    const job = await site.get(first.headers.get("location")!);
    expect(JSON.parse(job.body.toString())).toMatchObject({
      state: expect.stringMatching(/^(queued|running)$/),
    });
    expect((await site.get(path)).status).toBe(200);
    const done = await site.get(first.headers.get("location")!);
    expect(JSON.parse(done.body.toString())).toEqual({ state: "done", progress: 1 });
  }, 60_000);

  test("hostile films end in a 4xx", async () => {
    const secret = "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n";
    const lying = Buffer.from(film);
    lying.writeUInt32BE(0x7fffffff, lying.indexOf("mdat") - 4);
    const files: [string, Buffer][] = [
      ["playlist.mp4", Buffer.from(secret)],
      ["concat.mp4", Buffer.from("ffconcat version 1.0\nfile /etc/passwd\n")],
      ["empty.mp4", Buffer.alloc(0)],
      ["noise.mp4", Buffer.alloc(5000, 0xa5)],
      ["cut.mp4", film.subarray(0, 400)],
      ["atoms.mp4", Buffer.concat([Buffer.from("0000001866747970", "hex"), Buffer.alloc(2000, 0xff)])],
      ["text.webm", Buffer.concat([Buffer.from("1a45dfa3", "hex"), Buffer.alloc(3000, 0x42)])],
    ];
    for (const [name, body] of files) {
      await site.put(name, body, { meta: { contentType: "video/mp4" } });
      expect(`${name} ${outcomeOf(await site.get(`/root/tr:w-100/${name}`))}`).toMatch(/ 4(15|22) /);
    }
    await site.put("lying.mp4", lying, { meta: { contentType: "video/mp4" } });
    expect([200, 415, 422]).toContain((await site.get("/root/tr:w-100/lying.mp4")).status);
    expect((await site.get("/root/tr:w-70/film.mp4")).status).toBe(200);
  }, 60_000);
});

test.skipIf(!here)(
  "layers of films are made with the operator's services, within the operator's limits",
  async () => {
    const green = await sharp({ create: { width: 80, height: 80, channels: 3, background: "#00ff00" } })
      .png()
      .toBuffer();
    await using web = await startWeb((request, response) => {
      request.resume();
      response.end(green);
    });
    const models = { url: web.url, token: undefined };
    await using site = await openSite({ sourcePixels: 6400 }, { services: { models } });
    await site.put("film.mp4", await clip({ width: 320, height: 180, seconds: 1 }));
    await site.put("small.png", green);
    await site.put("large.png", await sharp(green).resize(81).png().toBuffer());
    const reply = await site.get("/root/film.mp4?tr=l-image,i-small.png,e-upscale,lfo-top_left,l-end");
    expect([reply.status, reply.headers.get("x-windlass-error")]).toEqual([200, null]);
    expect(await colourAt(await frameAt(reply.body, 0.5), 0.05, 0.1)).toBe("green");
    const large = await site.get("/root/film.mp4?tr=l-image,i-large.png,lfo-top_left,l-end");
    expect(outcomeOf(large)).toBe("422 LimitExceeded");
  },
  60_000,
);

test.skipIf(!here)(
  "films that were made before are served without ffmpeg, too",
  async () => {
    await using site = await openSite();
    await site.put("film.mp4", await clip({ width: 320, height: 180, seconds: 1 }));
    const stream = "/root/film.mp4/ik-master.m3u8?tr=sr-240";
    const paths = ["/root/tr:w-64/film.mp4", "/root/film.mp4/ik-thumbnail.jpg", stream];
    for (const path of paths) expect((await site.get(path)).status).toBe(200);
    // Only the playlist of what is complete may be kept.
    await expect
      .poll(async () => (await site.get(stream)).headers.get("cache-control"), { timeout: 20_000 })
      .toMatch(/max-age=[45]$/);
    await using lacking = await site.openWorker({ ffmpeg: "/nonexistent/ffmpeg" });
    for (const path of paths) expect([path, (await lacking.get(path)).status]).toEqual([path, 200]);
    expect(outcomeOf(await lacking.get("/root/tr:w-66/film.mp4"))).toBe("501 NotAvailable");
  },
  60_000,
);

test("without ffmpeg films are served as they are, and all else is 501", async () => {
  await using site = await openSite({}, { ffmpeg: "/nonexistent/ffmpeg" });
  await site.put("film.mp4", Buffer.from("film"), { meta: { contentType: "video/mp4" } });
  expect((await site.get("/root/film.mp4")).body.toString()).toBe("film");
  for (const path of [
    "/root/tr:w-100/film.mp4",
    "/root/film.mp4/ik-thumbnail.jpg",
    "/root/film.mp4/metadata",
    "/root/film.mp4/ik-master.m3u8?tr=sr-240",
  ]) {
    expect([path, outcomeOf(await site.get(path))]).toEqual([path, "501 NotAvailable"]);
  }
});
