/** What every kind of origin can do: the one interface between delivery and other people's storage. */
import { isIP } from "node:net";
import { DeliveryError, type DeliveryErrorCode } from "../errors.ts";

/** What an origin says of a file. */
export interface FileInfo {
  /** Opaque and without quotes; names the content. Undefined when the origin gives none that is strong. */
  readonly etag: string | undefined;
  /** One that is weak, as it was sent: to ask again with. */
  readonly weakEtag?: string | undefined;
  /** Milliseconds since 1970. */
  readonly lastModified: number | undefined;
  /** Bytes of the whole file. Undefined where the origin doesn't say (chunked answers of web servers). */
  readonly size: number | undefined;
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
  readonly contentLanguage: string | undefined;
  readonly contentDisposition: string | undefined;
  readonly cacheControl: string | undefined;
  /** Seconds for which a cache before us has had this answer; 0 where left out. */
  readonly age?: number | undefined;
  /** Only signed URLs may have it (`x-amz-meta-isprivatefile`, `Is-Private-File`). */
  readonly private: boolean;
  /** `x,y,width,height` in pixels that the uploader marked as the important part (`x-amz-meta-customcoordinates`). */
  readonly customCoordinates: string | undefined;
}

/** What uploaders say of a file in its metadata. */
export const markedIn = (
  metadata: Readonly<Record<string, string>> | undefined,
): Pick<FileInfo, "private" | "customCoordinates"> => ({
  private: metadata?.["isprivatefile"] === "true",
  customCoordinates: metadata?.["customcoordinates"],
});

export interface FetchOptions {
  /** Bytes `start` (inclusive) to `end` (exclusive); the origin may ignore it and send all. */
  readonly range?: { readonly start: number; readonly end: number };
  /** Asks only for what is newer. */
  readonly known?: Pick<FileInfo, "etag" | "weakEtag" | "lastModified">;
  /** Of the client's URL without our parameters; web origins pass it on. "" when none. */
  readonly query?: string;
  /** That the client named, for web origins that want to know; undefined when it named none. */
  readonly host?: string | undefined;
}

export type Fetched =
  | {
      readonly kind: "found";
      readonly info: FileInfo;
      /** Which bytes `body` has: all, or the range that was asked for. */
      readonly range: { readonly start: number; readonly end: number } | undefined;
      /** To be read, or closed by `return()`; a chunk's memory may be kept. Fails with DeliveryError when the origin does. */
      readonly body: AsyncIterable<Buffer>;
    }
  | {
      /** The content is. */
      readonly kind: "unchanged";
      /** What was said with it, undefined or false where nothing was: 304s tell no metadata, but when it changed. */
      readonly said: Pick<FileInfo, "lastModified" | "cacheControl" | "age" | "private">;
    }
  | { readonly kind: "missing" };

/** A path as URLs have it. */
export const encodedPath = (path: string): string => path.split("/").map(encodeURIComponent).join("/");

/** Lower case, no dot at the end, no brackets. */
export const plainHost = (host: string): string =>
  host
    .toLowerCase()
    .replace(/^\[|\]$/g, "")
    .replace(/\.$/, "");

/** Whether a host is an address, which is not looked up. */
export const isLiteral = (host: string): boolean => isIP(plainHost(host)) !== 0;

/** Nothing of that path can be this origin's: a missing file where there are other origins, and else worth saying. */
export class OutsideOrigin extends DeliveryError {}

/** What is wrong with an origin. The user of a URL learns it, and the operator of which host. */
export const originError = (
  code: DeliveryErrorCode,
  host: string,
  words: string,
  headers: readonly string[] = [],
): DeliveryError => new DeliveryError(code, `The origin ${words}`, headers, `${host} ${words}`);

/** What a test of an origin found, in the order in which it looked. */
export interface OriginTest {
  ok: boolean;
  findings: string[];
}

/** Of tests, which ask for files that can't exist: an answer to that comes from something else. */
export const answersAll = (host: string, service: string): string =>
  `${host} has an answer for a file that can't exist: it is no ${service}, or the address is that of its web page.`;

/** Of one client to one host. Stops a crowd from taking all descriptors of this process, and all of a small host's. */
export const CONNECTIONS_MAX = 256;

export interface OriginReader {
  /**
   * One file by its name: the path below the origin's folder, without a slash in front; decoded, but for web servers as in
   * `urlPath` of Asked, and for web proxies a URL. Retries with back-off inside.
   * @throws DeliveryError OriginDenied (our credentials are refused), OriginFailed, OriginTimeout, OriginRefused (an
   * address that is not allowed); OutsideOrigin
   */
  fetch(name: string, options: FetchOptions): Promise<Fetched>;
  close(): void;
}

export interface OriginClient extends OriginReader {
  /** Looks at DNS, TLS, credentials, bucket, clock, and says what is wrong in words that name the remedy. */
  test(): Promise<OriginTest>;
}
