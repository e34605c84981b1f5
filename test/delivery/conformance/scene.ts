/**
 * The picture that the examples are made of: drawn and not photographed, so that it is ours and can be made again.
 * No part of it is like another, nor like its mirror image: what is cropped, turned or moved wrongly is seen.
 */
import sharp from "sharp";

export const SCENE_WIDTH = 600;
export const SCENE_HEIGHT = 400;
/** Where the face and the apple are, as a detector says it: pixels of the scene. */
export const FACE = { x: 116, y: 146, width: 108, height: 128 };
export const APPLE = { x: 430, y: 262, width: 84, height: 84 };

const leaves = Array.from({ length: 46 }, (_, n) => {
  const x = 600 - ((n * 61) % 168);
  const y = ((n * 37) % 90) - 8 + (600 - x) * -0.12;
  return `<ellipse cx="${x}" cy="${y}" rx="${11 + (n % 5)}" ry="${5 + (n % 3)}" transform="rotate(${(n * 47) % 180} ${x} ${y})" fill="hsl(${88 + (n % 7) * 6},45%,${22 + (n % 5) * 4}%)"/>`;
}).join("");

const SCENE_SVG = `<svg xmlns="http://www.w3.org/2000/svg" width="600" height="400">
<defs>
  <linearGradient id="sky" x2="0" y2="1"><stop stop-color="#5e8fc4"/><stop offset=".55" stop-color="#b9cfdc"/><stop offset="1" stop-color="#dfc8a8"/></linearGradient>
  <linearGradient id="far" x2="0" y2="1"><stop stop-color="#71889f"/><stop offset="1" stop-color="#8fa3a0"/></linearGradient>
  <linearGradient id="near" x2="0" y2="1"><stop stop-color="#7f9a54"/><stop offset="1" stop-color="#4c6b35"/></linearGradient>
  <linearGradient id="wall" x2="0" y2="1"><stop stop-color="#b08d63"/><stop offset="1" stop-color="#7c5c3e"/></linearGradient>
  <radialGradient id="skin" cx=".4" cy=".35"><stop stop-color="#edc4a0"/><stop offset="1" stop-color="#cc9670"/></radialGradient>
  <radialGradient id="apple" cx=".35" cy=".3"><stop stop-color="#ec5f4a"/><stop offset=".6" stop-color="#c9221c"/><stop offset="1" stop-color="#8a1013"/></radialGradient>
  <filter id="soft"><feGaussianBlur stdDeviation="5"/></filter>
  <filter id="glow" x="-2" y="-2" width="5" height="5"><feGaussianBlur stdDeviation="14"/></filter>
</defs>
<rect width="600" height="300" fill="url(#sky)"/>
<circle cx="352" cy="84" r="30" fill="#f6dfa6" filter="url(#glow)"/><circle cx="352" cy="84" r="17" fill="#fff3c9"/>
<g fill="#e9eceb" filter="url(#soft)"><ellipse cx="70" cy="70" rx="58" ry="13"/><ellipse cx="98" cy="56" rx="36" ry="15"/><ellipse cx="276" cy="140" rx="44" ry="8"/></g>
<path d="M0 236 L70 186 L128 222 L214 152 L300 226 L372 178 L468 232 L540 196 L600 226 V320 H0Z" fill="url(#far)"/>
<path d="M214 152 L246 180 L226 176 L214 186 L200 174 L186 178Z" fill="#dfe6ea"/>
<path d="M0 268 C120 214 240 296 360 262 S540 236 600 272 V360 H0Z" fill="url(#near)"/>
<g fill="#3c5732"><path d="M306 270 l14 -46 14 46Z"/><path d="M330 272 l11 -34 11 34Z"/><path d="M560 262 l16 -58 16 58Z"/></g>
<rect x="388" y="228" width="34" height="26" fill="#d9d2c0"/><path d="M382 230 L405 210 L428 230Z" fill="#9a4a36"/><rect x="394" y="238" width="8" height="16" fill="#5a4636"/>
<rect y="340" width="600" height="60" fill="url(#wall)"/>
<g stroke="#5d442d" stroke-width="2" opacity=".7"><path d="M0 368 H600 M60 340 V368 M190 340 V368 M330 340 V368 M470 340 V368 M120 368 V400 M260 368 V400 M400 368 V400 M540 368 V400"/></g>
<path d="M66 400 C70 318 112 296 170 294 C228 296 268 318 276 400Z" fill="#2f6f86"/><path d="M140 292 h60 l-28 34Z" fill="#e8dfcf"/>
<path d="M150 258 h40 v40 l-20 22 -20 -22Z" fill="#c08b66"/>
<ellipse cx="170" cy="210" rx="54" ry="64" fill="url(#skin)"/>
<path d="M112 214 C104 140 150 128 182 134 C222 138 238 168 229 214 C220 190 214 176 190 174 C160 178 134 172 124 186Z" fill="#4a2f22"/>
<ellipse cx="151" cy="208" rx="6" ry="7" fill="#2c2320"/><ellipse cx="191" cy="208" rx="6" ry="7" fill="#2c2320"/>
<path d="M141 194 q10 -6 20 0 M182 194 q10 -6 20 0" stroke="#4a2f22" stroke-width="3" fill="none"/>
<path d="M171 212 q8 18 -2 20" stroke="#a86f50" stroke-width="3" fill="none"/>
<path d="M150 244 q22 18 42 -2 q-20 8 -42 2Z" fill="#a5403c"/><ellipse cx="135" cy="232" rx="10" ry="7" fill="#d98a72" opacity=".6"/>
<ellipse cx="474" cy="346" rx="46" ry="8" fill="#3a2a1c" opacity=".5"/>
<path d="M472 276 C446 254 424 280 432 312 C438 344 462 350 472 343 C486 350 508 342 513 310 C518 280 494 256 472 276Z" fill="url(#apple)"/>
<path d="M472 276 q2 -16 10 -22" stroke="#4b3423" stroke-width="4" fill="none"/><path d="M480 262 q22 -18 36 -2 q-20 12 -36 2Z" fill="#6f9a3a"/>
<ellipse cx="452" cy="294" rx="7" ry="11" fill="#f6b9a8" opacity=".8" transform="rotate(24 452 294)"/>
${leaves}
</svg>`;

/** Strength of the grain, which gives the scene something of a photograph's texture. */
const GRAIN = 5;

/** 600 by 400, as raw as sharp has it. */
async function sceneRaw(): Promise<Buffer> {
  const pixels = await sharp(Buffer.from(SCENE_SVG)).removeAlpha().raw().toBuffer();
  for (let n = 0, state = 7; n < pixels.length; n += 3) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    const grain = ((state >>> 24) / 255 - 0.5) * 2 * GRAIN;
    for (let channel = 0; channel < 3; channel++) {
      pixels[n + channel] = Math.max(0, Math.min(255, pixels[n + channel]! + grain));
    }
  }
  return pixels;
}

/** test/golden/scene.jpg. */
export async function sceneJpeg(): Promise<Buffer> {
  const raw = { width: SCENE_WIDTH, height: SCENE_HEIGHT, channels: 3 } as const;
  return sharp(await sceneRaw(), { raw })
    .jpeg({ quality: 84, mozjpeg: true })
    .toBuffer();
}
