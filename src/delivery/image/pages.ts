/** Which pages of a source are meant. */
import { DeliveryError } from "../errors.ts";
import type { Pages } from "../plan/plan.ts";

/** Counted from 0; `there`: how many the source has. All, where nothing is said. @throws DeliveryError InvalidParameter */
export function wantedPages(pages: Pages | undefined, there: number): number[] {
  if (pages?.kind === "names") {
    throw new DeliveryError(
      "InvalidParameter",
      "pg: The source has no layers that can be had by their names.",
    );
  }
  const from = pages?.kind === "range" ? pages.from : 1;
  const to = Math.max(from, Math.min((pages?.kind === "range" ? pages.to : undefined) ?? there, there));
  const numbers =
    pages?.kind === "list" ? pages.pages : Array.from({ length: to - from + 1 }, (_, n) => from + n);
  const missing = numbers.find((page) => page > there);
  if (missing !== undefined) {
    throw new DeliveryError("InvalidParameter", `pg: There is no page ${missing}; the source has ${there}.`);
  }
  return numbers.map((page) => page - 1);
}
