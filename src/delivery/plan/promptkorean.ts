/** Korean requests as patterns: a verb ends in many ways that ask for the same, and each way is allowed of each verb. */

/** "do it", "please do it", "would you", "do it and". */
const ASKED = "(?: ?(?:줘|줘요|주세요|주십시오|줄래|줄래요)|서|요)?";

/** By the form that requests are made with (바꿔), the stem (바꾸) and the form before a noun (바꾼). Negations have none. */
const verb = (asking: string, stem: string, having: string): string =>
  `(?:${asking}${ASKED}|${stem}(?:고|기|며|면서)|${having})`;

const DOING = `(?:${verb("해", "하", "한")}|${verb("시켜", "시키", "시킨")})`;
/** Nouns that 하다 makes verbs of. */
const doing = (...nouns: readonly string[]): string => `(?:${nouns.join("|")})(?: ?${DOING})?`;

/** To make or change into something. Nothing: that is meant where no verb is said. */
export const DO = `(?: ?(?:${[
  DOING,
  verb("바꿔", "바꾸", "바꾼"),
  verb("만들어", "만들", "만든"),
  verb("맞춰", "맞추", "맞춘"),
  doing("변경", "변환", "적용", "처리", "설정", "조정", "저장"),
  "줘|주세요",
].join("|")}))?`;
/** Effects and borders; a length that is added is another one. */
export const ADD = `(?: ?${doing("추가")}|${DO})`;
export const UP = `(?:${[
  verb("올려", "올리", "올린"),
  verb("높여", "높이", "높인"),
  verb("키워", "키우", "키운"),
  doing("증가"),
  `(?:강하|높)게${DO}`,
].join("|")})`;
export const DOWN = `(?:${[
  verb("내려", "내리", "내린"),
  verb("낮춰", "낮추", "낮춘"),
  verb("줄여", "줄이", "줄인"),
  doing("감소"),
  `(?:약하|낮)게${DO}`,
].join("|")})`;
export const SHRINK = `(?: ?(?:${verb("줄여", "줄이", "줄인")}|${doing("축소")}))`;
export const ENLARGE = `(?: ?(?:${verb("키워", "키우", "키운")}|${verb("늘려", "늘리", "늘린")}|${doing("확대")}))`;
/** Cut off, of crops that have a shape. */
export const CUT = `(?: ?(?:${verb("잘라", "자르", "자른")}|${doing("크롭")}))`;
/** Left of the whole. */
export const KEEP = `(?: ?(?:${[
  verb("남겨", "남기", "남긴"),
  verb("보여", "보이", "보인"),
  verb("보여줘", "보여주", "보여준"),
  doing("사용", "저장"),
].join("|")}))`;
export const TURN = `(?: ?(?:${verb("돌려", "돌리", "돌린")}|${doing("회전")}))`;
/** Mirrored, whichever way. */
export const OVER = `(?:으로|로)? ?(?:${verb("뒤집어", "뒤집", "뒤집은")}|${doing("반전", "대칭")}|대칭으로${DO})`;
/** Taken away. */
export const AWAY = `(?: ?(?:${verb("없애", "없애", "없앤")}|${doing("제거")}))`;

/** The object, or what is spoken of. */
export const OBJECT = "(?:을|를|은|는)?";
/** "to", after a consonant and after a vowel. */
export const TO = "(?:으로|로)";
export const PERCENT = " ?(?:%|퍼센트|프로)";
export const SIZE = `(?:(?:전체 )?(?:크기|사이즈)${OBJECT} ?)`;
/** "to that size": shrunk or enlarged alike. Without "to" that would be by so much. */
const RESIZED = "(?: ?(?:리사이즈|크기 ?조정|조절))?";
export const SIZED = `(?: ?크기)?(?:${TO}${RESIZED}(?:${SHRINK}|${ENLARGE})|${TO}?${RESIZED}${DO})`;
export const RIGHT = "(?:오른쪽|우측|시계 ?방향)";
export const LEFT = "(?:왼쪽|좌측|반시계 ?방향|시계 ?반대 ?방향)";
