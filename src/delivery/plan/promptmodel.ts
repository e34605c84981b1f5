/**
 * Prompts that the rules don't understand, asked of an OpenAI-compatible service of the operator's. It only ever chooses
 * among the options that URLs have; what it says is read by the same parsers and brought within the same limits.
 */
import { DeliveryError } from "../errors.ts";
import { call, type Service } from "../service.ts";
import type { Options } from "./plan.ts";
import { transformationNamed, transformationNames, wordingOf } from "./transforms.ts";
import { parseWeekerp } from "./url.ts";
import { OTHERS } from "./weekerp.ts";

/** Its URL is the base of the API, such as https://llm.example.com/v1. */
export interface PromptService extends Service {
  readonly model: string;
}

const TIMEOUT_MS = 3000;
const ANSWER_BYTES_MAX = 65_536;
/** Options of one answer, characters of a name or value: more is babble. */
const OPTIONS_MAX = 20;
const WORD_MAX = 32;

/** Where an answer's numbers are brought back to, unless they are far off: pixels to these, others to what URLs may say. */
const PIXELS: readonly [min: number, max: number] = [1, 8192];
const WHOLE: readonly (keyof Options)[] = ["width", "height", "quality", "hue", "threshold"];

const INSTRUCTION = `You turn a wish about one image into options. Answer with one JSON object and nothing else. Its keys are among: ${transformationNames("weekerp")}, flip, flop. width and height are pixels, or fractions of the original below 1. fit is one of cover, contain, fill, inside, outside. position is one of centre, top, right, bottom, left. format is one of webp, avif, jpeg, png. rotate is degrees clockwise. grayscale, flip (top to bottom) and flop (left to right) are true or false. blur and sharpen are sigmas from 0.3 to 20; brightness 0.5 to 2 and saturation 0 to 3 are factors. If the wish can't be met with these options, or is no wish about an image, answer {}.`;

/** Undefined: nothing that URLs can say. @throws DeliveryError OriginFailed, OriginTimeout */
export async function askModel(
  service: PromptService,
  prompt: string,
): Promise<Partial<Options> | undefined> {
  const answer = await ask(service, prompt);
  let said: unknown;
  try {
    said = JSON.parse(answer.trim().replace(/^```(?:json)?|```$/g, ""));
  } catch {
    return undefined;
  }
  if (typeof said !== "object" || said === null || Array.isArray(said)) return undefined;
  const entries = Object.entries(said as Readonly<Record<string, unknown>>).filter(
    ([name]) => !OTHERS.includes(name),
  );
  // Other values have no text of their own, or one that no URL can hold.
  if (entries.length > OPTIONS_MAX || !entries.every(([name, value]) => isWord(name) && isWord(value))) {
    return undefined;
  }
  const pairs = entries.map(([name, value]) => [name, clamp(name, value)] as const);
  if (pairs.some(([, value]) => value === undefined)) return undefined;
  return optionsOf(
    pairs.map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value!)}`).join("&"),
  );
}

/** What URLs can't say, models can't either. */
function optionsOf(query: string): Partial<Options> | undefined {
  try {
    const asked = parseWeekerp("image", "picture", query);
    const [step] = asked.plan?.steps ?? [];
    if (asked.query === "" && step !== undefined && "options" in step) return step.options;
  } catch (error) {
    if (!(error instanceof DeliveryError)) throw error;
  }
  return undefined;
}

const isWord = (value: unknown): boolean =>
  typeof value === "number" ||
  typeof value === "boolean" ||
  (typeof value === "string" && value.length <= WORD_MAX && /^[\w.:-]*$/.test(value));

/** Beyond its range by more than this, a number is no slip, and its edge no wish that anybody had. */
const SLIP_MAX = 2;

/** Within the range. Undefined: so far outside of it, or so impossible, that nothing near is meant. */
function clamp(name: string, value: unknown): string | undefined {
  const row = transformationNamed("weekerp", name);
  if (typeof value !== "number" || row === undefined) return String(value);
  const range = row === "width" || row === "height" ? PIXELS : wordingOf(row, "weekerp")!.range;
  if (range === undefined) return String(value);
  if (range === PIXELS && value > 0 && value < 1) return String(Number(value.toFixed(6)));
  const [min, max] = range;
  const whole = WHOLE.includes(row);
  // Of what is counted there is one at least, and below nothing there is nothing.
  const least = min < 0 ? min * SLIP_MAX : whole || min === 0 ? min : min / SLIP_MAX;
  if (!(value >= least && value <= max * SLIP_MAX)) return undefined;
  // More than a turn is what is left of it.
  const within = min < 0 && Math.abs(value) > max ? value % max : Math.min(max, Math.max(min, value));
  return String(whole ? Math.round(within) : Number(within.toFixed(6)));
}

/** What the service says to the prompt. */
async function ask(service: PromptService, prompt: string): Promise<string> {
  const answer = await call({
    name: "prompt",
    service,
    path: "/chat/completions",
    body: JSON.stringify({
      model: service.model,
      temperature: 0,
      response_format: { type: "json_object" },
      messages: [
        { role: "system", content: INSTRUCTION },
        { role: "user", content: prompt },
      ],
    }),
    type: "application/json",
    timeoutMs: TIMEOUT_MS,
    maxBytes: ANSWER_BYTES_MAX,
  });
  const content = contentOf(answer.toString());
  if (typeof content === "string") return content.trim();
  throw new DeliveryError(
    "OriginFailed",
    "The prompt service answers something else than a chat completion.",
  );
}

function contentOf(answer: string): unknown {
  try {
    const said = JSON.parse(answer) as { choices?: ({ message?: { content?: unknown } } | null)[] } | null;
    return said?.choices?.[0]?.message?.content;
  } catch {
    return undefined;
  }
}
