/** Prompts that only a model understands: who may ask it, what it may say, and that its word is kept. */
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createEndpoint } from "../../src/delivery/origins/endpoints.ts";
import { signUrl } from "../../src/delivery/signature.ts";
import { locate } from "../../src/delivery/site.ts";
import { startWeb, type WebServer } from "./origins/storage.ts";
import {
  BLUE,
  GREEN,
  openSite,
  outcomeOf,
  quadrants,
  RED,
  sizeOf,
  WHITE,
  type Reply,
  type Site,
} from "./site.ts";

let site: Site;
let model: WebServer;
/** What the model says next; a number is a status. */
let word: string | number;
const asked: { prompt: string; temperature: number; authorization: string | undefined }[] = [];

beforeAll(async () => {
  model = await startWeb((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const { messages, temperature } = JSON.parse(Buffer.concat(chunks).toString()) as {
        messages: { content: string }[];
        temperature: number;
      };
      asked.push({
        prompt: messages.at(-1)!.content,
        temperature,
        authorization: request.headers.authorization,
      });
      if (typeof word === "number") response.writeHead(word);
      response.end(JSON.stringify({ choices: [{ message: { content: word } }] }));
    });
  });
  site = await openSite(
    {},
    { services: { prompts: { url: `${model.url}/v1`, token: "secret", model: "m" } } },
  );
  await site.put("photo.jpg", await quadrants(300, 200).jpeg().toBuffer(), {
    meta: { contentType: "image/jpeg" },
  });
  await createEndpoint(site.store, { name: "open", origins: ["photos"], allowPrompts: true });
});
afterAll(async () => {
  await site[Symbol.asyncDispose]();
  await model[Symbol.asyncDispose]();
});

const wish = (prompt: string, rest = ""): Promise<Reply> =>
  site.get(`/root/open/photo.jpg?ai=${encodeURIComponent(prompt)}${rest}`);

test("rules come first: what they understand is asked of nobody", async () => {
  expect(await sizeOf((await wish("make it square")).body)).toBe("jpeg 200x200");
  expect(asked).toEqual([]);
});

test("formats are chosen by what the client reads, as without a prompt; alias URLs keep the source's", async () => {
  const headers = { accept: "image/avif,image/webp" };
  const ai = encodeURIComponent("make it square");
  const chosen = await site.get(`/root/photo.jpg?ai=${ai}`, { headers });
  expect(chosen.headers.get("vary")).toContain("Accept");
  expect(await sizeOf(chosen.body)).toMatch(/^(heif|webp) 200x200$/);
  const kept = await site.get(`/image/photos/photo.jpg?ai=${ai}`, { headers });
  expect(await sizeOf(kept.body)).toBe("jpeg 200x200");
});

test.each([
  ["keep the left half", "w=60", "jpeg 60x80"],
  ["half size", "h=50", "jpeg 75x50"],
  ["rotate right", "rotate=90", "jpeg 300x200"],
  ["rotate right", "w=100", "jpeg 100x150"],
  ["add a 10px red border", "w=160", "jpeg 160x110"],
  ["make it grayscale", "w=30", "jpeg 30x20"],
  ["blur by 20", "w=30", "jpeg 30x20"],
])("%s, and %s: first the one, then the other", async (prompt, options, size) => {
  const reply = await site.get(`/image/photos/photo.jpg?ai=${encodeURIComponent(prompt)}&${options}`);
  expect(await sizeOf(reply.body)).toBe(size);
});

test("what comes after a border is done to the border too", async () => {
  const reply = await wish("add a 20px red border and make it black and white");
  const { data } = await sharp(reply.body).raw().toBuffer({ resolveWithObject: true });
  const [red = 0, green = 0, blue = 0] = data;
  expect(Math.max(red, green, blue) - Math.min(red, green, blue)).toBeLessThan(10);
  const other = await wish("make it black and white and add a 20px red border");
  const { data: coloured } = await sharp(other.body).raw().toBuffer({ resolveWithObject: true });
  expect([...coloured.subarray(0, 3)].map((value) => value > 128)).toEqual([true, false, false]);
});

test.each<[string, string, readonly number[], readonly number[]]>([
  ["keep the bottom third", "300x67", BLUE, WHITE],
  ["keep the right 30%", "90x200", GREEN, WHITE],
  ["keep the top 50px", "300x50", RED, GREEN],
  ["keep the top 500px", "300x200", RED, WHITE],
  ["cut off the bottom 120 pixels", "300x80", RED, GREEN],
  ["cut off the left 10%", "270x200", RED, WHITE],
  ["rotate right, then cut off the bottom 120 pixels", "200x180", BLUE, GREEN],
  ["crop to 100x20 from the bottom", "100x20", BLUE, WHITE],
  ["crop it to 3:1 from the top", "300x100", RED, GREEN],
  ["max width 600", "300x200", RED, WHITE],
  ["max width 150", "150x100", RED, WHITE],
  ["make it square, then reduce by half", "100x100", RED, WHITE],
  ["make it square, then double the size", "400x400", RED, WHITE],
])("%s: %s, its first and its last corner", async (prompt, size, first, last) => {
  const { body } = await wish(`${prompt} and save as png`);
  const { data, info } = await sharp(body).removeAlpha().raw().toBuffer({ resolveWithObject: true });
  expect(`${info.width}x${info.height}`).toBe(size);
  const near = (at: number): number[] =>
    [...data.subarray(at, at + 3)].map((value) => (value > 127 ? 255 : 0));
  expect([near(0), near(data.length - 3)]).toEqual([first, last]);
});

test("more than there is can't be cut off", async () => {
  expect(outcomeOf(await wish("cut off the bottom 200 pixels"))).toBe("400 InvalidParameter");
});

/** How far the picture is from red 45 pixels of its source from where the next colour begins. */
async function stain(prompt: string): Promise<number> {
  const { data, info } = await sharp((await wish(prompt)).body)
    .raw()
    .toBuffer({ resolveWithObject: true });
  expect([info.width, info.height]).toEqual([30, 20]);
  const at = (2 * 30 + 10) * 3;
  return Math.max(...RED.map((value, n) => Math.abs(value - data[at + n]!)));
}

test("a blur that is said before a resize is done before it", async () => {
  // Two sigmas of the one, a quarter of one of the other.
  expect(await stain("blur by 20 and resize to 30 wide")).toBeLessThan(25);
  expect(await stain("resize to 30 wide and blur by 20")).toBeGreaterThan(60);
});

test("a refusal's words are in its body as they are, and in headers as ASCII", async () => {
  const reply = await site.get(`/image/photos/photo.jpg?ai=${encodeURIComponent("고양이를 추가해줘")}`);
  expect(reply.headers.get("x-windlass-error")).toMatch(/^PromptNotUnderstood - ai: "\\uace0\\uc591/);
  expect((JSON.parse(reply.body.toString()) as { message: string }).message).toContain("고양이를");
});

test("strangers can't make the model work: the URL is signed, or the endpoint allows it", async () => {
  word = '{"width": 100}';
  const url = `${site.url}/image/photos/photo.jpg?ai=like%20a%20stamp`;
  expect(outcomeOf(await site.get(url.slice(site.url.length)))).toBe("422 PromptNotUnderstood");
  expect(asked).toEqual([]);
  const place = await locate(site.store, {
    host: undefined,
    path: "/image/photos/photo.jpg",
    rawQuery: "ai=like%20a%20stamp",
  });
  const signed = await signUrl(site.store, { url, place, scheme: "windlass" });
  expect(await sizeOf((await site.get(signed.slice(site.url.length))).body)).toBe("jpeg 100x67");
  expect(asked).toEqual([{ prompt: "like a stamp", temperature: 0, authorization: "Bearer secret" }]);
});

test("what it said once holds for ever, whatever it would say now", async () => {
  word = '{"width": 50, "grayscale": true}';
  const first = await wish("tiny and sad", "&debug=true");
  expect(JSON.parse(first.headers.get("x-weekerp-applied-options")!)).toEqual({ width: 50, grayscale: true });
  word = '{"width": 60}';
  const before = asked.length;
  for (const same of ["tiny and sad", "  tiny  and sad "]) {
    expect(await sizeOf((await wish(same)).body)).toBe("jpeg 50x33");
  }
  expect(asked).toHaveLength(before);
});

describe("what it may say", () => {
  test.each<[string, string, string]>([
    [
      "numbers a little out of range are brought back",
      '{"width": 100, "quality": 150, "blur": 0.2}',
      "200 -",
    ],
    ["a quality far out of range", '{"width": 100, "quality": 5000}', "422 PromptNotUnderstood"],
    ["a share where whole numbers stand", '{"width": 100, "quality": 0.8}', "422 PromptNotUnderstood"],
    ["a negative width", '{"width": -5}', "422 PromptNotUnderstood"],
    ["no width", '{"width": 0}', "422 PromptNotUnderstood"],
    ["a width of a hundred thousand", '{"width": 100000}', "422 PromptNotUnderstood"],
    ["a negative saturation", '{"saturation": -0.5}', "422 PromptNotUnderstood"],
    ["many turns", '{"rotate": 9999}', "422 PromptNotUnderstood"],
    ["an option that doesn't exist", '{"width": 100, "exec": "rm"}', "422 PromptNotUnderstood"],
    ["nothing", "{}", "422 PromptNotUnderstood"],
    ["no JSON", "I would rather talk about the weather.", "422 PromptNotUnderstood"],
    ["a list", "[1,2]", "422 PromptNotUnderstood"],
    ["a word where a number stands", '{"width": "../../etc/passwd"}', "422 PromptNotUnderstood"],
  ])("%s", async (name, said, expected) => {
    word = said;
    expect(outcomeOf(await wish(`wish of ${name}`))).toBe(expected);
  });

  test("more than a turn is what is left of it", async () => {
    word = '{"rotate": 450}';
    expect(await sizeOf((await wish("spin like a top")).body)).toBe("jpeg 200x300");
  });

  test("what is refused is not kept: the model may know better the next time", async () => {
    word = '{"width": -5}';
    const place = await locate(site.store, {
      host: undefined,
      path: "/image/photos/photo.jpg",
      rawQuery: "ai=inside%20out",
    });
    const url = `${site.url}/image/photos/photo.jpg?ai=inside%20out`;
    const signed = await signUrl(site.store, { url, place, scheme: "windlass" });
    const path = signed.slice(site.url.length);
    expect(outcomeOf(await site.get(path))).toBe("422 PromptNotUnderstood");
    word = '{"width": 40}';
    expect(await sizeOf((await site.get(path)).body)).toBe("jpeg 40x27");
  });

  test("a model that is down is a bad gateway, and is asked again the next time", async () => {
    word = 500;
    expect(outcomeOf(await wish("down with it"))).toBe("502 OriginFailed");
    word = '{"width": 70}';
    expect(await sizeOf((await wish("down with it")).body)).toBe("jpeg 70x47");
  });
});
