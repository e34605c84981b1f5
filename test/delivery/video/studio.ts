/** Films without a server around them; stills are drawn in this process. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { DerivedCache, type Entry } from "../../../src/delivery/cache/cache.ts";
import type { Input } from "../../../src/delivery/image/job.ts";
import { render } from "../../../src/delivery/image/render.ts";
import { DEFAULT_LIMITS } from "../../../src/delivery/limits.ts";
import type { Plan } from "../../../src/delivery/plan/plan.ts";
import { parseImageKit } from "../../../src/delivery/plan/url.ts";
import { Films, type VideoOptions, type VideoRequest } from "../../../src/delivery/video/video.ts";
import { collect, once } from "../../../src/lib/chunks.ts";

export const inputOf = (bytes: Buffer): Input => ({ size: bytes.length, read: () => once(bytes) });

export const planOf = (chain: string): Plan =>
  parseImageKit({ rawPath: "film.mp4", rawQuery: `tr=${chain}`, named: new Map() }).plan!;

export interface Studio extends AsyncDisposable {
  readonly folder: string;
  readonly video: Films;
  /** Another process that shares the folder, as far as it matters. */
  another(options?: Partial<VideoOptions>): Films;
  request(film: Buffer, chain: string, more?: RequestOptions): VideoRequest;
  /** Made, in the end. */
  make(film: Buffer, chain: string, more?: RequestOptions): Promise<Buffer>;
}
interface RequestOptions {
  readonly what?: VideoRequest["what"];
  readonly layers?: Readonly<Record<string, Buffer>>;
  readonly key?: string;
}

const renderer: VideoRequest["renderer"] = {
  render: async (job, inputs) =>
    render(await Promise.all(inputs.map((input) => collect(input.read()))), {
      ...job,
      limits: DEFAULT_LIMITS,
    }),
};

export async function openStudio(options: Partial<VideoOptions> = {}): Promise<Studio> {
  const folder = await mkdtemp(join(tmpdir(), "windlass-studio-"));
  const log = pino({ level: "silent" });
  const videos: Films[] = [];
  let keys = 0;
  const another = (more: Partial<VideoOptions> = {}): Films => {
    const made = new Films({
      cache: new DerivedCache({ folder: join(folder, "cache"), maxBytes: 1e9, memoryBytes: 1e6, log }),
      folder: join(folder, "video"),
      log,
      ...options,
      ...more,
    });
    videos.push(made);
    return made;
  };
  const video = another();
  const request: Studio["request"] = (film, chain, { what = "video", layers = {}, key } = {}) => ({
    key: key ?? (keys++).toString(16).padStart(40, "0"),
    what,
    plan: planOf(chain),
    renderer,
    source: inputOf(film),
    inputs: new Map(Object.entries(layers).map(([path, bytes]) => [path, inputOf(bytes)])),
    facts: { origin: "owner/photos", path: "film.mp4", variant: chain },
  });
  return {
    folder,
    video,
    another,
    request,
    async make(film, chain, more) {
      const made = await video.render(request(film, chain, more), 60_000);
      if ("pending" in made) throw new Error("the film takes too long");
      return bytesOf(made.entry);
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(videos.map((one) => one.close()));
      await rm(folder, { recursive: true });
    },
  };
}

export const bytesOf = (file: Pick<Entry, "size" | "read">): Promise<Buffer> =>
  collect(file.read(0, file.size));
