/** What the frames of a film are, and what makes of them frames on which everything else can be done. */
import { DeliveryError } from "../errors.ts";
import type { Abilities } from "./ffmpeg.ts";
import type { Cut } from "./placement.ts";

/**
 * A filter for films of which each frame holds two moments, one in its even lines and one in the odd: before all others,
 * as lines that were mixed can't be told apart. Frames that say that they aren't so stay as they are.
 */
export const DEINTERLACING = "bwdif=mode=send_frame:deint=interlaced";

/** When the frames of a film come. In seconds from the film's beginning, which may be its sound's. */
export interface Timing {
  /** 0: not known. */
  readonly duration: number;
  readonly pictureFrom: number;
  /** Undefined: the file doesn't say. */
  readonly pictureTo: number | undefined;
  /** A second, where they come most densely, as a fraction in ffmpeg's words. */
  readonly frameRate: string;
}

/** Of a fraction in ffmpeg's words. */
export const numberOf = (fraction: string): number => {
  const [above = 0, below = 1] = fraction.split("/").map(Number);
  return above / below;
};

/** Frames a second at least: films are cut, and layers come and go, with a frame. */
const RATE_MIN = 10;

/** At which rate a film is made: its own, or a multiple. */
export function madeRate({ frameRate }: Pick<Timing, "frameRate">): string {
  const [above, below] = frameRate.split("/");
  return `${Number(above) * Math.max(1, Math.ceil(RATE_MIN / numberOf(frameRate)))}/${below}`;
}

/** Sound comes in pieces that go on a little longer than the last frame. */
const OVERHANG_SECONDS = 0.1;

/**
 * Filters behind which frames come evenly, of what is read from a cut's start on: from 0 to the end of the cut, each until
 * the next one is there.
 */
export function evenly(film: Timing, { start, seconds }: Cut, rate: string): readonly string[] {
  const { duration, pictureFrom, pictureTo } = film;
  const end = start + seconds;
  const missing = pictureTo === undefined ? seconds : end - Math.max(start, pictureTo);
  const ends = duration === 0 || missing <= Math.min(OVERHANG_SECONDS, seconds / 2);
  const shown = ends && pictureTo !== undefined ? Math.min(end, pictureTo) - start : seconds;
  // Frames that came right between two of the new ones would be doubled and left out by turns.
  const own = numberOf(madeRate(film));
  const passed = (start - pictureFrom) * own;
  const off = (passed - Math.ceil(passed - 0.5)) / own;
  return [
    ...(Math.abs(off) < 0.001 ? [] : [`setpts=PTS${off < 0 ? "" : "+"}${off.toFixed(6)}/TB`]),
    // A last frame that is shorter than one of the new ones would be lost.
    ...(ends ? [] : ["tpad=stop=1:stop_mode=clone"]),
    `fps=${rate}:eof_action=pass`,
    ...(ends ? [] : ["tpad=stop=-1:stop_mode=clone"]),
    `trim=start_pts=0:end_pts=${Math.max(1, Math.round(shown * numberOf(rate)))}`,
  ];
}

/** A filter behind which the first frame is the one that is seen at 0. */
export const SEEN_AT_ZERO = "fps=1000:start_time=0";

/** What the numbers in frames mean as colours. In ffmpeg's words; undefined: the film doesn't say. */
export interface Colouring {
  /** How pixels are stored. */
  readonly pixels: string | undefined;
  /** Black is 0, not 16. */
  readonly full: boolean;
  /** By which brightness and colour are made of red, green and blue. */
  readonly matrix: string | undefined;
  readonly primaries: string | undefined;
  readonly transfer: string | undefined;
  /** As stored: players go by them where nothing is said. */
  readonly lines: number;
}

const HD_LINES = 720;
const RGB = /^(gbr|rgb|bgr|argb|abgr|0rgb|0bgr|pal8)/;

/** What `scale` calls the matrices that it knows. The rest it takes for the old one. */
const MATRICES: Readonly<Record<string, string>> = {
  bt709: "bt709",
  bt2020nc: "bt2020",
  smpte240m: "smpte240m",
  fcc: "fcc",
};
/** Of films older than HD, and what filters take where nothing is said. */
export const OLD_MATRIX = "bt601";

const tagged = (standard: "bt709" | "smpte170m"): string =>
  `setparams=colorspace=${standard}:color_primaries=${standard}:color_trc=${standard}`;

/** Transfers of films that are brighter than most screens, as telephones record them. */
const HDR: readonly string[] = ["arib-std-b67", "smpte2084"];
/** A sheet of white paper, in candelas per square metre (ITU-R BT.2408). */
const WHITE_LEVEL = 203;
/**
 * What is dark stays as it is, what is bright is pressed together. With all pixels' colours, as zscale refuses odd sides
 * where pairs of pixels share them.
 */
const DIMMING: readonly string[] = [
  "format=yuv444p10le",
  `zscale=t=linear:npl=${WHITE_LEVEL}:p=bt709:m=gbr`,
  "format=gbrpf32le",
  "tonemap=mobius:desat=0",
  "zscale=t=bt709:m=bt709:r=tv",
  "format=yuv444p",
];

/** @throws DeliveryError NotAvailable */
function dimmed({ matrix, primaries, transfer }: Colouring, { filters }: Abilities): readonly string[] {
  if (!filters.has("zscale")) {
    throw new DeliveryError(
      "NotAvailable",
      "The film is HDR, and this server's ffmpeg has no zscale to bring it down to what all can see; a build with it does.",
    );
  }
  // zscale has no way from constant luminance, which differs little.
  const known = matrix === undefined || matrix === "bt2020c" ? "bt2020nc" : matrix;
  const tags = `colorspace=${known}:color_primaries=${primaries ?? "bt2020"}`;
  return [`setparams=${tags}:color_trc=${transfer}`, ...DIMMING];
}

/** Whether pairs of pixels share colours of more than eight bits. */
export const sharesDeep = ({ pixels = "" }: Colouring): boolean => /^yuva?4[12]\dp(9|1\d)/.test(pixels);

const isRgb = ({ pixels = "" }: Colouring): boolean => RGB.test(pixels);
const isHdr = (film: Colouring): boolean =>
  film.transfer !== undefined && HDR.includes(film.transfer) && !isRgb(film);
const guessed = ({ lines }: Colouring): "bt709" | "smpte170m" => (lines >= HD_LINES ? "bt709" : "smpte170m");

/**
 * Filters behind which frames say what their colours are, and are no brighter than any screen. What players would have
 * guessed of the whole film they would not guess of one that was made smaller. @throws DeliveryError NotAvailable
 */
export function told(film: Colouring, abilities: Abilities): readonly string[] {
  if (isHdr(film)) return dimmed(film, abilities);
  return film.matrix !== undefined || isRgb(film) ? [] : [tagged(guessed(film))];
}

/**
 * Filters behind which frames are as films are stored, and the matrix that they then have, as `scale` calls it: what is
 * laid on them has to have the same. @throws DeliveryError NotAvailable
 */
export function settled(
  film: Colouring,
  abilities: Abilities,
): { readonly filters: readonly string[]; readonly matrix: string } {
  if (isRgb(film)) {
    const filters = ["scale=out_color_matrix=bt709:out_range=tv", "format=yuv444p|yuva444p", tagged("bt709")];
    return { filters, matrix: "bt709" };
  }
  if (isHdr(film)) return { filters: dimmed(film, abilities), matrix: "bt709" };
  const narrow = film.full ? ["scale=out_range=tv", "format=yuv420p"] : [];
  return {
    filters: [...told(film, abilities), ...narrow],
    matrix: MATRICES[film.matrix ?? guessed(film)] ?? OLD_MATRIX,
  };
}
