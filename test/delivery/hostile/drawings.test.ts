/** SVG that asks for too much, or for what isn't its own. */
import { gzipSync } from "node:zlib";
import { quadrants } from "../site.ts";
import { HARMLESS, NO_PICTURE, SERVED, survives, TOO_MUCH, type Ending, type Hostile } from "./cases.ts";
import { deflatedZeros, flatPng, gifOf, junk, png, vp8lClaiming } from "./rasters.ts";

const NS = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"';
const svg = (inner: string, attributes = 'width="300" height="300"'): Buffer =>
  Buffer.from(`<svg ${NS} ${attributes}>${inner}</svg>`);
const drawings = (file: string): string[] => [
  `tr:w-100,f-png/${file}`,
  `tr:w-3000,f-png/${file}`,
  `tr:w-100,f-png,rt-30/${file}`,
  `${file}/metadata`,
];
const drawn = (name: string, inner: string, ends: Ending = HARMLESS, attributes?: string): Hostile => ({
  name,
  files: { "a.svg": svg(inner, attributes) },
  urls: drawings("a.svg"),
  ends,
});
const data = (type: string, bytes: Buffer): string => `data:image/${type};base64,${bytes.toString("base64")}`;
const levels = (count: number, level: (n: number) => string): string =>
  Array.from({ length: count }, (_, n) => level(n)).join("");
const path = (points: number): string =>
  Array.from({ length: points }, (_, n) => `L${(n * 7919) % 300} ${(n * 104_729) % 300}`).join("");

const SIZES: Hostile[] = [
  drawn("30,000 by 30,000", "<rect/>", TOO_MUCH, 'width="30000" height="30000"'),
  drawn(
    "a viewBox of a million",
    '<rect width="1e6" height="1e6"/>',
    HARMLESS,
    'viewBox="0 0 1000000 1000000"',
  ),
  drawn("1e30 by 1e-30", "<rect/>", HARMLESS, 'width="1e30" height="1e-30"'),
  drawn(
    "in inches, in percent, in NaN",
    "<rect/>",
    HARMLESS,
    'width="10000in" height="100%" viewBox="0 0 NaN 1"',
  ),
  drawn("a negative size", "<rect/>", HARMLESS, 'width="-5" height="-5"'),
  {
    name: "a small one made 16,000 wide",
    files: { "a.svg": svg("<rect width='9' height='9'/>") },
    urls: ["tr:w-16000,f-png/a.svg", "tr:w-9000,h-9000,f-png/a.svg", "tr:w-16383,h-3200,f-png/a.svg"],
    ends: TOO_MUCH,
  },
];
const REFERENCES: Hostile[] = [
  drawn(
    "a million elements by use",
    levels(7, (n) => `<g id="u${n + 1}">${`<use href="#u${n}"/>`.repeat(10)}</g>`) +
      '<rect id="u0" width="9" height="9"/><use href="#u6"/>',
    TOO_MUCH,
  ),
  drawn("use of itself", '<g id="a"><use href="#a"/></g>', TOO_MUCH),
  drawn(
    "a mask that is its own mask",
    '<mask id="m"><rect width="9" height="9" mask="url(#m)"/></mask><rect width="9" height="9" mask="url(#m)"/>',
    TOO_MUCH,
  ),
  drawn(
    "a pattern that is its own fill",
    '<pattern id="p" width="9" height="9"><rect width="9" height="9" fill="url(#p)"/></pattern><rect width="99" height="99" fill="url(#p)"/>',
    TOO_MUCH,
  ),
  drawn(
    "a filter that draws itself",
    '<filter id="f"><feImage href="#r"/></filter><rect id="r" width="99" height="99" filter="url(#f)"/>',
  ),
  drawn(
    "gradients that refer to each other",
    '<linearGradient id="a" href="#b"/><linearGradient id="b" href="#a"/><rect fill="url(#a)" width="99" height="99"/>',
  ),
  drawn(
    "files and hosts",
    '<image href="file:///etc/passwd" width="9" height="9"/><image href="http://127.0.0.1:1/x.png"/><use href="http://127.0.0.1:1/x.svg#a"/><image xlink:href="../../etc/passwd"/><feImage href="file:///etc/hostname"/>',
    SERVED,
  ),
  drawn(
    "scripts and foreign content",
    '<script>while(true){}</script><foreignObject width="300" height="300"><body xmlns="http://www.w3.org/1999/xhtml"><iframe src="file:///etc/passwd"/></body></foreignObject><rect onload="x()" width="9" height="9"/>',
    SERVED,
  ),
  drawn(
    "imports and fonts",
    '<style>@import url("http://127.0.0.1:1/x.css"); @font-face{font-family:x;src:url(http://127.0.0.1:1/x.ttf)} text{font-family:x}</style><text y="50">x</text>',
    SERVED,
  ),
  {
    name: "entities from files, and a billion laughs",
    files: {
      "x.svg": Buffer.from(
        `<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]><svg ${NS} width="9" height="9"><text>&x;</text></svg>`,
      ),
      "l.svg": Buffer.from(
        `<!DOCTYPE svg [<!ENTITY l0 "ha">${levels(12, (n) => `<!ENTITY l${n + 1} "${`&l${n};`.repeat(10)}">`)}]><svg ${NS} width="9" height="9"><text>&l12;</text></svg>`,
      ),
      "p.svg": Buffer.from(
        `<!DOCTYPE svg [<!ENTITY % a "<!ENTITY b SYSTEM 'http://127.0.0.1:1/'>"> %a;]><svg ${NS} width="9" height="9"><text>&b;</text></svg>`,
      ),
      "q.svg": Buffer.from(
        `<!DOCTYPE svg [<!ENTITY a "${"x".repeat(200)}">]><svg ${NS}><text>${"&a;".repeat(1_000_000)}</text></svg>`,
      ),
    },
    urls: ["x", "l", "p", "q"].flatMap((n) => drawings(`${n}.svg`)),
    ends: NO_PICTURE,
  },
];
const AMOUNTS: Hostile[] = [
  drawn(
    "a filter of the size of the world",
    '<filter id="f" x="-1e6" y="-1e6" width="1e7" height="1e7" filterUnits="userSpaceOnUse"><feGaussianBlur stdDeviation="10000"/></filter><rect width="99" height="99" filter="url(#f)"/>',
  ),
  drawn(
    "two hundred blurs",
    `<filter id="f">${'<feGaussianBlur stdDeviation="90"/>'.repeat(200)}</filter><rect width="300" height="300" filter="url(#f)"/>`,
  ),
  drawn(
    "nine hundred turbulences",
    `<filter id="f" width="1" height="1" x="0" y="0">${'<feTurbulence baseFrequency="0.01" numOctaves="16"/>'.repeat(900)}</filter><rect width="300" height="300" filter="url(#f)"/>`,
  ),
  drawn(
    "morphology, lighting, displacement",
    `<filter id="f">${'<feMorphology radius="256"/><feDiffuseLighting surfaceScale="1e9"><feSpotLight x="1e30"/></feDiffuseLighting><feDisplacementMap in="SourceGraphic" scale="1e9"/><feConvolveMatrix order="16" kernelMatrix="'.concat(Array(256).fill("1").join(" ")).concat('"/>').repeat(5)}</filter><rect width="300" height="300" filter="url(#f)"/>`,
  ),
  drawn(
    "twenty thousand rectangles with a filter each",
    `<filter id="f"><feOffset dx="1"/></filter>${'<rect width="9" height="9" filter="url(#f)"/>'.repeat(20_000)}`,
  ),
  drawn(
    "twenty thousand groups of their own opacity",
    '<g opacity="0.5"><rect width="300" height="300"/></g>'.repeat(20_000),
  ),
  drawn(
    "groups of opacity in groups of opacity",
    `${'<g opacity="0.99">'.repeat(190)}<rect width="300" height="300"/>${"</g>".repeat(190)}`,
  ),
  drawn(
    "a path of three hundred thousand corners",
    `<path d="M0 0${path(300_000)}" stroke="red" fill-rule="evenodd"/>`,
  ),
  drawn(
    "two hundred paths of thick dashes",
    `<g stroke="red" stroke-width="50" stroke-dasharray="0.001 0.001" fill="none">${levels(200, () => '<path d="M0 0L1e6 1e6"/>')}</g>`,
  ),
  drawn(
    "round joins of a spiky path, each under a clip",
    `<clipPath id="c"><path d="M0 0${path(2000)}"/></clipPath>${`<g clip-path="url(#c)"><path stroke-linejoin="round" stroke-width="30" stroke="red" fill="none" d="M0 0${path(2000)}"/></g>`.repeat(100)}`,
  ),
  drawn("half a million levels, never closed", "<g>".repeat(500_000), NO_PICTURE),
  drawn("a hundred thousand levels, closed", `${"<g>".repeat(100_000)}${"</g>".repeat(100_000)}`, TOO_MUCH),
  drawn(
    "coordinates beyond numbers",
    '<path d="M1e308 1e308L-1e308 NaN A1e308 1e308 1e308 1 1 Infinity 0Z" stroke="red" stroke-width="1e308"/><rect x="-1e38" width="1e38" height="1e38" transform="scale(1e38) rotate(1e38)"/>',
  ),
  drawn(
    "text of nine hundred thousand letters",
    `<text y="50" font-size="20">${"Ag ".repeat(300_000)}</text>`,
  ),
  drawn(
    "text of a million pixels, and of a font nobody has",
    '<text y="90000" font-size="100000" font-family="x">W</text><text font-size="1e30">W</text>',
  ),
  drawn("a hundred thousand spans", `<text y="9">${"<tspan>a</tspan>".repeat(99_000)}</text>`),
  drawn(
    "letters with a thousand marks each",
    `<text y="50" font-size="20">${`e${"\u0301".repeat(1000)}`.repeat(300)}</text>`,
  ),
  drawn(
    "attributes of megabytes",
    `<rect ${levels(1000, (n) => `a${n}="${"x".repeat(4000)}" `)} width="9" height="9"/>`,
  ),
  drawn(
    "patterns of tiny tiles",
    '<pattern id="p" width="0.0001" height="0.0001" patternUnits="userSpaceOnUse"><rect width="1" height="1"/></pattern><rect width="300" height="300" fill="url(#p)"/>',
  ),
  drawn(
    "gradients of fifty thousand stops",
    `<linearGradient id="g">${levels(50_000, (n) => `<stop offset="${n / 50_000}" stop-color="red"/>`)}</linearGradient><rect width="300" height="300" fill="url(#g)"/>`,
  ),
  drawn(
    "markers at every corner",
    `<marker id="m" markerWidth="100" markerHeight="100"><rect width="100" height="100" opacity="0.5"/></marker><path fill="none" stroke="red" marker-mid="url(#m)" d="M0 0${path(90_000)}"/>`,
  ),
  drawn(
    "style sheets of ten thousand rules for ten thousand elements",
    `<style>${levels(10_000, (n) => `g g .c${n} > rect:nth-child(${n}) {fill:red}`)}</style>${'<g class="a"><rect class="c9"/></g>'.repeat(10_000)}`,
  ),
];
const EMBEDDED: Hostile[] = [
  {
    name: "pictures in it that are bombs",
    files: {
      "a.svg": async () =>
        svg(
          `<image width="300" height="300" href="${data("png", await flatPng(16_000, 16_000, { depth: 1, colour: 0 }))}"/>`,
        ),
      "b.svg": svg(`<image width="300" height="300" href="${data("png", png(65_000, 65_000))}"/>`),
      "c.svg": svg(`<image width="300" height="300" href="${data("gif", gifOf(65_000, 65_000, 1))}"/>`),
      "d.svg": svg(`<image width="300" height="300" href="${data("webp", vp8lClaiming(16_000, 16_000))}"/>`),
    },
    urls: ["a", "b", "c", "d"].flatMap((n) => drawings(`${n}.svg`)),
    ends: TOO_MUCH,
  },
  {
    name: "three hundred pictures just within the limits",
    files: {
      "a.svg": async () => {
        const one = data("png", await flatPng(5000, 5000, { depth: 1, colour: 0 }));
        return svg(levels(300, (n) => `<image id="i${n}" width="300" height="300" href="${one}"/>`));
      },
    },
    urls: drawings("a.svg"),
    ends: HARMLESS,
  },
  {
    name: "one picture used ten thousand times",
    files: {
      "a.svg": async () => {
        const one = data("png", await flatPng(4900, 4900, { depth: 1, colour: 0 }));
        return svg(
          `<image id="i" width="300" height="300" href="${one}"/>${'<use href="#i" x="1"/>'.repeat(10_000)}`,
        );
      },
    },
    urls: drawings("a.svg"),
    ends: HARMLESS,
  },
  {
    name: "a picture in it that is damaged, lies, or has a gigabyte of text",
    files: {
      "a.svg": svg(
        `<image width="99" height="99" href="${data("png", png(100, 100))}"/><image width="99" height="99" href="${data("jpeg", Buffer.concat([Buffer.from("ffd8ffc0001108ffffffff03", "hex"), junk(999)]))}"/>`,
      ),
      "b.svg": async () =>
        svg(
          `<image width="99" height="99" href="${data("png", png(10, 10, { before: [], idat: await deflatedZeros(1 << 30) }))}"/>`,
        ),
      "c.svg": async () =>
        svg(
          `<image width="99" height="99" href="data:image/png;base64,${(await quadrants(9, 9).png().toBuffer()).toString("base64")}${"A".repeat(3_000_000)}"/>`,
        ),
    },
    urls: ["a", "b", "c"].flatMap((n) => drawings(`${n}.svg`)),
    ends: HARMLESS,
  },
];
const FORMS: Hostile[] = [
  {
    name: "SVGs in an SVG",
    files: {
      "a.svg": () => {
        let inner = svg("<rect width='9' height='9'/>");
        for (let n = 0; n < 8; n++)
          inner = svg(`<image width="99" height="99" href="${data("svg+xml", inner)}"/>`);
        return inner;
      },
    },
    urls: drawings("a.svg"),
    ends: SERVED,
  },
  {
    name: "compressed to nothing",
    files: {
      "a.svgz": gzipSync(Buffer.alloc(100 << 20, " ")),
      "b.svgz": gzipSync(Buffer.concat([svg("").subarray(0, -6), Buffer.alloc(20 << 20, "<g/>")])),
      "c.svgz": gzipSync(svg("<rect/>")).subarray(0, -9),
    },
    urls: ["a", "b", "c"].flatMap((n) => drawings(`${n}.svgz`)),
    ends: NO_PICTURE,
  },
  {
    name: "six megabytes of blanks",
    files: {
      "a.svg": Buffer.concat([
        Buffer.from(`<svg ${NS} width="9" height="9">`),
        Buffer.alloc(6 << 20, " "),
        Buffer.from("</svg>"),
      ]),
    },
    urls: drawings("a.svg"),
    ends: TOO_MUCH,
  },
  {
    name: "cut off, of other encodings, of NULs",
    files: {
      "a.svg": svg("<rect/>").subarray(0, 120),
      "b.svg": Buffer.from(
        `<?xml version="1.0" encoding="UTF-7"?><svg ${NS}>+ADw-script+AD4-</svg>`.replace("<svg", "<svg\0"),
      ),
      "c.svg": Buffer.concat([Buffer.from(`<svg ${NS}>`), junk(2000), Buffer.from("</svg>")]),
    },
    urls: ["a", "b", "c"].flatMap((n) => drawings(`${n}.svg`)),
    ends: NO_PICTURE,
  },
];
/** Nothing but the clock ends some of these drawings, each of which is asked for in four ways. */
const limits = { renderSeconds: 1 };
survives("SVG: sizes, references and forms", [...SIZES, ...REFERENCES, ...FORMS]);
survives("SVG: amounts", [...AMOUNTS, ...EMBEDDED], limits);
