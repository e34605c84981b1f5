/** docs/reference/transformations.md: the rows of THE table, and the forms that are no options. */
import { CHAIN_MAX } from "../limits.ts";
import type { Transformation } from "./rows.ts";
import { TRANSFORMATIONS } from "./transforms.ts";

/** What is no option of a step: layers, conditions, and the forms of paths. */
export const FORMS: readonly { syntax: string; doc: string; examples: Readonly<Record<string, string>> }[] = [
  {
    syntax: "`step:step`",
    doc: "A chain: each step works on the result of the one before. Empty items, and blanks behind a comma, say nothing.",
    examples: { chain: "w-400,h-300:rt-90" },
  },
  {
    syntax: "`w-iw_mul_0.5`",
    doc: "Arithmetic with `add`, `sub`, `mul`, `div`, `mod`, `pow` and the sizes `iw`, `ih`, `iar` (input), `cw`, `ch`, `car` (current), `bw`, `bh`, `bar` (parent of a layer), in times `idu` (how long the film, or the layer, is) and `bdu` (the parent of a layer). Not the order of mathematics: `mul` and `div` first, then `add` and `sub`, then `mod`, and `pow` last.",
    examples: { arithmetic: "w-iw_div_4,h-ih_div_2" },
  },
  {
    syntax: "`if-CONDITION,…,if-else,…,if-end`",
    doc: "A condition on `w`, `h`, `ar`, `iw`, `ih`, `iar` with `eq`, `ne`, `gt`, `gte`, `lt`, `lte`, joined by `_and_` and `_or_`; alone in its step.",
    examples: { condition: "if-ar_gt_1,w-400,if-else,h-400,if-end" },
  },
  {
    syntax: "`l-image,i-PATH,…,l-end`",
    doc: "A picture on the picture. `i-` is its path with `@@` for slashes, `ie-` the same in Base64. `lx`, `ly`: its left top corner (`N` for negative), `lxc`, `lyc`: its centre, `lap`: the point of the picture below from which they count, inwards; from the left or the top, negative ones count from the other edge. `lfo`: a position without coordinates, `lm`: `multiply`, `displace`, `cutout`, `cutter`. Transformations of the layer itself stand beside them. Layers in layers, three deep.",
    examples: { layerImage: "w-300,h-200,l-image,i-photo.jpg,w-90,b-4_white,lfo-top_right,l-end" },
  },
  {
    syntax: "`l-image,i-ik_canvas,bg-…,w-…,h-…,l-end`",
    doc: "A block of one colour, or with `e-gradient` of two. `al-1` to `al-9`: opacity in tenths.",
    examples: { layerCanvas: "w-300,h-200,l-image,i-ik_canvas,bg-FF0000,w-150,h-100,al-5,r-20,l-end" },
  },
  {
    syntax: "`l-text,i-TEXT,…,l-end`",
    doc: "Text: `ie-` in Base64 where it holds more than letters, digits, spaces and `_-%!@&`. `w`: wraps there, `fs`: size, `ff`: font, `co`: colour, `ia`: alignment, `pa`: padding, `al`: opacity 1 to 9, `tg`: `b`, `i`, `strikethrough`, `bg`, `r`, `rt`, `fl`, `lh`: height of a line.",
    examples: { layerText: "w-300,h-200,l-text,i-Hello,fs-40,co-FFFFFF,bg-00000060,pa-10,lfo-bottom,l-end" },
  },
  {
    syntax: "`l-video,i-PATH,…,l-end`, `l-subtitles,i-PATH,…,l-end`",
    doc: "Films and subtitles (SRT, VTT) on films. See-through WebM stays so. `lso`, `leo`, `ldu`: start, end and duration in seconds of the film.",
    examples: {},
  },
  {
    syntax: "`n-NAME`",
    doc: "A named transformation (`windlass transformation create NAME 'w-300,h-300'`). Unknown names are an error 400.",
    examples: {},
  },
  {
    syntax: "`path/ik-thumbnail.jpg`, `path/ik-video.mp4`, `path/ik-gif-video.mp4`",
    doc: "Behind a path: a frame of a film or a page of a document, as JPEG unless `f-` says otherwise; a film of which neither type nor name tells; an animation as a film.",
    examples: {},
  },
  {
    syntax: "`path/ik-master.m3u8`, `path/ik-master.mpd`",
    doc: "Behind a film's path, with `tr=sr-…`: a stream, HLS or DASH.",
    examples: {},
  },
  {
    syntax: "`path/metadata`",
    doc: "Behind a path with an extension, as JSON. Pictures: size, format, EXIF, colours, hashes. Films: size, duration, bit rate, codecs.",
    examples: {},
  },
  {
    syntax: "`ik-seo/photo/a-name-for-search-engines.jpg`",
    doc: "The file `photo.jpg`.",
    examples: {},
  },
  {
    syntax: "`?ik-attachment=true`",
    doc: "To be saved and not shown, under the file's name; what was made, with the extension of what it became.",
    examples: {},
  },
  {
    syntax: "`?size=800x600`, `?s=`",
    doc: "Of alias URLs: width and height; `width` and `height` win over it.",
    examples: { querySize: "?size=300x200", queryContain: "?size=300x300&fit=contain" },
  },
  {
    syntax: "`?flip=true`, `?flop=true`",
    doc: "Of alias URLs: swaps top and bottom, left and right.",
    examples: { queryFlip: "?w=300&flip=true", queryFlop: "?w=300&flop=true" },
  },
  {
    syntax: "`?ai=make it square`",
    doc: "A wish in English or Korean, in both grammars. `debug=true` shows in a header what was understood.",
    examples: {},
  },
  {
    syntax: "`?v=2`",
    doc: "Means nothing, and makes another URL. Parameters that are none of these are left out of account likewise, are handed on to web servers (but for `v` of alias URLs), and are named by the header `x-windlass-ignored` where `debug=true` asks.",
    examples: {},
  },
];

const ROWS: readonly Transformation<unknown>[] = Object.values(TRANSFORMATIONS);

const code = (text: string): string => `\`${text.replaceAll("|", "\\|")}\``;
const cell = (text: string): string => text.replaceAll("|", "\\|");

function allExamples(): [name: string, text: string][] {
  const examples = [...ROWS.map((row) => row.examples), ...FORMS.map((form) => form.examples)];
  return examples.flatMap((one) => Object.entries(one));
}

/** Chains of the examples by the name of their picture. */
export const exampleChains = (): Map<string, string> =>
  new Map(allExamples().filter(([, text]) => !text.startsWith("?")));

/** Queries of the examples, without their question marks, by the name of their picture. */
export const exampleQueries = (): Map<string, string> =>
  new Map(
    allExamples().flatMap(([name, text]) => (text.startsWith("?") ? [[name, text.slice(1)] as const] : [])),
  );

/** The first as it looks, the others as links to how they do. */
const pictures = (examples: Readonly<Record<string, string>>): string =>
  Object.entries(examples)
    .map(([name, text], n) => {
      const file = `../images/transformations/${name}.jpg`;
      return `[${code(text)}](${file})${n === 0 ? `<br>![${name}](${file})` : ""}`;
    })
    .join("<br>");

/** docs/reference/transformations.md. */
export function transformationsMarkdown(): string {
  const rows = ROWS.map(({ imagekit, weekerp, fallback, doc, examples }) => {
    const names = [imagekit, weekerp].map((wording) => wording?.names.map(code).join(", ") ?? "");
    const allowed =
      imagekit === undefined || weekerp === undefined || imagekit.allowed === weekerp.allowed
        ? (imagekit ?? weekerp)!.allowed
        : `${imagekit.allowed}; as a parameter ${weekerp.allowed}`;
    return `| ${names[0]} | ${names[1]} | ${cell(allowed)} | ${fallback} | ${cell(doc)} | ${pictures(examples)} |`;
  });
  const forms = FORMS.map(({ syntax, doc, examples }) => `| ${syntax} | ${doc} | ${pictures(examples)} |`);
  return `# Transformations

In paths as \`/tr:w-300,h-300:q-70/photo.jpg\` and in queries as \`?tr=w-300,h-300:q-70\`: items are separated by commas,
steps by colons, at most ${CHAIN_MAX} steps, each working on the result of the one before. In queries of alias URLs
(\`/image/{alias}/photo.jpg?w=300\`) as parameters. What is not in the table is an error 400 that names it. Every
example is a test, and its picture is what came out, in its own size, of a drawing of 600 by 400 pixels; all are shown
as JPEG, and what is transparent on a chequered ground. Those of \`fo-face\` and \`z\` are with a detector.

| \`tr:\` | query | values | when left out | what it does | example |
| --- | --- | --- | --- | --- | --- |
${rows.join("\n")}

## Forms

| form | what it does | example |
| --- | --- | --- |
${forms.join("\n")}
`;
}
