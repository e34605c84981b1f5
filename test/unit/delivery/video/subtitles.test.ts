/** SubRip and WebVTT are read as players read them, and nothing in them is an instruction to who draws them. */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { assOf, assText, parseCues } from "../../../../src/delivery/video/subtitles.ts";

test("SubRip", async () => {
  const text =
    "\ufeff1\r\n00:00:01,500 --> 00:00:03,000\r\nOne\r\ntwo\r\n\r\n2\r\n01:00:00,000 --> 01:00:01,250\r\nThree\r\n";
  expect(await parseCues(text)).toEqual([
    { from: 1.5, to: 3, text: "One\ntwo" },
    { from: 3600, to: 3601.25, text: "Three" },
  ]);
});

test("WebVTT with notes, styles, names and settings", async () => {
  const text = [
    "WEBVTT - a film",
    "",
    "STYLE",
    "::cue { color: red }",
    "",
    "NOTE nobody reads this",
    "",
    "first",
    "00:01.000 --> 00:02.500 align:start line:0",
    "<v Ann>Hello</v>",
    "",
    "00:03.000 --> 00:03.000",
    "never seen",
  ].join("\n");
  expect(await parseCues(text)).toEqual([{ from: 1, to: 2.5, text: "<v Ann>Hello</v>" }]);
});

test("without empty lines between, numbers are numbers", async () => {
  const text = "1\n00:00:01,000 --> 00:00:02,000\nOne\n2\n00:00:02,000 --> 00:00:03,000\nTwo";
  expect((await parseCues(text)).map((cue) => cue.text)).toEqual(["One", "Two"]);
});

test("more entries than anyone reads are refused", async () => {
  const text = "00:01.000 --> 00:02.000\nx\n\n".repeat(20_001);
  await expect(parseCues(text)).rejects.toThrow(expect.objectContaining({ code: "LimitExceeded" }));
});

test.each([
  ["empty lines", "\n".repeat(2_000_000)],
  ["times of nothing", "00:00.000 --> 00:00.000\nx\n".repeat(70_000)],
])("others have their turn while %s are read", async (_, text) => {
  let turns = 0;
  const taking = setInterval(() => turns++);
  try {
    await parseCues(text);
  } finally {
    clearInterval(taking);
  }
  expect(turns).toBeGreaterThan(0);
});

const ALONE = { family: "Open Sans", others: new Map<string, string>() };

describe("text", () => {
  test.each([
    ["plain", "plain"],
    ["a\nb", "a\\Nb"],
    ["<b>bold</b> <i>it</i> <u>un</u>", "{\\b1}bold{\\b0} {\\i1}it{\\i0} {\\u1}un{\\u0}"],
    ["<font color=red>x</font><c.loud>y</c>", "xy"],
    ["Tom &amp; Jerry &lt;3 &unknown;", "Tom & Jerry <3 &unknown;"],
    ["{\\an8}above", "above"],
    ["{\\a{\\b}c", "\\{\\\u2060ac"],
    ["{braces}", "\\{braces\\}"],
    ["a\\Nb", "a\\\u2060Nb"],
    ["1 < 2 > 0", "1 < 2 > 0"],
  ])("%j", (from, to) => {
    expect(assText(from, ALONE)).toBe(to);
  });

  test("names another font for what the own one lacks, and the own one behind it", () => {
    const others = new Map(["안", "녕", "😀"].map((sign) => [sign, sign === "😀" ? "Emoji" : "Korean"]));
    const families = { family: "Own", others };
    expect(assText("a 안 녕, b", families)).toBe("a {\\fnKorean}안 녕{\\fnOwn}, b");
    expect(assText("안\u0301😀", families)).toBe("{\\fnKorean}안\u0301{\\fnEmoji}😀{\\fnOwn}");
    expect(assText("<b>안</b>", families)).toBe("{\\b1}{\\fnKorean}안{\\fnOwn}{\\b0}");
  });

  test("holds no instruction but bold, italic, underlined and line ends", () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(...Array.from("ab{}\\<>/&;N1 \n\u0007")) }), (text) => {
        const rest = assText(text, ALONE)
          .replaceAll(/\{\\[biu][01]\}/g, "")
          .replaceAll(/\\[{}N]|\\\u2060/g, "");
        return !/[{}\\\p{Cc}]/u.test(rest);
      }),
    );
  });
});

async function scriptOf(...args: Parameters<typeof assOf>): Promise<string> {
  let script = "";
  for await (const piece of assOf(...args)) script += piece;
  return script;
}

test("every cue is one line of the script, whatever it holds", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ maxLength: 40 }), { minLength: 1, maxLength: 5 }),
      async (texts) => {
        const cues = texts.map((text, n) => ({ from: n, to: n + 1, text }));
        const script = await scriptOf(
          cues,
          {},
          { size: { width: 640, height: 360 }, families: ALONE, seconds: 10 },
        );
        const lines = script.split(/\r\n|\r|\n/).filter((line) => line !== "");
        return (
          lines.filter((line) => line.startsWith("Dialogue: 0,0:00:0")).length === texts.length &&
          lines.filter((line) => line.startsWith("[")).length === 3 &&
          lines.length === 10 + texts.length
        );
      },
    ),
  );
});

test("a style is the script's style", async () => {
  const style = {
    fontSize: 20,
    colour: { r: 255, g: 128, b: 0, a: 1 },
    background: { r: 0, g: 0, b: 255, a: 0.5 },
    bold: true,
  };
  const script = await scriptOf([{ from: 0.04, to: 3723.5, text: "x" }], style, {
    size: { width: 640, height: 360 },
    families: { family: "Lato", others: new Map() },
    seconds: 10,
  });
  expect(script).toContain("Style: Default,Lato,20,&H000080FF,");
  expect(script).toContain("&H80FF0000,-1,0,");
  expect(script).toContain("Dialogue: 0,0:00:00.04,1:02:03.50,Default,,0,0,0,,x");
});
