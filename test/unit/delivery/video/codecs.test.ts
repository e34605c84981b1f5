/** Which containers, codecs and sounds go together, and what is chosen where nothing is said. */
import { describe, expect, test } from "vitest";
import type { FormatChoice, Options } from "../../../../src/delivery/plan/plan.ts";
import { codecsOf, encodingOf } from "../../../../src/delivery/video/codecs.ts";

const MP4 = { demuxer: "mov", videoCodec: "h264" };
const BOTH = { video: 0, audio: 1, ...MP4 };
const asked = (
  format: FormatChoice,
  video?: Options["videoCodec"],
  audio?: Options["audioCodec"],
): Parameters<typeof codecsOf>[0] => ({ format, video, audio });
const named = (...args: Parameters<typeof codecsOf>): string => Object.values(codecsOf(...args)).join(" ");

describe("ImageKit's table", () => {
  test.each([
    [asked("mp4", "h264", "aac"), "mp4 h264 aac"],
    [asked("mp4", "none", "aac"), "mp4 none aac"],
    [asked("mp4", "h264", "none"), "mp4 h264 none"],
    [asked("webm", "vp9", "opus"), "webm vp9 opus"],
    [asked("webm", "none", "opus"), "webm none opus"],
    [asked("webm", "vp9", "none"), "webm vp9 none"],
    [asked("webm", "av1", "opus"), "webm av1 opus"],
    [asked("webm", "av1", "none"), "webm av1 none"],
    [asked("auto"), "mp4 h264 aac"],
    [asked("source"), "mp4 h264 aac"],
    [asked("auto", "av1"), "webm av1 opus"],
    [asked("auto", undefined, "opus"), "webm vp9 opus"],
    [asked("webm"), "webm vp9 opus"],
  ])("%j is %s", (words, expected) => {
    expect(named(words, BOTH)).toBe(expected);
  });

  test.each([
    asked("mp4", "vp9"),
    asked("mp4", "av1", "aac"),
    asked("mp4", "h264", "opus"),
    asked("webm", "h264"),
    asked("webm", "vp9", "aac"),
    asked("auto", "h264", "opus"),
    asked("auto", "vp9", "aac"),
    asked("auto", "none", "none"),
    asked("webp"),
    asked("jpeg"),
  ])("%j is refused", (words) => {
    expect(() => codecsOf(words, BOTH)).toThrow(expect.objectContaining({ code: "InvalidParameter" }));
  });
});

test.each([
  ["source", "matroska", "vp9", undefined, "webm vp9 opus"],
  ["source", "matroska", "h264", undefined, "mp4 h264 aac"],
  ["source", "matroska", "vp8", "h264", "mp4 h264 aac"],
  ["source", "mov", "av1", undefined, "mp4 h264 aac"],
  ["auto", "matroska", "vp9", undefined, "mp4 h264 aac"],
] as const)("f-%s of %s with %s and vc-%s is %s", (format, demuxer, videoCodec, video, expected) => {
  expect(named(asked(format, video), { video: 0, audio: 1, demuxer, videoCodec })).toBe(expected);
});

test("what a film doesn't have is left out, but something must be left", () => {
  expect(named(asked("auto"), { ...MP4, video: 0, audio: undefined })).toBe("mp4 h264 none");
  expect(named(asked("auto"), { ...MP4, video: undefined, audio: 0 })).toBe("mp4 none aac");
  expect(() => codecsOf(asked("auto", "none"), { ...MP4, video: 0, audio: undefined })).toThrow("vc-none");
  expect(() => codecsOf(asked("auto", undefined, "none"), { ...MP4, video: undefined, audio: 0 })).toThrow(
    "ac-none",
  );
});

test("better quality never has a larger factor, and every one is within what encoders take", () => {
  const all = {
    encoders: new Set(["libx264", "libvpx-vp9", "libsvtav1", "aac", "libopus"]),
    filters: new Set<string>(),
  };
  for (const [video, max] of [
    ["h264", 51],
    ["vp9", 63],
    ["av1", 63],
  ] as const) {
    const factors = Array.from({ length: 100 }, (_, n) => {
      const args = encodingOf({ container: "mp4", video, audio: "none" }, n + 1, 2, all);
      return Number(args[args.indexOf("-crf") + 1]);
    });
    expect(factors).toEqual(factors.toSorted((a, b) => b - a));
    expect([Math.min(...factors) > 0, Math.max(...factors) <= max]).toEqual([true, true]);
  }
});

test("an encoder that this ffmpeg lacks is told by its name", () => {
  const few = { encoders: new Set(["libx264", "aac"]), filters: new Set<string>() };
  const make = (): unknown => encodingOf({ container: "webm", video: "av1", audio: "opus" }, 50, 2, few);
  expect(make).toThrow(expect.objectContaining({ code: "NotAvailable" }));
  expect(make).toThrow("libsvtav1");
});
