/**
 * What prompts came down to, kept for ever: the same prompt never changes its meaning, whatever becomes of the rules or
 * of a model. Settings documents: prompt {account id}/{hash of the prompt}.
 */
import { createHash } from "node:crypto";
import type { ObjectStore } from "../../store/store.ts";
import { SingleFlight } from "../../lib/singleflight.ts";
import { DeliveryError } from "../errors.ts";
import type { Options } from "./plan.ts";
import { normalisePrompt, resolvePrompt, RULES_VERSION } from "./prompt.ts";
import { askModel, type PromptService } from "./promptmodel.ts";

/** As stored. */
interface PromptDocument {
  prompt: string;
  options: Partial<Options>;
  /** Who resolved it. */
  by: "rules" | "model";
  rules: number;
  createdAt: number;
}

const KIND = "prompt";
/**
 * Prompts kept for one account. Beyond it those of the rules are resolved each time, which gives the same, and the model
 * is asked no more. Stops strangers from filling the settings with wishes.
 */
const PROMPTS_MAX = 2000;

export interface PromptWish {
  readonly ownerId: string;
  readonly prompt: string;
  /** The model may be asked: the URL is signed, or the endpoint allows it. */
  readonly allowModel: boolean;
}

export class Prompts {
  readonly #store: ObjectStore;
  readonly #service: PromptService | undefined;
  readonly #flights = new SingleFlight<Partial<Options>>();

  constructor(store: ObjectStore, service: PromptService | undefined) {
    this.#store = store;
    this.#service = service;
  }

  /** @throws DeliveryError PromptNotUnderstood, OriginFailed, OriginTimeout */
  async options(wish: PromptWish): Promise<Partial<Options>> {
    const prompt = normalisePrompt(wish.prompt);
    const name = `${wish.ownerId}/${createHash("sha256").update(prompt).digest("hex").slice(0, 40)}`;
    const known = await this.#store.settings.get<PromptDocument>(KIND, name);
    if (known !== undefined) return known.options;
    // Not one flight: who may have the model asked doesn't get the refusal of who may not.
    return this.#flights.run(`${name} ${wish.allowModel}`, () => this.#resolve({ ...wish, prompt }, name));
  }

  async #resolve({ ownerId, prompt, allowModel }: PromptWish, name: string): Promise<Partial<Options>> {
    const resolution = resolvePrompt(prompt);
    const kept = (await this.#store.settings.all<PromptDocument>(KIND)).filter((one) =>
      one.name.startsWith(`${ownerId}/`),
    );
    const room = kept.length < PROMPTS_MAX;
    if ("unresolved" in resolution && !(allowModel && this.#service !== undefined && room)) {
      const { unresolved, understood } = resolution;
      const known =
        understood.length === 0
          ? ""
          : ` Understood: ${understood.map((one) => JSON.stringify(one)).join(", ")}.`;
      throw new DeliveryError(
        "PromptNotUnderstood",
        `ai: ${JSON.stringify(unresolved)} is not understood.${known}`,
      );
    }
    const byRules = "options" in resolution;
    const options = byRules ? resolution.options : await askModel(this.#service!, prompt);
    if (!room) return options;
    const value: PromptDocument = {
      prompt,
      options,
      by: byRules ? "rules" : "model",
      rules: RULES_VERSION,
      createdAt: Date.now(),
    };
    const change = this.#store.settings.change([{ kind: KIND, name, value, ifAbsent: true }]);
    // A store that takes no writes now: rules say the same the next time, a model may not.
    if (await (byRules ? change.catch(() => true) : change)) return options;
    // Another process was faster: its word holds.
    await this.#store.refresh();
    return (await this.#store.settings.get<PromptDocument>(KIND, name))?.options ?? options;
  }
}
