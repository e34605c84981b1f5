/**
 * What prompts came down to, kept for ever: the same prompt never changes its meaning, whatever becomes of the rules or
 * of a model. Settings documents: prompt {account id}/{hash of the prompt}.
 */
import { createHash } from "node:crypto";
import type { ObjectStore } from "../../store/store.ts";
import { isRecent } from "../../lib/clock.ts";
import { Lru } from "../../lib/lru.ts";
import { SingleFlight } from "../../lib/singleflight.ts";
import { DeliveryError, notNow } from "../errors.ts";
import { normalisePrompt, resolvePrompt, RULES_VERSION, type PromptStep, type Resolution } from "./prompt.ts";
import { askModel, type PromptService } from "./promptmodel.ts";

/** As stored. */
interface PromptDocument {
  prompt: string;
  /** Those of older programs have one, `options`. */
  steps?: readonly PromptStep[];
  options?: PromptStep;
  /** Who resolved it. */
  by: Resolver;
  rules: number;
  createdAt: number;
}

/** The model's word for signed URLs, and for those that nobody signed. */
type Resolver = "rules" | "model" | "model, unsigned";

const stepsOf = ({ steps, options = {} }: PromptDocument): readonly PromptStep[] => steps ?? [options];

const KIND = "prompt";
/**
 * Prompts kept for one account, by resolver. Beyond it those of the rules are resolved each time, which gives the same,
 * and the model is asked no more. Stops strangers from filling the settings with wishes.
 */
const PROMPTS_MAX = 2000;
/** Questions to the model for URLs that nobody signed, of an account and process: at once, and one more in so long. */
const QUESTIONS_MAX = 30;
const QUESTION_MS = 2000;
/** What the model doesn't understand strangers can't ask it again for so long. */
const REFUSED_MS = 10 * 60_000;
const REFUSED_MAX = 10_000;
const ACCOUNTS_MAX = 1000;

export interface PromptWish {
  readonly ownerId: string;
  readonly prompt: string;
  /** Who may have the model asked: signed URLs freely; those of an endpoint that allows it now and then. */
  readonly model: "free" | "limited" | "never";
}

export class Prompts {
  readonly #store: ObjectStore;
  readonly #service: PromptService | undefined;
  readonly #flights = new SingleFlight<readonly PromptStep[]>();
  /** By name, until when. */
  readonly #refused = new Lru<string, number>({ maxEntries: REFUSED_MAX });
  /** By account: when its last question would have been asked at the slowest. */
  readonly #asked = new Lru<string, number>({ maxEntries: ACCOUNTS_MAX });
  /** Accounts that have as many as are kept, by resolver: none is ever removed. */
  readonly #full = new Set<string>();

  constructor(store: ObjectStore, service: PromptService | undefined) {
    this.#store = store;
    this.#service = service;
  }

  /** At least one. @throws DeliveryError PromptNotUnderstood, TooManyPrompts, OriginFailed, OriginTimeout */
  async steps(wish: PromptWish): Promise<readonly PromptStep[]> {
    const prompt = normalisePrompt(wish.prompt);
    const name = `${wish.ownerId}/${createHash("sha256").update(prompt).digest("hex").slice(0, 40)}`;
    const known = await this.#store.settings.get<PromptDocument>(KIND, name);
    if (known !== undefined) return stepsOf(known);
    // Not one flight: who may have the model asked doesn't get the refusal of who may not.
    return this.#flights.run(`${name} ${wish.model}`, () => this.#resolve({ ...wish, prompt }, name));
  }

  async #resolve(wish: PromptWish, name: string): Promise<readonly PromptStep[]> {
    const { ownerId, prompt } = wish;
    const resolution = resolvePrompt(prompt);
    const byModel = wish.model === "free" ? "model" : "model, unsigned";
    const by = "steps" in resolution ? "rules" : byModel;
    if (by !== "rules" && !this.#mayAsk(wish, name)) throw notUnderstood(resolution);
    const room = await this.#hasRoom(ownerId, by);
    if (by !== "rules" && !room) throw tooMany();
    const steps = "steps" in resolution ? resolution.steps : await this.#ask(wish, name);
    if (steps === undefined) throw notUnderstood(resolution);
    if (!room) return steps;
    const value: PromptDocument = { prompt, steps, by, rules: RULES_VERSION, createdAt: Date.now() };
    const change = this.#store.settings.change([{ kind: KIND, name, value, ifAbsent: true }]);
    // A store that takes no writes now: rules say the same the next time, a model may not.
    if (await (by === "rules" ? change.catch(() => true) : change)) return steps;
    // Another process was faster: its word holds.
    await this.#store.refresh();
    const faster = await this.#store.settings.get<PromptDocument>(KIND, name);
    return faster === undefined ? steps : stepsOf(faster);
  }

  #mayAsk({ model }: PromptWish, name: string): boolean {
    if (this.#service === undefined || model === "never") return false;
    return model === "free" || !isRecent(this.#refused.get(name) ?? 0, REFUSED_MS);
  }

  /** Undefined: not understood either. */
  async #ask(
    { ownerId, prompt, model }: PromptWish,
    name: string,
  ): Promise<readonly PromptStep[] | undefined> {
    if (model === "limited") this.#takeTurn(ownerId);
    const options = await askModel(this.#service!, prompt);
    if (options !== undefined) return [options];
    this.#refused.set(name, Date.now());
    return undefined;
  }

  #takeTurn(ownerId: string): void {
    const now = performance.now();
    const next = Math.max(now, this.#asked.get(ownerId) ?? 0) + QUESTION_MS;
    if (next > now + QUESTIONS_MAX * QUESTION_MS) {
      const seconds = Math.ceil(QUESTION_MS / 1000);
      throw notNow("Too many new prompts were asked of the model.", seconds, "TooManyPrompts");
    }
    this.#asked.set(ownerId, next);
  }

  async #hasRoom(ownerId: string, by: Resolver): Promise<boolean> {
    const name = `${by} ${ownerId}`;
    if (this.#full.has(name)) return false;
    const all = await this.#store.settings.all<PromptDocument>(KIND);
    const kept = all.filter((one) => one.value.by === by && one.name.startsWith(`${ownerId}/`)).length;
    if (kept >= PROMPTS_MAX) this.#full.add(name);
    return kept < PROMPTS_MAX;
  }
}

const tooMany = (): DeliveryError =>
  new DeliveryError(
    "TooManyPrompts",
    `The model has answered ${PROMPTS_MAX} prompts of the account, all that are kept.`,
  );

function notUnderstood(resolution: Resolution): DeliveryError {
  const { understood } = resolution;
  const unresolved = "unresolved" in resolution ? resolution.unresolved : "";
  const known =
    understood.length === 0 ? "" : ` Understood: ${understood.map((one) => JSON.stringify(one)).join(", ")}.`;
  return new DeliveryError(
    "PromptNotUnderstood",
    `ai: ${JSON.stringify(unresolved)} is not understood.${known}`,
  );
}
