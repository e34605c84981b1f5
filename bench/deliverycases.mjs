/** What is measured of delivery, in the terms of cases.mjs. Paths are those of the root account's default endpoint. */
import { objectPath } from "./cases.mjs";

export const PHOTO_KEY = "photo.jpg";
/** A picture of some thousand pixels, whose rendering takes no time. */
export const SMALL_KEY = "small.jpg";
/** What each connection waits after an answer before it asks again, so that latency is measured and not capacity. */
const PAUSE_MS = 20;
/** Results that are asked for again and again. */
const CACHED = 200;
const RENDERS = 4000;
const SMALL_RENDERS = 20_000;

/**
 * A URL that nobody asked for yet. The name of a picture that would stand in for a missing one is part of a plan and
 * changes nothing about the work.
 */
export const uncached = (extension, id) => `/root/tr:w-512,h-512,f-${extension},di-${id}.jpg/${PHOTO_KEY}`;
const times = (count, make) => Array.from({ length: count }, (_, n) => make(n));

const render = (extension, connections = 8) => ({
  method: "GET",
  connections,
  prepare: (sign, { offset }) => ({
    requests: times(RENDERS, (n) => sign("GET", uncached(extension, `${offset}-${n}`))),
  }),
});
const cached = (sign) => ({ requests: times(CACHED, (n) => sign("GET", uncached("jpg", `cached-${n}`))) });

const small = (sign, { offset }) => ({
  requests: times(SMALL_RENDERS, (n) =>
    sign("GET", `/root/tr:w-16,h-16,f-jpg,di-${offset}-${n}.jpg/${SMALL_KEY}`),
  ),
});

export const DELIVERY_CASES = {
  "render jpeg": render("jpg"),
  "render webp": render("webp"),
  "render avif": render("avif"),
  "render png": render("png"),
  "render storm": render("jpg", 32),
  "render small": { method: "GET", connections: 8, prepare: small },
  "make cached": { method: "GET", connections: 8, once: true, prepare: cached },
  "GET cached": { method: "GET", connections: 32, prepare: cached },
  "GET 4 KiB, unhurried": {
    method: "GET",
    connections: 8,
    pauseMs: PAUSE_MS,
    prepare: (sign) => ({ requests: times(500, (n) => sign("GET", objectPath(4096, n))) }),
  },
};
