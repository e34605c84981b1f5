/**
 * Where faces and objects are, told by a service of the operator's:
 *   POST {url}?class=face   body image/jpeg   →   200 {"regions":[{"x":0.1,"y":0.2,"width":0.3,"height":0.3,"score":0.9}]}
 * Coordinates are fractions of the picture.
 */
import { DeliveryError } from "../errors.ts";
import { call } from "../service.ts";
import type { Rectangle } from "./geometry.ts";
import type { Environment, Surface } from "./surface.ts";

/** Longest side of the copy that the service sees. */
const PROBE_SIDE = 512;
const TIMEOUT_MS = 3000;
const ANSWER_BYTES_MAX = 65_536;
/** Regions that count. Stops answers without end. */
const REGIONS_MAX = 100;
/** Below it a region is a guess. */
const SCORE_MIN = 0.5;

/** Among the headers of a picture for which the detector was asked and gave no answer. Flat: name, value. */
export const UNANSWERED = ["x-windlass-focus", "unavailable"] as const;

/**
 * In pixels of the surface. Undefined: there is no detector, or it gives no answer, which is said among the headers; what is asked for is then looked
 * for in another way.
 */
export async function detect(
  surface: Surface,
  what: string,
  env: Environment,
): Promise<Rectangle[] | undefined> {
  const { detector } = env.job;
  if (detector === undefined) return undefined;
  try {
    const jpeg = await surface.image
      .clone()
      .resize({ width: PROBE_SIDE, height: PROBE_SIDE, fit: "inside", withoutEnlargement: true })
      .flatten({ background: "#ffffff" })
      .jpeg({ quality: 85 })
      .toBuffer();
    const answer = await call({
      name: "detector",
      service: detector,
      path: "",
      query: { class: what },
      body: new Uint8Array(jpeg),
      type: "image/jpeg",
      timeoutMs: TIMEOUT_MS,
      maxBytes: ANSWER_BYTES_MAX,
    });
    const regions = regionsOf(answer, surface);
    if (regions !== undefined) return regions;
  } catch (error) {
    if (!(error instanceof DeliveryError) && !(error instanceof SyntaxError)) throw error;
  }
  if (!env.headers.includes(UNANSWERED[1])) env.headers.push(...UNANSWERED);
  return undefined;
}

/** @throws SyntaxError for what is no JSON */
function regionsOf(answer: Buffer, { width, height }: Surface): Rectangle[] | undefined {
  const said: unknown = JSON.parse(answer.toString());
  const regions = typeof said === "object" && said !== null && "regions" in said ? said.regions : undefined;
  if (!Array.isArray(regions)) return undefined;
  return regions.slice(0, REGIONS_MAX).flatMap((region: unknown) => {
    const { x, y, width: w, height: h, score = 1 } = (region ?? {}) as Record<string, unknown>;
    const numbers = [x, y, w, h].every((one) => typeof one === "number" && one >= 0 && one <= 1);
    if (!numbers || typeof score !== "number" || score < SCORE_MIN) return [];
    const left = Math.min(width - 1, Math.floor(Number(x) * width));
    const top = Math.min(height - 1, Math.floor(Number(y) * height));
    const box = {
      left,
      top,
      width: Math.min(width - left, Math.round(Number(w) * width)),
      height: Math.min(height - top, Math.round(Number(h) * height)),
    };
    return box.width < 1 || box.height < 1 ? [] : [box];
  });
}
