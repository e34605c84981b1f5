/** At which rate films are made, and which of their frames. */
import { expect, test } from "vitest";
import { evenly, madeRate } from "../../../../src/delivery/video/frames.ts";

test.each([
  ["25/1", "25/1"],
  ["30000/1001", "30000/1001"],
  ["10/1", "10/1"],
  ["5/1", "10/1"],
  ["3/1", "12/1"],
  ["50/101", "1050/101"],
])("a film of %s is made at %s", (frameRate, rate) => {
  expect(madeRate({ frameRate })).toBe(rate);
});

const film = { duration: 4.02, pictureFrom: 0, pictureTo: 4, frameRate: "25/1" };
const held = (filters: readonly string[]): boolean => filters.includes("tpad=stop=-1:stop_mode=clone");
const framesOf = (filters: readonly string[]): number => Number(/end_pts=(\d+)/.exec(filters.join())![1]);
const shiftOf = (filters: readonly string[]): number =>
  Number(/setpts=PTS([+-][\d.]+)/.exec(filters.join())?.[1] ?? 0);

test.each([
  ["all of it, and not what only the sound has", film, { start: 0, seconds: 4.02 }, 100, false],
  ["a part", film, { start: 1, seconds: 2 }, 50, false],
  ["a moment", film, { start: 1, seconds: 0.001 }, 1, false],
  ["its last frame", film, { start: 3.97, seconds: 0.05 }, 1, false],
  ["its end, where nothing but sound is left", film, { start: 4, seconds: 0.02 }, 1, true],
  ["sound that goes on", { ...film, duration: 6 }, { start: 3, seconds: 3 }, 75, true],
  [
    "a picture of which nobody says how long it is",
    { ...film, pictureTo: undefined },
    { start: 0, seconds: 4 },
    100,
    true,
  ],
  [
    "a film of which nobody knows",
    { ...film, duration: 0, pictureTo: undefined },
    { start: 0, seconds: 14400 },
    360_000,
    false,
  ],
] as const)("%s", (_name, timing, cut, frames, isHeld) => {
  const filters = evenly(timing, cut, "25/1");
  expect([framesOf(filters), held(filters)]).toEqual([frames, isHeld]);
});

test.each([
  [0, 0, 0],
  [1, 0, 0],
  [1.01, 0, 0.01],
  [1.02, 0, 0.02],
  [1.03, 0, -0.01],
  [0, 0.02, 0.02],
  [0, 0.01, -0.01],
])(
  "frames of a cut from %s, of a picture from %s, are moved by %s to where new ones are",
  (start, pictureFrom, by) => {
    const filters = evenly({ ...film, pictureFrom }, { start, seconds: 1 }, "25/1");
    expect(shiftOf(filters)).toBeCloseTo(by, 6);
  },
);
