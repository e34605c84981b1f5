/** What the tests of layers and text share: an environment, and pixels of what comes out. */
import sharp from "sharp";
import { expect } from "vitest";
import { DeliveryError, type DeliveryErrorCode } from "../../../../src/delivery/errors.ts";
import type { Job } from "../../../../src/delivery/image/job.ts";
import {
  pixelsOf,
  type Environment,
  type Size,
  type Surface,
} from "../../../../src/delivery/image/surface.ts";
import { DEFAULT_LIMITS } from "../../../../src/delivery/limits.ts";

export const JOB: Job = {
  kind: "picture",
  plan: { steps: [], defaults: { quality: 80, format: "auto" } },
  hints: { accepts: [] },
  inputs: [],
  limits: DEFAULT_LIMITS,
};

export function environment(
  parent: Size,
  inputs: Readonly<Record<string, Buffer>> = {},
): Environment & { parent: Size } {
  return {
    job: JOB,
    inputs: new Map(Object.entries(inputs)),
    headers: [],
    parent,
    source: undefined,
    spend({ width, height }, pages = 1) {
      const { resultPixels, resultSide } = DEFAULT_LIMITS;
      if (Math.max(width, height) > resultSide || width * height * pages > resultPixels) {
        throw new DeliveryError("LimitExceeded", `${width} by ${height}`);
      }
    },
  };
}

export async function solid(width: number, height: number, background: string): Promise<Buffer> {
  return sharp({ create: { width, height, channels: 3, background } })
    .png()
    .toBuffer();
}

/** RRGGBBAA at a place. */
export async function colourAt(surface: Surface, x: number, y: number): Promise<string> {
  const { data, width } = await pixelsOf(surface);
  return data.toString("hex", (y * width + x) * 4, (y * width + x) * 4 + 4);
}

export const sizeOf = ({ width, height }: Size): string => `${width}x${height}`;

/** The refusal's message. */
export async function refusal(code: DeliveryErrorCode, work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(DeliveryError);
  const refused = error as DeliveryError;
  expect([refused.code, refused.message]).toEqual([code, expect.any(String)]);
  return refused.message;
}
