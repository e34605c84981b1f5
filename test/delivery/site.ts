/** A delivery listener over a store in memory, with pictures that tell by their colours what was done to them. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import sharp, { type Sharp } from "sharp";
import { vi } from "vitest";
import { openMemory as openMemoryBlobs } from "../../src/blob/memory.ts";
import { DerivedCache } from "../../src/delivery/cache/cache.ts";
import { createDelivery, type Delivery, type DeliveryOptions } from "../../src/delivery/delivery.ts";
import type { DeliveryLimits } from "../../src/delivery/limits.ts";
import { createOrigin } from "../../src/delivery/origins/origins.ts";
import { startListener } from "../../src/lib/http.ts";
import { openMemory as openMemoryMeta } from "../../src/meta/memory.ts";
import { openStore, type ObjectStore } from "../../src/store/store.ts";
import type { Acl, Bucket, ObjectMeta } from "../../src/store/types.ts";

const ROOT = "a".repeat(64);

export const privateTo = (id: string): Acl => ({
  grants: [{ grantee: { type: "CanonicalUser", id }, permission: "FULL_CONTROL" }],
});

export interface Worker extends AsyncDisposable {
  readonly url: string;
  readonly delivery: Delivery;
  get(path: string, init?: RequestInit): Promise<Reply>;
}
export interface Site extends Worker {
  /** Of its own: the derived cache and the films' work lie below it. */
  readonly folder: string;
  readonly store: ObjectStore;
  /** Of root; the origin `photos` reads it. */
  readonly bucket: Bucket;
  /** How often sources were read for rendering. */
  readonly reads: { count: number };
  put(
    key: string,
    body: Buffer,
    more?: { meta?: ObjectMeta; acl?: Acl; ownerId?: string; bucket?: Bucket },
  ): Promise<void>;
  /** Another one with the same store and cache, to be closed before the site. */
  openWorker(other?: Pick<DeliveryOptions, "ffmpeg">): Promise<Worker>;
  /** As another process has it: with a store of its own over the same data. */
  openNode(): Promise<Worker>;
}
export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Buffer;
}

/** `404 NotFound`; `200 -` of what is no error. */
export const outcomeOf = ({ status, headers }: Pick<Reply, "status" | "headers">): string =>
  `${status} ${headers.get("x-windlass-error")?.split(" ")[0] ?? "-"}`;

export async function openSite(
  limits: Partial<DeliveryLimits> = {},
  more: Partial<Pick<DeliveryOptions, "ffmpeg" | "ffprobe" | "services" | "log">> = {},
): Promise<Site> {
  const folder = await mkdtemp(join(tmpdir(), "windlass-delivery-"));
  const { log = pino({ level: "silent" }) } = more;
  await writeFile(join(folder, "key"), "5".repeat(64));
  const over = { meta: openMemoryMeta(), blobs: openMemoryBlobs(), log, keyFile: join(folder, "key") };
  const inner = await openStore(over);
  const reads = { count: 0 };
  const store: ObjectStore = {
    ...inner,
    read(...args) {
      reads.count++;
      return inner.read(...args);
    },
  };
  await store.accounts.create({ name: "root", id: ROOT });
  const bucket = await store.createBucket({
    name: "photos",
    ownerId: ROOT,
    location: "",
    acl: privateTo(ROOT),
    maxBuckets: 100,
  });
  await createOrigin(store, { name: "photos", type: "bucket", bucket: "photos" });
  const options: DeliveryOptions = {
    store,
    cacheDir: join(folder, "cache"),
    log,
    limits: { renderers: 2, ...limits },
    ...more,
  };
  const worker = await openWorker(options);
  return {
    ...worker,
    folder,
    store,
    bucket,
    reads,
    async put(
      key,
      body,
      { meta = {}, ownerId = ROOT, acl = privateTo(ownerId), bucket: into = bucket } = {},
    ) {
      const staged = await store.receive(chunks(body), { maxSize: 1 << 30, checksums: [] });
      await store.putObject(into, { key, ownerId, meta, acl, tags: [], storageClass: "STANDARD" }, staged);
    },
    openWorker: (other = {}) => openWorker({ ...options, ...other }),
    openNode: async () =>
      openWorker({ ...options, store: await openStore({ ...over, readOnlyBlobs: true }) }),
    async [Symbol.asyncDispose]() {
      await worker[Symbol.asyncDispose]();
      await store.close();
      await rm(folder, { recursive: true });
    },
  };
}

async function openWorker(options: DeliveryOptions): Promise<Worker> {
  const delivery = createDelivery(options);
  const listener = await startListener({
    host: "127.0.0.1",
    port: 0,
    log: options.log,
    handle: delivery.handle,
    onFailure: delivery.onFailure,
  });
  return {
    url: listener.url,
    delivery,
    async get(path, init) {
      const response = await fetch(listener.url + path, init);
      return {
        status: response.status,
        headers: response.headers,
        body: Buffer.from(await response.arrayBuffer()),
      };
    },
    async [Symbol.asyncDispose]() {
      await listener.close(1000);
      await delivery.close();
    },
  };
}

/** Whatever is found next in a cache is gone before its first byte is read. */
export function takeNextFound(): void {
  const spy = vi.spyOn(DerivedCache.prototype, "get");
  spy.mockImplementationOnce(async function (this: DerivedCache, key) {
    spy.mockRestore();
    const entry = await this.get(key);
    await rm(entry!.path!);
    return entry;
  });
}

async function* chunks(body: Buffer): AsyncIterable<Buffer> {
  for (let at = 0; at < body.length; at += 65_536) yield body.subarray(at, at + 65_536);
}

export const RED = [255, 0, 0];
export const GREEN = [0, 255, 0];
export const BLUE = [0, 0, 255];
export const WHITE = [255, 255, 255];

/** Red, green (right), blue (below), white: which corner is where tells crops, stretches and turns apart. */
export function quadrants(width: number, height: number): Sharp {
  const pixels = Buffer.alloc(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const colour = y < height / 2 ? (x < width / 2 ? RED : GREEN) : x < width / 2 ? BLUE : WHITE;
      pixels.set(colour, (y * width + x) * 3);
    }
  }
  return sharp(pixels, { raw: { width, height, channels: 3 } });
}

/** Vertical stripes of equal width, one of each colour. */
export function stripes(width: number, height: number, colours: readonly number[][]): Sharp {
  const pixels = Buffer.alloc(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++)
      pixels.set(colours[Math.floor((x * colours.length) / width)]!, (y * width + x) * 3);
  }
  return sharp(pixels, { raw: { width, height, channels: 3 } });
}

/** Noise, which no encoder makes small: such pictures don't lie beside the metadata. */
export async function noise(width: number, height: number): Promise<Buffer> {
  const pixels = Buffer.alloc(width * height * 3);
  for (let n = 0, state = 1; n < pixels.length; n++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    pixels[n] = state >>> 24;
  }
  return sharp(pixels, { raw: { width, height, channels: 3 } })
    .jpeg()
    .toBuffer();
}

/** The name of the colour at a place given as fractions of the picture; "mixed" when it is none of ours. */
export async function colourAt(picture: Buffer, x: number, y: number): Promise<string> {
  const { data, info } = await sharp(picture)
    .removeAlpha()
    .toColourspace("srgb")
    .raw()
    .toBuffer({ resolveWithObject: true });
  const at = (Math.floor(y * info.height) * info.width + Math.floor(x * info.width)) * info.channels;
  const near = (colour: readonly number[]): boolean =>
    colour.every((value, n) => Math.abs(value - data[at + n]!) < 40);
  const names = { red: RED, green: GREEN, blue: BLUE, white: WHITE };
  return Object.entries(names).find(([, colour]) => near(colour))?.[0] ?? "mixed";
}

export async function sizeOf(picture: Buffer): Promise<string> {
  const { format, width, height } = await sharp(picture).metadata();
  return `${format} ${width}x${height}`;
}
