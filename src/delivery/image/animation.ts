/** Animations, which sharp holds as one tall picture, frame by frame. */
import { fromMemory, settle, type Environment, type Memory, type Surface } from "./surface.ts";

/** One frame as a still, without a copy. */
function frameOf({ data, width, height, channels }: Memory, pages: number, page: number): Surface {
  const frame = height / pages;
  const bytes = width * frame * channels;
  const part = data.subarray(page * bytes, (page + 1) * bytes);
  return fromMemory({ data: part, width, height: frame, channels }, 1);
}

const memoryOf = async (surface: Surface): Promise<Memory> => (await settle(surface)).memory!;

/** The first frame as a still; a still is left as it is. */
export async function firstFrame(surface: Surface): Promise<Surface> {
  return surface.pages === 1 ? surface : frameOf(await memoryOf(surface), surface.pages, 0);
}

/**
 * Does the same to each frame. What it may make is what the limits leave for all frames together.
 * @throws DeliveryError
 */
export async function eachFrame(
  surface: Surface,
  env: Environment,
  apply: (frame: Surface, env: Environment) => Promise<Surface>,
): Promise<Surface> {
  if (surface.pages === 1) return apply(surface, env);
  const { pages } = surface;
  const whole = await memoryOf(surface);
  const within: Environment = { ...env, spend: (size) => env.spend(size, pages) };
  // What was read here alone makes room for what is made: an animation may be hundreds of megabytes.
  const own = whole === surface.memory ? undefined : whole.data;
  let all: Memory | undefined;
  for (let page = 0; page < pages; page++) {
    const { data, ...made } = await memoryOf(await apply(frameOf(whole, pages, page), within));
    const bytes = data.length * pages;
    all ??= {
      ...made,
      height: made.height * pages,
      data: own !== undefined && bytes <= own.length ? own.subarray(0, bytes) : Buffer.allocUnsafe(bytes),
    };
    if (made.channels !== all.channels || bytes !== all.data.length) {
      throw new TypeError("Frames became different.");
    }
    // Never beyond the frames that are done with.
    data.copy(all.data, page * data.length);
  }
  return fromMemory(all!, pages);
}

/** Something that is to be known of all frames. */
export async function everyFrame<T>(surface: Surface, look: (frame: Surface) => Promise<T>): Promise<T[]> {
  const { pages } = surface;
  const whole = await memoryOf(surface);
  const results: T[] = [];
  for (let page = 0; page < pages; page++) results.push(await look(frameOf(whole, pages, page)));
  return results;
}
