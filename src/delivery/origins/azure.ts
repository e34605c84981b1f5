/** Azure Blob containers, through Microsoft's SDK. */
import type {
  BlobDownloadResponseParsed,
  ContainerClient,
  StoragePipelineOptions,
} from "@azure/storage-blob";
import type { Readable } from "node:stream";
import { judge, type AddressPolicy } from "./address.ts";
import { failureOf, LastingFailure } from "./attempts.ts";
import {
  answersAll,
  markedIn,
  originError,
  type Fetched,
  type FetchOptions,
  type FileInfo,
  type OriginClient,
  type OriginTest,
} from "./client.ts";
import { asOriginError, bodyOf, findingOf, guardedAgents, wordOf } from "./http.ts";

export interface AzureOriginOptions {
  readonly account: string;
  readonly container: string;
  /** Undefined: Microsoft's. */
  readonly endpoint: string | undefined;
  /** Begins with `?`. One of them, or neither for containers that anybody may read. */
  readonly sasToken: string | undefined;
  readonly accountKey: string | undefined;
  readonly policy: AddressPolicy;
  readonly headMs: number;
}

interface AzureError extends Error {
  readonly code?: string;
  readonly statusCode?: number;
  readonly details?: { readonly errorCode?: string };
}

/** Words of Azure that tell of our credentials and not of the file. */
const DENIED: Readonly<Record<string, string>> = {
  AuthenticationFailed: "the SAS token or account key is wrong, or the token has ended",
  AuthorizationFailure:
    "the SAS token doesn't allow reading, or the network rules of the storage account keep this server out",
  AuthorizationPermissionMismatch: "the SAS token doesn't allow reading",
  AuthorizationResourceTypeMismatch: "the SAS token is not for objects",
  AuthorizationServiceMismatch: "the SAS token is not for the Blob service",
  InsufficientAccountPermissions: "the SAS token doesn't allow reading",
  NoAuthenticationInformation: "the container wants a SAS token or an account key",
  PublicAccessNotPermitted: "the container wants a SAS token or an account key",
  KeyBasedAuthenticationNotPermitted: "the storage account takes no account keys",
};

export function openAzureOrigin(options: AzureOriginOptions): OriginClient {
  const { account, container: name, policy } = options;
  const base = new URL(options.endpoint ?? `https://${account}.blob.core.windows.net`);
  const agents = guardedAgents(policy);
  let client: Promise<ContainerClient> | undefined;
  const open = (): Promise<ContainerClient> => (client ??= openContainer(options, base, agents));
  return {
    async fetch(path, asked) {
      await judge(base, policy);
      try {
        return await getBlob(await open(), path, asked, base, options.headMs);
      } catch (error) {
        return whatIsWrong(error, base, name);
      }
    },
    test: async () => {
      try {
        await judge(base, policy);
        return await testContainer(await open(), options, base);
      } catch (error) {
        return { ok: false, findings: [findingOf(error, base)] };
      }
    },
    close: () => agents.destroy(),
  };
}

async function openContainer(
  { account, container, sasToken, accountKey }: AzureOriginOptions,
  base: URL,
  agents: ReturnType<typeof guardedAgents>,
): Promise<ContainerClient> {
  // Loaded by the first request: it is large, and most servers have no such origin.
  const { AnonymousCredential, ContainerClient, newPipeline, StorageSharedKeyCredential } =
    await import("@azure/storage-blob");
  const url = `${base.href.replace(/\/$/, "")}/${encodeURIComponent(container)}${sasToken ?? ""}`;
  const credential =
    accountKey === undefined
      ? new AnonymousCredential()
      : new StorageSharedKeyCredential(account, accountKey);
  const agent = base.protocol === "https:" ? agents.https : agents.http;
  return new ContainerClient(
    url,
    newPipeline(credential, {
      // Attempts.run does that, for all kinds of origins alike.
      retryOptions: { maxTries: 1 },
      userAgentOptions: { userAgentPrefix: "windlass" },
      agent,
      // Blob storage has none, and each would be one that nobody judged.
      redirectOptions: { maxRetries: 0 },
    } as StoragePipelineOptions),
  );
}

async function getBlob(
  client: ContainerClient,
  path: string,
  { range, known }: FetchOptions,
  base: URL,
  headMs: number,
): Promise<Fetched> {
  const blob = client.getBlobClient(path);
  const conditions =
    known?.etag === undefined
      ? known?.lastModified === undefined
        ? {}
        : { ifModifiedSince: new Date(known.lastModified) }
      : { ifNoneMatch: `"${known.etag}"` };
  const found = await inTime(headMs, (abortSignal) =>
    blob.download(range?.start ?? 0, range === undefined ? undefined : range.end - range.start, {
      conditions,
      abortSignal,
    }),
  );
  const body = bodyOf(found.readableStreamBody as Readable, base, headMs);
  return { kind: "found", info: infoOf(found), range, body };
}

/** The SDK tells the service how long it may take, and believes it. The body that follows is not bounded by this. */
async function inTime<T>(ms: number, ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), ms);
  try {
    return await ask(late.signal);
  } finally {
    clearTimeout(timer);
  }
}

function infoOf(said: BlobDownloadResponseParsed): FileInfo {
  const total = /\/(\d{1,15})$/.exec(said.contentRange ?? "")?.[1];
  return {
    etag: said.etag?.replace(/^W\//, "").replaceAll('"', ""),
    lastModified: said.lastModified?.getTime(),
    size: total === undefined ? said.contentLength : Number(total),
    contentType: said.contentType,
    contentEncoding: said.contentEncoding,
    contentLanguage: said.contentLanguage,
    contentDisposition: said.contentDisposition,
    cacheControl: said.cacheControl,
    ...markedIn(said.metadata),
  };
}

const codeOf = (error: AzureError): string => wordOf(error.details?.errorCode ?? error.code ?? error.name);
/** Words of Azure about names that no blob can have. */
const IMPOSSIBLE: readonly string[] = ["InvalidResourceName", "OutOfRangeInput", "InvalidUri"];

function whatIsWrong(error: unknown, base: URL, container: string): Fetched {
  const said = error as AzureError;
  const [code, status] = [codeOf(said), said.statusCode ?? 0];
  // Azure's ETags change with metadata too.
  if (status === 304) {
    return {
      kind: "unchanged",
      said: { lastModified: undefined, cacheControl: undefined, private: false },
    };
  }
  if (code === "ContainerNotFound") {
    throw new LastingFailure(`has no container ${container}.`, base.host);
  }
  if (status === 404 || IMPOSSIBLE.includes(code)) return { kind: "missing" };
  if (status === 401 || status === 403 || DENIED[code] !== undefined) {
    throw originError(
      "OriginDenied",
      base.host,
      `refuses its credentials (${code}): ${DENIED[code] ?? "they don't allow reading"}.`,
    );
  }
  if (status > 0) throw failureOf(status, base.host, `answers ${status} ${code}.`);
  throw asOriginError(error, base);
}

/** A name that nobody gives to a blob. */
const PROBE_PATH = "windlass-origin-test-of-a-blob-that-does-not-exist";
/** A token that ends within this time is worth a word, in milliseconds. */
const SOON_MS = 30 * 86_400_000;

async function testContainer(
  client: ContainerClient,
  { container, sasToken, headMs }: AzureOriginOptions,
  base: URL,
): Promise<OriginTest> {
  const verdict = (ok: boolean, finding: string): OriginTest => ({
    ok,
    findings: [...endOf(sasToken), finding],
  });
  try {
    await inTime(headMs, (abortSignal) => client.getBlobClient(PROBE_PATH).getProperties({ abortSignal }));
    return verdict(false, answersAll(base.host, "Blob service"));
  } catch (error) {
    const said = error as AzureError;
    const [code, status] = [codeOf(said), said.statusCode ?? 0];
    if (code === "ContainerNotFound") {
      return verdict(false, `There is no container ${container} at ${base.host}.`);
    }
    if (status === 404) return verdict(true, `Container ${container} can be read.`);
    if (status === 0) return verdict(false, findingOf(said, base));
    const why = DENIED[code] ?? (status === 403 ? DENIED["AuthenticationFailed"] : undefined);
    return verdict(false, `${code}${why === undefined ? ` (${status})` : `: ${why}`}.`);
  }
}

/** `se` of a SAS token. */
function endOf(sasToken: string | undefined): string[] {
  const end = Date.parse(new URLSearchParams(sasToken ?? "").get("se") ?? "");
  if (Number.isNaN(end)) return [];
  const day = new Date(end).toISOString().slice(0, 10);
  if (end < Date.now()) return [`The SAS token ended on ${day}.`];
  return [`The SAS token ends on ${day}${end < Date.now() + SOON_MS ? ", which is soon" : ""}.`];
}
