/** Bytes to a tree of elements: strict UTF-8, no DTD, every dimension bounded. */
import { isAscii } from "node:buffer";
import { SaxesParser, type SaxesTagNS } from "saxes";

/** What is wrong with a document; the caller decides what error that is. */
export class XmlError extends Error {
  override readonly name = "XmlError";
}

export interface Element {
  /** Local name. */
  readonly name: string;
  /** Namespace, "" when none. */
  readonly uri: string;
  /** By `{namespace}local`, `local` when it has none. Declarations of namespaces are not among them. */
  readonly attributes: ReadonlyMap<string, string>;
  readonly children: Element[];
  /** The character data directly inside, comments removed, sections of CDATA included. */
  text: string;
}

/** Levels of elements: no document here needs more than six; stops stack and memory attacks by nesting. */
const MAX_DEPTH = 16;
/** Attributes of one element; stops quadratic duplicate checks. */
const MAX_ATTRIBUTES = 16;
/** Declared for documents that use the prefix without declaring it, as samples of the 2009 guide do. */
const KNOWN_PREFIXES = { xsi: "http://www.w3.org/2001/XMLSchema-instance" };

function decode(bytes: Buffer): string {
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new XmlError("The document is not UTF-8.");
  }
}

/**
 * XML 1.0 has no way to write most control characters, but keys may hold them and clients write `&#1;` for them, so
 * such a document is read as XML 1.1; not when it also holds what 1.1 alone takes for line ends.
 */
function versionOf(text: string): "1.0" | "1.1" {
  return /&#(?:x0*[01]?[0-9a-f]|0*[12]?[0-9]|0*3[01]);/i.test(text) && !/[\u0085\u2028]/.test(text)
    ? "1.1"
    : "1.0";
}

interface Building {
  root: Element | undefined;
  readonly open: Element[];
  elements: number;
}

/** Reads a document of at most `maxElements` elements. @throws XmlError */
export function parseXml(bytes: Buffer, maxElements: number): Element {
  const text = decode(bytes);
  const parser = new SaxesParser({
    xmlns: true,
    position: false,
    additionalNamespaces: KNOWN_PREFIXES,
    defaultXMLVersion: versionOf(text),
    forceXMLVersion: true,
  });
  const building: Building = { root: undefined, open: [], elements: 0 };
  const addText = (data: string) => {
    const element = building.open.at(-1);
    if (element !== undefined) element.text += data;
  };
  parser.on("doctype", () => {
    throw new XmlError("Document type declarations are not allowed.");
  });
  parser.on("xmldecl", ({ encoding }) => {
    // The bytes were read as UTF-8; under another name they could mean other keys.
    if (encoding !== undefined && encoding.toLowerCase() !== "utf-8" && !isAscii(bytes)) {
      throw new XmlError("The encoding must be UTF-8.");
    }
  });
  parser.on("text", addText);
  parser.on("cdata", addText);
  parser.on("opentag", (tag) => openElement(building, tag, maxElements));
  parser.on("closetag", () => {
    building.open.pop();
  });
  try {
    parser.write(text).close();
  } catch (error) {
    if (error instanceof XmlError) throw error;
    throw new XmlError(error instanceof Error ? error.message : "The document is not well-formed.");
  }
  if (building.root === undefined) throw new XmlError("The document has no element.");
  return building.root;
}

function openElement(building: Building, tag: SaxesTagNS, maxElements: number): void {
  const { open } = building;
  if (open.length >= MAX_DEPTH) throw new XmlError("The document is nested too deeply.");
  if (++building.elements > maxElements) throw new XmlError("The document has too many elements.");
  const attributes = new Map<string, string>();
  for (const { uri, local, prefix, value } of Object.values(tag.attributes)) {
    if (prefix === "xmlns" || (prefix === "" && local === "xmlns")) continue;
    attributes.set(uri === "" ? local : `{${uri}}${local}`, value);
  }
  if (attributes.size > MAX_ATTRIBUTES) throw new XmlError("An element has too many attributes.");
  const element: Element = { name: tag.local, uri: tag.uri, attributes, children: [], text: "" };
  const parent = open.at(-1);
  if (parent === undefined) building.root = element;
  else parent.children.push(element);
  open.push(element);
}
