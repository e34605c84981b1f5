/** Films: encoded once for all who ask, in the background where that takes long. The codecs run in ffmpeg's process. */
import { randomBytes } from "node:crypto";
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { errorCode } from "../../blob/disk.ts";
import { isRecent } from "../../lib/clock.ts";
import type { Logger } from "../../lib/log.ts";
import { SingleFlight } from "../../lib/singleflight.ts";
import type { DerivedCache, Entry } from "../cache/cache.ts";
import type { Provenance } from "../cache/entries.ts";
import { closing, DeliveryError, notNow } from "../errors.ts";
import type { Input } from "../image/job.ts";
import type { Plan } from "../plan/plan.ts";
import { same } from "../signature.ts";
import { encodeFilm, extractFrame } from "./encoding.ts";
import { abilitiesOf, diskFull, type Abilities, type Programs } from "./ffmpeg.ts";
import { Jobs, type Job, type JobCounts, type JobStatus, type JobTools, type Work } from "./jobs.ts";
import { numberOf } from "./frames.ts";
import { DEFAULT_VIDEO_LIMITS, type VideoLimits } from "./limits.ts";
import { isSetFile, MASTERS } from "./playlists.ts";
import {
  belongsToSet,
  finishSet,
  freshFolder,
  isDone,
  pruneSets,
  readSetFile,
  removeSets,
  reopenSet,
  touchSet,
  type SetFile,
} from "./sets.ts";
import type { StillRenderer } from "./stills.ts";
import { encodeSet } from "./streams.ts";
import { patientController, Turnstile } from "./turnstile.ts";
import { goneAgain, openWorkplace, type Workplace, type Workshop } from "./workplace.ts";

export interface VideoOptions {
  readonly cache: DerivedCache;
  /** For work and for streams; made when needed. Processes may share it. On the cache's file system. */
  readonly folder: string;
  readonly log: Logger;
  readonly limits?: Partial<VideoLimits> | undefined;
  /** Paths of the programs; found in PATH when left out. */
  readonly ffmpeg?: string | undefined;
  readonly ffprobe?: string | undefined;
}

export interface VideoRequest {
  /** Hexadecimal; names the source's version and the plan. */
  readonly key: string;
  readonly what: "video" | "thumbnail" | "metadata" | "gif-video" | "hls" | "dash" | "stream";
  readonly plan: Plan;
  readonly source: Input;
  /** Pictures, films, subtitles and fonts of layers, by their path. */
  readonly inputs: ReadonlyMap<string, Input>;
  readonly facts: Provenance;
  /** For what is drawn on it. */
  readonly renderer: StillRenderer;
}

interface StreamAsking {
  readonly waitMs: number;
  readonly query: string;
  readonly right: string;
}

export interface Pending {
  readonly id: string;
  readonly retryAfterSeconds: number;
  readonly state: JobStatus["state"];
  /** 0 to 1. */
  readonly progress: number;
}

const RETRY_SECONDS = 2;
/** How often a file of a stream in work is looked for, in milliseconds. */
const LOOK_MS = 50;
/** For how long a missing ffmpeg isn't looked for again, in milliseconds. */
const LACKING_MS = 30_000;

/** What was found out about the programs. */
interface Looked {
  readonly found: Promise<Abilities | string>;
  lackingSince: number | undefined;
}

export class Films {
  readonly #options: VideoOptions;
  readonly #limits: VideoLimits;
  readonly #programs: Programs;
  readonly #jobs: Jobs;
  readonly #thumbnails: Turnstile;
  readonly #frames = new SingleFlight<Buffer>();
  readonly #closing = patientController();
  #abilities: Looked | undefined;

  constructor(options: VideoOptions) {
    const { log, folder, ffmpeg = "ffmpeg", ffprobe = "ffprobe" } = options;
    this.#options = options;
    this.#limits = { ...DEFAULT_VIDEO_LIMITS, ...options.limits };
    this.#programs = { ffmpeg, ffprobe };
    const { encoders: atOnce, queueLength, thumbnails } = this.#limits;
    this.#jobs = new Jobs({ folder, log, atOnce, queueLength });
    this.#thumbnails = new Turnstile(thumbnails);
  }

  /** Films and streams in work; single frames don't count. */
  get counts(): JobCounts {
    return this.#jobs.counts;
  }

  /**
   * A text says why films can't be made here. Looked up once; what is missing may be installed meanwhile.
   * @throws DeliveryError ServiceUnavailable where nothing can be written
   */
  async #able(): Promise<Abilities | string> {
    const known = this.#abilities;
    const lacking = known?.lackingSince;
    if (known !== undefined && (lacking === undefined || isRecent(lacking, LACKING_MS))) return known.found;
    const { signal } = this.#closing;
    const folder = this.#work;
    const found = writing(async () => {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      return abilitiesOf(this.#programs, { folder, memoryBytes: this.#limits.memoryBytes, signal });
    });
    const looked: Looked = { found, lackingSince: undefined };
    this.#abilities = looked;
    try {
      if (typeof (await found) === "string") looked.lackingSince = Date.now();
    } catch (error) {
      this.#abilities = undefined;
      throw error;
    }
    return found;
  }

  get #work(): string {
    return join(this.#options.folder, "work");
  }
  get #streams(): string {
    return join(this.#options.folder, "streams");
  }

  /**
   * A film, or as JSON what a film is. @throws DeliveryError NotAvailable, TooManyRenders, and what is wrong with the source
   * or the plan
   */
  async render(
    request: VideoRequest,
    waitMs: number,
  ): Promise<{ entry: Entry; hit: boolean } | { pending: Pending }> {
    const { cache } = this.#options;
    if (request.what === "metadata") return cache.produce(request.key, () => this.#describe(request));
    const found = await cache.find(request.key);
    if (found !== undefined) return { entry: found, hit: true };
    const made: { entry?: Entry } = {};
    const job = this.#run("film", request, async (tools) => {
      made.entry = (await cache.produce(request.key, () => this.#encode(request, tools))).entry;
    });
    if (!(await within(job.done, waitMs))) return { pending: await this.#pending(job) };
    const entry = made.entry ?? (await cache.get(request.key));
    if (entry === undefined) throw goneAgain();
    return { entry, hit: false };
  }

  async #encode(
    request: VideoRequest,
    { signal, report }: JobTools,
  ): Promise<{ facts: Entry["facts"]; file: string }> {
    const { plan, inputs, facts, renderer } = request;
    await using place = await this.#open(request, signal);
    const name = `film-${process.pid}-${randomBytes(8).toString("hex")}`;
    const file = join(await this.#options.cache.draftFolder(), name);
    try {
      const encoded = await encodeFilm(place, { plan, inputs, renderer, to: file, report });
      return { facts: { ...encoded, ...facts, headers: [] }, file };
    } catch (error) {
      await rm(file, { force: true });
      throw error;
    }
  }

  /**
   * A playlist or a segment. `query`: goes behind the names in playlists, so that whoever asks for them can be told what
   * they are pieces of. `right`: what the ids in them begin with. `live`: the file will change. @throws DeliveryError as
   * `render`; NotFound for what is no piece of this stream, ServiceUnavailable for one that isn't there in time
   */
  async stream(
    request: VideoRequest,
    file: { readonly master: "hls" | "dash" } | { readonly id: string; readonly name: string },
    { waitMs, query, right }: StreamAsking,
  ): Promise<(SetFile & { readonly live: boolean }) | { pending: Pending }> {
    const { key: id } = request;
    if ("id" in file && (!same(file.id, right + id) || !isSetFile(file.name))) throw noPiece();
    const name = "master" in file ? MASTERS[file.master] : file.name;
    const folder = join(this.#streams, id);
    const addressing = {
      prefix: "master" in file ? `ik-stream/${right}${id}/` : "",
      suffix: query === "" ? "" : `?${query}`,
    };
    const until = Date.now() + waitMs;
    let job: Job | undefined;
    for (;;) {
      const done = await isDone(folder);
      const found = await readSetFile(folder, name, { ...addressing, done });
      if (found !== undefined) {
        await (done ? touchSet(folder) : this.#goOn(request));
        return { ...found, live: !done && /\.(m3u8|mpd)$/.test(name) };
      }
      if (done) {
        if (!(await belongsToSet(folder, name))) throw noPiece();
        await reopenSet(folder);
      }
      if (job?.status.state === "done") throw goneAgain();
      job ??= this.#fill(request);
      // A job that failed is no longer waited for.
      if (Date.now() >= until && !(await within(job.done, 0))) {
        if ("master" in file) return { pending: await this.#pending(job) };
        // Players try a piece again that is not there yet, but would take any other answer for it.
        throw notNow("This piece of the stream is still being made.", RETRY_SECONDS);
      }
      // Fails when the job does.
      await Promise.race([job.done, sleep(LOOK_MS)]);
    }
  }

  /** @throws DeliveryError TooManyRenders */
  #run(kind: Work, request: VideoRequest, work: (tools: JobTools) => Promise<void>): Job {
    const job = { id: request.key, account: accountOf(request), kind };
    return this.#jobs.run(job, (tools) => writing(() => work(tools)));
  }

  /** Has a stream made on that nobody makes any more. What is there of it is served, also where the line is full. */
  async #goOn(request: VideoRequest): Promise<void> {
    if (await this.#jobs.isClaimed(request.key)) return;
    try {
      this.#fill(request);
    } catch (error) {
      if (!(error instanceof DeliveryError)) throw error;
    }
  }

  /** One process encodes; the others read what grows. */
  #fill(request: VideoRequest): Job {
    const { key: id } = request;
    return this.#run("stream", request, async ({ signal, report }) => {
      const folder = join(this.#streams, id);
      // Another process has filled it while we waited.
      if (await isDone(folder)) return;
      const createdAt = Date.now();
      try {
        await using place = await this.#open(request, signal);
        await freshFolder(folder);
        const { plan, inputs, renderer, source } = request;
        await encodeSet(place, { plan, inputs, renderer, folder, sourceBytes: source.size, report });
        await finishSet(folder, { ...request.facts, createdAt });
      } catch (error) {
        await rm(folder, { recursive: true, force: true });
        throw error;
      }
      const inWork = (one: string): Promise<boolean> => this.#jobs.isClaimed(one);
      await pruneSets(this.#streams, { maxBytes: this.#limits.streamBytes, keep: id }, inWork);
    });
  }

  /** What is seen at `so`, as PNG in the film's own size. @throws DeliveryError as `render` */
  frame(request: VideoRequest): Promise<Buffer> {
    return this.#frames.run(request.key, () =>
      this.#look(request, async (place) => readFile(await extractFrame(place, request.plan))),
    );
  }

  /** Names are ImageKit's. */
  async #describe(request: VideoRequest): Promise<{ facts: Entry["facts"]; data: Buffer }> {
    const film = await this.#look(request, async ({ film: { facts } }) => facts);
    const { width, height, duration, frameRate, bitRate, videoCodec, audioCodec } = film;
    const said = {
      height,
      width,
      size: request.source.size,
      duration,
      ...(bitRate === undefined ? {} : { bitRate }),
      ...(videoCodec === undefined ? {} : { videoCodec, frameRate: Number(numberOf(frameRate).toFixed(3)) }),
      ...(audioCodec === undefined ? {} : { audioCodec }),
    };
    const facts = { type: "application/json", width, height, headers: [], ...request.facts };
    return { facts, data: Buffer.from(`${JSON.stringify(said)}\n`) };
  }

  /** What takes a moment, and is waited for. @throws DeliveryError TooManyRenders, and as `render` */
  async #look<T>(request: VideoRequest, work: (place: Workplace) => Promise<T>): Promise<T> {
    const account = accountOf(request);
    // Each account has a place in the line, however many others wait.
    if (this.#thumbnails.waiting >= this.#limits.queueLength && this.#thumbnails.waits(account)) {
      throw notNow("Too many films wait to be looked into.", RETRY_SECONDS, "TooManyRenders");
    }
    const { signal } = this.#closing;
    const look = async (): Promise<T> => {
      await using place = await this.#open(request, signal);
      return await work(place);
    };
    return this.#thumbnails.pass(signal, () => writing(look), account);
  }

  async #pending({ id, status, announced }: Job): Promise<Pending> {
    await announced;
    const { state, progress } = (await this.#jobs.status(id)) ?? status;
    return { id, state, progress, retryAfterSeconds: RETRY_SECONDS };
  }

  /** How work stands that a pending answer named, in whichever process. */
  status(id: string): Promise<JobStatus | undefined> {
    return this.#jobs.status(id);
  }

  /** Removes complete streams; films are the cache's. Those in work go when they are not used for longest. */
  remove(match: (about: Provenance, createdAt: number) => boolean): Promise<number> {
    return removeSets(this.#streams, match);
  }

  /** Ends encoders. */
  async close(): Promise<void> {
    this.#closing.abort(closing());
    await this.#jobs.close();
  }

  /** @throws DeliveryError NotAvailable */
  async #open({ source }: VideoRequest, signal: AbortSignal): Promise<Workplace> {
    const abilities = await this.#able();
    if (typeof abilities === "string") throw new DeliveryError("NotAvailable", abilities);
    const shop: Workshop = {
      programs: this.#programs,
      abilities,
      limits: this.#limits,
      folder: this.#work,
    };
    return openWorkplace(shop, source, signal);
  }
}

/** Origins are named by whose they are and what they are called. */
const accountOf = ({ facts }: VideoRequest): string => facts.origin.split("/", 1)[0]!;
const noPiece = (): DeliveryError => new DeliveryError("NotFound", "The stream has no such piece.");

/** @throws DeliveryError ServiceUnavailable where the disk takes nothing more, or lost it; else what `work` throws */
async function writing<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const code = errorCode(error) ?? "";
    if (code === "ENOENT") throw goneAgain();
    throw ["ENOSPC", "EDQUOT", "EROFS"].includes(code) ? diskFull() : error;
  }
}

/** Whether it is done in time. @throws what it fails with */
async function within(done: Promise<unknown>, ms: number): Promise<boolean> {
  const timer = new AbortController();
  try {
    return await Promise.race([
      done.then(() => true),
      sleep(ms, false, { signal: timer.signal }).catch(() => false),
    ]);
  } finally {
    timer.abort();
  }
}
