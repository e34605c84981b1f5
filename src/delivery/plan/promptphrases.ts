/** THE table of prompts' phrases. Each matches a whole wish, after filler words are gone; the first that does wins. */
import type { Options } from "./plan.ts";
import {
  ADD,
  AWAY,
  CUT,
  DO,
  DOWN,
  ENLARGE,
  KEEP,
  LEFT,
  OBJECT,
  OVER,
  PERCENT,
  RIGHT,
  SHRINK,
  SIZE,
  SIZED,
  TO,
  TURN,
  UP,
} from "./promptkorean.ts";
import {
  FRACTIONS,
  KOREAN_COLOURS,
  KOREAN_SIDES,
  TIMES,
  atMost,
  bordered,
  both,
  box,
  brightness,
  cutOff,
  format,
  kept,
  knownRatio,
  number,
  percent,
  pixelBox,
  placed,
  ratio,
  rounded,
  saturation,
  scaled,
  sized,
  towards,
  turn,
} from "./promptvalues.ts";

export interface Phrase {
  readonly pattern: RegExp;
  /** Undefined: the numbers or words are none that can be meant. */
  readonly meaning: (this: void, parts: readonly string[]) => Partial<Options> | undefined;
}

/** How much, in words. */
const LITTLE = "(?:slightly|little bit|little|bit|subtly|gently|lightly|somewhat)";
const MUCH = "(?:lot|much|strongly|heavily|very|significantly|way|very much|really)";
const UNIT = " ?(?:px|pixels?|픽셀)";
const PX = `(?:${UNIT})?`;
/** Two lengths, with their units. */
const PAIR = `(\\d{1,5}${PX}) ?(?:x|×|by|\\*|곱하기) ?(\\d{1,5}${PX})`;
const DEGREES = " ?(?:degrees?|deg|°|도)?";
const OF_HUNDRED = " ?(?:%|percent)";
const FRACTION = "(half|third|quarter|fourth|1/[234])";
const KOREAN_FRACTION = `(${Object.keys(FRACTIONS)
  .filter((name) => !/^[a-z]/.test(name))
  .join("|")})`;
const MAKE =
  "(?:make|turn|convert|change|set|get|give|apply|add|create)?(?: me)? ?(?:to be |to |into |in |be )?";
const SET = "(?:resize|scale|make|change|set|with)?(?: to| be| to be)?";
/** That a length becomes smaller or larger says by itself by how much, so "to" must be said. */
const TOWARDS = "(?:reduce|decrease|shrink|scale down|increase|enlarge|scale up)";
/** Where a crop begins. */
const FROM = "(?: from (top|bottom|left|right|center|centre|middle))?";
const SIDE = "(left|right|top|bottom|upper|lower)";
const KOREAN_SIDE = `(${Object.keys(KOREAN_SIDES).join("|")})`;
const FORMAT = "(webp|png|jpe?g|avif|gif|tiff)";
const TO_FORMAT = `(?:convert|change|save|export|output|turn|deliver|serve|encode|make|return|use)?(?: ?format)?(?: ?(?:to|as|in|into))? ?${FORMAT}(?: format| file)?`;

const is = (pattern: string): RegExp => new RegExp(`^(?:${pattern})$`);
const fixed = (pattern: string, options: Partial<Options>): Phrase => ({
  pattern: is(pattern),
  meaning: () => options,
});
const says = (pattern: string, meaning: Phrase["meaning"]): Phrase => ({ pattern: is(pattern), meaning });

const SIZES: readonly Phrase[] = [
  says(
    `(?:crop |make |change |set )?(?:to )?(?:be )?(\\d{1,2}) ?(?:x|by) ?(\\d{1,2})(?: format)?${FROM}`,
    ([w, h, from]) => placed(knownRatio(w, h), from),
  ),
  says(
    `(?:crop |make |change |set )?(?:to )?(?:be )?(\\d{1,3}) ?(?:x|by) ?(\\d{1,3})(?: aspect)? ratio${FROM}`,
    ([w, h, from]) => placed(ratio(w, h), from),
  ),
  says(
    `(?:fit|resize to fit|shrink to fit|scale to fit|make fit)(?: within| into| in| inside)? (?:box of )?${PAIR}(?: box)?`,
    ([w, h]) => pixelBox(w, h, { crop: "at_max" }),
  ),
  says(
    `(?:(?:center |centre )?crop|(?:resize|scale|change|make|set|reduce|decrease|shrink|increase|enlarge)(?: size)?|size)?(?: down| up)?(?: to| at| of)? ?(?:be )?(?:exactly )?(?:size )?${PAIR}(?: size)?${FROM}`,
    ([w, h, from]) => placed(box(w, h), from),
  ),
  says(
    `(?:${SET} ?(?:width|너비|가로|폭)(?: of| to| is|를|을|는|은)?|${TOWARDS} width to) ?(?:to |길이 ?)?(\\d{1,5})${PX}${SIZED}`,
    ([w]) => sized("width", w),
  ),
  says(
    `(?:${SET} ?(?:height|높이|세로)(?: of| to| is|를|을|는|은)?|${TOWARDS} height to) ?(?:to |길이 ?)?(\\d{1,5})${PX}${SIZED}`,
    ([h]) => sized("height", h),
  ),
  says(`(?:${SET}|${TOWARDS}(?: size)? to) ?(\\d{1,5})${PX} (?:wide|in width|width)`, ([w]) =>
    sized("width", w),
  ),
  says(`(?:${SET}|${TOWARDS}(?: size)? to) ?(\\d{1,5})${PX} (?:high|tall|in height|height)`, ([h]) =>
    sized("height", h),
  ),
  says(`(?:with |set )?max(?:imum)? (width|height)(?: of| to| is)? ?(\\d{1,5})${PX}`, ([name, length]) =>
    atMost(sized(name as "width" | "height", length)),
  ),
  says(`${SIZE}?${PAIR}(?:${SIZED}|${TO}?${CUT})`, ([w, h]) => box(w, h)),
  says(`${MAKE}(?:(\\d{1,5}${UNIT}) square|square (?:of |at )?(\\d{1,5}${UNIT}))`, ([a, b]) =>
    pixelBox(a || b, a || b),
  ),
  fixed(
    "(?:(?:reduce|shrink|decrease|scale down|scale|resize|make|make smaller|smaller)(?: ?(?:size|width|height))?|(?:cut )?size)?(?: ?(?:by|to|in))? ?half(?: size| as large| as big| of size| of original size| original size)?|halve(?: size| width| height)?",
    { width: 0.5 },
  ),
  says(
    `(?:(?:(?:reduce|shrink|scale down|scale|resize|make)(?: size)? to|scale|resize|make) )?(?:one )?${FRACTION}(?: size| of size| of original size| original size)?`,
    ([part]) => scaled(FRACTIONS[part ?? ""]!),
  ),
  says(`(?:reduce|shrink|decrease|scale down)(?: size)? by (?:one )?${FRACTION}`, ([part]) =>
    scaled(1 - FRACTIONS[part ?? ""]!),
  ),
  says(`(?:enlarge|increase|scale up|grow)(?: size)? by (?:one )?${FRACTION}`, ([part]) =>
    scaled(1 + FRACTIONS[part ?? ""]!),
  ),
  says(
    `(?:reduce|shrink|decrease|scale down|make smaller|smaller)(?: ?(?:size|size down|down))?(?: by)? (\\d{1,3})${OF_HUNDRED}(?: smaller)?`,
    ([p]) => scaled(1 - percent(p)),
  ),
  says(
    `(?:resize|scale|(reduce|shrink|scale down)|(enlarge|scale up)|size|make)(?: ?size)? to (\\d{1,3})${OF_HUNDRED}(?: of (?:original )?size| of original| size)?`,
    ([smaller, larger, p]) => towards(percent(p), smaller, larger),
  ),
  says(`(?:make )?(?:at )?(\\d{1,3})${OF_HUNDRED}(?:(?: of)?(?: original)? size| of original)`, ([p]) =>
    scaled(percent(p)),
  ),
  says(
    `(?:enlarge|increase|scale up|grow|make larger|make bigger|larger|bigger)(?: ?(?:size|size up|up))?(?: by)? (\\d{1,3})${OF_HUNDRED}(?: larger| bigger)?`,
    ([p]) => scaled(1 + percent(p)),
  ),
  says(
    "(?:make |scale |resize |enlarge )?(?:to )?(double|twice|triple)(?: ?(?:size|width|height|as large|as big|original size|larger|bigger))?|enlarge (twice)",
    ([times, again]) => scaled(TIMES[times || again || ""]!),
  ),
  says(
    "(?:make |resize |scale (up )?|(enlarge ))?(?:by )?(\\d(?:\\.\\d{1,2})?|two|three|four|five) ?(?:x|times)(?: as)?( larger| bigger| large| big| size)?",
    ([up, enlarge, times, larger]) =>
      towards(TIMES[times ?? ""] ?? Number(times), "", up || enlarge || larger),
  ),
  says(`(?:make )?(\\d{1,3})${OF_HUNDRED} smaller`, ([p]) => scaled(1 - percent(p))),
  says(`(?:make )?(\\d{1,3})${OF_HUNDRED} (?:larger|bigger)`, ([p]) => scaled(1 + percent(p))),
  says("(?:scale|resize)(?: size)? by (?:factor of )?(\\d(?:\\.\\d{1,3})?)", ([f]) => scaled(Number(f))),
  says("(?:increase|enlarge|scale)(?: size| up)? by factor of (\\d|two|three|four|five)", ([times]) =>
    scaled(TIMES[times ?? ""] ?? Number(times)),
  ),
  says(`(?:${SIZE}|원본(?:의)? ?)?${KOREAN_FRACTION}(?: ?크기로|${TO}| 크기)(?:${SHRINK}|${DO})`, ([part]) =>
    scaled(FRACTIONS[part ?? ""] ?? 0),
  ),
  says(`(?:${SIZE}|원본(?:의)? ?)?${KOREAN_FRACTION}(?:만큼)?(?:(${SHRINK})|${ENLARGE})`, ([part, smaller]) =>
    scaled(1 + (smaller === "" ? 1 : -1) * (FRACTIONS[part ?? ""] ?? 0)),
  ),
  says(
    `(?:${SIZE}|원본(?:의)? ?)?(\\d{1,3})${PERCENT}(?:의)?(?: ?크기로|${TO})(?:(${SHRINK})|(${ENLARGE})|${DO})`,
    ([p, smaller, larger]) => towards(percent(p), smaller, larger),
  ),
  says(`${SIZE}?(\\d{1,3})${PERCENT}(?:만큼)?${SHRINK}`, ([p]) => scaled(1 - percent(p))),
  says(`${SIZE}?(\\d{1,3})${PERCENT}(?:만큼)?${ENLARGE}`, ([p]) => scaled(1 + percent(p))),
  says(
    `${SIZE}?(두|세|네|[2-9]|\\d\\.\\d{1,2}) ?배(?: ?크기)?${TO}?(?:(${ENLARGE})|${DO})`,
    ([times, larger]) => towards(TIMES[times ?? ""] ?? Number(times), "", larger),
  ),
  says(
    `${MAKE}(?:(?:thumbnail|썸네일)(?: of)? )?${PAIR} (?:thumbnail|썸네일)(?:로|을|으로)?${DO}`,
    ([w, h]) => pixelBox(w, h),
  ),
  says(`${MAKE}thumbnail (?:of |at )?${PAIR}`, ([w, h]) => pixelBox(w, h)),
  fixed(`${MAKE}(?:thumbnail(?: size)?|(?:썸네일|섬네일)(?: ?크기)?(?:로|을|으로)?${DO})(?: of)?`, {
    width: 150,
    height: 150,
  }),
];

/** A part of one side, as English and Korean measure it: a fraction, per cent, pixels. */
const PART = `(${FRACTION.slice(1, -1)}|\\d{1,2}${OF_HUNDRED}|\\d{1,5}${UNIT})`;
const KOREAN_PART = `(${KOREAN_FRACTION.slice(1, -1)}|\\d{1,2}${PERCENT}|\\d{1,5}${UNIT})`;

const CROPS: readonly Phrase[] = [
  says(`(?:crop )?${MAKE}(?:perfect )?square(?: shape| format| crop)?${FROM}`, ([from]) =>
    placed({ aspectRatio: 1 }, from),
  ),
  fixed(`(?:정사각형|정방형)(?: ?모양)?${TO}?(?:${CUT}|${DO})`, { aspectRatio: 1 }),
  says(
    `(?:crop |change |set |make |use |with |resize )?(?:to |in |at )?(?:be )?(?:aspect ratio|ratio)?(?: ?(?:of|to|is))? ?(\\d{1,3}):(\\d{1,3})(?: aspect ratio| ratio| format| crop)?${FROM}`,
    ([w, h, from]) => placed(ratio(w, h), from),
  ),
  says(`(?:비율${OBJECT} ?)?(\\d{1,3}):(\\d{1,3})(?: ?비율)?${TO}?(?:${CUT}|${DO})`, ([w, h]) => ratio(w, h)),
  says(
    `(?:crop to|keep|keep only|show|show only|only|crop to only) ${SIDE} ${PART}(?: of)?`,
    ([side, part]) => kept(side, part),
  ),
  says(`(?:cut off|crop off|trim off|chop off|cut away|remove) ${SIDE} ${PART}(?: of)?`, ([side, part]) =>
    cutOff(side, part),
  ),
  says(`${KOREAN_SIDE}(?:의)? ?${KOREAN_PART}(?:만${KEEP}?|(?:을|를)?${KEEP})`, ([side, part]) =>
    kept(side, part),
  ),
];

const TURNS: readonly Phrase[] = [
  fixed("(?:rotate|turn)(?: to| towards?)? ?(?:right|clockwise)(?: side)?", { rotate: 90 }),
  fixed("(?:rotate|turn)(?: to| towards?)? ?(?:left|counter-?clockwise|anti-?clockwise)(?: side)?", {
    rotate: -90,
  }),
  fixed("(?:rotate|turn) upside-? ?down|(?:rotate|turn) (?:around|halfway|half turn)", { rotate: 180 }),
  says(`(?:rotate|turn)(?: by)? (\\d{1,3})${DEGREES}(?: to)?(?: right| clockwise)?`, ([d]) =>
    turn(Number(d)),
  ),
  says(`(?:rotate|turn)(?: to)? (?:right|clockwise)(?: by)? (\\d{1,3})${DEGREES}`, ([d]) => turn(Number(d))),
  says(
    `(?:rotate|turn)(?: by)? (?:-(\\d{1,3})${DEGREES}|(\\d{1,3})${DEGREES}(?: to)? (?:left|counter-?clockwise|anti-?clockwise))`,
    ([a, b]) => turn(-Number(a || b)),
  ),
  says(
    `(?:rotate|turn)(?: to)? (?:left|counter-?clockwise|anti-?clockwise)(?: by)? (\\d{1,3})${DEGREES}`,
    ([d]) => turn(-Number(d)),
  ),
  fixed(`${RIGHT}${TO}?${TURN}`, { rotate: 90 }),
  fixed(`${LEFT}${TO}?${TURN}`, { rotate: -90 }),
  says(`(?:${RIGHT}${TO}? )?(\\d{1,3}) ?도(?: ?${RIGHT}${TO})?${TURN}`, ([d]) => turn(Number(d))),
  says(`${LEFT}${TO}? (\\d{1,3}) ?도${TURN}`, ([d]) => turn(-Number(d))),
  says(`(\\d{1,3}) ?도 ?${LEFT}${TO}${TURN}`, ([d]) => turn(-Number(d))),
  fixed(`(?:flip|mirror) (?:both ways|in both directions)|(?:상하 ?좌우|좌우 ?상하)${OVER}`, {
    flip: { horizontal: true, vertical: true },
  }),
  fixed(
    "(?:flip|mirror)(?: horizontally| horizontal| left to right| left-right| sideways)|mirror|(?:make )?mirrored|(?:add |apply )?horizontal (?:flip|mirror)",
    { flip: { horizontal: true, vertical: false } },
  ),
  fixed(
    "(?:flip|mirror)(?: vertically| vertical| top to bottom| upside-? ?down)|(?:add |apply )?vertical (?:flip|mirror)",
    {
      flip: { horizontal: false, vertical: true },
    },
  ),
  fixed(`(?:좌우|가로|수평)${OVER}|거울처럼(?:${OVER}|${DO})`, {
    flip: { horizontal: true, vertical: false },
  }),
  fixed(`(?:상하|세로|수직)${OVER}`, {
    flip: { horizontal: false, vertical: true },
  }),
];

const LOOKS: readonly Phrase[] = [
  fixed(
    `${MAKE}(?:grayscale|greyscale|gray|grey|monochrome|colorless|colourless)(?: colou?rs?| filter| tones?| mode| scale)?|desaturate(?: completely)?|remove (?:all )?colou?rs?`,
    { grayscale: true },
  ),
  fixed(`(?:흑백|회색조|그레이스케일)(?: 필터| 톤)?(?:으로|로|을|를)?${DO}|색(?:상)?${OBJECT}${AWAY}`, {
    grayscale: true,
  }),
  fixed(
    `blur ${LITTLE}|${LITTLE} (?:blur|blurred|blurry)|${MAKE}${LITTLE} (?:blurry|blurred|blurrier)|(?:조금|살짝|약간) (?:더 )?(?:흐리게|흐릿하게|블러)${DO}`,
    { blurSigma: 2 },
  ),
  fixed(
    `blur ${MUCH}|${MUCH} (?:blur|blurred|blurry)|${MAKE}${MUCH} (?:blurry|blurred|blurrier)|(?:많이|아주|매우|심하게) (?:더 )?(?:흐리게|흐릿하게|블러)${DO}`,
    { blurSigma: 12 },
  ),
  fixed(
    `(?:apply |add )?(?:gaussian )?blur(?: effect)?|${MAKE}(?:blurry|blurred|blurrier)|(?:더 )?(?:흐리게|흐릿하게|블러|뿌옇게)(?: ?효과)?${OBJECT}${ADD}`,
    { blurSigma: 5 },
  ),
  says(
    "(?:add |apply )?(?:gaussian )?blur(?: by| with| of| sigma| radius| to){0,3} (\\d{1,2}(?:\\.\\d)?)",
    ([s]) => number("blurSigma", s),
  ),
  says("sharpen(?: by| with| sigma){0,2} (\\d{1,2}(?:\\.\\d)?)", ([s]) => number("sharpenSigma", s)),
  fixed(
    `sharpen ${LITTLE}|${LITTLE} sharpen|${MAKE}${LITTLE} sharper|(?:조금|살짝|약간) (?:더 )?선명하게${DO}`,
    {
      sharpenSigma: 0.6,
    },
  ),
  fixed(`sharpen ${MUCH}|${MAKE}${MUCH} sharper|(?:많이|아주|매우|훨씬) (?:더 )?선명하게${DO}`, {
    sharpenSigma: 3,
  }),
  fixed(
    `sharpen|${MAKE}(?:sharper|sharp|crisper|crisp)|(?:increase|more) sharpness|(?:더 )?(?:선명하게|또렷하게|샤픈|샤프닝)(?: ?효과)?${OBJECT}${ADD}|선명도${OBJECT} ?${UP}`,
    { sharpenSigma: 1 },
  ),
  says(`밝기${OBJECT} ?(\\d{1,3})${PERCENT}(?:만큼)? ?${UP}`, ([p]) => brightness(1 + percent(p))),
  says(`밝기${OBJECT} ?(\\d{1,3})${PERCENT}(?:만큼)? ?${DOWN}`, ([p]) => brightness(1 - percent(p))),
  says(`채도${OBJECT} ?(\\d{1,3})${PERCENT}(?:만큼)? ?${UP}`, ([p]) => saturation(1 + percent(p))),
  says(`채도${OBJECT} ?(\\d{1,3})${PERCENT}(?:만큼)? ?${DOWN}`, ([p]) => saturation(1 - percent(p))),
  says("(?:(?:increase|raise) brightness|brighten|lighten) by (\\d{1,3}) ?(?:%|percent)", ([p]) =>
    brightness(1 + percent(p)),
  ),
  says("(?:(?:decrease|reduce|lower) brightness|darken) by (\\d{1,3}) ?(?:%|percent)", ([p]) =>
    brightness(1 - percent(p)),
  ),
  says("(?:make )?(\\d{1,3}) ?(?:%|percent) (?:brighter|lighter)", ([p]) => brightness(1 + percent(p))),
  says("(?:make )?(\\d{1,3}) ?(?:%|percent) darker", ([p]) => brightness(1 - percent(p))),
  says(`(\\d{1,3})${PERCENT}(?:만큼)? ?(?:더 )?밝게${DO}`, ([p]) => brightness(1 + percent(p))),
  says(`(\\d{1,3})${PERCENT}(?:만큼)? ?(?:더 )?어둡게${DO}`, ([p]) => brightness(1 - percent(p))),
  fixed(
    `(?:brighten|lighten) ${LITTLE}|${LITTLE} brighter|${MAKE}${LITTLE} (?:brighter|lighter)|(?:조금|살짝|약간) (?:더 )?밝게${DO}`,
    { brightness: 1.1 },
  ),
  fixed(
    `(?:brighten|lighten) ${MUCH}|${MAKE}${MUCH} (?:brighter|lighter)|(?:많이|아주|훨씬|매우) (?:더 )?밝게${DO}`,
    {
      brightness: 1.5,
    },
  ),
  fixed(
    `brighten(?: up)?|lighten(?: up)?|${MAKE}(?:brighter|lighter)|(?:increase|more|raise) brightness|(?:더 )?밝게${DO}|밝기${OBJECT} ?${UP}`,
    { brightness: 1.2 },
  ),
  fixed(`darken ${LITTLE}|${LITTLE} darken|${MAKE}${LITTLE} darker|(?:조금|살짝|약간) (?:더 )?어둡게${DO}`, {
    brightness: 0.9,
  }),
  fixed(`darken ${MUCH}|${MAKE}${MUCH} darker|(?:많이|아주|훨씬|매우) (?:더 )?어둡게${DO}`, {
    brightness: 0.6,
  }),
  fixed(
    `darken|dim|${MAKE}(?:darker|dimmer)|(?:decrease|less|reduce|lower) brightness|(?:더 )?어둡게${DO}|밝기${OBJECT} ?${DOWN}`,
    { brightness: 0.8 },
  ),
  says("(?:increase|raise|boost) saturation by (\\d{1,3}) ?(?:%|percent)", ([p]) =>
    saturation(1 + percent(p)),
  ),
  says("(?:decrease|reduce|lower) saturation by (\\d{1,3}) ?(?:%|percent)", ([p]) =>
    saturation(1 - percent(p)),
  ),
  fixed(
    `${MAKE}(?:more )(?:colou?rful|saturated|vivid|vibrant)|(?:increase|more|boost|raise) saturation|saturate|(?:boost|more|enhance) colou?rs?|make colou?rs (?:more vivid|more vibrant|stronger|richer)|(?:채도${OBJECT}|색감${OBJECT}) ?${UP}|(?:더 )?(?:화사하게|선명한 색으로|생생하게)${DO}`,
    { saturation: 1.3 },
  ),
  fixed(
    `${MAKE}(?:less (?:colou?rful|saturated|vivid|vibrant)|more muted|muted)|(?:decrease|less|reduce|lower) saturation|mute colou?rs|less colou?rs?|(?:채도${OBJECT}|색감${OBJECT}) ?${DOWN}`,
    { saturation: 0.7 },
  ),
  fixed(
    `(?:increase|more|enhance|boost|improve|raise|add)(?: more)? contrast|${MAKE}(?:more contrast|more contrasty|high contrast|higher contrast)|대비${OBJECT} ?(?:더 )?${UP}`,
    { contrast: true },
  ),
  says("(?:set )?gamma(?: to| of)? (\\d(?:\\.\\d{1,3})?)", ([g]) => number("gamma", g)),
  says("(?:set |shift |rotate )?hue(?: to| of| by)? (-?\\d{1,3})(?: ?(?:degrees?|°))?", ([h]) =>
    number("hue", h),
  ),
];

const RESULTS: readonly Phrase[] = [
  says(TO_FORMAT, ([f]) => format(f)),
  says(
    `${TO_FORMAT} (?:(?:with |at |in )?quality(?: of)? (\\d{1,3}) ?%?|(?:with|at|in) (\\d{1,3})(?:${OF_HUNDRED})? quality)`,
    ([f, a, b]) => both(format(f), number("quality", a || b)),
  ),
  says(
    `(?:포맷${OBJECT} |형식${OBJECT} )?(webp|웹피|png|피엔지|jpe?g|제이피지|avif|gif|tiff)(?: ?(?:형식|포맷|파일))?(?:으로|로)?${DO}`,
    ([f]) => format(f),
  ),
  says(
    "(?:(?:set |with |use |change |at )?quality(?: to| of| at)?|(?:reduce|lower|increase) quality to) ?(\\d{1,3}) ?%?",
    ([q]) => number("quality", q),
  ),
  says("(?:with |at |in |use )?(\\d{1,3}) ?(?:%|percent) quality", ([q]) => number("quality", q)),
  says(`(?:품질|화질)${OBJECT} ?(\\d{1,3})(?:${PERCENT})?(?:${TO} ?(?:${UP}|${DOWN})|${TO}?${DO})`, ([q]) =>
    number("quality", q),
  ),
  fixed(
    `(?:with |at |in |use )?low(?:er)? quality|(?:reduce|lower|decrease) quality|(?:낮은 (?:품질|화질)(?:로)?|저화질(?:로)?)${DO}|(?:품질|화질)${OBJECT} ?${DOWN}`,
    { quality: 30 },
  ),
  fixed("(?:with |at |in |use )?medium quality|compress", { quality: 60 }),
  fixed(
    `(?:with |at |in |use )?(?:high|best|higher|highest) quality|(?:높은 (?:품질|화질)(?:로)?|고화질(?:로)?)${DO}`,
    {
      quality: 90,
    },
  ),
  says(
    `(?:add |with |make |give )?round(?:ed)?(?: ?(?:the )?corners?)(?: (?:of|by|with|radius)){0,3} (\\d{1,4})${PX}`,
    ([r]) => rounded(r),
  ),
  says(`(?:add |with |make |give |set )?(?:corner|border) radius(?: of| to)? (\\d{1,4})${PX}`, ([r]) =>
    rounded(r),
  ),
  says(`(?:add |with |make |give )?(\\d{1,4})${PX} round(?:ed)? corners?`, ([r]) => rounded(r)),
  says(`모서리${OBJECT} ?(\\d{1,4})${PX}(?:로|만큼)? ?(?:둥글게|라운드)${DO}`, ([r]) => rounded(r)),
  fixed(`둥근 모서리(?:로|를)?${DO}`, { radius: [20, 20, 20, 20] }),
  fixed(
    `(?:add |with |make |give )?round(?:ed)? corners?|corners? rounded|make corners round|모서리${OBJECT} ?(?:둥글게|라운드)${DO}`,
    { radius: [20, 20, 20, 20] },
  ),
  fixed(
    `(?!turn round)(?:crop )?${MAKE}(?:circle|circular|round)(?: shape| crop| avatar)?|(?:(?:원형|동그랗게|원 ?모양)${TO}?|원으로)(?:${CUT}|${DO})`,
    { radius: "max", aspectRatio: 1 },
  ),
  says(`(?:add |with |draw )?(\\d{1,3})${PX} ([a-z]+) border`, ([w, c]) => bordered(w, c)),
  says(
    `(\\d{1,3})${PX} ?(검은색?|검정색?|흰색?|하얀색?|빨간색?|파란색?|초록색?|노란색?|회색) ?테두리(?:를|로)?${ADD}`,
    ([w, c]) => bordered(w, KOREAN_COLOURS[(c ?? "").slice(0, 1)]),
  ),
  says(`(?:add |with |draw )?([a-z]+) border(?: of)? (\\d{1,3})${PX}`, ([c, w]) => bordered(w, c)),
];

/** THE table. */
export const PHRASES: readonly Phrase[] = [...SIZES, ...CROPS, ...TURNS, ...LOOKS, ...RESULTS];
