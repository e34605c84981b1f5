/**
 * Google Cloud Storage, through its XML API. Google's SDK opens sockets of its own that can't be held to judged
 * addresses, and asks twice for each file.
 */
import { createSign } from "node:crypto";
import type { AddressPolicy } from "./address.ts";
import { failureOf, LastingFailure } from "./attempts.ts";
import {
  answersAll,
  encodedPath,
  originError,
  type Fetched,
  type OriginClient,
  type OriginTest,
} from "./client.ts";
import { bodyOf, findingOf, openWeb } from "./http.ts";
import { codeOf, openWebOrigin } from "./web.ts";

export interface GcsOriginOptions {
  readonly bucket: string;
  /** Undefined: Google's. */
  readonly endpointUrl: string | undefined;
  /** Of a service account; undefined for buckets that anybody may read. */
  readonly account: { readonly clientEmail: string; readonly privateKey: string } | undefined;
  readonly policy: AddressPolicy;
  readonly headMs: number;
}

const GOOGLE = "https://storage.googleapis.com";
/** Seconds that a token is good for, and before its end to make the next. */
const TOKEN_SECONDS = 3600;
const RENEW_SECONDS = 300;

export function openGcsOrigin({
  bucket,
  endpointUrl,
  account,
  policy,
  headMs,
}: GcsOriginOptions): OriginClient {
  const base = `${(endpointUrl ?? GOOGLE).replace(/\/$/, "")}/${encodeURIComponent(bucket)}/`;
  let token: { text: string; until: number } | undefined;
  const authorize = (): Record<string, string> => {
    if (account === undefined) return {};
    const now = Math.floor(Date.now() / 1000);
    if (token === undefined || now > token.until - RENEW_SECONDS) {
      token = { text: tokenOf(account, now), until: now + TOKEN_SECONDS };
    }
    return { authorization: `Bearer ${token.text}` };
  };
  const client = openWebOrigin({
    baseUrl: base,
    forwardHost: false,
    policy,
    headMs,
    authorize,
    sort: (status, code) => sorted(status, code, bucket, new URL(base).host),
  });
  return {
    ...client,
    fetch: (name, asked) => client.fetch(encodedPath(name), asked),
    test: () => testBucket({ bucket, policy, headMs }, new URL(base + PROBE_NAME), authorize()),
  };
}

/** A name that nobody gives to an object. */
const PROBE_NAME = "windlass-origin-test-of-an-object-that-does-not-exist";

/** GET and not HEAD: only a body tells a missing bucket from a missing object. */
async function testBucket(
  { bucket, policy, headMs }: Pick<GcsOriginOptions, "bucket" | "policy" | "headMs">,
  url: URL,
  keys: Readonly<Record<string, string>>,
): Promise<OriginTest> {
  const web = openWeb({ policy, headMs });
  try {
    const { status, body } = await web.ask(url, { method: "GET", headers: keys });
    return verdictOf(status, (await codeOf(bodyOf(body, url, headMs))) ?? "", bucket, url.host);
  } catch (error) {
    return { ok: false, findings: [findingOf(error, url)] };
  } finally {
    web.close();
  }
}

function verdictOf(status: number, code: string, bucket: string, host: string): OriginTest {
  if (code === "NoSuchBucket") return { ok: false, findings: [`There is no bucket ${bucket} at ${host}.`] };
  if (status === 200) return { ok: false, findings: [answersAll(host, "Google Cloud Storage")] };
  if (status === 404) return { ok: true, findings: [`Bucket ${bucket} can be read.`] };
  if (status === 403 && isOfMissing(code)) {
    const findings = [
      "Objects that don't exist are answered 403, as for accounts with storage.objects.get alone: they count as not found.",
      "If files that do exist are 404 too, the account lacks storage.objects.get on them.",
    ];
    return { ok: true, findings };
  }
  const said = `${host} answers ${status}${code === "" ? "" : ` ${code}`}`;
  if (status === 401)
    return { ok: false, findings: [`${said}: it doesn't accept the service account's key.`] };
  return { ok: false, findings: [`${said}.`] };
}

/** Of a 403. Others are of the project, such as that nobody pays for it. */
const isOfMissing = (code: string | undefined): boolean =>
  code === undefined || code === "" || code === "AccessDenied";

/**
 * Who may read objects but not list the bucket is told 403 of objects that don't exist, as in S3: a missing file. Keys
 * that are wrong are 401.
 */
function sorted(status: number, code: string | undefined, bucket: string, host: string): Fetched | undefined {
  if (code === "NoSuchBucket") throw new LastingFailure(`has no bucket ${bucket}.`, host);
  if (status === 401) {
    throw originError(
      "OriginDenied",
      host,
      `refuses its credentials (${code ?? status}): the service account's key is wrong or was deleted, or the bucket wants one.`,
    );
  }
  if (status !== 403) return undefined;
  if (isOfMissing(code)) return { kind: "missing" };
  throw failureOf(status, host, `answers ${status} ${code}.`);
}

const base64url = (text: string): string => Buffer.from(text).toString("base64url");

/** A self-signed token, which Google takes without an exchange: https://developers.google.com/identity/protocols/oauth2/service-account#jwt-auth */
function tokenOf(
  { clientEmail, privateKey }: { clientEmail: string; privateKey: string },
  now: number,
): string {
  const claims = {
    iss: clientEmail,
    sub: clientEmail,
    aud: `${GOOGLE}/`,
    iat: now,
    exp: now + TOKEN_SECONDS,
  };
  const head = `${base64url(JSON.stringify({ alg: "RS256", typ: "JWT" }))}.${base64url(JSON.stringify(claims))}`;
  return `${head}.${createSign("RSA-SHA256").update(head).sign(privateKey, "base64url")}`;
}
