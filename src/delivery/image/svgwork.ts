/**
 * What an SVG asks of whatever draws it, counted without drawing: ten elements that each `use` the ten before them
 * are ten billion after ten lines. Counts what is drawn, references followed; too high rather than too low.
 */
import { DeliveryError } from "../errors.ts";
import { referencesIn } from "./svgvalues.ts";

/** Elements drawn, each reference counted as what it leads to. Stops `use`, patterns and markers that multiply. */
const WORK_MAX = 500_000;
/** What a filter's primitive, which touches every pixel, counts in elements. Stops a thousand filters. */
const PRIMITIVE_WORK = 500;
/** What text counts, which is laid out letter by letter: elements of it some 10 kB each, letters some 3 kB. */
const TEXT_WORK: Readonly<Record<string, number>> = { text: 25, tspan: 25, textPath: 25 };
const LETTER_WORK = 8;
/** Selectors of style sheets, times the elements that each of them is tried at. Stops sheets as long as their drawing. */
const MATCHES_MAX = 20_000_000;
/** Steps from element to child or reference. Stops recursion from exhausting the stack. */
const STEPS_MAX = 1000;
/** References looked at in all. Stops style sheets that match everything from costing time themselves. */
const LOOKUPS_MAX = 2_000_000;
/** Numbers whose work grows with them: attribute by element, and the highest that anything sensible has. */
const AMOUNTS: Readonly<Record<string, readonly [attribute: string, max: number]>> = {
  feTurbulence: ["numOctaves", 16],
  feConvolveMatrix: ["order", 16],
  feMorphology: ["radius", 256],
};
/** Their `href` names what they act upon or lead to; nothing is drawn for it. */
const FOLLOWED: ReadonlySet<string> = new Set(["a", "animate", "animateMotion", "animateTransform", "mpath"]);

interface Node {
  readonly tag: string;
  readonly children: Node[];
  readonly references: string[];
  /** Of selectors that find it. */
  readonly keys: readonly string[];
  /** Corners of its path: a marker is drawn at each. */
  readonly corners: number;
  /** In it, not in its children. */
  letters: number;
  work: number | "counting" | undefined;
}

export class SvgWork {
  private readonly open: Node[] = [];
  private root: Node | undefined;
  private readonly byId = new Map<string, Node>();
  /** Ids that style sheets refer to, by selector. */
  private readonly styles = new Map<string, Set<string>>();
  private lookups = 0;
  private elements = 0;
  private selectors = 0;

  /** @throws DeliveryError LimitExceeded for an amount beyond sense */
  enter(tag: string, attributes: ReadonlyMap<string, string>): void {
    checkAmount(tag, attributes);
    const references: string[] = [];
    let outline = 0;
    for (const [name, value] of attributes) {
      if (name === "href" || name === "xlink:href") {
        if (value.startsWith("#") && !FOLLOWED.has(tag)) references.push(decode(value.slice(1)));
      } else references.push(...referencesIn(value));
      if (name === "d" || name === "points") outline = value.length;
    }
    const id = attributes.get("id");
    const keys = ["*", tag, ...(attributes.get("class")?.split(/\s+/) ?? []).map((name) => `.${name}`)];
    if (id !== undefined) keys.push(`#${id}`);
    const node: Node = {
      tag,
      children: [],
      references,
      keys,
      corners: 1 + outline / 4,
      letters: 0,
      work: undefined,
    };
    this.elements++;
    const parent = this.open.at(-1);
    if (parent === undefined) this.root ??= node;
    else parent.children.push(node);
    if (id !== undefined && !this.byId.has(id)) this.byId.set(id, node);
    this.open.push(node);
  }

  leave(): void {
    this.open.pop();
  }

  addText(data: string): void {
    const node = this.open.at(-1);
    if (node !== undefined && Object.hasOwn(TEXT_WORK, node.tag)) node.letters += data.length;
  }

  addStyles(css: string): void {
    for (const rule of css.split("}")) {
      const at = rule.lastIndexOf("{");
      if (at < 0) continue;
      const selectors = rule.slice(0, at);
      this.selectors += 1 + (selectors.match(/,/g)?.length ?? 0);
      const ids = referencesIn(rule.slice(at));
      if (ids.length === 0) continue;
      for (const selector of selectors.slice(selectors.lastIndexOf("{") + 1).split(",")) {
        const last =
          selector
            .trim()
            .split(/[\s>+~]/)
            .at(-1) ?? "";
        const key = /[.#][\w-]+/.exec(last)?.[0] ?? /^[\w-]+/.exec(last)?.[0] ?? "*";
        const known = this.styles.get(key) ?? new Set();
        for (const id of ids) known.add(id);
        this.styles.set(key, known);
      }
    }
  }

  /** @throws DeliveryError LimitExceeded */
  check(): void {
    if (this.selectors * this.elements > MATCHES_MAX) throw tooMuch();
    if (this.root !== undefined && this.count(this.root, 0) > WORK_MAX) throw tooMuch();
  }

  private count(node: Node, steps: number): number {
    if (typeof node.work === "number") return node.work;
    if (node.work === "counting") {
      throw new DeliveryError("LimitExceeded", "A part of the SVG refers to itself.");
    }
    if (steps > STEPS_MAX) throw tooMuch();
    node.work = "counting";
    let work = node.tag.startsWith("fe") ? PRIMITIVE_WORK : (TEXT_WORK[node.tag] ?? 1);
    work += node.letters * LETTER_WORK;
    for (const child of node.children) work += this.count(child, steps + 1);
    for (const id of this.referencesOf(node)) {
      if (++this.lookups > LOOKUPS_MAX) throw tooMuch();
      const target = this.byId.get(id);
      if (target === undefined) continue;
      work += this.count(target, steps + 1) * (target.tag === "marker" ? node.corners : 1);
    }
    if (work > WORK_MAX) throw tooMuch();
    node.work = work;
    return work;
  }

  private *referencesOf(node: Node): Iterable<string> {
    yield* node.references;
    if (this.styles.size > 0) for (const key of node.keys) yield* this.styles.get(key) ?? [];
  }
}

const tooMuch = (): DeliveryError =>
  new DeliveryError("LimitExceeded", `Drawing the SVG takes more than ${WORK_MAX} elements' work.`);

function decode(id: string): string {
  try {
    return decodeURIComponent(id);
  } catch {
    return id;
  }
}

function checkAmount(tag: string, attributes: ReadonlyMap<string, string>): void {
  const amount = Object.hasOwn(AMOUNTS, tag) ? AMOUNTS[tag] : undefined;
  if (amount === undefined) return;
  const [name, max] = amount;
  for (const number of (attributes.get(name) ?? "").split(/[\s,]+/, 2)) {
    if (Number(number) > max) {
      throw new DeliveryError("LimitExceeded", `${name} of ${tag} in an SVG is at most ${max}.`);
    }
  }
}
