/** What a file is told by: its first bytes choose the demuxer, and nothing else does. */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { beginsAsFilm, demuxerOf } from "../../../../src/delivery/video/probe.ts";

const at = (offset: number, text: string, encoding: BufferEncoding = "latin1"): Buffer =>
  Buffer.concat([Buffer.alloc(offset), Buffer.from(text, encoding), Buffer.alloc(400)]);

test.each([
  [at(4, "ftypisom"), "mov"],
  [at(4, "moov"), "mov"],
  [at(4, "mdat"), "mov"],
  [at(0, "1a45dfa3", "hex"), "matroska"],
  [at(0, "OggS"), "ogg"],
  [at(0, "RIFF....AVI LIST"), "avi"],
  [at(0, "GIF89a"), "gif"],
  [at(0, "000001ba", "hex"), "mpeg"],
  [at(0, "000001b3", "hex"), "mpegvideo"],
  [at(0, `47${"00".repeat(187)}47`, "hex"), "mpegts"],
  [at(4, `47${"00".repeat(191)}47`, "hex"), "mpegts"],
  [at(0, "0000000140010c01", "hex"), "hevc"],
  [at(0, "00000140010c01", "hex"), "hevc"],
])("%#: a film is known by its first bytes", (head, demuxer) => {
  expect(demuxerOf(head)).toBe(demuxer);
});

test.each([
  "#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
  "ffconcat version 1.0\nfile /etc/passwd\n",
  "<?xml version='1.0'?><MPD><BaseURL>file:///etc/passwd</BaseURL></MPD>",
  "<smil><video src='http://169.254.169.254/'/></smil>",
  "subfile,,start,0,end,100,,:/etc/passwd",
  "RIFF....WEBPVP8 ",
  "\u0089PNG\r\n\u001a\n",
  "[Script Info]\n",
  "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\n",
  "",
])("%j is no film", (text) => {
  expect(demuxerOf(Buffer.from(text, "latin1"))).toBeUndefined();
});

test("text of any kind is no film", () => {
  // A transport stream's packets begin with "G", 188 or 192 bytes apart: a demuxer that reads no other files.
  const harmless: (string | undefined)[] = [undefined, "mpegts"];
  fc.assert(
    fc.property(fc.string({ unit: "grapheme-ascii", maxLength: 600 }), (text) => {
      fc.pre(
        !/^(GIF8[79]a|OggS|RIFF)/.test(text) && !/^.{4}(ftyp|moov|mdat|wide|free|skip|pnot)/s.test(text),
      );
      return harmless.includes(demuxerOf(Buffer.from(text)));
    }),
  );
});

test.each([
  [at(4, "ftypisom"), true],
  [at(4, "moov"), true],
  [at(4, "ftypheic"), false],
  [at(4, "ftypavif"), false],
  [at(4, "ftypM4A "), false],
  [at(0, "OggS....................................theora"), true],
  [at(0, "OggS....................................OpusHead"), false],
  [at(0, "GIF89a"), false],
  [at(0, `47${"00".repeat(187)}47`, "hex"), true],
  [at(0, "const greeting = 1;"), false],
  [Buffer.alloc(0), false],
])("%#: what begins so is a film: %s", (head, film) => {
  expect(beginsAsFilm(head)).toBe(film);
});
