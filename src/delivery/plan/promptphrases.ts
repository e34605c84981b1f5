/** THE table of prompts' phrases. Each matches a whole wish, after filler words are gone; the first that does wins. */
import type { Options } from "./plan.ts";
import {
  FRACTIONS,
  KOREAN_COLOURS,
  KOREAN_SIDES,
  bordered,
  box,
  brightness,
  format,
  half,
  knownRatio,
  number,
  percent,
  quality,
  ratio,
  rounded,
  saturation,
  scaled,
  sigma,
  sized,
  towards,
  turn,
} from "./promptvalues.ts";

export interface Phrase {
  readonly pattern: RegExp;
  /** Undefined: the numbers or words are none that can be meant. */
  readonly meaning: (this: void, parts: readonly string[]) => Partial<Options> | undefined;
}

const KOREAN_FRACTION = `(${Object.keys(FRACTIONS)
  .filter((name) => !/^[a-z]/.test(name))
  .join("|")})`;

/** How much, in words. */
const LITTLE = "(?:slightly|little bit|little|bit|subtly|gently|lightly|somewhat)";
const MUCH = "(?:lot|much|strongly|heavily|very|significantly|way|very much|really)";
const PX = "(?: ?(?:px|pixels?|픽셀))?";
const DEGREES = " ?(?:degrees?|deg|°|도)?";
const MAKE =
  "(?:make|turn|convert|change|set|get|give|apply|add|create)?(?: me)? ?(?:to be |to |into |in |be )?";
/** Endings of Korean requests. */
const DO =
  "(?: ?(?:한|바꾼|만든|변환한|변경한|적용한|저장한|해|해줘|해 줘|해주세요|해 주세요|하고|해서|하기|만들어|만들어줘|만들어 줘|만들어주세요|만들어 주세요|만들고|만들어서|바꿔|바꿔줘|바꿔 줘|바꿔주세요|바꿔 주세요|바꾸고|바꿔서|변경|변경해줘|변경해주세요|변경하고|변환|변환해줘|변환해주세요|변환하고|처리|처리해줘|적용|적용해줘|적용하고|설정|설정해줘|조정|조정해줘|맞춰|맞춰줘|저장|저장해줘|저장해 줘|저장해주세요|저장하고|줘|주세요))?";
const UP =
  "(?:올려|높여|키워|증가)(?: ?(?:줘|주세요|시켜줘|시켜|서))?|(?:올리|높이|키우)(?:고|기)|올린|높인|(?:강하|높)게" +
  DO;
const DOWN =
  "(?:내려|낮춰|줄여|감소)(?: ?(?:줘|주세요|시켜줘|시켜|서))?|(?:내리|낮추|줄이)(?:고|기)|내린|낮춘|줄인|(?:약하|낮)게" +
  DO;
const SHRINK =
  "(?: ?(?:줄여|축소)(?: ?(?:줘|주세요|해줘|해 줘|해주세요|해 주세요|해|하고|한|서))?| ?줄이(?:고|기)| ?줄인)";
const ENLARGE =
  "(?: ?(?:키워|확대|늘려)(?: ?(?:줘|주세요|해줘|해 줘|해주세요|해 주세요|해|하고|한|서))?| ?(?:키우|늘리)(?:고|기)| ?(?:키운|늘린))";
/** The object, or what is spoken of. */
const OBJECT = "(?:을|를|은|는)?";
const SIZE = `(?:(?:전체 )?(?:크기|사이즈)${OBJECT} ?)`;
/** "to that size": shrunk or enlarged alike. */
const SIZED = `(?: ?크기)?(?:으로|로)?(?: ?(?:리사이즈|크기 ?조정|조절))?(?:${SHRINK}|${ENLARGE}|${DO})`;
/** Cut off, of crops that have a shape. */
const CUT = "(?: ?(?:잘라|자르고|자르기|자른|크롭)(?: ?(?:줘|주세요|해줘|해 줘|해주세요|하고|한))?)?";
const TURN =
  "(?: ?(?:회전|돌려|회전시켜)(?: ?(?:줘|주세요|해줘|해 줘|해주세요|해 주세요|시켜줘|시켜 줘|시켜주세요|시켜 주세요|해|하고|한|시키고|시킨|서))?| ?돌리(?:고|기)| ?돌린)";

/** Mirrored, whichever way. */
const OVER = `(?:반전|뒤집어|뒤집기|뒤집고|뒤집은|대칭)(?:시켜|시키고|으로)?${DO}`;

const is = (pattern: string): RegExp => new RegExp(`^(?:${pattern})$`);
const fixed = (pattern: string, options: Partial<Options>): Phrase => ({
  pattern: is(pattern),
  meaning: () => options,
});
const says = (pattern: string, meaning: Phrase["meaning"]): Phrase => ({ pattern: is(pattern), meaning });

const SIZES: readonly Phrase[] = [
  says(
    "(?:crop |make |change |set )?(?:to )?(?:be )?(\\d{1,2}) ?(?:x|by) ?(\\d{1,2})(?: aspect)?(?: ratio| format)?",
    ([w, h]) => knownRatio(w, h),
  ),
  says(
    `(?:fit|resize to fit|shrink to fit|scale to fit|make fit)(?: within| into| in| inside)? (?:box of )?(\\d{1,5})${PX} ?(?:x|×|by) ?(\\d{1,5})${PX}(?: box)?`,
    ([w, h]) => {
      const found = box(w, h);
      return found === undefined ? undefined : { ...found, crop: "at_max" };
    },
  ),
  says(
    `(?:resize|scale|crop|size|change size|change|make|set size|set|reduce|shrink|enlarge)?(?: down| up)?(?: to| at| of)? ?(?:be )?(?:exactly )?(?:size )?(\\d{1,5})${PX} ?(?:x|×|by|\\*) ?(\\d{1,5})${PX}(?: size)?`,
    ([w, h]) => box(w, h),
  ),
  says(
    `(?:resize|scale|make|change|set|with)?(?: to| be)? ?(?:width|너비|가로|폭)(?: of| to| is|를|을|는|은)? ?(?:to |길이 ?)?(\\d{1,5})${PX}${SIZED}`,
    ([w]) => sized("width", w),
  ),
  says(`(?:resize|scale|make|set)?(?: to| be| to be)? ?(\\d{1,5})${PX} (?:wide|in width|width)`, ([w]) =>
    sized("width", w),
  ),
  says(
    `(?:resize|scale|make|change|set|with)?(?: to| be)? ?(?:height|높이|세로)(?: of| to| is|를|을|는|은)? ?(?:to |길이 ?)?(\\d{1,5})${PX}${SIZED}`,
    ([h]) => sized("height", h),
  ),
  says(
    `(?:resize|scale|make|set)?(?: to| be| to be)? ?(\\d{1,5})${PX} (?:high|tall|in height|height)`,
    ([h]) => sized("height", h),
  ),
  says(`(?:크기${OBJECT} ?)?(\\d{1,5})${PX} ?(?:x|×|곱하기) ?(\\d{1,5})${PX}${SIZED}`, ([w, h]) => box(w, h)),
  fixed(
    "(?:(?:reduce|shrink|decrease|scale down|scale|resize|make)?(?: ?size)?|cut size)(?: ?(?:by|to|in))? ?half(?: size| as large| as big| of size| of original size| original size)?|halve(?: size)?",
    { width: 0.5 },
  ),
  says(
    "(?:(?:(?:reduce|shrink|scale down|scale|resize|make)(?: size)? to|scale|resize|make) )?(?:one )?(quarter|fourth|third)(?: size| of size| of original size| original size)?",
    ([part]) => scaled(FRACTIONS[part ?? ""]!),
  ),
  says("(?:reduce|shrink|decrease|scale down)(?: size)? by (?:one )?(quarter|fourth|third)", ([part]) =>
    scaled(1 - FRACTIONS[part ?? ""]!),
  ),
  says("(?:enlarge|increase|scale up|grow)(?: size)? by (?:one )?(half|quarter|fourth|third)", ([part]) =>
    scaled(1 + FRACTIONS[part ?? ""]!),
  ),
  says(
    "(?:reduce|shrink|decrease|scale down|make smaller|smaller)(?: ?(?:size|size down|down))?(?: by)? (\\d{1,3}) ?(?:%|percent)(?: smaller)?",
    ([p]) => scaled(1 - percent(p)),
  ),
  says(
    "(?:resize|scale|(reduce|shrink|scale down)|(enlarge|scale up)|size|make)(?: ?size)? to (\\d{1,3}) ?(?:%|percent)(?: of (?:original )?size| size)?",
    ([smaller, larger, p]) => towards(percent(p), smaller, larger),
  ),
  says("(?:at )?(\\d{1,3}) ?(?:%|percent)(?: of)?(?: original)? size", ([p]) => scaled(percent(p))),
  says(
    "(?:enlarge|increase|scale up|grow|make larger|make bigger|larger|bigger)(?: ?(?:size|size up|up))?(?: by)? (\\d{1,3}) ?(?:%|percent)(?: larger| bigger)?",
    ([p]) => scaled(1 + percent(p)),
  ),
  fixed(
    "(?:make |scale |resize |enlarge )?(?:to )?(?:double|twice)(?: ?(?:size|as large|as big|original size|larger|bigger))?|(?:make |scale )?2 ?x(?: larger| bigger| size)?|enlarge twice",
    { width: { op: "mul", left: { variable: "iw" }, right: 2 } },
  ),
  fixed(
    "(?:make |scale |resize |enlarge )?(?:to )?(?:triple|three times)(?: ?(?:size|as large|as big))?|(?:make |scale )?3 ?x(?: larger| bigger| size)?",
    { width: { op: "mul", left: { variable: "iw" }, right: 3 } },
  ),
  says("(?:make )?(\\d{1,3}) ?(?:%|percent) smaller", ([p]) => scaled(1 - percent(p))),
  says("(?:make )?(\\d{1,3}) ?(?:%|percent) (?:larger|bigger)", ([p]) => scaled(1 + percent(p))),
  says("(?:scale|resize)(?: size)? by (?:factor of )?(\\d(?:\\.\\d{1,3})?)", ([f]) => scaled(Number(f))),
  fixed(
    "(?:make |scale )?two times (?:as )?(?:larger|bigger|large|big|size)|(?:increase|enlarge|scale)(?: size| up)? by factor of (?:2|two)",
    {
      width: { op: "mul", left: { variable: "iw" }, right: 2 },
    },
  ),
  says(
    `(?:${SIZE}|원본(?:의)? ?)?${KOREAN_FRACTION}(?: ?크기로|으로|로| 크기)(?:${SHRINK}|${DO})`,
    ([part]) => scaled(FRACTIONS[part ?? ""] ?? 0),
  ),
  says(`(?:${SIZE}|원본(?:의)? ?)?${KOREAN_FRACTION}(?:만큼)?(?:(${SHRINK})|${ENLARGE})`, ([part, smaller]) =>
    scaled(1 + (smaller === "" ? 1 : -1) * (FRACTIONS[part ?? ""] ?? 0)),
  ),
  says(
    `(?:${SIZE}|원본(?:의)? ?)?(\\d{1,3}) ?(?:%|퍼센트|프로)(?:의)?(?: ?크기로|로|으로)(?:(${SHRINK})|(${ENLARGE})|${DO})`,
    ([p, smaller, larger]) => towards(percent(p), smaller, larger),
  ),
  says(`${SIZE}?(\\d{1,3}) ?(?:%|퍼센트|프로)(?:만큼)?${SHRINK}`, ([p]) => scaled(1 - percent(p))),
  says(`${SIZE}?(\\d{1,3}) ?(?:%|퍼센트|프로)(?:만큼)?${ENLARGE}`, ([p]) => scaled(1 + percent(p))),
  says(`${SIZE}?(두|세|네|[2-9]) ?배(?: ?크기)?(?:로|으로)?(?:${ENLARGE}|${DO})`, ([n]) =>
    scaled({ 두: 2, 세: 3, 네: 4 }[n ?? ""] ?? Number(n)),
  ),
  says(
    `${MAKE}(?:(?:thumbnail|썸네일)(?: of)? )?(\\d{1,4})${PX} ?x ?(\\d{1,4})${PX} (?:thumbnail|썸네일)(?:로|을|으로)?${DO}`,
    ([w, h]) => box(w, h),
  ),
  says(`${MAKE}thumbnail (?:of |at )?(\\d{1,4})${PX} ?x ?(\\d{1,4})${PX}`, ([w, h]) => box(w, h)),
  fixed(`${MAKE}(?:thumbnail(?: size)?|(?:썸네일|섬네일)(?: ?크기)?(?:로|을|으로)?${DO})(?: of)?`, {
    width: 150,
    height: 150,
  }),
];

const CROPS: readonly Phrase[] = [
  fixed(`(?:crop )?${MAKE}(?:perfect )?square(?: shape| format| crop)?(?: from center)?`, { aspectRatio: 1 }),
  fixed(`(?:정사각형|정방형)(?: ?모양)?(?:으로|로)?${CUT}${DO}`, {
    aspectRatio: 1,
  }),
  says(
    `(?:crop |change |set |make |use |with |resize )?(?:to |in |at )?(?:be )?(?:aspect ratio|ratio)?(?: ?(?:of|to|is))? ?(\\d{1,3}):(\\d{1,3})(?: aspect ratio| ratio| format| crop)?`,
    ([w, h]) => ratio(w, h),
  ),
  says(`(?:비율${OBJECT} ?)?(\\d{1,3}):(\\d{1,3})(?: ?비율)?(?:으로|로)?${CUT}${DO}`, ([w, h]) =>
    ratio(w, h),
  ),
  says(
    "(?:crop to|keep|keep only|show|show only|only|crop to only) (left|right|top|bottom|upper|lower) half",
    ([at]) => half({ upper: "top", lower: "bottom" }[at ?? ""] ?? at),
  ),
  says(
    `(왼쪽|오른쪽|위쪽|아래쪽|위|아래) ?절반만?(?: ?(?:남겨|남기고|보여|보여줘|남겨줘|사용))?${DO}`,
    ([at]) => half(KOREAN_SIDES[at ?? ""]),
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
  fixed(`(?:오른쪽|우측|시계 ?방향)(?:으로)?${TURN}`, { rotate: 90 }),
  fixed(`(?:왼쪽|좌측|반시계 ?방향)(?:으로)?${TURN}`, { rotate: -90 }),
  says(
    `(?:(?:오른쪽|우측|시계 ?방향)(?:으로)? )?(\\d{1,3}) ?도(?: ?(?:오른쪽|우측|시계 ?방향)으로)?${TURN}`,
    ([d]) => turn(Number(d)),
  ),
  says(`(?:왼쪽|좌측|반시계 ?방향)(?:으로)? (\\d{1,3}) ?도${TURN}`, ([d]) => turn(-Number(d))),
  says(`(\\d{1,3}) ?도 ?(?:왼쪽|좌측|반시계 ?방향)으로${TURN}`, ([d]) => turn(-Number(d))),
  fixed(`(?:flip|mirror) (?:both ways|in both directions)|(?:상하 ?좌우|좌우 ?상하)(?:로)? ?${OVER}`, {
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
  fixed(`(?:좌우|가로|수평)(?:로)? ?${OVER}|거울처럼 ?(?:뒤집어)?${DO}`, {
    flip: { horizontal: true, vertical: false },
  }),
  fixed(`(?:상하|세로|수직)(?:로)? ?${OVER}`, {
    flip: { horizontal: false, vertical: true },
  }),
];

const LOOKS: readonly Phrase[] = [
  fixed(
    `${MAKE}(?:grayscale|greyscale|gray|grey|monochrome|colorless|colourless)(?: colou?rs?| filter| tones?| mode| scale)?|desaturate(?: completely)?|remove (?:all )?colou?rs?`,
    { grayscale: true },
  ),
  fixed(
    `(?:흑백|회색조|그레이스케일)(?: 필터| 톤)?(?:으로|로|을|를)?(?: ?(?:처리|변환))?${DO}|색(?:상)?${OBJECT} ?(?:없애|제거)(?:줘|해줘|하고)?`,
    {
      grayscale: true,
    },
  ),
  fixed(
    `blur ${LITTLE}|${LITTLE} (?:blur|blurred|blurry)|${MAKE}${LITTLE} (?:blurry|blurred|blurrier)|(?:조금|살짝|약간) (?:더 )?(?:흐리게|흐릿하게|블러)(?: ?처리)?${DO}`,
    { blurSigma: 2 },
  ),
  fixed(
    `blur ${MUCH}|${MUCH} (?:blur|blurred|blurry)|${MAKE}${MUCH} (?:blurry|blurred|blurrier)|(?:많이|아주|매우|심하게) (?:더 )?(?:흐리게|흐릿하게|블러)(?: ?처리)?${DO}`,
    { blurSigma: 12 },
  ),
  fixed(
    `(?:apply |add )?(?:gaussian )?blur(?: effect)?|${MAKE}(?:blurry|blurred|blurrier)|(?:더 )?(?:흐리게|흐릿하게|블러|뿌옇게)(?: ?(?:효과|처리)(?:를)?)?${DO}`,
    { blurSigma: 5 },
  ),
  says(
    "(?:add |apply )?(?:gaussian )?blur(?: by| with| of| sigma| radius| to){0,3} (\\d{1,2}(?:\\.\\d)?)",
    ([s]) => sigma("blurSigma", Number(s)),
  ),
  says("sharpen(?: by| with| sigma){0,2} (\\d{1,2}(?:\\.\\d)?)", ([s]) => sigma("sharpenSigma", Number(s))),
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
    `sharpen|${MAKE}(?:sharper|sharp|crisper|crisp)|(?:increase|more) sharpness|(?:더 )?(?:선명하게|또렷하게|샤픈|샤프닝)(?: ?(?:효과|처리)(?:를)?)?${DO}|선명도${OBJECT} ?(?:${UP})`,
    { sharpenSigma: 1 },
  ),
  says(`밝기${OBJECT} ?(\\d{1,3}) ?(?:%|퍼센트|프로)(?:만큼)? ?(?:${UP})`, ([p]) =>
    brightness(1 + percent(p)),
  ),
  says(`밝기${OBJECT} ?(\\d{1,3}) ?(?:%|퍼센트|프로)(?:만큼)? ?(?:${DOWN})`, ([p]) =>
    brightness(1 - percent(p)),
  ),
  says(`채도${OBJECT} ?(\\d{1,3}) ?(?:%|퍼센트|프로)(?:만큼)? ?(?:${UP})`, ([p]) =>
    saturation(1 + percent(p)),
  ),
  says(`채도${OBJECT} ?(\\d{1,3}) ?(?:%|퍼센트|프로)(?:만큼)? ?(?:${DOWN})`, ([p]) =>
    saturation(1 - percent(p)),
  ),
  says("(?:(?:increase|raise) brightness|brighten|lighten) by (\\d{1,3}) ?(?:%|percent)", ([p]) =>
    brightness(1 + percent(p)),
  ),
  says("(?:(?:decrease|reduce|lower) brightness|darken) by (\\d{1,3}) ?(?:%|percent)", ([p]) =>
    brightness(1 - percent(p)),
  ),
  says("(?:make )?(\\d{1,3}) ?(?:%|percent) (?:brighter|lighter)", ([p]) => brightness(1 + percent(p))),
  says("(?:make )?(\\d{1,3}) ?(?:%|percent) darker", ([p]) => brightness(1 - percent(p))),
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
    `brighten(?: up)?|lighten(?: up)?|${MAKE}(?:brighter|lighter)|(?:increase|more|raise) brightness|(?:더 )?밝게${DO}|밝기${OBJECT} ?(?:${UP})`,
    { brightness: 1.2 },
  ),
  fixed(`darken ${LITTLE}|${LITTLE} darken|${MAKE}${LITTLE} darker|(?:조금|살짝|약간) (?:더 )?어둡게${DO}`, {
    brightness: 0.9,
  }),
  fixed(`darken ${MUCH}|${MAKE}${MUCH} darker|(?:많이|아주|훨씬|매우) (?:더 )?어둡게${DO}`, {
    brightness: 0.6,
  }),
  fixed(
    `darken|dim|${MAKE}(?:darker|dimmer)|(?:decrease|less|reduce|lower) brightness|(?:더 )?어둡게${DO}|밝기${OBJECT} ?(?:${DOWN})`,
    { brightness: 0.8 },
  ),
  says("(?:increase|raise|boost) saturation by (\\d{1,3}) ?(?:%|percent)", ([p]) =>
    saturation(1 + percent(p)),
  ),
  says("(?:decrease|reduce|lower) saturation by (\\d{1,3}) ?(?:%|percent)", ([p]) =>
    saturation(1 - percent(p)),
  ),
  fixed(
    `${MAKE}(?:more )(?:colou?rful|saturated|vivid|vibrant)|(?:increase|more|boost|raise) saturation|saturate|(?:boost|more|enhance) colou?rs?|make colou?rs (?:more vivid|more vibrant|stronger|richer)|(?:채도${OBJECT}|색감${OBJECT}) ?(?:${UP})|(?:더 )?(?:화사하게|선명한 색으로|생생하게)${DO}`,
    { saturation: 1.3 },
  ),
  fixed(
    `${MAKE}(?:less (?:colou?rful|saturated|vivid|vibrant)|more muted|muted)|(?:decrease|less|reduce|lower) saturation|mute colou?rs|less colou?rs?|(?:채도${OBJECT}|색감${OBJECT}) ?(?:${DOWN})`,
    { saturation: 0.7 },
  ),
  fixed(
    `(?:increase|more|enhance|boost|improve|raise|add)(?: more)? contrast|${MAKE}(?:more contrast|more contrasty|high contrast|higher contrast)|대비${OBJECT} ?(?:더 )?(?:${UP})`,
    { contrast: true },
  ),
  says("(?:set )?gamma(?: to| of)? (\\d(?:\\.\\d{1,3})?)", ([g]) => number("gamma", g, 1, 3)),
  says("(?:set |shift |rotate )?hue(?: to| of| by)? (-?\\d{1,3})(?: ?(?:degrees?|°))?", ([h]) =>
    number("hue", h, -360, 360),
  ),
];

const RESULTS: readonly Phrase[] = [
  says(
    "(?:convert|change|save|export|output|turn|deliver|serve|encode|make|return|use)?(?: ?format)?(?: ?(?:to|as|in|into))? ?(webp|png|jpe?g|avif|gif|tiff)(?: format| file)?",
    ([f]) => format(f),
  ),
  says(
    `(?:포맷${OBJECT} |형식${OBJECT} )?(webp|웹피|png|피엔지|jpe?g|제이피지|avif|gif|tiff)(?: ?(?:형식|포맷|파일))?(?:으로|로)?${DO}`,
    ([f]) => format(f),
  ),
  says(
    "(?:(?:set |with |use |change |at )?quality(?: to| of| at)?|(?:reduce|lower|increase) quality to) ?(\\d{1,3}) ?%?",
    ([q]) => quality(q),
  ),
  says("(?:with |at |in |use )?(\\d{1,3}) ?(?:%|percent) quality", ([q]) => quality(q)),
  says(`(?:품질|화질)${OBJECT} ?(\\d{1,3}) ?(?:%|퍼센트)?(?:으로|로)?${DO}`, ([q]) => quality(q)),
  fixed(
    `(?:with |at |in |use )?low(?:er)? quality|(?:reduce|lower|decrease) quality|(?:낮은 (?:품질|화질)(?:로)?|저화질(?:로)?)${DO}|(?:품질|화질)${OBJECT} ?(?:${DOWN})`,
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
    `(?:add |with |make |give )?round(?:ed)? corners?|corners? rounded|모서리${OBJECT} ?(?:둥글게|라운드)${DO}`,
    { radius: [20, 20, 20, 20] },
  ),
  fixed(
    `(?!turn round)(?:crop )?${MAKE}(?:circle|circular|round)(?: shape| crop| avatar)?|(?:원형|동그랗게|원 ?모양)(?:으로|로)?${CUT}${DO}`,
    { radius: "max", aspectRatio: 1 },
  ),
  says(`(?:add |with |draw )?(\\d{1,3})${PX} ([a-z]+) border`, ([w, c]) => bordered(w, c)),
  says(
    `(\\d{1,3})${PX} ?(검은색?|검정색?|흰색?|하얀색?|빨간색?|파란색?|초록색?|노란색?|회색) ?테두리(?:를|로)?(?: ?추가)?${DO}`,
    ([w, c]) => bordered(w, KOREAN_COLOURS[(c ?? "").slice(0, 1)]),
  ),
  says(`(?:add |with |draw )?([a-z]+) border(?: of)? (\\d{1,3})${PX}`, ([c, w]) => bordered(w, c)),
];

/** THE table. */
export const PHRASES: readonly Phrase[] = [...SIZES, ...CROPS, ...TURNS, ...LOOKS, ...RESULTS];
