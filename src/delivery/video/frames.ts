/** What the frames of a film are, and what makes of them frames on which everything else can be done. */

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

/** Matrices of which ffmpeg's filters have another name than its codecs. */
const MATRICES: Readonly<Record<string, string>> = {
  bt709: "bt709",
  bt2020nc: "bt2020",
  smpte240m: "smpte240m",
  fcc: "fcc",
};
/** What filters take where nothing is said, and what films have that are older than HD. */
export const OLD_MATRIX = "bt601";

const tagged = (standard: "bt709" | "smpte170m"): string =>
  `setparams=colorspace=${standard}:color_primaries=${standard}:color_trc=${standard}`;

/**
 * Filters behind which frames say what their colours are. What players would have guessed of the whole film they would
 * not guess of one that was made smaller.
 */
export function told({ pixels = "", matrix, lines }: Colouring): readonly string[] {
  if (matrix !== undefined || RGB.test(pixels)) return [];
  return [tagged(lines >= HD_LINES ? "bt709" : "smpte170m")];
}

/**
 * Filters behind which frames are as films are stored, and the matrix that they then have, as `scale` calls it: what is
 * laid on them has to have the same.
 */
export function settled(colouring: Colouring): {
  readonly filters: readonly string[];
  readonly matrix: string;
} {
  const { pixels = "", full, lines } = colouring;
  if (RGB.test(pixels)) {
    const filters = ["scale=out_color_matrix=bt709:out_range=tv", "format=yuv444p|yuva444p", tagged("bt709")];
    return { filters, matrix: "bt709" };
  }
  const { matrix = lines >= HD_LINES ? "bt709" : "smpte170m" } = colouring;
  return {
    filters: [...told(colouring), ...(full ? ["scale=out_range=tv", "format=yuv420p"] : [])],
    matrix: MATRICES[matrix] ?? OLD_MATRIX,
  };
}
