/** What a URL asks for, whether it may, and the plan that it comes down to. */
import type { ObjectStore } from "../store/store.ts";
import { DeliveryError } from "./errors.ts";
import { namedOf } from "./origins/transformations.ts";
import { canonical } from "./plan/canonical.ts";
import type { Plan, Step } from "./plan/plan.ts";
import { appliedOptions } from "./plan/prompt.ts";
import type { Prompts } from "./plan/promptstore.ts";
import { planText } from "./plan/text.ts";
import { namesIn, parseImageKit, parseWeekerp, type Asked } from "./plan/url.ts";
import { checkSignature } from "./signature.ts";
import type { Place } from "./site.ts";

export interface Reading {
  readonly place: Place;
  readonly asked: Asked;
  /** May have private files: the URL is signed, or its transformations are named ones. */
  readonly permitted: boolean;
  /** The plan of the URL and of its prompt; undefined: nothing is to be done. */
  readonly plan: Plan | undefined;
  /** For `debug=true`. Flat: name, value. */
  readonly debugHeaders: readonly string[];
}

export interface ReadingContext {
  readonly store: ObjectStore;
  readonly prompts: Prompts;
}

/** @throws DeliveryError of the grammars; InvalidSignature, ExpiredUrl, SignatureRequired, UnnamedTransformation */
export async function readRequest(context: ReadingContext, place: Place): Promise<Reading> {
  const { store } = context;
  const { owner, scope, rawPath, rawQuery, rules } = place;
  const signed =
    (await checkSignature(store, { ownerId: owner.id, scope, rawPath, rawQuery, now: Date.now() })) ===
    "valid";
  const asked = await parse(store, place);
  // Whoever has the id of a stream was given it by its playlist.
  const piece = asked.what === "stream";
  if (rules.signedOnly === true && !signed && !piece) {
    throw new DeliveryError("SignatureRequired", "This endpoint serves signed URLs only.");
  }
  if (rules.namedOnly === true && asked.adHoc && !signed && !piece) {
    throw new DeliveryError("UnnamedTransformation", "This endpoint serves named transformations only.");
  }
  const named = asked.plan !== undefined && !asked.adHoc;
  const permitted = signed || named || piece;
  if (rules.privateFiles === true && !permitted) {
    throw new DeliveryError(
      "SignatureRequired",
      "The endpoint's files are private: only signed URLs may have them.",
    );
  }
  const { plan: said, headers } = await withPrompt(context, place, asked, signed);
  const plan = said === undefined ? undefined : canonical(said);
  const debugHeaders = asked.debug ? [...headers, ...planHeader(plan)] : [];
  return { place, asked, permitted, plan, debugHeaders };
}

async function parse(
  store: ObjectStore,
  { owner, grammar, rules, rawPath, rawQuery }: Place,
): Promise<Asked> {
  if (grammar !== "imagekit") return parseWeekerp(grammar, rawPath, rawQuery);
  const names = namesIn(rawPath, rawQuery, rules.rewriter);
  const named = names.length === 0 ? new Map<string, string>() : await namedOf(store, owner.id, names);
  return parseImageKit({
    rawPath,
    rawQuery,
    named,
    ...(rules.rewriter === undefined ? {} : { rewriter: rules.rewriter }),
  });
}

const planHeader = (plan: Plan | undefined): string[] =>
  plan === undefined ? [] : ["x-windlass-plan", planText(plan)];

/** The prompt's options among those of the URL, which win. */
async function withPrompt(
  { prompts }: ReadingContext,
  { owner, rules }: Place,
  { prompt, plan }: Asked,
  signed: boolean,
): Promise<{ plan: Plan | undefined; headers: readonly string[] }> {
  if (prompt === undefined) return { plan, headers: [] };
  const allowModel = signed || rules.allowPrompts === true;
  const options = await prompts.options({ ownerId: owner.id, prompt, allowModel });
  const headers = ["x-weekerp-applied-options", JSON.stringify(appliedOptions(options))];
  const [first, ...rest] = plan?.steps ?? [];
  const defaults = plan?.defaults ?? { quality: 80, format: "source" as const };
  // A condition stays a step of its own, behind the prompt's.
  const steps: readonly Step[] =
    first === undefined || "when" in first
      ? [{ options, layers: [] }, ...(plan?.steps ?? [])]
      : [{ options: { ...options, ...first.options }, layers: first.layers }, ...rest];
  return { plan: { steps, defaults }, headers };
}
