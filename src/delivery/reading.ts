/** What a URL asks for, whether it may, and the plan that it comes down to. */
import type { ObjectStore } from "../store/store.ts";
import { DeliveryError } from "./errors.ts";
import type { Findings } from "./findings.ts";
import { namedOf } from "./origins/transformations.ts";
import { canonical } from "./plan/canonical.ts";
import type { Plan, Step } from "./plan/plan.ts";
import { appliedOptions, joined } from "./plan/prompt.ts";
import type { Prompts } from "./plan/promptstore.ts";
import { pairsOf } from "./plan/query.ts";
import { planText } from "./plan/text.ts";
import { namesIn, parseImageKit, parseWeekerp, type Asked } from "./plan/url.ts";
import { checkSignature, givenRight, streamRight } from "./signature.ts";
import { locate, type Address, type Place } from "./site.ts";

export interface Reading {
  readonly place: Place;
  readonly asked: Asked;
  /** May have private files: the URL is signed, a playlist told it, or its transformations are named ones. */
  readonly permitted: boolean;
  /** When the URL ends, in milliseconds since 1970; Infinity: never. */
  readonly until: number;
  /** What the pieces of the stream that the URL asks for, or of which it is one, are opened by. */
  readonly right: () => string;
  /** The plan of the URL and of its prompt; undefined: nothing is to be done. */
  readonly plan: Plan | undefined;
  /** For `debug=true`. Flat: name, value. */
  readonly debugHeaders: readonly string[];
}

export interface ReadingContext {
  readonly store: ObjectStore;
  readonly prompts: Prompts;
  readonly findings: Findings;
}

/**
 * `epoch`: as the store's `refresh` has just told it.
 * @throws DeliveryError of `locate` and the grammars; InvalidSignature, ExpiredUrl, SignatureRequired, UnnamedTransformation
 */
export async function readRequest(
  context: ReadingContext,
  address: Address,
  epoch: number,
): Promise<Reading> {
  const { store } = context;
  const findings = context.findings.of(epoch);
  const before = findings.get(address);
  const place = before?.place ?? (await locate(store, address));
  const { owner, rules } = place;
  const now = Date.now();
  const signature =
    place.rawQuery === "" ? undefined : await checkSignature(store, { ...place, ownerId: owner.id, now });
  const signed = signature !== undefined;
  const { asked, plan: plain } = before ?? findings.keep(address, place, await parse(store, place));
  const given = asked.stream === undefined ? undefined : await givenRight(store, place, asked, now);
  // What anybody was given is good for what anybody may have today.
  const piece = given?.signed === true;
  if (rules.signedOnly === true && !signed && !piece) {
    throw new DeliveryError("SignatureRequired", "This endpoint serves signed URLs only.");
  }
  // Facts tell where a photograph was taken, which its results don't.
  const unnamed = asked.adHoc || asked.what === "metadata";
  if (rules.namedOnly === true && unnamed && !signed && !piece) {
    throw new DeliveryError("UnnamedTransformation", "This endpoint serves named transformations only.");
  }
  // Facts are told of the file itself, whatever is said to be done to it.
  const named = asked.plan !== undefined && !asked.adHoc && asked.what !== "metadata";
  const permitted = signed || named || piece;
  if (rules.privateFiles === true && !permitted) {
    throw new DeliveryError(
      "SignatureRequired",
      "The endpoint's files are private: only signed URLs may have them.",
    );
  }
  const { plan, headers } =
    asked.prompt === undefined
      ? { plan: plain, headers: [] }
      : await withPrompt(context, place, asked, asked.prompt, signed);
  const debugHeaders = asked.debug ? [...headers, ...planHeader(plan), ...ignoredHeader(asked)] : [];
  return {
    place,
    asked,
    permitted,
    until: signature?.until ?? given?.until ?? Infinity,
    right: () => given?.right ?? streamRight(store, place, asked, signature),
    plan,
    debugHeaders,
  };
}

/** What a URL says. @throws DeliveryError of the grammars */
export async function parse(
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

/** Names that are shown, and characters of each. Stops headers that no proxy takes. */
const IGNORED_MAX = 20;
const IGNORED_NAME_MAX = 60;

/** Parameters that mean nothing here: often a slip of the pen. */
function ignoredHeader({ query }: Asked): string[] {
  const names = [...new Set(pairsOf(query).map(({ name }) => name))].slice(0, IGNORED_MAX);
  const shown = names.map((name) => encodeURIComponent(name).slice(0, IGNORED_NAME_MAX));
  return shown.length === 0 ? [] : ["x-windlass-ignored", shown.join(", ")];
}

/** What the URL says besides is done to what the prompt makes. */
async function withPrompt(
  { prompts }: ReadingContext,
  { owner, rules }: Place,
  { plan, defaults }: Asked,
  prompt: string,
  signed: boolean,
): Promise<{ plan: Plan; headers: readonly string[] }> {
  const model = signed ? "free" : rules.allowPrompts === true ? "limited" : "never";
  const wished = await prompts.steps({ ownerId: owner.id, prompt, model });
  const headers = ["x-weekerp-applied-options", JSON.stringify(appliedOptions(wished))];
  const [first, ...rest] = plan?.steps ?? [];
  const before = wished.slice(0, -1).map((options): Step => ({ options, layers: [] }));
  const last = wished.at(-1) ?? {};
  // One step where that is the same: it reads a large source no larger than needed. A condition stays a step of its own.
  const next = first !== undefined && "options" in first ? first : undefined;
  const both = next && joined(last, next.options);
  const steps: readonly Step[] =
    both === undefined
      ? [...before, { options: last, layers: [] }, ...(plan?.steps ?? [])]
      : [...before, { options: both, layers: next!.layers }, ...rest];
  return { plan: canonical({ steps, defaults }), headers };
}
