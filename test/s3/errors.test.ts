/**
 * Every code of the catalogue, over the wire: provoked here, provoked by another test that is named, or not yet
 * possible for a reason that is stated. A code in none or in two of the three tables fails.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ERRORS, type S3ErrorCode } from "../../src/s3/errors.ts";
import { startServer, type TestServer } from "../server.ts";
import {
  presignV4,
  signChunked,
  signV4,
  type Draft,
  type Sent,
  type V4Options,
} from "../unit/s3/authclient.ts";
import { send } from "./client.ts";

let server: TestServer;
/** Few requests at a time, and little patience. */
let strict: TestServer;
const key = () => ({ id: server.rootKey.accessKeyId, secret: server.rootKey.secretAccessKey });
const host = () => `127.0.0.1:${server.port}`;
const now = (more: V4Options = {}): V4Options => ({ at: Date.now(), key: key(), ...more });
const draft = (more: Partial<Draft> = {}): Draft => ({ target: "/errors/k", host: host(), ...more });

interface Reply {
  status: number;
  code: string | undefined;
}

/** Sends what was signed, or a part of it, and gives the answer that comes until the server closes or falls silent. */
function deliver(sent: Sent, port = server.port, cut = (bytes: Buffer) => bytes): Promise<Reply> {
  const lines = sent.headers.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  const head = Buffer.from(
    `${sent.method} ${sent.target} HTTP/1.1\r\n${lines}Connection: close\r\n\r\n`,
    "latin1",
  );
  return new Promise((resolve) => {
    let text = "";
    const socket = connect(port, "127.0.0.1", () => socket.write(cut(Buffer.concat([head, ...sent.body]))));
    socket.setEncoding("latin1");
    socket.setTimeout(10_000, () => socket.destroy());
    socket.on("data", (some: string) => {
      text += some;
    });
    socket.on("error", () => undefined);
    socket.on("close", () =>
      resolve({ status: Number(text.slice(9, 12)), code: /<Code>([^<]*)</.exec(text)?.[1] }),
    );
  });
}

beforeAll(async () => {
  server = await startServer();
  strict = await startServer({ idleTimeout: 1, maxRequests: 1 });
  await send(server, { method: "PUT", target: "/errors" });
  await send(server, { method: "PUT", target: "/errors/k", body: "k" });
});
afterAll(async () => {
  await server.close();
  await strict.close();
});

/** A PUT of which nothing but the head arrives. */
const silentPut = (): Sent => ({
  method: "PUT",
  target: "/x/y",
  headers: [
    ["Host", "x"],
    ["Content-Length", "10"],
    ["Authorization", "AWS a:b"],
  ],
  body: [],
});
const flip = (sent: Sent): Sent => {
  const body = Buffer.concat(sent.body);
  const at = body.indexOf("data");
  body[at] = body[at]! ^ 1;
  return { ...sent, body: [body] };
};
const chunks = [Buffer.alloc(8192, "data"), Buffer.from("data")];

const HERE: Partial<Record<S3ErrorCode, () => Promise<Reply>>> = {
  AccountProblem: async () => {
    const { account, key: pair } = await server.store.accounts.create({ name: "suspended" });
    await server.store.accounts.update(account.id, { status: "suspended" });
    return send(server, { method: "GET", target: "/" }, pair);
  },
  AuthorizationHeaderMalformed: () => deliver(signV4(draft(), now({ region: "mars-north-1" }))),
  AuthorizationQueryParametersError: () => deliver(presignV4(draft(), now({ expires: 604_801 }))),
  ConditionalRequestConflict: async () => {
    const headers = { "if-none-match": "*" };
    // Whoever comes when the first is done already gets 412: then the race is run again.
    for (let round = 0; ; round++) {
      const racing = Array.from({ length: 20 }, () =>
        send(server, { method: "PUT", target: `/errors/race-${round}`, headers, body: "x" }),
      );
      const answers = await Promise.all(racing);
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
      const conflict = answers.find(({ status }) => status === 409);
      if (conflict !== undefined) return conflict;
      expect(round).toBeLessThan(20);
    }
  },
  IncompleteBody: () =>
    deliver(signChunked({ ...draft(), kind: "signed", chunks, decodedLength: 9000 }, now())),
  InvalidAccessKeyId: () => deliver(signV4(draft(), now({ key: { id: "NOBODYSKEY", secret: "x" } }))),
  InvalidChunkSizeError: () =>
    deliver(signChunked({ ...draft(), kind: "signed", chunks: chunks.toReversed() }, now())),
  InvalidToken: () => deliver(signV4(draft({ headers: [["x-amz-security-token", "t"]] }), now())),
  InvalidURI: () => send(server, { method: "GET", target: "/errors/%zz" }),
  MalformedTrailerError: () =>
    deliver(
      signChunked(
        {
          ...draft(),
          kind: "unsigned-trailer",
          chunks,
          trailers: [["x-amz-checksum-crc32", "AAAAAA=="]],
          trailerEnd: "\r\nnot-announced:1\r\n",
        },
        now(),
      ),
    ),
  RequestHeaderSectionTooLarge: () =>
    send(server, { method: "GET", target: "/errors/k", headers: { "x-amz-meta-long": "x".repeat(9000) } }),
  RequestTimeTooSkewed: () => deliver(signV4(draft(), now({ at: Date.now() - 16 * 60_000 }))),
  RequestTimeout: async () => {
    const sent = signV4(
      { method: "PUT", target: "/errors/slow", body: "never sent", host: `127.0.0.1:${strict.port}` },
      now(),
    );
    await send(strict, { method: "PUT", target: "/errors" });
    return deliver(sent, strict.port, (bytes) => bytes.subarray(0, -1));
  },
  SignatureDoesNotMatch: () => deliver(flip(signChunked({ ...draft(), kind: "signed", chunks }, now()))),
  SlowDown: async () => {
    await send(strict, { method: "PUT", target: "/errors" });
    const slow = signV4(
      { method: "PUT", target: "/errors/slow", body: "ab", host: `127.0.0.1:${strict.port}` },
      now(),
    );
    const held = deliver(slow, strict.port, (bytes) => bytes.subarray(0, -1));
    await new Promise((resolve) => setTimeout(resolve, 200));
    const refused = await deliver(silentPut(), strict.port);
    await held;
    return refused;
  },
  UnsupportedSignature: () =>
    send(
      server,
      {
        method: "GET",
        target: "/errors/k",
        headers: {
          authorization:
            "AWS4-ECDSA-P256-SHA256 Credential=a/b/c/aws4_request, SignedHeaders=host, Signature=00",
        },
      },
      null,
    ),
};

/** Code → the test that provokes it over the wire. */
const ELSEWHERE: Partial<Record<S3ErrorCode, string>> = {
  InsufficientStorage: "test/sim/full.test.ts",
  ServiceUnavailable: "test/processes/processes.test.ts",
  UserKeyMustBeSpecified: "test/s3/errors.test.ts",
};

const POST = "browser POST is not built";
const SOAP = "SOAP is not built";
const STS = "there are no temporary credentials";
const PAYER = "DevPay and Requester Pays are not built";
const LOGGING = "server access logging is not built";
const LOCK = "object lock is not built";
const CONFIGURATION = "the bucket configuration that it speaks of is not built";
const NEVER = "an answer of Amazon's that no state of this server leads to";
const NOT_YET: Partial<Record<S3ErrorCode, string>> = {
  AccessControlListNotSupported: "object ownership controls are not built",
  CredentialsNotSupported: NEVER,
  CrossLocationLoggingProhibited: LOGGING,
  EncryptionTypeMismatchError: "server-side encryption is not built",
  ExpiredToken: STS,
  IllegalLocationConstraintException: NEVER,
  IncorrectNumberOfFilesInPostRequest: POST,
  InlineDataTooLarge: SOAP,
  InternalError: "only a defect leads to it",
  InvalidAddressingHeader: SOAP,
  InvalidBucketAclWithObjectOwnership: "object ownership controls are not built",
  InvalidBucketState: LOCK,
  InvalidEncryptionAlgorithmError: "server-side encryption is not built",
  InvalidHostHeader: NEVER,
  InvalidHttpMethod: NEVER,
  InvalidObjectState: "objects are never archived",
  InvalidPayer: PAYER,
  InvalidPolicyDocument: POST,
  InvalidSecurity: SOAP,
  InvalidSOAPRequest: SOAP,
  InvalidTargetBucketForLogging: LOGGING,
  MalformedPolicy: "bucket policies are not built",
  MalformedPOSTRequest: POST,
  MaxPostPreDataLengthExceededError: POST,
  MissingAttachment: SOAP,
  MissingSecurityElement: SOAP,
  MissingSecurityHeader: NEVER,
  NoSuchAccessPoint: "there are no access points",
  NoSuchBucketPolicy: CONFIGURATION,
  NoSuchConfiguration: CONFIGURATION,
  NoSuchCORSConfiguration: CONFIGURATION,
  NoSuchLifecycleConfiguration: CONFIGURATION,
  NoSuchObjectLockConfiguration: LOCK,
  NoSuchPublicAccessBlockConfiguration: CONFIGURATION,
  NoSuchTagSet: "bucket tagging is not built",
  NoSuchWebsiteConfiguration: CONFIGURATION,
  NotModified: "304 has no document; conditions.test.ts looks at the status",
  NotSignedUp: NEVER,
  ObjectLockConfigurationNotFoundError: LOCK,
  OperationAborted: NEVER,
  OwnershipControlsNotFoundError: CONFIGURATION,
  Redirect: "another name of TemporaryRedirect",
  ReplicationConfigurationNotFoundError: CONFIGURATION,
  RequestIsNotMultiPartContent: POST,
  RestoreAlreadyInProgress: "objects are never archived",
  ServerSideEncryptionConfigurationNotFoundError: CONFIGURATION,
  TemporaryRedirect: "there is one endpoint",
  TokenRefreshRequired: STS,
  UnsupportedArgument: NEVER,
};

/** The other tests of this folder, each of which names the codes that it expects. */
const NEIGHBOURS = [
  "acl",
  "buckets",
  "checksums",
  "conditions",
  "copies",
  "guide",
  "guideaccess",
  "guidesigning",
  "listing",
  "multipart",
  "objects",
  "tags",
].map((name) => `test/s3/${name}.test.ts`);
const names = (path: string, code: string) =>
  new RegExp(`["<(> ]${code}\\b`).test(readFileSync(path, "utf8"));

describe("the catalogue", () => {
  test.each(Object.keys(HERE) as S3ErrorCode[])("%s", async (code) => {
    expect(await HERE[code]!()).toMatchObject({ status: ERRORS[code].status, code });
  });

  test("UserKeyMustBeSpecified, of one key among others", async () => {
    const body = "<Delete><Object><Key>a</Key></Object><Object><Key></Key></Object></Delete>";
    const headers = { "content-md5": createHash("md5").update(body).digest("base64") };
    const { status, text } = await send(server, { method: "POST", target: "/errors?delete", body, headers });
    expect([status, text]).toEqual([
      200,
      expect.stringMatching(/<Deleted><Key>a<.*<Code>UserKeyMustBeSpecified</),
    ]);
  });

  test.each(Object.keys(ERRORS) as S3ErrorCode[])("%s is accounted for once", (code) => {
    const reason = NOT_YET[code];
    const place = ELSEWHERE[code];
    const isHere = code in HERE;
    if (place !== undefined) expect(names(place, code)).toBe(true);
    if (!isHere && place === undefined && reason === undefined)
      expect(NEIGHBOURS.some((path) => names(path, code))).toBe(true);
    expect([isHere, place !== undefined, reason !== undefined].filter(Boolean).length).toBeLessThanOrEqual(1);
    expect(reason === undefined || !NEIGHBOURS.some((path) => names(path, code))).toBe(true);
  });
});
