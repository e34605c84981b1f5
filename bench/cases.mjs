/** What is measured: how each case's requests are made, how many connections it has, and what must be there before. */
import { randomFillSync } from "node:crypto";

const KIB = 1024;
const MIB = 1024 * KIB;
/** Requests that a case goes round; distinct, so that nobody serves one cached answer. */
const ROUND = 2000;
const PREFIXES = 1000;
/** Objects that GET goes round, by size in bytes. */
const OBJECTS = { [4 * KIB]: ROUND, [64 * KIB]: 500, [MIB]: 64, [64 * MIB]: 4 };

export const objectPath = (size, n) => `/bench/get-${size}-${n}`;
/** Of the listing bucket: 1000 folders. */
export const listKey = (n, keys) =>
  `d${String(Math.floor(n / Math.ceil(keys / PREFIXES))).padStart(4, "0")}/f${String(n % Math.ceil(keys / PREFIXES)).padStart(6, "0")}`;

const bytes = (size) => {
  const body = Buffer.allocUnsafe(size);
  for (let at = 0; at < size; at += 65_536) randomFillSync(body, at, Math.min(65_536, size - at));
  return body;
};
const times = (count, make) => Array.from({ length: count }, (_, n) => make(n));

const get = (size, connections, method = "GET") => ({
  method,
  connections,
  prepare: (sign) => ({ requests: times(OBJECTS[size], (n) => sign(method, objectPath(size, n))) }),
});
const put = (size, round, connections) => ({
  method: "PUT",
  connections,
  prepare: (sign, { offset }) => ({
    requests: times(round, (n) => sign("PUT", `/bench/put-${size}-${offset}-${n}`, {}, size)),
    body: bytes(size),
  }),
});
const list = (query) => ({
  method: "GET",
  connections: 4,
  listing: true,
  prepare: (sign, { keys }) => ({
    requests: times(200, (n) => sign("GET", "/bench-list", { "list-type": "2", ...query(n, keys) })),
  }),
});

/** Once through, then it ends: writes that must exist, or what can be deleted once. */
const DELETES = 20_000;

export const CASES = {
  "GET 4 KiB": get(4 * KIB, 32),
  "HEAD 4 KiB": get(4 * KIB, 32, "HEAD"),
  "GET 64 KiB": get(64 * KIB, 32),
  "GET 1 MiB": get(MIB, 16),
  "GET 64 MiB": get(64 * MIB, 4),
  "PUT 4 KiB": put(4 * KIB, 20_000, 32),
  "PUT 64 KiB": put(64 * KIB, 5000, 32),
  "PUT 1 MiB": put(MIB, 500, 8),
  "PUT 64 MiB": put(64 * MIB, 8, 1),
  "DELETE 4 KiB": {
    method: "DELETE",
    connections: 32,
    once: true,
    before: "store what is deleted",
    prepare: (sign, { offset }) => ({
      requests: times(DELETES, (n) => sign("DELETE", `/bench/delete-${offset}-${n}`)),
    }),
  },
  "list 1000, first page": list(() => ({})),
  "list 1000, deep page": list((n, keys) => ({
    "start-after": listKey(Math.floor((n * 7919 * 13) % keys), keys),
  })),
  "list 1000 prefixes": list(() => ({ delimiter: "/" })),

  // Not measured: what the others need.
  "store 4 KiB": stored(4 * KIB),
  "store 64 KiB": stored(64 * KIB),
  "store 1 MiB": stored(MIB),
  "store 64 MiB": stored(64 * MIB),
  "store what is deleted": {
    method: "PUT",
    connections: 64,
    once: true,
    hidden: true,
    prepare: (sign, { offset }) => ({
      requests: times(DELETES, (n) => sign("PUT", `/bench/delete-${offset}-${n}`, {}, 4 * KIB)),
      body: bytes(4 * KIB),
    }),
  },
  "store listing": {
    method: "PUT",
    connections: 128,
    once: true,
    hidden: true,
    prepare: (sign, { keys, offset }) => ({
      requests: times(Math.min(LIST_BATCH, keys - offset), (n) =>
        sign("PUT", `/bench-list/${listKey(offset + n, keys)}`, {}, 1),
      ),
      body: Buffer.from("x"),
    }),
  },
};
/** Keys of the listing bucket that one job stores: signatures for a million at once would fill the memory. */
export const LIST_BATCH = 50_000;

function stored(size) {
  const objects = OBJECTS[size];
  return {
    method: "PUT",
    connections: Math.min(32, objects),
    once: true,
    hidden: true,
    prepare: (sign) => ({
      requests: times(objects, (n) => sign("PUT", objectPath(size, n), {}, size)),
      body: bytes(size),
    }),
  };
}
