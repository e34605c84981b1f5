/** What the user says of an origin, checked and turned into a document. Messages name the command line's options. */
import { createPrivateKey } from "node:crypto";
import { DeliveryError } from "../errors.ts";
import { isLiteral } from "./client.ts";
import { wrong, type OriginDocument, type OriginSecrets, type OriginType } from "./documents.ts";

/** Undefined: not given. "" and null take away what an origin can do without. */
export interface OriginFields {
  readonly alias?: string | undefined;
  readonly folder?: string | undefined;
  readonly bucket?: string | undefined;
  readonly region?: string | undefined;
  readonly endpointUrl?: string | undefined;
  readonly pathStyle?: boolean | undefined;
  readonly accessKey?: string | undefined;
  readonly secretKey?: string | undefined;
  readonly azureAccount?: string | undefined;
  readonly container?: string | undefined;
  readonly sasToken?: string | undefined;
  readonly accountKey?: string | undefined;
  readonly azureEndpoint?: string | undefined;
  /** Content of a Google service account's JSON file. */
  readonly credentials?: string | undefined;
  readonly baseUrl?: string | undefined;
  readonly forwardHost?: boolean | undefined;
  readonly allowHosts?: readonly string[] | undefined;
  /** Who gives `allowHosts` may name hosts of the open internet alone, and those for a web proxy. */
  readonly publicHosts?: boolean | undefined;
  readonly canonicalBase?: string | undefined;
  readonly encodeKeys?: boolean | undefined;
  /** Seconds. */
  readonly timeout?: number | null | undefined;
}
type Field = Exclude<keyof OriginFields, "publicHosts">;

const COMMON: readonly Field[] = ["alias", "folder", "canonicalBase", "encodeKeys"];
const NETWORK: readonly Field[] = [...COMMON, "allowHosts", "timeout"];
/** Which fields a type has. */
const FIELDS: Readonly<Record<OriginType, readonly Field[]>> = {
  bucket: ["alias", "folder", "canonicalBase", "bucket"],
  s3: [...NETWORK, "bucket", "region", "accessKey", "secretKey"],
  "s3-compatible": [...NETWORK, "bucket", "region", "endpointUrl", "pathStyle", "accessKey", "secretKey"],
  azure: [...NETWORK, "azureAccount", "container", "sasToken", "accountKey", "azureEndpoint"],
  gcs: [...NETWORK, "bucket", "endpointUrl", "credentials"],
  web: [...NETWORK, "baseUrl", "forwardHost"],
  "web-proxy": ["alias", "canonicalBase", "allowHosts", "timeout"],
};
export const ORIGIN_TYPES = Object.keys(FIELDS) as OriginType[];

/** A field as the command line has it. */
const FLAGS: Readonly<Partial<Record<Field, string>>> = {
  credentials: "--credentials-file",
  allowHosts: "--allow-host",
};
const flagOf = (field: Field): string =>
  FLAGS[field] ?? `--${field.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

const BUCKET = /^[A-Za-z0-9][A-Za-z0-9._-]{1,253}[A-Za-z0-9]$/;
/** A folder leaves room for a file's name in the 1024 bytes of a key. */
const FOLDER_BYTES_MAX = 900;
const HOSTS_MAX = 100;
/** Longest credential: a SAS token has some 200 characters, a private key 1,700. */
const SECRET_MAX = 8192;
const TIMEOUT_SECONDS_MAX = 120;

/** "" or `a/b/`: how a folder is put before a path, however it was written. */
function cleanFolder(folder: string): string {
  // From the first of the last slashes on: from each of them, an engine would take as long as all of them are, squared.
  const inner = folder.replace(/^\/+/, "").replace(/(?<!\/)\/+$/, "");
  if (Buffer.byteLength(inner) > FOLDER_BYTES_MAX) {
    throw wrong(`A folder has at most ${FOLDER_BYTES_MAX} bytes.`);
  }
  // As in URLs: some service or server would take them for steps out of the bucket.
  if (/(^|\/)\.{1,2}(\/|$)/.test(inner)) throw wrong("A folder has no steps (. or ..) in it.");
  return inner === "" ? "" : `${inner}/`;
}

function checkUrl(flag: string, text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol)) {
    throw wrong(`${flag} must be a URL such as https://example.com, not "${text}".`);
  }
  if (url.username !== "" || url.password !== "" || url.hash !== "" || url.search !== "") {
    throw wrong(`${flag} holds no user name, password, query or fragment.`);
  }
  return text;
}

const HOST = /^((?:\*\.)?[a-z0-9](?:[a-z0-9._-]*[a-z0-9])?|\[[0-9a-f:.]+\])((?::\d{1,5})?)$/i;

/** As the URLs have it that it is held against. */
function checkHost(text: string): string {
  const [, host = "", port = ""] = HOST.exec(text.trim()) ?? [];
  if (host !== "" && URL.canParse(`http://${host}`)) return new URL(`http://${host}`).hostname + port;
  throw wrong(`--allow-host must be a host, HOST:PORT or *.example.com, not "${text}".`);
}

function checkSecret(flag: string, text: string): string {
  if (text.length > SECRET_MAX || /[\r\n]/.test(text)) {
    throw wrong(`${flag} must be one line of at most ${SECRET_MAX} characters.`);
  }
  return text;
}

const withSlash = (url: string): string => (url.endsWith("/") ? url : `${url}/`);

/** What is given, field by field, and not empty. */
const PARTS: { readonly [Name in Field]: (value: NonNullable<OriginFields[Name]>) => object } = {
  alias: () => ({}),
  folder: (value) => ({ folder: cleanFolder(value) }),
  bucket(value) {
    if (!BUCKET.test(value)) throw wrong(`"${value}" can't be the name of a bucket.`);
    return { bucket: value };
  },
  region(value) {
    if (!/^[a-z0-9-]{2,32}$/.test(value)) throw wrong(`"${value}" can't be a region.`);
    return { region: value };
  },
  endpointUrl: (value) => ({ endpointUrl: checkUrl("--endpoint-url", value) }),
  pathStyle: (value) => ({ pathStyle: value }),
  accessKey: (value) => ({ accessKey: checkSecret("--access-key", value) }),
  secretKey: () => ({}),
  azureAccount(value) {
    if (!/^[a-z0-9]{3,24}$/.test(value)) throw wrong(`"${value}" can't be a storage account.`);
    return { azureAccount: value };
  },
  container(value) {
    if (!/^(\$root|\$web|[a-z0-9](?:-?[a-z0-9]){2,62})$/.test(value))
      throw wrong(`"${value}" can't be a container.`);
    return { container: value };
  },
  sasToken: () => ({}),
  accountKey: () => ({}),
  azureEndpoint: (value) => ({ azureEndpoint: checkUrl("--azure-endpoint", value) }),
  credentials: (value) => ({ clientEmail: accountOfFile(value).clientEmail }),
  baseUrl: (value) => ({ baseUrl: withSlash(checkUrl("--base-url", value)) }),
  forwardHost: (value) => ({ forwardHost: value }),
  allowHosts(value) {
    if (value.length > HOSTS_MAX) throw wrong(`An origin allows at most ${HOSTS_MAX} hosts.`);
    return { allowHosts: value.map(checkHost) };
  },
  canonicalBase: (value) => ({ canonicalBase: withSlash(checkUrl("--canonical-base", value)) }),
  encodeKeys: (value) => ({ encodeKeys: value }),
  timeout(value) {
    if (!(value > 0 && value <= TIMEOUT_SECONDS_MAX)) {
      throw wrong(`--timeout must be more than 0 and at most ${TIMEOUT_SECONDS_MAX} seconds, not ${value}.`);
    }
    return { timeout: value };
  },
};

/** What an empty field takes away where that is not what it is called. */
const EMPTIED: Readonly<Partial<Record<Field, object>>> = {
  folder: { folder: "" },
  credentials: { clientEmail: undefined },
};

function partOf(field: Field, value: unknown): object {
  if (value === "" || value === null) return EMPTIED[field] ?? { [field]: undefined };
  return (PARTS[field] as (value: unknown) => object)(value);
}

function accountOfFile(text: string): { clientEmail: string; privateKey: string } {
  let parsed: { client_email?: unknown; private_key?: unknown };
  try {
    parsed = JSON.parse(text) as typeof parsed;
  } catch {
    throw wrong("--credentials-file must be the JSON file of a service account.");
  }
  const { client_email: clientEmail, private_key: privateKey } = parsed ?? {};
  if (typeof clientEmail === "string" && typeof privateKey === "string" && isRsaKey(privateKey)) {
    return { clientEmail, privateKey };
  }
  throw wrong(
    "--credentials-file must be the JSON file of a service account, with client_email and private_key.",
  );
}

function isRsaKey(pem: string): boolean {
  try {
    return createPrivateKey(pem).asymmetricKeyType === "rsa";
  } catch {
    return false;
  }
}

/** "" for those that are taken away. */
function secretsOf(fields: OriginFields): OriginSecrets {
  const { accessKey, sasToken, accountKey, credentials } = fields;
  if (isGiven(sasToken) && !sasToken.startsWith("?")) throw wrong("--sas-token begins with a question mark.");
  const secretKey = accessKey === "" ? "" : fields.secretKey;
  return {
    ...(secretKey === undefined ? {} : { secretKey: checkSecret("--secret-key", secretKey) }),
    ...(sasToken === undefined ? {} : { sasToken: checkSecret("--sas-token", sasToken) }),
    ...(accountKey === undefined ? {} : { accountKey: checkSecret("--account-key", accountKey) }),
    ...(credentials === undefined
      ? {}
      : { privateKey: credentials === "" ? "" : accountOfFile(credentials).privateKey }),
  };
}

/** What a type can't do without. */
const NEEDED: Readonly<Record<OriginType, readonly Field[]>> = {
  bucket: ["bucket"],
  s3: ["bucket"],
  "s3-compatible": ["bucket", "endpointUrl"],
  azure: ["azureAccount", "container"],
  gcs: ["bucket"],
  web: ["baseUrl"],
  "web-proxy": ["allowHosts"],
};

/**
 * The document of a new origin, or of a changed one, which keeps what isn't given; and what of its secrets changes,
 * for `mergedSecrets`.
 * @throws StoreError InvalidArgument; DeliveryError AccessDenied for hosts that are not the account's to allow
 */
export function fieldsOf(
  type: string,
  fields: OriginFields,
  before: OriginDocument | undefined,
): { document: OriginDocument; secrets: OriginSecrets } {
  if (!(ORIGIN_TYPES as string[]).includes(type)) {
    throw wrong(`"${type}" is no type of origin. There are ${ORIGIN_TYPES.join(", ")}.`);
  }
  const kind = type as OriginType;
  const given = (Object.keys(PARTS) as Field[]).filter((field) => fields[field] !== undefined);
  const foreign = given.find((field) => !FIELDS[kind].includes(field));
  if (foreign !== undefined) throw wrong(`An origin of type ${kind} has no option ${flagOf(foreign)}.`);
  const parts = given.map((field) => partOf(field, fields[field]));
  const base = before ?? { type: kind, folder: "", createdAt: Date.now() };
  const merged = Object.assign({ ...base }, ...parts) as OriginDocument & Record<string, unknown>;
  for (const name of Object.keys(merged)) if (merged[name] === undefined) delete merged[name];
  for (const field of NEEDED[kind]) {
    const value = merged[field];
    if (value === undefined || (Array.isArray(value) && value.length === 0)) {
      throw wrong(`An origin of type ${kind} needs ${flagOf(field)}.`);
    }
  }
  checkTogether(kind, fields, merged["accessKey"] !== undefined);
  if (fields.allowHosts !== undefined) {
    delete merged["publicHosts"];
    if (fields.publicHosts === true) Object.assign(merged, publicHosts(kind, merged.allowHosts));
  }
  return { document: merged, secrets: secretsOf(fields) };
}

const isGiven = (text: string | undefined): text is string => text !== undefined && text !== "";

function checkTogether(
  kind: OriginType,
  { sasToken, accountKey, accessKey, secretKey }: OriginFields,
  hasAccessKey: boolean,
): void {
  if (kind === "azure" && isGiven(sasToken) && isGiven(accountKey)) {
    throw wrong("An Azure origin has --sas-token or --account-key, not both.");
  }
  // A new secret alone is one that was mistyped before.
  const alone = secretKey === undefined ? isGiven(accessKey) : isGiven(secretKey) !== hasAccessKey;
  if (alone) throw wrong("--access-key and --secret-key belong together: give both.");
}

/** @throws DeliveryError AccessDenied */
function publicHosts(kind: OriginType, allowHosts: readonly string[] = []): { publicHosts: true } {
  if (kind !== "web-proxy") {
    throw new DeliveryError("AccessDenied", "Only the root account may set allowHosts, but for web proxies.");
  }
  const address = allowHosts.find((host) => isLiteral(host.replace(/:\d+$/, "")));
  if (address === undefined) return { publicHosts: true };
  throw new DeliveryError("AccessDenied", `Only the root account may allow ${address}: name a host.`);
}

/** An Azure token takes the place of a key, and a key that of a token. */
export function mergedSecrets(kept: OriginSecrets, given: OriginSecrets): OriginSecrets {
  const { sasToken: _token, accountKey: _key, ...others } = kept;
  const replaced = isGiven(given.sasToken) || isGiven(given.accountKey);
  const merged = { ...(replaced ? others : kept), ...given };
  return Object.fromEntries(Object.entries(merged).filter(([, secret]) => secret !== ""));
}
