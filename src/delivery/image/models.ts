/**
 * Work of trained models, done by a service of the operator's:
 *   POST {url}/{task}?prompt=…   body image/png   →   200 with a picture
 */
import sharp from "sharp";
import { DeliveryError } from "../errors.ts";
import type { ModelTask } from "../plan/plan.ts";
import { eightBits } from "./decode.ts";
import { call, type Service } from "../service.ts";
import { settle, type Environment, type Surface } from "./surface.ts";

/** As a share of what a render may take: shorter, so that its own message is what the client reads. */
const TIMEOUT_SHARE = 0.9;

/** What is see-through is painted: `bg-genfill`. */
type Filling = { readonly task: "genfill"; readonly prompt?: string | undefined };

/** The service that does what URLs call so. @throws DeliveryError NotAvailable */
export function modelsOf({ job: { models } }: Environment, name: string): Service {
  if (models !== undefined) return models;
  throw new DeliveryError(
    "NotAvailable",
    `${name} is work of a trained model, and this server has none (delivery-models).`,
  );
}

/** @throws DeliveryError NotAvailable, OriginFailed, OriginTimeout, LimitExceeded */
export async function applyModel(
  surface: Surface,
  task: ModelTask | Filling,
  env: Environment,
): Promise<Surface> {
  const { limits } = env.job;
  const models = modelsOf(env, task.task === "genfill" ? "bg-genfill" : `e-${task.task}`);
  const png = await surface.image.png().toBuffer();
  const { task: name, ...more } = task;
  const said = Object.entries(more).filter(([, value]) => value !== undefined);
  const query = Object.fromEntries(said.map(([key, value]) => [key, String(value)]));
  const answer = await call({
    name: "model",
    service: models,
    path: `/${name}`,
    query,
    body: new Uint8Array(png),
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
