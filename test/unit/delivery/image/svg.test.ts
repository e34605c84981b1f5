/** What is left of a stranger's SVG, and what isn't even begun. */
import * as fc from "fast-check";
import sharp from "sharp";
import { describe, expect, test } from "vitest";
import { DeliveryError } from "../../../../src/delivery/errors.ts";
import { sanitizeSvg } from "../../../../src/delivery/image/svg.ts";

const NS = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"';
const clean = (inner: string, attributes = ""): string =>
  sanitizeSvg(Buffer.from(`<svg ${NS} ${attributes}>${inner}</svg>`)).toString();
/** The code of the refusal. */
function refused(document: string): string {
  try {
    return sanitizeSvg(Buffer.from(document)).toString();
  } catch (error) {
    if (error instanceof DeliveryError) return error.code;
    throw error;
  }
}
const pixels = async (svg: Buffer): Promise<Buffer> => sharp(svg).ensureAlpha().raw().toBuffer();

describe("what goes", () => {
  test.each([
    ["scripts", "<script>alert(1)</script>", "alert"],
    ["scripts in CDATA", "<script><![CDATA[alert(1)]]></script>", "alert"],
    [
      "scripts of another namespace",
      '<h:script xmlns:h="http://www.w3.org/1999/xhtml">alert(1)</h:script>',
      "alert",
    ],
    [
      "scripts in what is left out",
      "<foreignObject><g><script>alert(1)</script></g></foreignObject>",
      "alert",
    ],
    ["events", '<rect onclick="alert(1)" ONLOAD="alert(1)"/>', "alert"],
    [
      "foreign content",
      "<foreignObject><body xmlns='http://www.w3.org/1999/xhtml'>x</body></foreignObject>",
      "body",
    ],
    ["pictures elsewhere", '<image href="http://example.com/a.png"/>', "example.com"],
    ["pictures elsewhere, the old way", '<image xlink:href="https://example.com/a.png"/>', "example.com"],
    ["files", '<image href="file:///etc/passwd"/>', "passwd"],
    ["documents elsewhere", '<use href="other.svg#a"/>', "other"],
    ["SVG in data", '<image href="data:image/svg+xml;base64,PHN2Zy8+"/>', "data:"],
    ["scripts in links", '<a href="javascript:alert(1)"><rect/></a>', "alert"],
    ["scripts in links, in disguise", '<a href="java&#10;script:alert(1)"><rect/></a>', "alert"],
    ["animated links", '<a><animate attributeName="href" values="javascript:alert(1)"/></a>', "alert"],
    ["animated links, the old way", '<set attributeName="xlink:href" to="javascript:alert(1)"/>', "alert"],
    ["style elsewhere", '<rect style="fill:url(http://example.com/#a)"/>', "example.com"],
    ["style elsewhere, escaped", '<rect style="fill:u\\72l(http://example.com/#a)"/>', "example.com"],
    ["style elsewhere, twice escaped", '<rect style="fill:\\5c 75rl(//example.com/#a)"/>', "\\75"],
    ["attributes elsewhere", '<rect fill="url(http://example.com/#a)"/>', "example.com"],
    ["imports", "<style>@import 'http://example.com/a.css';</style>", "example.com"],
    ["imports, escaped", "<style>@\\69mport 'http://example.com/a.css';</style>", "example.com"],
    ["fonts elsewhere", "<style>@font-face{src:url(http://example.com/a.woff)}</style>", "example.com"],
    ["addresses without an end", "<style>a{fill:url(http://example.com/</style>", "example.com"],
    ["image-set", "<style>a{background:image-set('http://example.com/a' 1x)}</style>", "example.com"],
    ["programs' instructions", '<?xml-stylesheet href="http://example.com/a.css"?><rect/>', "example.com"],
    ["editors' own", '<sodipodi:namedview xmlns:sodipodi="http://sodipodi.net" a="secret"/>', "secret"],
    ["base addresses", '<g xml:base="http://example.com/"><rect/></g>', "example.com"],
  ])("%s", (_, inner, gone) => {
    const left = clean(`${inner}<circle r="5"/>`);
    expect(left).not.toContain(gone);
    expect(left).toContain('<circle r="5"></circle>');
  });

  test("a DOCTYPE, whose external entities say nothing", () => {
    const svg = `<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg ${NS}><text>&x;</text></svg>`;
    expect(refused(svg)).toBe("DamagedSource");
    expect(
      refused(`<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/x.dtd"><svg ${NS}/>`),
    ).toBe('<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"></svg>');
  });
});

/** As XML can hold it. */
const escape = (value: string): string =>
  value.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`).replace(/[^\P{C}\n]/gu, "");

describe("what stays", () => {
  test("it draws the same", async () => {
    const raster = await sharp({ create: { width: 4, height: 4, channels: 3, background: "#00ff00" } })
      .png()
      .toBuffer();
    const svg = Buffer.from(
      `<?xml version="1.0" encoding="UTF-8"?><!-- drawn -->
      <svg ${NS} width="120" height="80" viewBox="0 0 120 80"><title>A &amp; B</title>
      <style type="text/css"><![CDATA[ .a{fill:url(#g)} #b > .c{stroke:#00f;stroke-width:3} ]]></style>
      <defs><linearGradient id="g"><stop stop-color="red"/><stop offset="1" stop-color="blue"/></linearGradient>
      <clipPath id="k"><circle cx="60" cy="40" r="30"/></clipPath>
      <filter id="f"><feGaussianBlur stdDeviation="2"/></filter>
      <pattern id="p" width="8" height="8" patternUnits="userSpaceOnUse"><rect width="4" height="4"/></pattern></defs>
      <rect class="a" width="120" height="20"/><g id="b"><path class="c" d="M0 30L120 50"/></g>
      <rect y="50" width="60" height="30" fill="url(#p)" clip-path="url(#k)"/>
      <circle cx="90" cy="60" r="10" style="fill: orange; filter: url('#f')"/>
      <symbol id="s"><rect width="9" height="9" fill="lime"/></symbol><use xlink:href="#s" x="5" y="25"/>
      <image href="data:image/png;base64,${raster.toString("base64")}" x="100" y="60" width="10" height="10"/></svg>`,
    );
    const cleaned = sanitizeSvg(svg);
    expect((await pixels(cleaned)).equals(await pixels(svg))).toBe(true);
    expect(sanitizeSvg(cleaned).equals(cleaned)).toBe(true);
  });

  test("entities that programs declare for their namespaces", () => {
    const svg = `<!DOCTYPE svg [<!ENTITY ns_svg "http://www.w3.org/2000/svg">]><svg xmlns="&ns_svg;"><rect/></svg>`;
    expect(refused(svg)).toContain("<rect></rect>");
  });

  test("whatever it is made of, the result is well-formed and cleaning it again changes nothing", () => {
    const text = fc.string({ unit: "grapheme", maxLength: 20 });
    const name = fc.constantFrom(
      "fill",
      "style",
      "href",
      "id",
      "class",
      "onload",
      "d",
      "xlink:href",
      "filter",
    );
    const value = fc.oneof(
      text,
      fc.constantFrom("url(#a)", "url(http://x/)", "#a", "u\\72l(x)", "url( 'x", "a:url(#b);b:url(y)"),
    );
    const element = fc.constantFrom("g", "rect", "use", "script", "style", "a", "image", "filter", "feFlood");
    const node = fc.tuple(element, fc.uniqueArray(fc.tuple(name, value), { selector: ([one]) => one }), text);
    fc.assert(
      fc.property(fc.array(node, { maxLength: 6 }), (nodes) => {
        const inner = nodes
          .map(([tag, attributes, content]) => {
            const written = attributes.map(([key, said]) => ` ${key}="${escape(said)}"`).join("");
            return `<${tag}${written}>${escape(content)}</${tag}>`;
          })
          .join("");
        const once = refused(`<svg ${NS}>${inner}</svg>`);
        if (once === "LimitExceeded") return;
        expect(once).toMatch(/^<svg /);
        expect(refused(once)).toBe(once);
        expect(once).not.toMatch(/http:\/\/x|<script|onload/);
      }),
    );
  });
});

/** Levels of ten references each to the level below. */
const levels = (count: number, level: (n: number) => string): string =>
  Array.from({ length: count }, (_, n) => level(n)).join("");
const ten = (one: string): string => one.repeat(10);

describe("what isn't begun", () => {
  test.each([
    [
      "use that multiplies",
      levels(7, (n) => `<g id="u${n + 1}">${ten(`<use href="#u${n}"/>`)}</g>`) + '<rect id="u0"/>',
    ],
    [
      "use that multiplies, by escaped ids",
      levels(7, (n) => `<g id="u${n + 1}">${ten(`<use href="#%75${n}"/>`)}</g>`) + '<rect id="u0"/>',
    ],
    [
      "patterns in patterns",
      levels(7, (n) => `<pattern id="p${n + 1}">${ten(`<rect fill="url(#p${n})"/>`)}</pattern>`) +
        '<pattern id="p0"/><rect fill="url(#p7)"/>',
    ],
    [
      "patterns in patterns, by style sheet",
      `<style>${levels(7, (n) => `.c${n} { fill : url( "#p${n}" ) }`)}</style>` +
        levels(7, (n) => `<pattern id="p${n + 1}">${ten(`<rect class="x c${n}"/>`)}</pattern>`) +
        '<pattern id="p0"/><rect fill="url(#p7)"/>',
    ],
    [
      "masks in masks",
      levels(7, (n) => `<mask id="m${n + 1}">${ten(`<rect mask="url(#m${n})"/>`)}</mask>`) +
        '<mask id="m0"/>',
    ],
    [
      "markers at a million corners",
      `<marker id="m">${ten("<rect/>")}</marker><path marker-mid="url(#m)" d="${"L1 1".repeat(200_000)}"/>`,
    ],
    [
      "a thousand filters",
      `<filter id="f">${ten(ten("<feGaussianBlur/>"))}</filter>${ten(ten('<rect filter="url(#f)"/>'))}`,
    ],
    ["something that uses itself", '<g id="a"><use href="#a"/></g>'],
    ["two that use each other", '<g id="a"><use href="#b"/></g><g id="b"><use href="#a"/></g>'],
    ["a chain of ten thousand", levels(10_000, (n) => `<g id="u${n}"><use href="#u${n + 1}"/></g>`)],
    ["elements without end", "<g/>".repeat(100_001)],
    ["levels without end", "<g>".repeat(300) + "</g>".repeat(300)],
    ["octaves without end", '<filter id="f"><feTurbulence numOctaves="1000000"/></filter>'],
    ["a matrix without end", '<filter id="f"><feConvolveMatrix order="1000"/></filter>'],
    ["brushes without end", '<filter id="f"><feMorphology radius="1 99999"/></filter>'],
    [
      "a bomb in a picture in it",
      `<image href="data:image/png;base64,${Buffer.from("89504e470d0a1a0a0000000d494844520000ffff0000ffff0806000000", "hex").toString("base64")}"/>`,
    ],
  ])("%s", (_, inner) => {
    expect(refused(`<svg ${NS}>${inner}</svg>`)).toBe("LimitExceeded");
  });

  test("a billion laughs", () => {
    const entities = levels(9, (n) => `<!ENTITY l${n + 1} "${ten(`&l${n};`)}">`);
    expect(refused(`<!DOCTYPE svg [<!ENTITY l0 "ha">${entities}]><svg ${NS}><text>&l9;</text></svg>`)).toBe(
      "DamagedSource",
    );
  });

  test("one entity a million times", () => {
    const uses = "&a;".repeat(1_000_000);
    const svg = `<!DOCTYPE svg [<!ENTITY a "${"x".repeat(200)}">]><svg ${NS}><text>${uses}</text></svg>`;
    expect(refused(svg)).toBe("LimitExceeded");
  });

  test.each([
    ["", "DamagedSource"],
    ["<svg", "DamagedSource"],
    [`<svg ${NS}><g></svg>`, "DamagedSource"],
    ["<html><svg/></html>", "DamagedSource"],
    [`<svg ${NS}>&nothing;</svg>`, "DamagedSource"],
  ])("what is no SVG: %s", (document, code) => {
    expect(refused(document)).toBe(code);
  });

  test.each([
    ["styles that never close", `<style>${"url( ".repeat(300_000)}</style>`],
    ["styles of blanks", `<style>url(${" ".repeat(2_000_000)}x</style>`],
    ["styles of braces", `<style>${"a{".repeat(500_000)}</style>`],
    [
      "style sheets that match everything",
      `<style>${"*{fill:url(#a)}".repeat(50_000)}</style>${"<g/>".repeat(50_000)}`,
    ],
    ["comments that never close", `<style>${"/*".repeat(1_000_000)}</style>`],
    ["escapes", `<rect style="${"\\75".repeat(500_000)}"/>`],
  ])("%s cost no more than they should", (_, inner) => {
    // A quadratic scan of these would take longer than a test may.
    expect(refused(`<svg ${NS}>${inner}</svg>`)).toMatch(/^<svg|LimitExceeded/);
  });
});
