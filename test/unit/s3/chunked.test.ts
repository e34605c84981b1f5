import { describe, expect, test } from "vitest";
import { collect } from "../../../src/lib/chunks.ts";
import {
  headerOf,
  inPieces,
  KEY,
  login,
  outcome,
  served,
  signChunked,
  signV4,
  withHeader,
  type ChunkedDraft,
  type Sent,
} from "./authclient.ts";

const filled = (size: number, letter = "a") => Buffer.alloc(size, letter);
const CRC: [string, string] = ["x-amz-checksum-crc32", "AAAAAA=="];

const stream = (
  payload: string,
  more: [string, string][],
  names: string,
  seed: string,
  tail: string,
): Sent => ({
  method: "PUT",
  target: "/examplebucket/chunkObject.txt",
  headers: [
    ["Host", "s3.amazonaws.com"],
    ["x-amz-date", "20130524T000000Z"],
    ["x-amz-storage-class", "REDUCED_REDUNDANCY"],
    ["x-amz-content-sha256", payload],
    ["Content-Encoding", "aws-chunked"],
    ["x-amz-decoded-content-length", "66560"],
    ...more,
    [
      "Authorization",
      `AWS4-HMAC-SHA256 Credential=${KEY.id}/20130524/us-east-1/s3/aws4_request,SignedHeaders=${names},Signature=${seed}`,
    ],
  ],
  body: [Buffer.from(tail)],
});

const chunkText = (first: string, second: string, last: string) =>
  `10000;chunk-signature=${first}\r\n${"a".repeat(65_536)}\r\n400;chunk-signature=${second}\r\n${"a".repeat(1024)}\r\n0;chunk-signature=${last}\r\n`;

describe("Amazon's own example", () => {
  test("of signed chunks", async () => {
    const sent = stream(
      "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
      [["Content-Length", "66824"]],
      "content-encoding;content-length;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class",
      "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9",
      `${chunkText(
        "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
        "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
        "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9",
      )}\r\n`,
    );
    expect(await collect((await login(sent)).body)).toEqual(filled(66_560));
  });

  test("of signed chunks and a signed trailer", async () => {
    const sent = stream(
      "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
      [["x-amz-trailer", "x-amz-checksum-crc32c"]],
      "content-encoding;host;x-amz-content-sha256;x-amz-date;x-amz-decoded-content-length;x-amz-storage-class;x-amz-trailer",
      "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e",
      `${chunkText(
        "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
        "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
        "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992",
      )}x-amz-checksum-crc32c:sOO8/Q==\n\r\nx-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n\r\n`,
    );
    const identity = await login(sent);
    expect(await collect(identity.body)).toEqual(filled(66_560));
    expect({ ...identity.trailers() }).toEqual({ "x-amz-checksum-crc32c": "sOO8/Q==" });
  });
});

const LONG = [filled(8192, "a"), filled(20_000, "b"), filled(10, "c")];
const DRAFTS: ChunkedDraft[] = [
  { target: "/bucket/key", kind: "signed", chunks: LONG },
  {
    target: "/bucket/key",
    kind: "signed-trailer",
    chunks: LONG,
    trailers: [CRC, ["x-amz-checksum-sha1", "2jmj7l5rSw0yVb/vlWAYkK/YBwk="]],
  },
  { target: "/bucket/key", kind: "unsigned-trailer", chunks: LONG, trailers: [CRC] },
];

/** The upload, and a way to change text of its body once; fails when it is not there. */
function prepare(draft: ChunkedDraft) {
  const sent = signChunked(draft);
  const edit = (from: string | RegExp, to: string | ((all: string) => string)): Sent => {
    const before = Buffer.concat(sent.body).toString("latin1");
    const after = before.replace(from, to as string);
    expect(after).not.toBe(before);
    return { ...sent, body: [Buffer.from(after, "latin1")] };
  };
  return { sent, edit };
}
const named = (drafts: ChunkedDraft[]) => drafts.map((draft) => [draft.kind, draft] as const);
const isSigned = ({ kind }: ChunkedDraft) => kind !== "unsigned-trailer";
const hasTrailers = ({ trailers }: ChunkedDraft) => trailers !== undefined;

describe.each(named(DRAFTS))("chunks, %s,", (kind, draft) => {
  const signed = kind !== "unsigned-trailer";
  const { sent, edit } = prepare(draft);

  test.each([1, 2, 3, 7, 85, 100, 8191, 8192, 8193, 1 << 20])(
    "arrive whole in pieces of %i bytes",
    async (size) => {
      const identity = await login(inPieces(sent, size));
      expect(identity.decodedLength).toBe(28_202);
      expect({ ...identity.trailers() }).toEqual({});
      expect(await collect(identity.body)).toEqual(Buffer.concat(LONG));
      expect({ ...identity.trailers() }).toEqual(Object.fromEntries(draft.trailers ?? []));
    },
  );

  test("may be none, or one small one", async () => {
    for (const chunks of [[], [filled(1)]]) {
      const identity = await login(signChunked({ ...draft, chunks }));
      expect(await collect(identity.body)).toEqual(Buffer.concat(chunks));
    }
  });

  test("end too early at every byte", async () => {
    const whole = Buffer.concat(signChunked({ ...draft, chunks: [filled(20)] }).body);
    const short = signChunked({ ...draft, chunks: [filled(20)] });
    // With nothing after the last chunk, its empty line may be missing: all has been verified by then.
    const end = kind === "signed" ? whole.length - 2 : whole.length;
    for (let cut = 0; cut < end; cut++) {
      expect((await served({ ...short, body: [whole.subarray(0, cut)] })).code).toBe("IncompleteBody");
    }
  });

  test.each<[name: string, change: () => Sent, code: string]>([
    ["bytes after the end", () => ({ ...sent, body: [...sent.body, Buffer.from("x")] }), "IncompleteBody"],
    [
      "a chunk after the last",
      () => ({ ...sent, body: [...sent.body, Buffer.from("1\r\na\r\n")] }),
      "IncompleteBody",
    ],
    ["a size that is no number", () => edit("2000", "20q0"), "IncompleteBody"],
    ["a negative size", () => edit("2000", "-200"), "IncompleteBody"],
    ["an enormous size", () => edit("2000", "fffffffffffff"), "IncompleteBody"],
    ["a size too large for the whole", () => edit("2000", "ffff"), "IncompleteBody"],
    ["a size one too small", () => edit("2000", "1fff"), signed ? "SignatureDoesNotMatch" : "IncompleteBody"],
    ["a head without end", () => ({ ...sent, body: [filled(5000, "1")] }), "IncompleteBody"],
    ["no body at all", () => ({ ...sent, body: [] }), "IncompleteBody"],
    ["line feeds alone", () => edit(/\r\n/g, "\n"), "IncompleteBody"],
  ])("with %s are refused", async (_name, change, code) => {
    expect((await served(change())).code).toBe(code);
    expect((await served(inPieces(change(), 50))).code).toBe(code);
  });

  test("below 8 KiB before the last are refused", async () => {
    const { code, detail } = await served(
      signChunked({ ...draft, chunks: [filled(8192), filled(8191), filled(1)] }),
    );
    expect([code, detail]).toEqual(["InvalidChunkSizeError", { Chunk: "3", BadChunkSize: "8191" }]);
  });

  test("that add up to another length than announced are refused", async () => {
    for (const decodedLength of [0, 28_201, 28_203, 1e15 - 1]) {
      const { code, detail } = await served(signChunked({ ...draft, decodedLength }));
      expect(code).toBe("IncompleteBody");
      expect(detail?.["NumberBytesExpected"]).toBe(String(decodedLength));
    }
  });

  test("need their length in advance", async () => {
    const without = signV4(
      { method: "PUT", target: "/bucket/key" },
      { payload: headerOf(sent, "x-amz-content-sha256")! },
    );
    expect((await served(without)).code).toBe("MissingContentLength");
    for (const value of ["", "-1", "1.5", "x", "9".repeat(20)]) {
      const bad = signV4(
        { method: "PUT", target: "/bucket/key", headers: [["x-amz-decoded-content-length", value]] },
        { payload: headerOf(sent, "x-amz-content-sha256")! },
      );
      expect((await served(bad)).code).toBe("InvalidArgument");
    }
  });

  test("come only after the request's own signature was checked", async () => {
    const wrong = withHeader(sent, "x-amz-meta-added", "x");
    expect((await outcome(() => login(wrong))).code).toBe("AccessDenied");
    const other = { ...sent, target: "/bucket/other" };
    expect((await outcome(() => login(other))).code).toBe("SignatureDoesNotMatch");
    const unknown = signChunked(draft, { key: { id: "AKIANOBODY", secret: KEY.secret } });
    expect((await outcome(() => login(unknown))).code).toBe("InvalidAccessKeyId");
    const unsigned = signChunked(draft, { key: { id: KEY.id, secret: "guessed" } });
    expect((await outcome(() => login(unsigned))).code).toBe("SignatureDoesNotMatch");
  });
});

describe.each(named(DRAFTS.filter(isSigned)))("signed chunks, %s,", (_kind, draft) => {
  const { sent, edit } = prepare(draft);

  test("with a byte of the data changed are refused", async () => {
    const { code, detail } = await served(edit("bbbb", "bxbb"));
    expect(code).toBe("SignatureDoesNotMatch");
    expect(detail?.["StringToSign"]).toMatch(/^AWS4-HMAC-SHA256-PAYLOAD\n20130524T000000Z\n/);
  });

  test.each<[name: string, change: () => Sent, code: string]>([
    [
      "a signature changed",
      () => edit(/chunk-signature=[0-9a-f]{8}/, "chunk-signature=00000000"),
      "SignatureDoesNotMatch",
    ],
    ["a signature missing", () => edit(/;chunk-signature=[0-9a-f]{64}/, ""), "IncompleteBody"],
    [
      "a signature cut off",
      () => edit(/;chunk-signature=[0-9a-f]{4}/, ";chunk-signature="),
      "IncompleteBody",
    ],
    ["another extension", () => edit("chunk-signature", "chunk-extension"), "IncompleteBody"],
    [
      "the last signature changed",
      () => edit(/\r\n0;chunk-signature=[0-9a-f]{8}/, "\r\n0;chunk-signature=00000000"),
      "SignatureDoesNotMatch",
    ],
    [
      "all but the first chunk left out",
      () => edit(/\r\n4e20;[^]*\r\n0;/, "\r\n0;"),
      "SignatureDoesNotMatch",
    ],
  ])("with %s are refused", async (_name, change, code) => {
    expect((await served(change())).code).toBe(code);
  });

  test("of one upload do not serve in another", async () => {
    const other = signChunked({ ...draft, target: "/bucket/other" });
    expect((await served({ ...sent, body: other.body })).code).toBe("SignatureDoesNotMatch");
  });
});

describe.each(named(DRAFTS.filter((draft) => !isSigned(draft))))("unsigned chunks, %s,", (_kind, draft) => {
  const { edit } = prepare(draft);

  test("with a signature that nobody would check are refused", async () => {
    expect((await served(edit("2000", `2000;chunk-signature=${"0".repeat(64)}`))).code).toBe(
      "IncompleteBody",
    );
  });
});

describe.each(named(DRAFTS.filter((draft) => !hasTrailers(draft))))(
  "chunks without trailers, %s,",
  (_kind, draft) => {
    const { sent } = prepare(draft);

    test("with a trailer are refused", async () => {
      const body = Buffer.concat(sent.body);
      const late = Buffer.concat([
        body.subarray(0, -2),
        Buffer.from("x-amz-checksum-crc32:AAAAAA==\r\n\r\n"),
      ]);
      expect((await served({ ...sent, body: [late] })).code).toBe("MalformedTrailerError");
    });
  },
);

describe.each(named(DRAFTS.filter(hasTrailers)))("chunks with trailers, %s,", (_kind, draft) => {
  const { edit } = prepare(draft);

  test.each<[name: string, change: () => Sent, code: string]>([
    [
      "the name changed",
      () => edit("x-amz-checksum-crc32:", "x-amz-checksum-crc64:"),
      "MalformedTrailerError",
    ],
    ["a foreign name", () => edit("x-amz-checksum-crc32:", "x-amz-meta-a:"), "MalformedTrailerError"],
    ["the colon missing", () => edit("crc32:", "crc32="), "MalformedTrailerError"],
    ["the trailer missing", () => edit("x-amz-checksum-crc32:AAAAAA==\r\n", ""), "MalformedTrailerError"],
    [
      "the trailer twice",
      () => edit("x-amz-checksum-crc32:AAAAAA==\r\n", (all) => all + all),
      "MalformedTrailerError",
    ],
    ["a trailer without end", () => edit("AAAAAA==", () => "A".repeat(10_000)), "MalformedTrailerError"],
    [
      "a second one, not announced",
      () => edit("AAAAAA==\r\n", (all) => `${all}x-amz-checksum-md5:x\r\n`),
      "MalformedTrailerError",
    ],
  ])("with %s are refused", async (_name, change, code) => {
    const identity = await login(change());
    expect((await outcome(() => collect(identity.body))).code).toBe(code);
    expect({ ...identity.trailers() }).toEqual({});
  });

  test("may end each trailer with a bare line feed", async () => {
    const identity = await login(signChunked({ ...draft, trailers: [CRC], trailerEnd: "\n\r\n" }));
    await collect(identity.body);
    expect({ ...identity.trailers() }).toEqual({ "x-amz-checksum-crc32": "AAAAAA==" });
  });

  test("announce nothing but checksums", async () => {
    const { code } = await served(signChunked({ ...draft, trailers: [["x-amz-meta-a", "b"]] }));
    expect(code).toBe("InvalidRequest");
  });
});

describe.each(named(DRAFTS.filter((draft) => isSigned(draft) && hasTrailers(draft))))(
  "chunks with signed trailers, %s,",
  (_kind, draft) => {
    const { edit } = prepare(draft);

    test.each<[name: string, change: () => Sent, code: string]>([
      ["its value changed", () => edit("AAAAAA==", "BBBBBB=="), "SignatureDoesNotMatch"],
      [
        "its signature changed",
        () => edit(/trailer-signature:[0-9a-f]{8}/, "trailer-signature:00000000"),
        "SignatureDoesNotMatch",
      ],
      [
        "its signature missing",
        () => edit(/x-amz-trailer-signature:[0-9a-f]{64}\r\n/, ""),
        "MalformedTrailerError",
      ],
      [
        "its signature twice",
        () => edit(/x-amz-trailer-signature:[0-9a-f]{64}\r\n/, (all) => all + all),
        "MalformedTrailerError",
      ],
      [
        "its signature first",
        () => edit(/(x-amz-checksum-crc32[^]*)(x-amz-trailer-signature:[0-9a-f]{64}\r\n)/, "$2$1"),
        "MalformedTrailerError",
      ],
    ])("and a trailer with %s are refused", async (_name, change, code) => {
      expect((await served(change())).code).toBe(code);
    });
  },
);

const put = (payload: string, body: string): Sent => ({
  method: "PUT",
  target: "/bucket/key",
  body: [Buffer.from(body)],
  headers: [
    ["Host", "s3.localhost:9000"],
    ["x-amz-content-sha256", payload],
    ["x-amz-decoded-content-length", "3"],
    ["x-amz-trailer", "x-amz-checksum-crc32"],
  ],
});

describe("without a V4 signature", () => {
  test("unsigned chunks are decoded for anonymous writers too", async () => {
    const sent = put(
      "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
      "3\r\nabc\r\n0\r\nx-amz-checksum-crc32:NSRBwg==\r\n\r\n",
    );
    const identity = await login(sent);
    expect(identity).toMatchObject({ version: "anonymous", account: undefined, decodedLength: 3 });
    expect((await collect(identity.body)).toString()).toBe("abc");
    expect({ ...identity.trailers() }).toEqual({ "x-amz-checksum-crc32": "NSRBwg==" });
  });
  test("signed chunks are refused: nothing could be checked", async () => {
    const body = `3;chunk-signature=${"0".repeat(64)}\r\nabc\r\n0;chunk-signature=${"0".repeat(64)}\r\n\r\n`;
    for (const payload of [
      "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
      "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
    ]) {
      expect((await outcome(() => login(put(payload, body)))).code).toBe("InvalidRequest");
    }
  });
  test.each(["STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD", "STREAMING-AWS4-ECDSA-P256-SHA256-PAYLOAD-TRAILER"])(
    "%s is not implemented, signed or not",
    async (payload) => {
      expect((await outcome(() => login(put(payload, "")))).code).toBe("NotImplemented");
      expect((await outcome(() => login(signV4({ method: "PUT", target: "/b/k" }, { payload })))).code).toBe(
        "NotImplemented",
      );
    },
  );
});
