/**
 * Documents declared once: a shape is the writer, the reader and the TypeScript type of an element at the same time.
 *
 *     const point = record({ X: integer, Y: integer, Label: optional(text) });
 *     const POINTS = document("Points", record({ Point: list(point) }), { namespace, maxElements: 400 });
 *     type Points = ValueOf<typeof POINTS>; // { Point: { X: number; Y: number; Label?: string }[] }
 *
 * Members are written in the order of their declaration and read in any order; unknown elements are skipped.
 */
import { parseXml, XmlError, type Element } from "./xmlparse.ts";

export { XmlError } from "./xmlparse.ts";

/** The writer of an element; made once per declaration, so that writing is nothing but concatenation. */
interface Writer<T> {
  write(value: T): string;
}
/** A member of a record under its name. */
interface Bound<T> extends Writer<T> {
  read(parent: Element): T;
}
/** What can be a member of a record. An "attribute" goes into the opening tag. */
export interface Field<T> {
  readonly presence: "required" | "optional" | "list" | "attribute";
  bind(name: string): Bound<T>;
}
/** An element of some name; as a member of a record it is required. */
export interface Shape<T> extends Field<T> {
  readonly presence: "required";
  writer(name: string): Writer<T>;
  /** @throws XmlError */
  readElement(element: Element): T;
}

type Fields = Readonly<Record<string, Field<unknown>>>;
type TypeOf<F> = F extends Field<infer T> ? T : never;
type OptionalNames<F extends Fields> = {
  [K in keyof F]: F[K] extends { readonly presence: "optional" } ? K : never;
}[keyof F];
type RecordOf<F extends Fields> = { [K in Exclude<keyof F, OptionalNames<F>>]: TypeOf<F[K]> } & {
  [K in OptionalNames<F>]?: TypeOf<F[K]> | undefined;
};
/** The value that a shape or a document writes and reads. */
export type ValueOf<S> = S extends Document<infer D> ? D : TypeOf<S>;

// ---- text

// eslint-disable-next-line no-control-regex
const SPECIAL = /[&<>"\u0000-\u0008\u000b-\u001f\ufffe\uffff]/;
// eslint-disable-next-line no-control-regex
const SPECIALS = /[&<>"\u0000-\u0008\u000b-\u001f\ufffe\uffff]/g;
const NAMED: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

/**
 * Text for an element or an attribute. What XML 1.0 cannot hold is written as a numeric reference: not well-formed
 * for a strict parser, but what S3 does, and lossless for the others; `encoding-type=url` is the way around it.
 */
export function escapeXml(text: string): string {
  if (!SPECIAL.test(text)) return text;
  return text.replace(SPECIALS, (char) => NAMED[char] ?? `&#x${char.charCodeAt(0).toString(16)};`);
}

/** The one child of that name. @throws XmlError when there are several */
function onlyChild(parent: Element, name: string): Element | undefined {
  let found: Element | undefined;
  for (const child of parent.children) {
    if (child.name !== name || child.uri !== parent.uri) continue;
    if (found !== undefined) throw new XmlError(`${name} occurs more than once.`);
    found = child;
  }
  return found;
}

function shape<T>(
  writer: (name: string) => (value: T) => string,
  readElement: (element: Element) => T,
): Shape<T> {
  return {
    presence: "required",
    writer: (name) => ({ write: writer(name) }),
    readElement,
    bind(name) {
      return {
        write: writer(name),
        read(parent) {
          const child = onlyChild(parent, name);
          if (child === undefined) throw new XmlError(`${name} is missing.`);
          return readElement(child);
        },
      };
    },
  };
}

/** A shape that is text on the wire. `write` gives text that is escaped already. */
function scalar<T>(write: (value: T) => string, read: (text: string, name: string) => T): Shape<T> {
  return shape(
    (name) => {
      const open = `<${name}>`;
      const close = `</${name}>`;
      return (value) => open + write(value) + close;
    },
    (element) => {
      if (element.children.length > 0) throw new XmlError(`${element.name} holds elements.`);
      return read(element.text, element.name);
    },
  );
}

const plain = (value: string) => value;
const quote = (value: string) => `&quot;${escapeXml(value)}&quot;`;

/** Text, to the last blank. */
export const text: Shape<string> = scalar(escapeXml, plain);
/** Text around which white space means nothing. */
export const token: Shape<string> = scalar(escapeXml, (value) => value.trim());
/** Text that this server made from characters that need no escape, so none is looked for. Not for what users wrote. */
export const safe: Shape<string> = scalar(plain, (value) => value.trim());
/** Written in double quotes, which are taken off when it is read. */
export const quoted: Shape<string> = scalar(quote, (value) => value.trim().replace(/^"(.*)"$/s, "$1"));
/** A safe integer in decimal. */
export const integer: Shape<number> = scalar(String, (value, name) => {
  const digits = value.trim();
  const result = Number(digits);
  if (!/^-?\d{1,16}$/.test(digits) || !Number.isSafeInteger(result)) {
    throw new XmlError(`${name} is not an integer.`);
  }
  return result;
});
export const boolean: Shape<boolean> = scalar(String, (value, name) => {
  const word = value.trim().toLowerCase();
  if (word === "true" || word === "1") return true;
  if (word === "false" || word === "0") return false;
  throw new XmlError(`${name} is not a boolean.`);
});
/** Milliseconds since 1970; ISO 8601 with milliseconds and Z. */
export const timestamp: Shape<number> = scalar(
  (value) => new Date(value).toISOString(),
  (value, name) => {
    const result = Date.parse(value.trim());
    if (Number.isNaN(result)) throw new XmlError(`${name} is not a date.`);
    return result;
  },
);
/** Only that the element is there; whatever it holds. */
export const present: Shape<true> = shape(
  (name) => () => `<${name}/>`,
  () => true,
);

/** One of these words. */
export function oneOf<const W extends string>(...words: readonly W[]): Shape<W> {
  return scalar<W>(plain, (value, name) => {
    const word = words.find((candidate) => candidate === value.trim());
    if (word === undefined) throw new XmlError(`${name} is none of ${words.join(", ")}.`);
    return word;
  });
}

// ---- structure

/** An element with members. */
export function record<F extends Fields>(fields: F): Shape<RecordOf<F>> {
  const members = Object.entries(fields).map(
    ([name, field]) => [name, field.bind(name), field.presence === "attribute"] as const,
  );
  const attributes = members.filter(([, , isAttribute]) => isAttribute);
  const elements = members.filter(([, , isAttribute]) => !isAttribute);
  return shape<RecordOf<F>>(
    (name) => (value) => {
      const values = value as Readonly<Record<string, unknown>>;
      let out = `<${name}`;
      for (const [member, bound] of attributes) out += bound.write(values[member]);
      out += ">";
      for (const [member, bound] of elements) out += bound.write(values[member]);
      return `${out}</${name}>`;
    },
    (element) => {
      const values: Record<string, unknown> = {};
      for (const [member, bound] of members) {
        const value = bound.read(element);
        if (value !== undefined) values[member] = value;
      }
      return values as RecordOf<F>;
    },
  );
}

/** A member that may be missing; undefined is not written. */
export function optional<T>(of: Shape<T>): Field<T | undefined> & { readonly presence: "optional" } {
  return {
    presence: "optional",
    bind(name) {
      const item = of.writer(name);
      return {
        write: (value) => (value === undefined ? "" : item.write(value)),
        read(parent) {
          const child = onlyChild(parent, name);
          return child === undefined ? undefined : of.readElement(child);
        },
      };
    },
  };
}

/** Any number of elements of that name, one after the other. */
export function list<T>(of: Shape<T>): Field<readonly T[]> & { readonly presence: "list" } {
  return {
    presence: "list",
    bind(name) {
      const item = of.writer(name);
      return {
        write(values) {
          let out = "";
          for (const value of values) out += item.write(value);
          return out;
        },
        read: (parent) =>
          parent.children
            .filter((child) => child.name === name && child.uri === parent.uri)
            .map((child) => of.readElement(child)),
      };
    },
  };
}

/** An element that holds any number of elements of one name and nothing else. */
export function wrapped<T>(item: string, of: Shape<T>): Shape<readonly T[]> {
  const items = list(of).bind(item);
  return shape(
    (name) => (values) => `<${name}>${items.write(values)}</${name}>`,
    (element) => items.read(element),
  );
}

/** Elements of several names, mixed, in the order of the values: `[name, value]`. The member's own name is unused. */
export function mixed<F extends Readonly<Record<string, Shape<unknown>>>>(
  shapes: F,
): Field<readonly { [K in keyof F]: readonly [K, TypeOf<F[K]>] }[keyof F][]> & { readonly presence: "list" } {
  type Item = { [K in keyof F]: readonly [K, TypeOf<F[K]>] }[keyof F];
  const byName = new Map<PropertyKey, Shape<unknown>>(Object.entries(shapes));
  const writers = new Map<PropertyKey, Writer<unknown>>();
  for (const [name, of] of Object.entries(shapes)) writers.set(name, of.writer(name));
  return {
    presence: "list",
    bind: () => ({
      write(values) {
        let out = "";
        for (const [name, value] of values) out += writers.get(name)?.write(value) ?? "";
        return out;
      },
      read(parent) {
        const items: Item[] = [];
        for (const child of parent.children) {
          const of = byName.get(child.name);
          // The key is one of F's own names, which is what the tuple says.
          if (of !== undefined) items.push([child.name, of.readElement(child)] as unknown as Item);
        }
        return items;
      },
    }),
  };
}

/** A required attribute in a namespace, which is declared on the same element. A prefix of the value is dropped. */
export function attribute(
  prefix: string,
  local: string,
  namespace: string,
): Field<string> & { readonly presence: "attribute" } {
  return {
    presence: "attribute",
    bind: () => ({
      write: (value) => ` xmlns:${prefix}="${namespace}" ${prefix}:${local}="${escapeXml(value)}"`,
      read(parent) {
        const value = parent.attributes.get(`{${namespace}}${local}`);
        if (value === undefined) throw new XmlError(`${parent.name} has no ${prefix}:${local}.`);
        return value.trim().replace(/^.*:/s, "");
      },
    }),
  };
}

// ---- documents

export interface Document<T> {
  /** The whole document with its declaration. */
  write(value: T): string;
  /** @throws XmlError */
  read(bytes: Buffer): T;
}

export interface DocumentOptions {
  /** Written on the root. */
  namespace: string;
  /** Accepted on the root when reading, beside `namespace` and none. */
  alsoRead?: readonly string[];
  /** Elements that a document may hold when it is read; stops memory attacks by tiny elements. */
  maxElements: number;
}

/** A whole document: a shape under the name of its root. */
export function document<T>(root: string, of: Shape<T>, options: DocumentOptions): Document<T> {
  const writer = of.writer(root);
  const opening = `<${root}`;
  const head = `<?xml version="1.0" encoding="UTF-8"?>\n${opening} xmlns="${options.namespace}"`;
  const accepted = new Set(["", options.namespace, ...(options.alsoRead ?? [])]);
  return {
    write: (value) => head + writer.write(value).slice(opening.length),
    read(bytes) {
      const element = parseXml(bytes, options.maxElements);
      if (element.name !== root) throw new XmlError(`The root is not ${root}.`);
      if (!accepted.has(element.uri)) throw new XmlError("The namespace is not known.");
      return of.readElement(element);
    },
  };
}
