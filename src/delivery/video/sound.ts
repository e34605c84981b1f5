/** The sound of a film that is cut. */
import type { Cut } from "./placement.ts";
import type { FilmFacts } from "./probe.ts";
import { secondsText } from "./workplace.ts";

/** Samples a second of what is made. */
export const AUDIO_SAMPLES = 48_000;

export interface Sound {
  /** For ffmpeg: its part of the graph. */
  readonly graph: readonly string[];
  /** For ffmpeg: how it goes into an output. */
  readonly output: readonly string[];
}

/** Of what is read as `reading` says, as ffmpeg's first input. Undefined: there is none. */
export function soundOf({ audio, audioFrom }: FilmFacts, { start }: Cut): Sound | undefined {
  if (audio === undefined) return undefined;
  const late = audioFrom - start;
  if (late < 0.001) {
    const trim = start > 0 ? ["-af", "atrim=start=0"] : [];
    return { graph: [], output: ["-map", `0:${audio}`, ...trim] };
  }
  // ffmpeg would say in an edit list that it begins later, which players of streams don't read; and of a sound that begins
  // behind the cut it would keep a moment, and make the film so much longer.
  const graph = [
    `anullsrc=r=${AUDIO_SAMPLES}:cl=stereo:d=${secondsText(late)}[silence]`,
    `[0:${audio}]asetpts=PTS-STARTPTS[late]`,
    "[silence][late]concat=n=2:v=0:a=1[sound]",
  ];
  return { graph, output: ["-map", "[sound]"] };
}
