/** Films that are see-through, which no result is: they lie on a colour, unless they lie on another film. */
import type { Colour } from "../plan/plan.ts";
import type { Abilities } from "./ffmpeg.ts";
import { told } from "./frames.ts";
import type { FilmFacts } from "./probe.ts";

type Facts = Pick<FilmFacts, "clearDecoder" | "colouring">;

/** In ffmpeg's words for how pixels are stored. */
const CLEAR = /^(yuva|gbrap|rgba|bgra|argb|abgr|ya\d|pal8)/;

/** How ffmpeg is told to read a film's opacity, too; stands before what else it is told of the file. */
export const decoding = ({ clearDecoder = "" }: Facts, { encoders }: Abilities): readonly string[] =>
  // Whoever has the encoder has the decoder of the same library.
  encoders.has(clearDecoder) ? ["-c:v", clearDecoder] : [];

/**
 * Filters that lay a film on a colour, and what its colours are then; undefined: it isn't see-through. Of one film in a
 * graph only. To be done before it is scaled: what hides under nothing would be mixed with what is seen.
 * @throws DeliveryError NotAvailable
 */
export function laidOn(
  { r, g, b }: Colour,
  film: Facts,
  abilities: Abilities,
): { readonly filters: readonly string[]; readonly colouring: FilmFacts["colouring"] } | undefined {
  const { colouring } = film;
  if (decoding(film, abilities).length === 0 && !CLEAR.test(colouring.pixels ?? "")) return undefined;
  const pixels = "rgb24";
  const filters = [
    ...told(colouring, abilities),
    "format=rgba",
    `split[over][under];[under]lutrgb=r=${r}:g=${g}:b=${b}:a=255[ground];[ground][over]overlay=format=rgb`,
    `format=${pixels}`,
  ];
  return { filters, colouring: { ...colouring, pixels } };
}
