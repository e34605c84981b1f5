/** Prompts as they are kept: once resolved they never change their meaning, and strangers can't have a model work. */
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { DeliveryError } from "../../../src/delivery/errors.ts";
import { Prompts, type PromptWish } from "../../../src/delivery/plan/promptstore.ts";
import { startWeb, type WebServer } from "../../delivery/origins/storage.ts";
import { openFixture, OWNER, type Fixture } from "../store/fixture.ts";

let model: WebServer;
/** Questions that the model heard. */
let calls: number;
/** Its next answer; a number is a status. */
let reply: string | number;

beforeAll(async () => {
  model = await startWeb((request, response) => {
    request.resume();
    request.on("end", () => {
      calls++;
      if (typeof reply === "number") response.writeHead(reply);
      response.end(JSON.stringify({ choices: [{ message: { content: reply } }] }));
    });
  });
});
afterAll(() => model[Symbol.asyncDispose]());

/** Code and message. */
async function refusal(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => "served",
    (failure: unknown) => failure,
  );
  if (error instanceof DeliveryError) return `${error.code}: ${error.message}`;
  throw error;
}

const wish = (prompt: string, mayAsk = true, ownerId = OWNER) => ({
  ownerId,
  prompt,
  model: mayAsk ? ("free" as const) : ("never" as const),
});
const limited = (prompt: string) => ({ ownerId: OWNER, prompt, model: "limited" as const });

let fixture: Fixture;
let prompts: Prompts;
beforeEach(async () => {
  calls = 0;
  fixture = await openFixture();
  prompts = new Prompts(fixture.store, { url: model.url, token: undefined, model: "m" });
  reply = '{"blur": 3}';
  return () => fixture[Symbol.asyncDispose]();
});

/** As one request asks. */
async function options(asked: PromptWish, of = prompts): Promise<object> {
  await fixture.store.refresh();
  const [first, ...more] = await of.steps(asked);
  expect(more).toEqual([]);
  return first!;
}

test("what the rules understand is never asked of the service", async () => {
  expect(await options(wish("make it square"))).toEqual({ aspectRatio: 1 });
  expect(calls).toBe(0);
});

test("an interpretation is kept for ever, for its account, however the text is spaced or composed", async () => {
  expect(await options(wish("make it dreamy"))).toEqual({ blurSigma: 3 });
  reply = '{"blur": 9}';
  for (const same of ["make it dreamy", "  make  it\ndreamy "])
    expect(await options(wish(same, false))).toEqual({ blurSigma: 3 });
  const later = new Prompts(fixture.store, undefined);
  expect(await options(wish("make it dreamy"), later)).toEqual({ blurSigma: 3 });
  expect(calls).toBe(1);
  expect(await options(wish("make it dreamy", true, "b".repeat(64)))).toEqual({ blurSigma: 9 });
  expect(await options(wish("caf\u00e9 look"))).toEqual({ blurSigma: 9 });
  reply = '{"blur": 1}';
  expect(await options(wish("cafe\u0301 look"))).toEqual({ blurSigma: 9 });
});

test("while the store takes no writes, rules go on and models don't: their word could not be kept", async () => {
  vi.spyOn(fixture.store.settings, "change").mockRejectedValue(new Error("read-only"));
  expect(await options(wish("make it square"))).toEqual({ aspectRatio: 1 });
  await expect(options(wish("make it dreamy"))).rejects.toThrow("read-only");
});

test("many who ask the same at once are one question", async () => {
  const all = await Promise.all(Array.from({ length: 20 }, () => options(wish("make it dreamy"))));
  expect(new Set(all.map((one) => JSON.stringify(one)))).toEqual(new Set(['{"blurSigma":3}']));
  expect(calls).toBe(1);
});

test("a stranger's refusal is not that of who asks the same at that moment", async () => {
  const [stranger, friend] = await Promise.allSettled([
    options(wish("make it dreamy", false)),
    options(wish("make it dreamy")),
  ]);
  expect([stranger.status, friend.status]).toEqual(["rejected", "fulfilled"]);
});

test("strangers can't have the service asked, and learn what was understood", async () => {
  expect(await refusal(options(wish("make it square, then dreamy", false)))).toBe(
    'PromptNotUnderstood: ai: "dreamy" is not understood. Understood: "make square".',
  );
  expect(calls).toBe(0);
});

test("a failure is not kept", async () => {
  reply = 503;
  expect(await refusal(options(wish("make it dreamy")))).toMatch(/^OriginFailed/);
  reply = "{}";
  expect(await refusal(options(wish("make it dreamy")))).toMatch(/^PromptNotUnderstood/);
  reply = '{"blur": 4}';
  expect(await options(wish("make it dreamy"))).toEqual({ blurSigma: 4 });
});

test("what it did not understand strangers don't have it asked again, and then only now and then", async () => {
  reply = "{}";
  for (let n = 0; n < 3; n++) {
    expect(await refusal(options(limited("blur it, make it cosy, turn left")))).toBe(
      'PromptNotUnderstood: ai: "make cosy" is not understood. Understood: "blur", "turn left".',
    );
  }
  expect(calls).toBe(1);
  const refusals = await Promise.all(
    Array.from({ length: 40 }, (_, n) => refusal(options(limited(`cosy number ${n}`)))),
  );
  expect(refusals.filter((one) => one.startsWith("PromptNotUnderstood"))).toHaveLength(29);
  expect(refusals.filter((one) => one.startsWith("TooManyPrompts"))).toHaveLength(11);
  expect(calls).toBe(30);
  // Of those whom the account's owner gave a signature that is not held against them.
  reply = '{"blur": 4}';
  expect(await options(wish("blur it, make it cosy, turn left"))).toEqual({ blurSigma: 4 });
});

test("what programs before kept holds", async () => {
  await options(wish("make it square"));
  await fixture.store.refresh();
  const [kept] = await fixture.store.settings.all<object>("prompt");
  const { steps: _, ...rest } = kept!.value as { steps: unknown };
  await fixture.store.settings.change([
    { kind: "prompt", name: kept!.name, value: { ...rest, options: { rotate: 90 } } },
  ]);
  expect(await options(wish("make it square"))).toEqual({ rotate: 90 });
});

test.each([
  ["rules", 1],
  ["model, unsigned", 1],
  ["model", 0],
])("an account for which as many are kept as may be: by the %s", async (by, more) => {
  expect(await options(wish("make it dreamy"))).toEqual({ blurSigma: 3 });
  await fixture.store.settings.change(
    Array.from({ length: 2000 }, (_, at) => ({
      kind: "prompt",
      name: `${OWNER}/${at}`,
      value: { prompt: String(at), steps: [{}], by, rules: 1, createdAt: 1 },
    })),
  );
  expect(await options(wish("make it dreamy"))).toEqual({ blurSigma: 3 });
  expect(await options(wish("rotate right"))).toEqual({ rotate: 90 });
  // Wishes that strangers may have take nothing from those that the account pays for.
  if (more === 1) expect(await options(wish("make it cosy"))).toEqual({ blurSigma: 3 });
  else expect(await refusal(options(wish("make it cosy")))).toMatch(/^TooManyPrompts/);
  expect(calls).toBe(1 + more);
  expect(await options(wish("make it cosy", true, "b".repeat(64)))).toEqual({ blurSigma: 3 });
});
