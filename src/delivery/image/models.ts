/**
 * Work of trained models, done by a service of the operator's:
 *   POST {url}/{task}?prompt=…   body image/png   →   200 with a picture
 */
import sharp from "sharp";
import { DeliveryError } from "../errors.ts";
import type { ModelTask } from "../plan/plan.ts";
import { eightBits } from "./decode.ts";
import { call } from "./service.ts";
import { settle, type Environment, type Surface } from "./surface.ts";

/** As a share of what a render may take: shorter, so that its own message is what the client reads. */
const TIMEOUT_SHARE = 0.9;

/** @throws DeliveryError NotAvailable, OriginFailed, OriginTimeout, LimitExceeded */
export async function applyModel(surface: Surface, task: ModelTask, env: Environment): Promise<Surface> {
  const { models, limits } = env.job;
  if (models === undefined) {
    throw new DeliveryError(
      "NotAvailable",
      `e-${task.task} is work of a trained model, and this server has none (delivery-models).`,
    );
  }
  const body = await surface.image.png().toBuffer();
  const { task: name, ...more } = task;
  const query = Object.fromEntries(Object.entries(more).map(([key, value]) => [key, String(value)]));
  const answer = await call({
    name: "model",
    service: models,
    path: `/${name}`,
    query,
    body,
    type: "image/png",
    timeoutMs: Math.round(limits.renderSeconds * 1000 * TIMEOUT_SHARE),
    maxBytes: limits.resultBytes,
  });
  if (answer.length === 0) return noPicture();
  const image = sharp(answer, { limitInputPixels: limits.sourcePixels, failOn: "error" });
  const metadata = await image.metadata().catch(noPicture);
  const { width, height, hasAlpha, format } = metadata;
  if (!FORMATS.includes(format)) return noPicture();
  env.spend({ width, height });
  return settle({
    image: eightBits(image, metadata),
    width,
    height,
    alpha: hasAlpha,
    pages: 1,
    fresh: true,
  }).catch(noPicture);
}

/** Pixels only: an answer in SVG would be a program to run. `heif`: AVIF. */
const FORMATS: readonly string[] = ["png", "jpeg", "webp", "heif"];

function noPicture(): never {
  throw new DeliveryError(
    "OriginFailed",
    "The model service answered with something that is no PNG, JPEG, WebP or AVIF picture within the limits.",
  );
}
