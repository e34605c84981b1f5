/** Many different pictures at the same time, two in each renderer, are those that are made one by one. */
import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import sharp from "sharp";
import { expect, test } from "vitest";
import { sceneJpeg } from "./conformance/scene.ts";
import { psdOf } from "./documents.ts";
import { noise, openSite, quadrants, type Site, type Worker } from "./site.ts";

const SVG = `<svg xmlns="http://www.w3.org/2000/svg" width="120" height="80"><style>.a{fill:#c33}</style>
  <circle class="a" cx="50" cy="40" r="30"/><text x="10" y="70" font-size="20">Windlass</text></svg>`;

const PSD = psdOf({
  width: 16,
  height: 8,
  bits: 8,
  mode: 3,
  planes: [200, 30, 30].map((light) => Buffer.alloc(16 * 8, light)),
});

const PATHS = [
  "tr:w-200,h-150/scene.jpg",
  "tr:w-300,f-webp/scene.jpg",
  "tr:w-300,f-avif/scene.jpg",
  "tr:w-300,f-png/scene.jpg",
  "tr:w-150,e-contrast,rt-20/scene.jpg",
  "tr:w-150,fo-auto,h-150/noise.jpg",
  "tr:w-120,bl-6,f-webp/noise.jpg",
  "tr:w-200,l-text,i-Windlass,ff-Lobster,fs-30,co-FF0000,l-end/scene.jpg",
  "tr:w-200,l-text,i-Straße Ω 한,ff-Exo,tg-b,fs-24,l-end/scene.jpg",
  "tr:w-200,l-text,i-Own,ff-font.ttf,fs-40,l-end/scene.jpg",
  "tr:w-210,l-text,i-Own,ff-font.ttf,fs-30,l-end/noise.jpg",
  "tr:w-180,l-image,i-quadrants.png,w-60,r-20,l-end/noise.jpg",
  "tr:w-90,f-png/drawing.svg",
  "tr:w-95,f-webp/drawing.svg",
  "tr:w-99/drawing.svg",
  "tr:w-40/film.gif",
  "tr:w-30,e-grayscale,f-webp/film.gif",
  "tr:w-50,f-png/photo.heic",
  "tr:w-60/photo.heic",
  "tr:w-20,f-png/picture.psd",
  "tr:w-20,f-png/photo.jxl",
  "tr:w-300,h-200,cm-pad_resize,bg-blurred/quadrants.png",
  "tr:w-100,r-max,b-5_00FF00/quadrants.png",
  "tr:w-64,e-shadow/quadrants.png",
];

async function jxl(): Promise<Buffer> {
  const { default: load } = await import("wasm-vips");
  const vips = await load({ dynamicLibraries: ["vips-jxl.wasm"] });
  return Buffer.from(vips.Image.newFromBuffer(await quadrants(60, 40).png().toBuffer()).jxlsaveBuffer());
}

async function film(): Promise<Buffer> {
  const frames = ["red", "green", "blue", "white"].map((background) =>
    sharp({ create: { width: 60, height: 40, channels: 3, background } })
      .png()
      .toBuffer(),
  );
  return sharp(await Promise.all(frames), { join: { animated: true } })
    .gif()
    .toBuffer();
}

async function fill(site: Site): Promise<void> {
  const font = "node_modules/@expo-google-fonts/monoton/400Regular/Monoton_400Regular.ttf";
  await site.put("scene.jpg", await sceneJpeg());
  await site.put("noise.jpg", await noise(900, 700));
  await site.put("quadrants.png", await quadrants(120, 90).png().toBuffer());
  await site.put("drawing.svg", Buffer.from(SVG));
  await site.put("film.gif", await film());
  await site.put("photo.heic", await readFile("test/delivery/fixtures/display-p3.heic"));
  await site.put("photo.jxl", await jxl());
  await site.put("picture.psd", PSD);
  await site.put("font.ttf", await readFile(font));
}

async function picture(worker: Worker, path: string): Promise<string> {
  const { status, headers, body } = await worker.get(`/root/${path}`);
  return `${path} ${status} ${headers.get("x-windlass-error")} ${body.toString("base64")}`;
}

test("pictures that are made together are the same as those that are made one by one", async () => {
  await using site = await openSite({ renderers: 4 });
  await fill(site);
  const single: string[] = [];
  for (const path of PATHS) single.push(await picture(site, path));
  expect(single.filter((made) => !made.includes(" 200 null "))).toEqual([]);
  expect(site.delivery.rendererPids()).toHaveLength(1);
  await rm(join(site.folder, "cache"), { recursive: true });
  await using worker = await site.openWorker();
  const made = await Promise.all(PATHS.toReversed().map((path) => picture(worker, path)));
  expect(made.filter((one) => !single.includes(one)).map((one) => one.slice(0, 200))).toEqual([]);
  expect(worker.delivery.rendererPids()).toHaveLength(2);
});
