/**
 * SVG from strangers, made harmless: what is written out is only what is known to draw, every reference stays inside
 * the document, and the work that it asks of a renderer is counted first.
 */
import { SaxesParser, type SaxesTagNS } from "saxes";
import { DeliveryError } from "../errors.ts";
import { cleanCss, cleanReference, cleanValue } from "./svgvalues.ts";
import { SvgWork } from "./svgwork.ts";

/** Bytes of an SVG, decompressed. Stops parsers from being fed for minutes; ImageKit's limit too. */
export const SVG_BYTES_MAX = 5 * 1024 ** 2;
/** Elements of one document. Stops trees that cost more memory than their bytes. */
const ELEMENTS_MAX = 100_000;
/** Levels of elements. Stops recursion from exhausting the stack of whatever draws them. */
const DEPTH_MAX = 200;
/** Entities that a DOCTYPE may declare, and characters of each. Stops "billion laughs". */
const ENTITIES_MAX = 64;
const ENTITY_LENGTH_MAX = 200;

const SVG = "http://www.w3.org/2000/svg";
const XLINK = "http://www.w3.org/1999/xlink";
const XML = "http://www.w3.org/XML/1998/namespace";

/** What an element that is to be an SVG's root says. */
export const NAMESPACES = `xmlns="${SVG}" xmlns:xlink="${XLINK}"`;

/** Everything else is left out with all that is in it: script, foreignObject, iframe, metadata, editors' own. */
const ELEMENTS: ReadonlySet<string> = new Set(
  `a animate animateMotion animateTransform circle clipPath defs desc ellipse feBlend feColorMatrix
  feComponentTransfer feComposite feConvolveMatrix feDiffuseLighting feDisplacementMap feDistantLight feDropShadow
  feFlood feFuncA feFuncB feFuncG feFuncR feGaussianBlur feImage feMerge feMergeNode feMorphology feOffset
  fePointLight feSpecularLighting feSpotLight feTile feTurbulence filter g image line linearGradient marker mask
  mpath path pattern polygon polyline radialGradient rect stop style svg switch symbol text textPath title tspan use
  view`.split(/\s+/),
);
/** An animation of these would put in later what was taken out. */
const NOT_ANIMATED = /^(xlink:)?href$|^on|^style$/i;

/** Characters looked at for the root element: prolog, comments and DOCTYPE may come first. */
const HEAD = 4096;

/** By content, whatever its name says. */
export function isSvg(bytes: Buffer): boolean {
  const text = bytes.toString(isUtf16(bytes) ? "utf16le" : "utf8", 0, HEAD).replace(/^\uFEFF/, "");
  return /^\s*</.test(text) && /<(?:[\w-]+:)?svg[\s>/]/.test(text) && !/<(!doctype\s+)?html/i.test(text);
}

export type Attributes = ReadonlyMap<string, string>;
/** The root element, and what is written around it. */
export interface Root {
  readonly before?: string;
  readonly attributes: Attributes;
  readonly after?: string;
}

const isUtf16 = (bytes: Buffer): boolean => bytes[0] === 0xff && bytes[1] === 0xfe;

/**
 * The document without scripts, events, foreign content, external references, DOCTYPE and processing instructions.
 * It draws the same, unless `rootOf` makes another root of its own. UTF-8.
 * @throws DeliveryError LimitExceeded for what is too large or asks for too much work, DamagedSource for what is no
 *   well-formed SVG
 */
export function sanitizeSvg(
  bytes: Buffer,
  rootOf: (attributes: Attributes) => Root = (attributes) => ({ attributes }),
): Buffer {
  if (bytes.length > SVG_BYTES_MAX) {
    throw new DeliveryError("LimitExceeded", `An SVG has at most ${SVG_BYTES_MAX} bytes.`);
  }
  return Buffer.from(new Sanitizer(rootOf).run(decodeText(bytes)));
}

function decodeText(bytes: Buffer): string {
  try {
    return new TextDecoder(isUtf16(bytes) ? "utf-16le" : "utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw damaged("it is not UTF-8");
  }
}

const damaged = (why: string): DeliveryError =>
  new DeliveryError("DamagedSource", `The SVG can't be read: ${why}.`);

const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "\t": "&#9;",
  "\n": "&#10;",
  "\r": "&#13;",
};
const escapeText = (text: string): string => text.replace(/[&<>\r]/g, (found) => ESCAPES[found] ?? "");
const escapeAttribute = (text: string): string =>
  text.replace(/[&<>"\t\n\r]/g, (found) => ESCAPES[found] ?? "");

class Sanitizer {
  private readonly out: string[] = [];
  private length = 0;
  /** Names of the open elements that are kept. */
  private readonly open: string[] = [];
  /** Levels inside an element that is left out. */
  private skipping = 0;
  private elements = 0;
  private css = "";
  private readonly work = new SvgWork();
  private readonly rootOf: (attributes: Attributes) => Root;
  private root: Root | undefined;

  constructor(rootOf: (attributes: Attributes) => Root) {
    this.rootOf = rootOf;
  }

  run(text: string): string {
    const parser = new SaxesParser({
      xmlns: true,
      position: false,
      additionalNamespaces: { xlink: XLINK },
    });
    parser.on("doctype", (doctype) => {
      Object.assign(parser.ENTITIES, entitiesOf(doctype, text));
    });
    parser.on("opentag", (tag) => this.openTag(tag));
    parser.on("closetag", (tag) => this.closeTag(tag));
    parser.on("text", (data) => this.addText(data));
    parser.on("cdata", (data) => this.addText(data));
    try {
      parser.write(text).close();
    } catch (error) {
      if (error instanceof DeliveryError) throw error;
      throw damaged("it is not well-formed");
    }
    if (this.out.length === 0) throw damaged("its root is no svg element");
    this.work.check();
    return this.out.join("");
  }

  private write(text: string): void {
    this.length += text.length;
    // Entities and escapes make text longer: what comes out is bounded like what goes in.
    if (this.length > 2 * SVG_BYTES_MAX) throw new DeliveryError("LimitExceeded", "The SVG is too large.");
    this.out.push(text);
  }

  private openTag(tag: SaxesTagNS): void {
    if (++this.elements > ELEMENTS_MAX) {
      throw new DeliveryError("LimitExceeded", `An SVG has at most ${ELEMENTS_MAX} elements.`);
    }
    const isRoot = this.open.length === 0;
    const attributes = this.skipping > 0 || !isKept(tag, isRoot) ? undefined : attributesOf(tag);
    if (attributes === undefined || NOT_ANIMATED.test(attributes.get("attributeName") ?? "")) {
      this.skipping++;
      return;
    }
    if (this.open.length >= DEPTH_MAX) {
      throw new DeliveryError(
        "LimitExceeded",
        `The elements of an SVG are nested at most ${DEPTH_MAX} deep.`,
      );
    }
    this.open.push(tag.local);
    this.work.enter(tag.local, attributes);
    if (isRoot) this.root = this.rootOf(attributes);
    this.write(isRoot ? `${this.root?.before ?? ""}<svg ${NAMESPACES}` : `<${tag.local}`);
    for (const [name, value] of (isRoot && this.root?.attributes) || attributes)
      this.write(` ${name}="${escapeAttribute(value)}"`);
    this.write(">");
  }

  private closeTag(tag: SaxesTagNS): void {
    if (this.skipping > 0) {
      this.skipping--;
      return;
    }
    if (tag.local === "style") {
      const css = cleanCss(this.css);
      this.work.addStyles(css);
      this.write(escapeText(css));
      this.css = "";
    }
    this.open.pop();
    this.work.leave();
    this.write(`</${tag.local}>${this.open.length === 0 ? (this.root?.after ?? "") : ""}`);
  }

  private addText(data: string): void {
    if (this.skipping > 0 || this.open.length === 0) return;
    if (this.open.at(-1) === "style") this.css += data;
    else {
      this.work.addText(data);
      this.write(escapeText(data));
    }
  }
}

/** Files without a namespace are taken for what they look like. */
function isKept({ uri, local }: SaxesTagNS, isRoot: boolean): boolean {
  return (uri === SVG || uri === "") && ELEMENTS.has(local) && (!isRoot || local === "svg");
}

/** By the name under which they are written out; what may not stay is left out. */
function attributesOf(tag: SaxesTagNS): Map<string, string> {
  const kept = new Map<string, string>();
  for (const { uri, local, prefix, value } of Object.values(tag.attributes)) {
    if (prefix === "xmlns" || local === "xmlns" || /^(on|src$|base$)/i.test(local)) continue;
    if (local.toLowerCase() === "href") {
      const reference = uri === "" || uri === XLINK ? cleanReference(value, tag.local) : undefined;
      if (reference !== undefined) kept.set(uri === XLINK ? "xlink:href" : "href", reference);
    } else if (uri === "" || uri === XML) {
      const cleaned = local === "style" ? cleanCss(value) : cleanValue(value);
      if (cleaned !== undefined) kept.set(uri === XML ? `xml:${local}` : local, cleaned);
    }
  }
  return kept;
}

/**
 * Entities as drawing programs declare them for namespaces: plain text. Those that hold markup or other entities don't
 * exist, and what all together expand to is bounded. @throws DeliveryError LimitExceeded
 */
function entitiesOf(doctype: string, text: string): Record<string, string> {
  const entities: Record<string, string> = {};
  const declared = [...doctype.matchAll(/<!ENTITY\s+([\w.-]+)\s+(?:"([^"]*)"|'([^']*)')\s*>/g)];
  if (declared.length > ENTITIES_MAX) {
    throw new DeliveryError("LimitExceeded", `An SVG declares at most ${ENTITIES_MAX} entities.`);
  }
  for (const [, name = "", double, single] of declared) {
    const value = double ?? single ?? "";
    if (value.length <= ENTITY_LENGTH_MAX && !/[&%<]/.test(value)) entities[name] ??= value;
  }
  const uses = text.match(/&[A-Za-z_]/g)?.length ?? 0;
  if (declared.length > 0 && uses * ENTITY_LENGTH_MAX > SVG_BYTES_MAX) {
    throw new DeliveryError("LimitExceeded", "The entities of the SVG expand to too much.");
  }
  return entities;
}
