/** Media types of what is delivered. */
import type { Format } from "./plan/plan.ts";

export const MEDIA_TYPES: Readonly<Record<Format, string>> = {
  jpeg: "image/jpeg",
  png: "image/png",
  webp: "image/webp",
  avif: "image/avif",
  gif: "image/gif",
  tiff: "image/tiff",
};

/** What uploads say that say nothing. */
const UNTOLD: readonly string[] = ["", "binary/octet-stream", "application/octet-stream"];
const BY_EXTENSION: Readonly<Record<string, string>> = {
  jpg: "image/jpeg",
  jpeg: "image/jpeg",
  png: "image/png",
  apng: "image/apng",
  webp: "image/webp",
  avif: "image/avif",
  gif: "image/gif",
  svg: "image/svg+xml",
  tif: "image/tiff",
  tiff: "image/tiff",
  heic: "image/heic",
  heif: "image/heif",
  jxl: "image/jxl",
  psd: "image/vnd.adobe.photoshop",
  psb: "image/vnd.adobe.photoshop",
  ico: "image/x-icon",
  mp4: "video/mp4",
  webm: "video/webm",
  mov: "video/quicktime",
  m4v: "video/x-m4v",
  mkv: "video/x-matroska",
  avi: "video/x-msvideo",
  mpeg: "video/mpeg",
  mpg: "video/mpeg",
  "3gp": "video/3gpp",
  "3g2": "video/3gpp2",
  ogv: "video/ogg",
  mts: "video/mp2t",
  m2ts: "video/mp2t",
  hevc: "video/hevc",
};
/** What pages load beside pictures: browsers refuse style sheets, programs and fonts that say nothing (`nosniff`). */
const OF_PAGES: Readonly<Record<string, string>> = {
  css: "text/css",
  js: "text/javascript",
  mjs: "text/javascript",
  json: "application/json",
  map: "application/json",
  txt: "text/plain",
  csv: "text/csv",
  xml: "application/xml",
  vtt: "text/vtt",
  srt: "application/x-subrip",
  m3u8: "application/vnd.apple.mpegurl",
  mpd: "application/dash+xml",
  wasm: "application/wasm",
  pdf: "application/pdf",
  woff: "font/woff",
  woff2: "font/woff2",
  ttf: "font/ttf",
  otf: "font/otf",
  mp3: "audio/mpeg",
  m4a: "audio/mp4",
  aac: "audio/aac",
  opus: "audio/ogg",
  oga: "audio/ogg",
  wav: "audio/wav",
  flac: "audio/flac",
};
/** Of films, and of songs or programs. */
const EITHER: readonly string[] = ["ogg", "ts"];

const KINDS: ReadonlySet<string> = new Set(Object.values(BY_EXTENSION));

const EXTENSION = /\.([A-Za-z0-9]{1,5})$/;
const extensionOf = (key: string): string => EXTENSION.exec(key)?.[1]?.toLowerCase() ?? "";
const named = (types: Readonly<Record<string, string>>, key: string): string | undefined => {
  const extension = extensionOf(key);
  return Object.hasOwn(types, extension) ? types[extension] : undefined;
};
const typeByName = (key: string): string | undefined => named(BY_EXTENSION, key);

/** The type that the object was stored with; with none, what the name's extension says. */
export function typeOf(stored: string | undefined, key: string): string {
  if (stored !== undefined && !UNTOLD.includes(stored)) return stored;
  return typeByName(key) ?? named(OF_PAGES, key) ?? "application/octet-stream";
}

/** Other names of types that we know. */
const SAME: Readonly<Record<string, string>> = {
  "image/jpg": "image/jpeg",
  "image/pjpeg": "image/jpeg",
  "image/x-png": "image/png",
  "image/tif": "image/tiff",
  "image/x-photoshop": "image/vnd.adobe.photoshop",
  "image/psd": "image/vnd.adobe.photoshop",
};

/**
 * What a file is, in the words of this table: types have parameters, capitals and nicknames (RFC 9110, section 8.3.1),
 * and of pictures and films the extension knows better than what says nothing of either.
 */
export function kindOf(stored: string | undefined, key: string): string {
  // Most are named as here.
  if (stored !== undefined && KINDS.has(stored)) return stored;
  const type = typeOf(stored, key).replace(/;.*$/s, "").trim().toLowerCase();
  if (/^(image|video|audio)\//.test(type)) return SAME[type] ?? type;
  return typeByName(key) ?? type;
}

/**
 * Whether it is a film. What is stored as a film or a picture is one; of all else the extension knows better than what
 * uploads say of it. `either`: there are films and others with that extension; undefined: nothing tells.
 */
export function isFilm(stored: string | undefined, key: string): boolean | "either" | undefined {
  return (
    byType(stored) ?? byType(typeByName(key)) ?? (EITHER.includes(extensionOf(key)) ? "either" : undefined)
  );
}
const byType = (type: string | undefined): boolean | undefined => {
  const family = /^(video|image)\//i.exec(type ?? "")?.[1];
  return family === undefined ? undefined : family.toLowerCase() === "video";
};

/** A file's name with an extension that says what it is now. */
export function nameAs(type: string, name: string): string {
  if (typeByName(name) === type) return name;
  const extension = Object.keys(BY_EXTENSION).find((one) => BY_EXTENSION[one] === type);
  return extension === undefined ? name : `${name.replace(EXTENSION, "")}.${extension}`;
}

/** Which of the formats that not every client knows an Accept header names. Wildcards promise nothing: all clients send them. */
export function acceptedFormats(accept: string | undefined): Format[] {
  const accepted = new Set<string>();
  for (const item of accept?.split(",") ?? []) {
    const [type = "", ...parameters] = item.split(";").map((part) => part.trim().toLowerCase());
    if (!parameters.some((parameter) => /^q=0(\.0*)?$/.test(parameter))) accepted.add(type);
  }
  return (["avif", "webp"] as const).filter((format) => accepted.has(MEDIA_TYPES[format]));
}
