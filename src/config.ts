/**
 * The server's options, one row each. The configuration file, the environment, the flags, `--help` and
 * docs/reference/config.md are derived from the rows. A flag wins over the environment, that over the file.
 */
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import {
  addresses,
  bytes,
  checkHostName,
  checkNetwork,
  checkUrl,
  choice,
  integer,
  list,
  optional,
  seconds,
  text,
  url,
  type Kind,
} from "./options.ts";

/** How long answers under way may take after the order to stop. No option: whoever stops us waits for a fixed time. */
export const DRAIN_MS = 10_000;

/** What the user got wrong. The message is all that the user needs; a stack would only hide it. */
export class ConfigError extends Error {
  override readonly name: string = "ConfigError";
}

interface Option<T> {
  readonly kind: Kind<T>;
  readonly fallback: T;
  readonly doc: string;
  /** Said instead of the value, where that depends on the machine. */
  readonly fallbackDoc?: string;
  /** Environment and file only: command lines are visible to other users of the machine. */
  readonly secret?: true;
}

function option<T>(
  kind: Kind<T>,
  fallback: T,
  doc: string,
  more: { fallbackDoc?: string; secret?: true } = {},
): Option<T> {
  return { kind, fallback, doc, ...more };
}

const checkLocation = (value: string): void => {
  const [name = "", ...address] = value.split("=");
  if (!/^[A-Za-z0-9-]{1,63}$/.test(name)) throw new Error(`must be NAME or NAME=URL, not "${value}"`);
  if (address.length > 0) checkUrl(address.join("="));
};

const MIB = 1024 ** 2;

/** THE table of options. A key in camelCase is `--kebab-case`, `kebab-case:` in the file, `WINDLASS_SNAKE_CASE`. */
const OPTIONS = {
  data: option(text("DIR"), "./data", "Directory that holds everything. Made, with mode 0700, when missing."),
  keyFile: option(
    optional(text("FILE")),
    undefined,
    "File with the key that encrypts the accounts' secret keys. Made, with mode 0600, at the first start.",
    { fallbackDoc: "secret.key in the data directory" },
  ),
  s3: option(addresses, ["127.0.0.1:9000"], "Where the S3 API listens. `off` for nowhere."),
  s3Tls: option(addresses, [], "Where the S3 API listens with TLS."),
  console: option(addresses, ["127.0.0.1:9001"], "Where health and metrics are served. `off` for nowhere."),
  consoleTls: option(addresses, [], "The same with TLS."),
  delivery: option(addresses, ["127.0.0.1:9002"], "Where images are delivered. `off` for nowhere."),
  deliveryTls: option(addresses, [], "The same with TLS."),
  tlsCert: option(
    list("FILE"),
    [],
    "Certificate chain in PEM form. Several may be given: the name that the client asks for chooses.",
  ),
  tlsKey: option(
    list("FILE"),
    [],
    "Private key of each `--tls-cert`, in the same order. SIGHUP reads both again.",
  ),
  workers: option(optional(integer(1, 256)), undefined, "Worker processes. 1: everything in one process.", {
    fallbackDoc: "one, and more while they are busy, up to one per core",
  }),
  domain: option(
    list("NAME", checkHostName),
    ["s3.localhost", "localhost"],
    "Base of virtual-host names: `photos.s3.localhost` is the bucket `photos`.",
  ),
  externalUrl: option(
    optional(url),
    undefined,
    "How clients reach the S3 API, when a reverse proxy changes the Host header. Signatures are checked against it too.",
  ),
  trustedProxy: option(
    list("ADDRESS", checkNetwork),
    [],
    "Addresses or blocks of reverse proxies whose X-Forwarded headers are believed.",
  ),
  region: option(optional(text("NAME")), undefined, "The default location, which signatures must name.", {
    fallbackDoc: "the first location, else us-east-1",
  }),
  location: option(
    list("NAME=URL", checkLocation),
    [],
    "Locations that buckets can be created in, and where they are reached.",
  ),
  buckets: option(list("NAME"), [], "Buckets of the root account to create at start when they are missing."),
  maxBuckets: option(integer(1, 1_000_000), 10_000, "Buckets that one account may own."),
  compatibility: option(
    choice("modern", "2006-03-01"),
    "modern",
    "Today's S3, or the 2006-03-01 guide where both cannot hold. A bucket may differ: `windlass bucket update`.",
  ),
  inlineBytes: option(
    bytes(0, MIB),
    32 * 1024,
    "Bodies up to this size are kept beside the metadata, larger ones in files.",
  ),
  grace: option(
    seconds(1, 30 * 86_400),
    3600,
    "How long overwritten and deleted bytes stay on disk, so that readers can finish.",
  ),
  maxRequests: option(
    integer(1, 1_000_000),
    2048,
    "Requests in work at once in one worker; beyond it 503 SlowDown. Stops floods.",
  ),
  maxConnections: option(
    integer(1, 1_000_000),
    8192,
    "Open connections of one worker; beyond it 503 SlowDown. Stops the use of all memory and file descriptors.",
  ),
  keepAlive: option(
    seconds(1, 3600),
    75,
    "How long an idle connection stays open. Longer than the idle time of clients and proxies, or requests meet a closed one.",
  ),
  idleTimeout: option(
    seconds(1, 3600),
    60,
    "How long a client may send nothing of its body, or take nothing of its answer.",
  ),
  deliveryCacheBytes: option(
    bytes(0, 2 ** 50),
    1024 * MIB,
    "Disk space for delivered pictures and films, all workers together; each takes 4 KiB at least. Streams (HLS, DASH) may take as much again.",
  ),
  deliveryMemoryBytes: option(
    bytes(0, 2 ** 36),
    16 * MIB,
    "Memory of one worker for pictures that are asked for often.",
  ),
  deliveryRenderers: option(
    optional(integer(1, 256)),
    undefined,
    "Pictures that one worker makes at the same time, up to three in one process.",
    {
      fallbackDoc: "its share of the cores and half as many again",
    },
  ),
  deliveryRenderTime: option(seconds(1, 600), 10, "How long one picture may take. Stops slow codecs."),
  deliverySourceBytes: option(
    bytes(1, 2 ** 31),
    40 * MIB,
    "Size of a file that pictures are made from. Stops it from filling the memory.",
  ),
  deliverySourcePixels: option(
    integer(1, 2 ** 31),
    50_000_000,
    "Width times height of a picture that is decoded. Stops bombs.",
  ),
  deliveryResultPixels: option(
    integer(1, 2 ** 31),
    50_000_000,
    "Width times height of a picture that is made. Stops giants.",
  ),
  ffmpeg: option(
    text("FILE"),
    "ffmpeg",
    "The ffmpeg program. Without one, films are served as they are and everything else of them is 501.",
  ),
  ffprobe: option(text("FILE"), "ffprobe", "The ffprobe program."),
  deliveryModels: option(
    optional(url),
    undefined,
    "Service that does the work of trained models (`e-bgremove`, `e-upscale` …). Without one they are 501.",
    { fallbackDoc: "none" },
  ),
  deliveryModelsToken: option(optional(text("TOKEN")), undefined, "Sent to it as a bearer token.", {
    secret: true,
    fallbackDoc: "none",
  }),
  deliveryDetector: option(
    optional(url),
    undefined,
    "Service that finds faces and objects (`fo-face`, `fo-dog`). Without one what catches the eye is taken.",
    { fallbackDoc: "none" },
  ),
  deliveryDetectorToken: option(optional(text("TOKEN")), undefined, "Sent to it as a bearer token.", {
    secret: true,
    fallbackDoc: "none",
  }),
  deliveryPrompts: option(
    optional(url),
    undefined,
    "OpenAI-compatible service for prompts (`?ai=`) that the rules don't understand, such as https://llm.example.com/v1.",
    { fallbackDoc: "none" },
  ),
  deliveryPromptsModel: option(text("MODEL"), "gpt-4o-mini", "The model that it is asked for."),
  deliveryPromptsToken: option(optional(text("TOKEN")), undefined, "Sent to it as a bearer token.", {
    secret: true,
    fallbackDoc: "none",
  }),
  logLevel: option(
    choice("debug", "info", "warn", "error", "silent"),
    "info",
    "The least serious log lines to write, to stderr.",
  ),
  rootAccessKeyId: option(
    optional(text("KEY")),
    undefined,
    "Access key of the root account. Generated at the first start when not given.",
    {
      secret: true,
      fallbackDoc: "generated",
    },
  ),
  rootSecretAccessKey: option(optional(text("SECRET")), undefined, "Its secret. Both are given or none.", {
    secret: true,
    fallbackDoc: "generated",
  }),
};

type Table = typeof OPTIONS;
export type OptionName = keyof Table;
/** Every option's value. Sizes are in bytes, times in seconds. */
export type Config = { [Name in OptionName]: Table[Name] extends Option<infer T> ? T : never };

/** The default location: what signatures name and buckets lie in. */
export function regionOf(config: Pick<Config, "region" | "location">): string {
  return config.region ?? config.location[0]?.split("=")[0] ?? "us-east-1";
}

/** How many workers there may be. */
export const workersMax = ({ workers }: Pick<Config, "workers">): number => workers ?? availableParallelism();

/**
 * How many pictures each of `workers` makes at the same time. All together make three for two cores: one that begins or ends
 * leaves a core to another.
 */
export function renderersOf(
  { deliveryRenderers }: Pick<Config, "deliveryRenderers">,
  workers: number,
  cores = availableParallelism(),
): number {
  return deliveryRenderers ?? Math.ceil((cores * 1.5) / workers);
}

const NAMES = Object.keys(OPTIONS) as OptionName[];
const row = (name: OptionName): Option<unknown> => OPTIONS[name];

const flagOf = (name: string): string => name.replaceAll(/[A-Z]/g, (char) => `-${char.toLowerCase()}`);
const environmentOf = (name: string): string => `WINDLASS_${flagOf(name).replaceAll("-", "_").toUpperCase()}`;

/** Texts by option name, as one source gives them; several for options that take several. */
type Given = Partial<Record<OptionName, readonly string[]>>;

function parseOption(name: OptionName, texts: readonly string[], where: string): unknown {
  const { kind } = row(name);
  try {
    if (!kind.many) return kind.parse(texts.at(-1) ?? "");
    return texts.flatMap((value) => kind.parse(value) as readonly string[]);
  } catch (error) {
    throw new ConfigError(`${where} ${(error as Error).message}`);
  }
}

/** Edit distance, to guess what a mistyped name meant. */
function distance(from: string, to: string): number {
  let previous = Array.from({ length: to.length + 1 }, (_, n) => n);
  for (let i = 1; i <= from.length; i++) {
    const current = [i];
    for (let j = 1; j <= to.length; j++) {
      const same = from[i - 1] === to[j - 1] ? 0 : 1;
      current[j] = Math.min(previous[j]! + 1, current[j - 1]! + 1, previous[j - 1]! + same);
    }
    previous = current;
  }
  return previous[to.length]!;
}

/** ` Did you mean X?`, or nothing when no name is near. */
function guess(wrong: string, known: readonly string[]): string {
  const near = known
    .map((name) => ({ name, far: distance(wrong.toLowerCase(), name.toLowerCase()) }))
    .toSorted((a, b) => a.far - b.far)[0];
  return near !== undefined && near.far <= 2 ? ` Did you mean ${near.name}?` : "";
}

function fromEnvironment(environment: NodeJS.ProcessEnv, warn: (message: string) => void): Given {
  const given: Given = {};
  const known = [...NAMES.map(environmentOf), "WINDLASS_CONFIG"];
  for (const name of NAMES) {
    const value = environment[environmentOf(name)];
    if (value !== undefined && value !== "") given[name] = [value];
  }
  // Container platforms set names such as WINDLASS_PORT of their own accord, so only what looks like a slip is worth a word.
  for (const name of Object.keys(environment)) {
    const hint = name.startsWith("WINDLASS_") && !known.includes(name) ? guess(name, known) : "";
    if (hint !== "") warn(`The environment variable ${name} is not known.${hint}`);
  }
  return given;
}

function textsOf(value: unknown, where: string): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => textsOf(item, where));
  if (value === null || value === undefined) return [];
  if (typeof value === "object") throw new ConfigError(`${where} must be a value or a list of values.`);
  return [typeof value === "string" ? value : JSON.stringify(value)];
}

/** @throws ConfigError for a file that cannot be read, is no YAML map, or has unknown keys */
async function fromFile(path: string): Promise<Given> {
  let content: string;
  try {
    content = readFileSync(path, "utf8");
  } catch (error) {
    throw new ConfigError(`The configuration file can't be read: ${(error as Error).message}`);
  }
  // Most servers have no file; the parser is loaded for those that do.
  const { parse } = await import("yaml");
  let map: unknown;
  try {
    map = parse(content) ?? {};
  } catch (error) {
    throw new ConfigError(`${path} is no YAML: ${(error as Error).message}`);
  }
  if (typeof map !== "object" || map === null || Array.isArray(map)) {
    throw new ConfigError(`${path} must hold lines of the form "name: value".`);
  }
  const given: Given = {};
  const byFlag = new Map(NAMES.map((name) => [flagOf(name), name]));
  for (const [key, value] of Object.entries(map)) {
    const name = byFlag.get(key);
    if (name === undefined)
      throw new ConfigError(`${path}: ${key} is not an option.${guess(key, [...byFlag.keys()])}`);
    given[name] = textsOf(value, `${path}: ${key}`);
  }
  return given;
}

/** What the options mean together. @throws ConfigError */
function checkTogether(config: Config): void {
  if (config.tlsCert.length !== config.tlsKey.length) {
    throw new ConfigError("Every --tls-cert needs a --tls-key, in the same order.");
  }
  const tls = [...config.s3Tls, ...config.consoleTls, ...config.deliveryTls];
  if (tls.length > 0 && config.tlsCert.length === 0) {
    throw new ConfigError("TLS listeners need a certificate: --tls-cert FILE --tls-key FILE.");
  }
  if ((config.rootAccessKeyId === undefined) !== (config.rootSecretAccessKey === undefined)) {
    throw new ConfigError(
      "WINDLASS_ROOT_ACCESS_KEY_ID and WINDLASS_ROOT_SECRET_ACCESS_KEY belong together: give both.",
    );
  }
}

/**
 * Every option's value from a program's partial one.
 * @throws ConfigError for names that are no option and values out of their limits
 */
export function completeConfig(partial: Partial<Config>): Config {
  const complete: Record<string, unknown> = {};
  for (const name of NAMES) {
    const value = partial[name];
    complete[name] =
      value === undefined
        ? row(name).fallback
        : parseOption(name, textsOf(value, name), `The option ${name}`);
  }
  for (const name of Object.keys(partial)) {
    if (!Object.hasOwn(OPTIONS, name))
      throw new ConfigError(`${name} is not an option.${guess(name, NAMES)}`);
  }
  const config = complete as Config;
  checkTogether(config);
  return config;
}

/**
 * The configuration from flags (texts by option name), environment and file.
 * @throws ConfigError
 */
export async function readConfig(sources: {
  flags: Given & { config?: string };
  environment: NodeJS.ProcessEnv;
  warn: (message: string) => void;
}): Promise<Config> {
  const { flags, environment, warn } = sources;
  const path = flags.config ?? environment["WINDLASS_CONFIG"];
  const file = path === undefined || path === "" ? {} : await fromFile(path);
  const variables = fromEnvironment(environment, warn);
  const config: Record<string, unknown> = {};
  for (const name of NAMES) {
    const found = flags[name]
      ? { texts: flags[name], where: `--${flagOf(name)}` }
      : variables[name]
        ? { texts: variables[name], where: environmentOf(name) }
        : file[name] && { texts: file[name], where: `${path}: ${flagOf(name)}` };
    config[name] = found === undefined ? row(name).fallback : parseOption(name, found.texts, found.where);
  }
  checkTogether(config as Config);
  return config as Config;
}

/** One option as usage lines and the reference page need it. */
export interface OptionDoc {
  readonly name: OptionName;
  /** Undefined: not on the command line. */
  readonly flag: string | undefined;
  readonly environment: string;
  readonly many: boolean;
  readonly fallback: string;
  readonly doc: string;
}

export function optionDocs(): OptionDoc[] {
  return NAMES.map((name) => {
    const { kind, fallback, doc, fallbackDoc, secret } = row(name);
    return {
      name,
      flag: secret ? undefined : `--${flagOf(name)} <${kind.label}>`,
      environment: environmentOf(name),
      many: kind.many,
      fallback: fallbackDoc ?? kind.show(fallback),
      doc,
    };
  });
}

/** docs/reference/config.md. */
export function configMarkdown(): string {
  const lines = optionDocs().map(({ name, flag, environment, many, fallback, doc }) => {
    const names = flag === undefined ? "" : `\`${flag.replaceAll("|", "\\|")}\`${many ? "…" : ""}`;
    return `| \`${flagOf(name)}\` | ${names} | \`${environment}\` | ${fallback} | ${doc} |`;
  });
  return `# Options

Of \`windlass serve\`. A flag wins over the environment, the environment over the file (\`--config FILE\` or
\`WINDLASS_CONFIG\`), that over the default. In the file, a YAML map, the names are those of the first column. Options
marked with … may be given several times; in the environment their values are separated by commas. Sizes are bytes, or
carry a unit (\`32 KiB\`, \`1 GB\`); times are seconds, or carry a unit (\`90s\`, \`15m\`, \`1h\`, \`7d\`).

The commands that work on the data directory take \`--data\`, \`--key-file\` and \`--config\`.

| in the file | flag | environment | default | what it does |
| --- | --- | --- | --- | --- |
${lines.join("\n")}
`;
}
