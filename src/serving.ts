/** What one process serves: the listeners over an open store, what they count, and the jobs beside them. */
import { setTimeout as sleep } from "node:timers/promises";
import { createAdmin } from "./admin/admin.ts";
import { family, Measures, processFamilies, type Family } from "./admin/measures.ts";
import { ConfigError, DRAIN_MS, regionOf, renderersOf, workersMax, type Config } from "./config.ts";
import { dataPaths } from "./datadir.ts";
import { createDelivery, type Delivery, type DeliveryCounts, type Services } from "./delivery/delivery.ts";
import type { Service as Helper } from "./delivery/service.ts";
import { startListener, type FinishedRequest, type Listener, type ListenerOptions } from "./lib/http.ts";
import type { Logger } from "./lib/log.ts";
import { loadCertificates, type Certificates } from "./lib/tls.ts";
import { encodeKey } from "./meta/tuple.ts";
import { parseAddress } from "./options.ts";
import { createS3 } from "./s3/s3.ts";
import type { Storage } from "./storage.ts";
import { version } from "./version.ts";

/** Between two sweeps, where the grace period is not shorter; a lease lets one process at a time do the work. */
const SWEEP_MS = 60_000;
const SWEEP_MS_MIN = 1000;
/** Between two looks whether films are still made for nobody who waits. */
const RETIRE_LOOK_MS = 1000;
/** An answer to a probe that takes longer is none: whoever asks has a deadline too. */
const PROBE_MS = 2000;

/** Addresses by listener, those without TLS first. */
export interface Urls {
  s3: string[];
  console: string[];
  delivery: string[];
}

export interface ServingOptions {
  readonly config: Config;
  readonly storage: Storage;
  readonly log: Logger;
  /** `worker 1`; tells the processes apart in the metrics. */
  readonly processName: string;
  /** How many processes serve, with this one. */
  readonly workers: number;
  /** Why nothing can be written, where the store itself does not know it. */
  readonly readonly: () => string | undefined;
  /** The metrics of every process; this one's own when left out. */
  readonly families?: () => Promise<Family[][]>;
}

export interface Serving {
  readonly urls: Urls;
  ownFamilies(): Family[];
  /** So many processes serve now. */
  share(workers: number): void;
  /** Clients that are connected now are told, with their next answers, to connect anew: there are more processes for them. */
  shed(): void;
  /** Takes no new connections; resolves when no client is connected any more and nothing is made in the background. */
  retire(): Promise<void>;
  /** Reads the certificates again; when they can't be used, the old ones stay and the log says so. */
  reload(): Promise<void>;
  /** Drains the listeners and ends the jobs. The store stays open. */
  close(): Promise<void>;
}

type Service = Pick<ListenerOptions, "handle" | "onFailure">;

/** @throws ConfigError for addresses that can't be listened on and certificates that can't be used */
export async function openServing(options: ServingOptions): Promise<Serving> {
  const { config, storage, log } = options;
  const certificates = await certificatesOf(config);
  const measures = new Measures();
  const open: Listener[] = [];
  const urls: Urls = { s3: [], console: [], delivery: [] };
  const ownFamilies = (): Family[] => [
    ...measures.families(),
    inFlight(open),
    ...deliveryFamilies(delivery),
    ...processFamilies(options.processName),
  ];
  const admin = createAdmin({
    store: storage.store,
    log,
    workers: workersMax(config),
    trustedProxies: config.trustedProxy,
    version: version(),
    urls: () => urls,
    ready: () => readiness(storage, options.readonly),
    families: options.families ?? (() => Promise.resolve([ownFamilies()])),
  });
  const delivery = deliveryService(options);
  const services: Record<keyof Urls, Service> = { s3: s3Service(options), console: admin, delivery };
  try {
    // One after the other: workers that share sockets must ask for them in the same order.
    for (const { name, addresses, tls } of listenersOf(config, certificates)) {
      for (const address of addresses) {
        const onFinish = (record: FinishedRequest) => finish(name, record, measures, log);
        const listener = await listen({ ...services[name], address, tls, onFinish, log, config });
        open.push(listener);
        urls[name].push(listener.url);
      }
    }
  } catch (error) {
    await Promise.all(open.map((listener) => listener.close(0)));
    await delivery.close();
    throw error;
  }
  const jobs = startJobs(storage, config.grace * 1000, log);
  return {
    urls,
    ownFamilies,
    share: (workers) => delivery.share(renderersOf(config, workers)),
    shed() {
      for (const listener of open) listener.shed();
    },
    async retire() {
      await Promise.all(open.map((listener) => listener.retire()));
      while (isMaking(delivery)) await sleep(RETIRE_LOOK_MS);
    },
    reload: () => reload(certificates, log),
    async close() {
      await Promise.all(open.map((listener) => listener.close(DRAIN_MS)));
      await delivery.close();
      await jobs.stop();
    },
  };
}

function isMaking(delivery: Delivery): boolean {
  const { films } = delivery.counts();
  return films.running + films.waiting > 0;
}

function s3Service({ config, storage, log }: ServingOptions): Service {
  const region = regionOf(config);
  const locations = [...new Set([region, ...config.location.map((location) => location.split("=")[0]!)])];
  return createS3({
    store: storage.store,
    settings: {
      region,
      locations,
      compatibility: config.compatibility,
      maxBucketsPerAccount: config.maxBuckets,
    },
    target: {
      domains: config.domain,
      trustedProxies: config.trustedProxy,
      externalUrl: config.externalUrl,
      compatibility: config.compatibility,
    },
    log,
  });
}

function deliveryService({ config, storage, log, workers }: ServingOptions): Delivery {
  return createDelivery({
    store: storage.store,
    cacheDir: dataPaths(config).cache,
    log,
    ffmpeg: config.ffmpeg,
    ffprobe: config.ffprobe,
    services: servicesOf(config),
    limits: {
      cacheBytes: config.deliveryCacheBytes,
      memoryBytes: config.deliveryMemoryBytes,
      renderers: renderersOf(config, workers),
      renderSeconds: config.deliveryRenderTime,
      sourceBytes: config.deliverySourceBytes,
      sourcePixels: config.deliverySourcePixels,
      resultPixels: config.deliveryResultPixels,
    },
  });
}

const helper = (url: string | undefined, token: string | undefined): Helper | undefined =>
  url === undefined ? undefined : { url, token };

function servicesOf(config: Config): Services {
  const prompts = helper(config.deliveryPrompts, config.deliveryPromptsToken);
  return {
    models: helper(config.deliveryModels, config.deliveryModelsToken),
    detector: helper(config.deliveryDetector, config.deliveryDetectorToken),
    prompts: prompts && { ...prompts, model: config.deliveryPromptsModel },
  };
}

async function certificatesOf(config: Config): Promise<Certificates | undefined> {
  if (config.tlsCert.length === 0) return undefined;
  try {
    return await loadCertificates(config.tlsCert.map((cert, n) => ({ cert, key: config.tlsKey[n]! })));
  } catch (error) {
    throw new ConfigError(`A ${(error as Error).message}`, { cause: error });
  }
}

async function reload(certificates: Certificates | undefined, log: Logger): Promise<void> {
  try {
    await certificates?.reload();
    if (certificates !== undefined) log.info("the certificates were read again");
  } catch (error) {
    log.error({ err: error }, "the certificates could not be read again; the old ones stay in use");
  }
}

interface ListenerPlan {
  name: keyof Urls;
  addresses: readonly string[];
  tls: Certificates | undefined;
}

function listenersOf(config: Config, tls: Certificates | undefined): ListenerPlan[] {
  return [
    { name: "s3", addresses: config.s3, tls: undefined },
    { name: "s3", addresses: config.s3Tls, tls },
    { name: "console", addresses: config.console, tls: undefined },
    { name: "console", addresses: config.consoleTls, tls },
    { name: "delivery", addresses: config.delivery, tls: undefined },
    { name: "delivery", addresses: config.deliveryTls, tls },
  ];
}

interface ListenOptions extends Omit<ListenerOptions, "host" | "port" | "limits"> {
  address: string;
  config: Config;
}

async function listen({ address, config, ...options }: ListenOptions): Promise<Listener> {
  const limits = {
    keepAliveMs: config.keepAlive * 1000,
    bodyIdleMs: config.idleTimeout * 1000,
    sendIdleMs: config.idleTimeout * 1000,
    maxRequests: config.maxRequests,
    maxConnections: config.maxConnections,
  };
  try {
    return await startListener({ ...options, ...parseAddress(address), limits });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const reason =
      code === "EADDRINUSE"
        ? "another program listens there"
        : code === "EACCES"
          ? "that needs privileges"
          : message;
    throw new ConfigError(`${address} can't be listened on: ${reason}.`, { cause: error });
  }
}

function finish(service: keyof Urls, record: FinishedRequest, measures: Measures, log: Logger): void {
  const operation = record.log?.["operation"];
  measures.record({
    service,
    operation: typeof operation === "string" ? operation : "Unknown",
    status: record.status,
    seconds: record.durationMs / 1000,
    receivedBytes: record.bytesReceived,
    sentBytes: record.bytesSent,
  });
  if (!log.isLevelEnabled("debug")) return;
  // Without the query: a presigned one opens the object for whoever reads the log.
  const { rawQuery: _, log: fields, ...line } = record;
  log.debug({ service, ...line, ...fields }, "request");
}

function deliveryFamilies(delivery: Delivery): Family[] {
  const { renders, cache, films, origins } = delivery.counts();
  const made = family(
    "windlass_renders_total",
    "counter",
    "Pictures that renderers were asked for, by what became of them.",
  );
  made.values.push({ value: renders.done, labels: { result: "done" } });
  made.values.push({ value: renders.failed, labels: { result: "failed" } });
  const results = family(
    "windlass_delivery_cache_total",
    "counter",
    "Pictures, films and fetched files that were in the cache, and that were not.",
  );
  results.values.push({ value: cache.hits, labels: { result: "hit" } });
  results.values.push({ value: cache.misses, labels: { result: "miss" } });
  const single: readonly [string, Family["type"], string, number][] = [
    [
      "windlass_render_seconds_total",
      "counter",
      "From asking a renderer to its answer, waiting in line included; that of origins is not in it.",
      renders.seconds,
    ],
    ["windlass_renders_waiting", "gauge", "Pictures that wait for a renderer.", renders.waiting],
    ["windlass_renderers", "gauge", "Renderer processes.", renders.processes],
    ["windlass_films_running", "gauge", "Films and streams that are made now.", films.running],
    ["windlass_films_waiting", "gauge", "Films and streams that wait for an encoder.", films.waiting],
  ];
  const singles = single.map(([name, type, help, value]) => ({
    ...family(name, type, help),
    values: [{ value, labels: {} }],
  }));
  // The processes share the folder, and each knows it as of its last count.
  const space: Family = {
    ...family("windlass_delivery_cache_bytes", "gauge", "Space that the delivery cache takes on disk."),
    aggregator: "max",
    values: cache.bytes === undefined ? [] : [{ value: cache.bytes, labels: {} }],
  };
  return [made, ...singles, results, space, ...originFamilies(origins)];
}

function originFamilies(origins: DeliveryCounts["origins"]): Family[] {
  const asked = family(
    "windlass_origin_requests_total",
    "counter",
    "Questions to other people's storage, by origin and what came of them.",
  );
  const seconds = family(
    "windlass_origin_seconds_total",
    "counter",
    "From such a question to the head of the answer, further attempts included.",
  );
  for (const { origin, results, seconds: value } of origins) {
    for (const [result, count] of results) asked.values.push({ value: count, labels: { origin, result } });
    seconds.values.push({ value, labels: { origin } });
  }
  return [asked, seconds];
}

function inFlight(listeners: readonly Listener[]): Family {
  const requests = listeners.reduce((sum, listener) => sum + listener.counts().requests, 0);
  const gauge = family("windlass_requests_in_flight", "gauge", "Requests in work.");
  gauge.values.push({ value: requests, labels: {} });
  return gauge;
}

/** A key that nothing stands under. */
const PROBE = { writes: [{ key: encodeKey(["probe"]), delete: true as const }] };

/** Why the store takes no writes; undefined when a commit that changes nothing went through. */
async function readiness(storage: Storage, readonly: () => string | undefined): Promise<string | undefined> {
  const known = readonly() ?? storage.store.health();
  if (known !== undefined) return known;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve("the writer does not answer"), PROBE_MS);
  });
  const probe = storage.meta.commit(PROBE).then(
    () => undefined,
    (error: unknown) => (error as Error).message,
  );
  return Promise.race([probe, late]).finally(() => clearTimeout(timer));
}

function startJobs({ store }: Storage, graceMs: number, log: Logger): { stop: () => Promise<void> } {
  let running: Promise<void> = Promise.resolve();
  const sweep = async () => {
    try {
      const { removed } = await store.sweep();
      if (removed > 0) log.info({ removed }, "removed blobs that nothing refers to");
    } catch (error) {
      log.error({ err: error }, "the sweep failed");
    }
  };
  // On a full disk too: that is what gives space back. After a failed write its lease is refused, and nothing goes.
  const timer = setInterval(
    () => {
      running = running.then(sweep);
    },
    Math.min(SWEEP_MS, Math.max(SWEEP_MS_MIN, graceMs)),
  );
  timer.unref();
  return {
    async stop() {
      clearInterval(timer);
      await running;
    },
  };
}
