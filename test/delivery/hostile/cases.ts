/** What every table of hostile requests is run with: one request after the other, while the memory is watched. */
import { readdir, readFile } from "node:fs/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { DeliveryLimits } from "../../../src/delivery/limits.ts";
import { openSite, quadrants, sizeOf, type Site } from "../site.ts";

const MIB = 1024 ** 2;

/** A file that a stranger uploads, what is asked of it, and how that must end. */
export interface Hostile {
  readonly name: string;
  /** By name; made when their case begins. `honest.png`, 200 by 100, is always there. */
  readonly files?: Readonly<Record<string, Buffer | (() => Buffer | Promise<Buffer>)>>;
  /** Behind the endpoint. All of them must end as expected. */
  readonly urls: readonly string[];
  readonly ends: Ending;
}
/** Matches all of `422 LimitExceeded`; `200` where nothing bad is in what is served. */
export type Ending = RegExp;

export const SERVED: Ending = /200/;
export const TOO_MUCH: Ending = /422 LimitExceeded/;
export const DAMAGED: Ending = /422 DamagedSource/;
export const BAD_URL: Ending = /400 (InvalidParameter|InvalidPath)|414 InvalidPath|422 LimitExceeded/;
export const NO_PICTURE: Ending = /415 UnsupportedSource|422 (DamagedSource|LimitExceeded)/;
/** Where decoders may make something of it: what they make is as harmless as a refusal. */
export const HARMLESS: Ending = new RegExp(`200|${NO_PICTURE.source}|400 InvalidParameter`);

/** The ways in which a file meets decoders: made small, worked on whole, looked into. */
export const ways = (file: string): string[] => [
  `tr:w-10/${file}`,
  `tr:rt-45,w-100/${file}`,
  `${file}/metadata`,
];
/** And in which what is written beside the pixels is read, and written again. */
export const deeply = (file: string): string[] => [
  ...ways(file),
  `tr:rt-auto,w-10/${file}`,
  `tr:w-10,md-true/${file}`,
  `tr:w-10,cp-true,md-true,rt-45/${file}`,
];

const end = (bytes: Buffer, n: number): Buffer => bytes.subarray(0, n < 1 ? bytes.length * n : n);

/** A file that ends too soon; `at` below 1: a part of it, else bytes. */
export function cuts(whole: () => Promise<Buffer>, extension: string, at: readonly number[]): Hostile {
  const names = at.map((n) => `cut-${n}.${extension}`);
  return {
    name: "that end too soon",
    files: Object.fromEntries(names.map((name, n) => [name, async () => end(await whole(), at[n]!)])),
    urls: names.flatMap(ways),
    ends: NO_PICTURE,
  };
}

/** Milliseconds within which a request must be answered, so that one without an end fails by its own name. */
const ANSWER_MS = 60_000;
const RENDER_BYTES = 768 * MIB;
/** A renderer is looked at every so often; a codec that is quick takes so much more until then. */
const RENDERER_PEAK = 1280 * MIB;
/** What the server may have gained: its store is in memory, and the files are a few MiB in all but two tables. */
const GROWTH = 384 * MIB;

/** Of this thread, where the server runs; other tests run in others. */
function heldBytes(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** `422 LimitExceeded`, `200`. @throws when there is no answer in time */
export async function endingOf(site: Site, path: string): Promise<string> {
  const { status, headers } = await site.get(path, { signal: AbortSignal.timeout(ANSWER_MS) });
  const code = headers.get("x-windlass-error")?.split(" ")[0];
  return code === undefined ? String(status) : `${status} ${code}`;
}

/** Files in work, and claims, below a site's folder. */
export async function leftovers({ folder }: Site): Promise<string[]> {
  const names = await readdir(folder, { recursive: true });
  return names.filter((name) => /(^|\/)(tmp|work)\/./.test(name) || name.endsWith(".claim"));
}

/** The highest resident bytes of the renderers that have run meanwhile. Linux tells it; elsewhere it is 0. */
export class MemoryWatch implements Disposable {
  peak = 0;
  readonly #timer: NodeJS.Timeout;
  readonly #site: Site;
  constructor(site: Site) {
    this.#site = site;
    this.#timer = setInterval(() => void this.look(), 25);
  }
  async look(): Promise<void> {
    for (const pid of this.#site.delivery.rendererPids()) {
      const status = await readFile(`/proc/${pid}/status`, "latin1").catch(() => "");
      const kibibytes = Number(/^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0);
      this.peak = Math.max(this.peak, kibibytes * 1024);
    }
  }
  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}

/** Runs a table against one site, and looks at what is left of it afterwards. */
export function survives(
  what: string,
  cases: readonly Hostile[],
  limits: Partial<DeliveryLimits> = {},
): void {
  describe(`hostile ${what}`, () => {
    let site: Site;
    let watch: MemoryWatch;
    let before = 0;
    beforeAll(async () => {
      site = await openSite({ renderers: 1, renderBytes: RENDER_BYTES, ...limits });
      await site.put("honest.png", await quadrants(200, 100).png().toBuffer());
      watch = new MemoryWatch(site);
      before = heldBytes();
    });
    afterAll(() => {
      watch[Symbol.dispose]();
      return site[Symbol.asyncDispose]();
    });

    test.each(cases.map((one) => [one.name, one] as const))(
      "%s",
      async (_, { files = {}, urls, ends }) => {
        for (const [key, file] of Object.entries(files)) {
          await site.put(key, typeof file === "function" ? await file() : file);
        }
        const whole = new RegExp(`^(${ends.source})$`);
        for (const url of urls) {
          const ending = await endingOf(site, `/root/${url}`);
          await watch.look();
          expect(`${ending} ${whole.test(ending) ? "as expected" : `for ${url}`}`).toBe(
            `${ending} as expected`,
          );
        }
        await watch.look();
      },
      120_000,
    );

    test("and then it serves, has taken no more memory than it may, and nothing is left lying about", async () => {
      expect(await sizeOf((await site.get("/root/tr:w-20/honest.png")).body)).toBe("png 20x10");
      expect(watch.peak).toBeLessThan(RENDERER_PEAK);
      expect(heldBytes() - before).toBeLessThan(GROWTH);
      expect(await leftovers(site)).toEqual([]);
    });
  });
}
