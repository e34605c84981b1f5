/** Films and single frames, made by ffmpeg in a workplace. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { DeliveryError } from "../errors.ts";
import type { Input } from "../image/job.ts";
import type { Options, Plan, StepOptions } from "../plan/plan.ts";
import { codecsOf, encodingOf } from "./codecs.ts";
import { compose, cutOf, groundOf } from "./compose.ts";
import { damaged, words } from "./ffmpeg.ts";
import { finish } from "./filters.ts";
import { DEINTERLACING, evenly, madeRate, SEEN_AT_ZERO, told } from "./frames.ts";
import { decoding, laidOn } from "./opacity.ts";
import type { StillRenderer } from "./stills.ts";
import { soundOf } from "./sound.ts";
import { reading, secondsText, type Workplace } from "./workplace.ts";

/** Nothing of the source but picture and sound. */
export const NO_METADATA = words("-map_metadata -1 -map_chapters -1 -dn -sn");

export interface Encoded {
  /** Media type. */
  readonly type: string;
  /** In pixels; 0 where there is only sound. */
  readonly width: number;
  readonly height: number;
}

export interface Encoding {
  readonly plan: Plan;
  /** Of layers, by the path in the plan. */
  readonly inputs: ReadonlyMap<string, Input>;
  readonly renderer: StillRenderer;
  /** Path of the result. */
  readonly to: string;
  /** 0 to 1. */
  readonly report: (part: number) => void;
}

export function lastSaid<Name extends keyof Options>(
  options: readonly StepOptions[],
  name: Name,
): Options[Name] | undefined {
  return options.map((one) => one[name]).findLast((one) => one !== undefined);
}

/** @throws DeliveryError */
export async function encodeFilm(
  place: Workplace,
  { plan, inputs, renderer, to, report }: Encoding,
): Promise<Encoded> {
  const { limits, abilities } = place.shop;
  const { defaults } = plan;
  const made = await compose(plan.steps, { place, inputs, renderer }, finish);
  const { film } = made;
  const asked = {
    format: lastSaid(made.options, "format") ?? defaults.format,
    video: lastSaid(made.options, "videoCodec"),
    audio: lastSaid(made.options, "audioCodec"),
  };
  const codecs = codecsOf(asked, { ...film.facts, demuxer: film.demuxer });
  const quality = lastSaid(made.options, "quality") ?? defaults.quality;
  const picture = codecs.video !== "none" && made.label !== undefined;
  const sound = codecs.audio === "none" ? undefined : soundOf(film.facts, made.cut);
  const graph = [...(picture ? made.graph : []), ...(sound?.graph ?? [])];
  const args = [
    ...made.reads,
    ...(graph.length === 0 ? [] : ["-filter_complex", graph.join(";")]),
    ...(picture ? ["-map", `[${made.label}]`] : []),
    ...(sound?.output ?? []),
    "-t",
    secondsText(made.cut.seconds),
    ...NO_METADATA,
    ...encodingOf(codecs, quality, limits.threads, abilities),
    "-fs",
    String(limits.resultBytes),
    "-max_muxing_queue_size",
    "1024",
    "-f",
    codecs.container,
    to,
  ];
  const progress = { seconds: made.cut.seconds, report };
  const written = await place.run(args, { seconds: limits.encodeSeconds, progress });
  if (picture ? written.frames === 0 : written.seconds === 0) throw damaged();
  const { size } = await stat(to);
  if (size >= limits.resultBytes) {
    throw new DeliveryError("LimitExceeded", `The film has more than ${limits.resultBytes} bytes.`);
  }
  if (!picture) return { type: `audio/${codecs.container}`, width: 0, height: 0 };
  return { type: `video/${codecs.container}`, width: made.width, height: made.height };
}

/** What is seen at `so`, at 0 by default, as a PNG file; gives its path. @throws DeliveryError */
export async function extractFrame(place: Workplace, { steps }: Plan): Promise<string> {
  const { folder, shop } = place;
  const { start } = cutOf(steps, place.film, shop.limits);
  const cut = { start, seconds: 1 };
  const film = await place.seekable(place.film, cut, shop.limits.frameSeconds);
  const { video, width, height, interlaced, square, colouring } = film.facts;
  if (video === undefined) throw new DeliveryError("UnsupportedSource", "The film has no picture.");
  const laid = laidOn(groundOf(steps, film), film.facts, shop.abilities);
  const file = join(folder, "frame.png");
  // Films may end with sound alone: the last frame is held then, which is not to the millisecond.
  for (const chosen of [[SEEN_AT_ZERO], evenly(film.facts, cut, madeRate(film.facts))]) {
    const filters = [
      ...(interlaced ? [DEINTERLACING] : []),
      ...chosen,
      // Before what makes red, green and blue of them.
      ...(laid?.filters ?? told(colouring, shop.abilities)),
      ...(square ? [] : [`scale=${width}:${height},setsar=1`]),
    ];
    const args = [
      ...decoding(film.facts, shop.abilities),
      ...reading(film, cut),
      ...words(`-map 0:${video} -vf`),
      filters.join(","),
      ...words("-frames:v 1 -c:v png -f image2 -update 1"),
      file,
    ];
    await place.run(args, { seconds: shop.limits.frameSeconds });
    if ((await stat(file).catch(() => undefined)) !== undefined) return file;
  }
  throw new DeliveryError("DamagedSource", `The film has no frame at ${start} seconds.`);
}
