/** A plan as one graph of filters: the film, and the layers that lie on it. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { DeliveryError, ofLayer } from "../errors.ts";
import { spotOf, type Rectangle } from "../image/geometry.ts";
import type { Input } from "../image/job.ts";
import type { Size } from "../image/surface.ts";
import { BLACK, WHITE } from "../plan/colours.ts";
import { holds } from "../plan/expression.ts";
import type { Colour, Layer, Options, Step, StepOptions } from "../plan/plan.ts";
import { FILES_ONLY } from "./ffmpeg.ts";
import {
  add,
  checkOptions,
  filmValues,
  newLabel,
  settle,
  shape,
  sizeAfter,
  type Corners,
  type Graph,
  type Parent,
  type Track,
} from "./filters.ts";
import { DEINTERLACING, evenly, madeRate, settled, sharesDeep } from "./frames.ts";
import type { VideoLimits } from "./limits.ts";
import { decoding, laidOn } from "./opacity.ts";
import { cutFurther, timesOf, wholeOf, type Cut, type Times } from "./placement.ts";
import { drawStill, inputOf, type StillRenderer } from "./stills.ts";
import { layOutSubtitles } from "./subtitles.ts";
import { reading, secondsText, type Clip, type Workplace } from "./workplace.ts";

interface Composing {
  readonly place: Workplace;
  readonly renderer: StillRenderer;
  /** Of layers, by the path in the plan. */
  readonly inputs: ReadonlyMap<string, Input>;
  readonly graph: Graph;
  /** Frames a second of all that is in it. */
  readonly rate: string;
  /** What ffmpeg reads: its arguments, in the order by which filters count. */
  readonly reads: (readonly string[])[];
}

/** Where steps are applied. */
interface Scene {
  readonly track: Track;
  /** What `iw` and `ih` are. */
  readonly input: Size;
  /** The film that this one is a layer of, as it is at that step. */
  readonly parent: Parent | undefined;
  /** What is shown in the end. */
  readonly cut: Cut;
  /** What the steps so far have left. */
  left: Cut;
  /** Options that only layers have. */
  readonly more: readonly (keyof Options)[];
  /** Hears the options of each step that is done. */
  readonly hear: (options: StepOptions) => void;
}

export interface Composition extends Size {
  /** What is read of the film: itself, or a copy. */
  readonly film: Clip;
  /** For ffmpeg: what it reads. */
  readonly reads: readonly string[];
  /** For ffmpeg: the graph, empty where there is no picture. */
  readonly graph: readonly string[];
  /** Of what comes out of the graph; undefined: there is no picture. */
  readonly label: string | undefined;
  readonly cut: Cut;
  /** Options of the steps that were done, conditions settled. */
  readonly options: readonly StepOptions[];
}

/** @throws DeliveryError InvalidParameter, LimitExceeded, NotFound; those of renderers and of layers' sources */
export async function compose(
  steps: readonly Step[],
  { place, renderer, inputs }: Pick<Composing, "place" | "renderer" | "inputs">,
  last: (track: Track) => void,
): Promise<Composition> {
  const { limits, abilities } = place.shop;
  const cut = cutOf(steps, place.film, limits);
  const film = await place.seekable(place.film, cut, limits.encodeSeconds);
  const graph: Graph = { filters: [], labels: 0 };
  const rate = madeRate(film.facts);
  const reads = [[...decoding(film.facts, abilities), ...reading(film, cut)]];
  const work: Composing = { place, renderer, inputs, graph, rate, reads };
  const track = trackOf(work, 0, film, { cut, ground: groundOf(steps, film) });
  const options: StepOptions[] = [];
  const hear = (these: StepOptions): void => void options.push(these);
  const left = wholeOf(film.facts);
  const scene: Scene = { track, input: { ...film.facts }, parent: undefined, cut, left, more: [], hear };
  if (film.facts.video === undefined) {
    hearAll(steps, film, hear);
    return { width: 0, height: 0, film, reads: work.reads.flat(), graph: [], label: undefined, cut, options };
  }
  await applySteps(work, scene, steps);
  last(track);
  const { width, height, label } = track;
  return { width, height, film, reads: work.reads.flat(), graph: graph.filters, label, cut, options };
}

/** The picture of a clip that ffmpeg reads as its input of that number, cut, with square pixels. `ground`: of no layer. */
function trackOf(
  { graph, place: { shop }, rate }: Composing,
  index: number,
  { facts }: Clip,
  { cut, ground }: { readonly cut: Cut; readonly ground?: Colour },
): Track {
  const { width, height, video, interlaced, square } = facts;
  const laid = ground === undefined ? undefined : laidOn(ground, facts, shop.abilities);
  const colouring = laid?.colouring ?? facts.colouring;
  const { filters: unsettled, matrix } = settled(colouring, shop.abilities);
  const [label, clear, deep] = [`${index}:${video ?? "v"}`, ground === undefined, sharesDeep(colouring)];
  const track: Track = { graph, label, width, height, clear, sharesDeep: deep, matrix, unsettled };
  if (interlaced) add(track, DEINTERLACING);
  if (video !== undefined) add(track, evenly(facts, cut, rate).join(","));
  if (laid !== undefined) add(track, laid.filters.join(","));
  if (!square) add(track, `scale=${width}:${height},setsar=1`);
  return track;
}

/** Sound alone has no sizes; its steps are heard as if it had. */
function hearAll(steps: readonly Step[], film: Clip, hear: Scene["hear"]): void {
  for (const options of foresee(steps, film).options) {
    checkOptions(options);
    hear(options);
  }
}

/** Steps that will be done, and what they leave: conditions are judged by what the steps before leave of the film. */
function foresee(
  steps: readonly Step[],
  { facts }: Clip,
  parent?: Parent,
): { readonly options: readonly StepOptions[]; readonly left: Cut } {
  const options: StepOptions[] = [];
  let now: Size = facts;
  let left = wholeOf(facts);
  const follow = (some: readonly Step[]): void => {
    for (const step of some) {
      const values = filmValues(facts, now, { parent, seconds: left.seconds });
      if ("when" in step) follow(holds(step.when, values) ? step.then : step.otherwise);
      else {
        options.push(step.options);
        if (facts.video !== undefined) now = sizeAfter(now, step.options, values);
        left = cutFurther(left, step.options, parent?.seconds);
      }
    }
  };
  follow(steps);
  return { options, left };
}

/** What a see-through film lies on: the first colour that its steps name. */
export function groundOf(steps: readonly Step[], film: Clip): Colour {
  const backgrounds = foresee(steps, film).options.map(({ background }) => background);
  return backgrounds.find((one) => one?.kind === "colour")?.colour ?? BLACK;
}

/** What `so`, `eo` and `du` leave of a film. `parent`: of a layer. @throws DeliveryError InvalidParameter */
export function cutOf(
  steps: readonly Step[],
  film: Clip,
  { duration: longest }: VideoLimits,
  parent?: Parent,
): Cut {
  const { start, seconds } = foresee(steps, film, parent).left;
  return { start, seconds: Math.min(seconds, longest) };
}

async function applySteps(work: Composing, scene: Scene, steps: readonly Step[]): Promise<void> {
  const { track, input, parent, more, hear } = scene;
  const values = (): ReturnType<typeof filmValues> =>
    filmValues(input, track, { parent, seconds: scene.left.seconds });
  for (const step of steps) {
    if ("when" in step) {
      await applySteps(work, scene, holds(step.when, values()) ? step.then : step.otherwise);
      continue;
    }
    const { options, layers } = step;
    checkOptions(options, more);
    hear(options);
    await shape(track, options, values(), {
      limits: work.place.shop.limits,
      surround: (...where) => surround(work, ...where),
    });
    scene.left = cutFurther(scene.left, options, parent?.seconds);
    if (options.opacity !== undefined) {
      add(track, `format=yuva420p|yuva444p,lutyuv=a=val*${(options.opacity / 100).toFixed(3)}`);
    }
    if (layers.length > 0) settle(track);
    for (const layer of layers) await lay(work, scene, layer);
  }
}

async function lay(work: Composing, scene: Scene, layer: Layer): Promise<void> {
  if (layer.placement.mode !== undefined) {
    throw new DeliveryError("InvalidParameter", `lm-${layer.placement.mode}: layers of films have no mode.`);
  }
  switch (layer.kind) {
    case "image":
    case "canvas":
    case "text":
      return layStill(work, scene, layer);
    case "video":
      return layFilm(work, scene, layer);
    case "subtitles": {
      const { track, cut } = scene;
      const filter = await layOutSubtitles(work, layer, { size: track, cut, times: timesIn(scene, layer) });
      if (filter !== undefined) add(track, filter);
    }
  }
}

/** `own`: seconds of the layer itself; what stands still lasts as long as its film. */
const timesIn = ({ cut, left }: Scene, { placement }: Layer, own = left.seconds): Times =>
  timesOf(placement, { idu: own, bdu: left.seconds }, cut.start - left.start);

/** Reads a PNG of ours as ffmpeg's next input; gives the number of that. */
async function readStill(
  { place, renderer, inputs, reads }: Composing,
  size: Size,
  layers: readonly Layer[],
): Promise<number> {
  const name = `still-${reads.length}.png`;
  await writeFile(join(place.folder, name), await drawStill(renderer, size, layers, inputs), { flag: "wx" });
  reads.push([...FILES_ONLY, "-f", "png_pipe", "-i", name]);
  return reads.length - 1;
}

type Drawn = Extract<Layer, { kind: "image" | "canvas" | "text" }>;

async function layStill(work: Composing, scene: Scene, layer: Drawn): Promise<void> {
  const { start: _s, end: _e, duration: _d, ...placement } = layer.placement;
  const index = await readStill(work, scene.track, [{ ...layer, placement }]);
  putStill(scene.track, index, timesIn(scene, layer));
}

/** In the track's own colours: by itself ffmpeg 5 takes one matrix for all films. */
function putStill(track: Track, index: number, times: Times): void {
  const label = newLabel(track.graph);
  track.graph.filters.push(
    `[${index}:v]scale=out_color_matrix=${track.matrix}:out_range=tv,format=yuva420p[${label}]`,
  );
  put(track, label, { left: 0, top: 0 }, times, "repeat");
}

/** A still is there until the end; a film is gone when it is over. Both have the track's matrix. */
function put(
  track: Track,
  layer: string,
  { left, top }: { left: number; top: number },
  times: Times,
  after: "repeat" | "pass",
): void {
  const label = newLabel(track.graph);
  const when = whenOf(times);
  const enable = when === undefined ? "" : `:enable='${when}'`;
  const format = track.clear ? ":format=auto" : "";
  track.graph.filters.push(
    `[${track.label}][${layer}]overlay=${left}:${top}:eof_action=${after}${format}${enable}[${label}]`,
  );
  track.label = label;
}

function whenOf({ from, to }: Times): string | undefined {
  if (to !== undefined) return `gte(t,${secondsText(from)})*lt(t,${secondsText(to)})`;
  return from > 0 ? `gte(t,${secondsText(from)})` : undefined;
}

async function layFilm(
  work: Composing,
  scene: Scene,
  layer: Extract<Layer, { kind: "video" }>,
): Promise<void> {
  const { place, inputs, reads } = work;
  const { track: base } = scene;
  const clip = await place.addClip(inputOf(inputs, layer.path)).catch((error: unknown) => {
    throw ofLayer(layer.path, error);
  });
  if (clip.facts.video === undefined) {
    throw new DeliveryError("InvalidParameter", `l-video: ${layer.path} has sound, and no picture.`);
  }
  const own = wholeOf(clip.facts);
  const times = timesIn(scene, layer, own.seconds);
  const parent = { width: base.width, height: base.height, seconds: scene.left.seconds };
  const shown = cutOf(layer.steps, clip, place.shop.limits, parent);
  const from = Math.max(0, times.from);
  const gone = from - times.from;
  // A layer that went on longer than its film would make the film longer.
  const seconds = Math.min(
    Math.min(times.to ?? scene.cut.seconds, scene.cut.seconds) - from,
    shown.seconds - gone,
  );
  if (seconds <= 0) return;
  const cut: Cut = { start: shown.start + gone, seconds };
  const read = await place.seekable(clip, cut, place.shop.limits.encodeSeconds);
  reads.push([...decoding(read.facts, place.shop.abilities), ...reading(read, cut)]);
  const track = trackOf(work, reads.length - 1, read, { cut });
  const input = { width: track.width, height: track.height };
  await applySteps(
    work,
    { track, input, parent, cut, left: own, more: ["opacity"], hear: () => undefined },
    layer.steps,
  );
  settle(track);
  if (track.matrix !== base.matrix) add(track, `scale=out_color_matrix=${base.matrix}:out_range=tv`);
  add(track, `setpts=PTS-STARTPTS+round(${secondsText(from)}/TB)`);
  const values = filmValues(input, track, { parent, seconds: own.seconds });
  put(base, track.label, spotOf(layer.placement, parent, track, values), times, "pass");
}

/** A block of colour. */
function block(box: Rectangle, background: Colour, corners?: Corners, mode?: "cutout"): Layer {
  const { left, top, width, height } = box;
  const [a = 0, b = 0, c = 0, d = 0] = corners === "max" ? [] : (corners ?? []);
  const radius = corners === "max" ? corners : ([a, b, c, d] as const);
  const options: StepOptions = {
    width,
    height,
    background: { kind: "colour", colour: background },
    ...(corners === undefined ? {} : { radius }),
  };
  const placement = { x: left, y: top, ...(mode === undefined ? {} : { mode }) };
  return { kind: "canvas", placement, steps: [{ options, layers: [] }] };
}

/** Lays a block with a hole over the film; where nothing may be left, takes the block for its opacity. */
async function surround(
  work: Composing,
  track: Track,
  part: Rectangle,
  corners: Corners,
  outside: Colour | undefined,
): Promise<void> {
  const whole = { left: 0, top: 0, width: track.width, height: track.height };
  if (outside !== undefined) {
    const hole = block(part, WHITE, corners, "cutout");
    const index = await readStill(work, track, [block(whole, { ...outside, a: 1 }), hole]);
    putStill(track, index, { from: 0, to: undefined });
    return;
  }
  const index = await readStill(work, track, [block(part, WHITE, corners)]);
  const { graph } = track;
  const [colours, own, before, round, opacity, label] = Array.from({ length: 6 }, () => newLabel(graph));
  // Of what the film leaves see-through by itself, nothing comes back.
  graph.filters.push(
    `[${track.label}]format=yuva420p|yuva444p,split[${colours}][${own}]`,
    `[${own}]alphaextract[${before}]`,
    `[${index}:v]format=rgba,alphaextract[${round}]`,
    `[${before}][${round}]blend=all_mode=multiply:repeatlast=1[${opacity}]`,
    `[${colours}][${opacity}]alphamerge[${label}]`,
  );
  track.label = label!;
}
