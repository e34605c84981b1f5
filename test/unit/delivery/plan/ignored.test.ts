/** What of a chain says nothing. */
import { describe, expect, test } from "vitest";
import { textOf } from "./setup.ts";

describe("what ImageKit ignores is ignored", () => {
  test.each([
    ["w-65536,h-200", "h-200"],
    ["w-99999999", "default-q-80,f-auto"],
    ["w-300,h-200,ar-4-3", "w-300,h-200"],
    ["ar-4-3,w-300", "w-300,ar-1.3333333333333333"],
    ["l-image,i-a.png,w-30,h-20,ar-4-3,l-end", "l-image,i-a.png:w-30,h-20,l-end"],
    ["orig-true,w-abc,bla-1", "orig-true"],
    ["w-300:e-sepia:orig-true:if-nothing", "orig-true"],
    ["w-abc, orig-true,di-a.jpg", "orig-true,di-a.jpg"],
    ["orig-true,di-", "orig-true"],
    ["l-text,i-orig-true,l-end", "l-text,i-orig-true,l-end"],
  ])("%s is %s", (chain, text) => {
    expect(textOf(chain)).toBe(text);
  });
});

describe("items that say nothing, as templates leave them, are left out of account", () => {
  test.each([
    ["", "default-q-80,f-auto"],
    [" ", "default-q-80,f-auto"],
    [",:,", "default-q-80,f-auto"],
    ["w-1,,h-2", "w-1,h-2"],
    [",w-1", "w-1"],
    ["w-1,", "w-1"],
    ["w-1:", "w-1"],
    [":w-1::h-2", "w-1:h-2"],
    ["w-100, h-50", "w-100,h-50"],
    ["w-100: ar-16:9, h-50", "w-100:h-50,ar-1.7777777777777777"],
    ["l-text, i-a b,, fs-20, l-end, w-9", "w-9,l-text,i-a b,fs-20,l-end"],
    ["if-w_gt_9, w-8,, if-else,, w-7, if-end,:h-3", "if-w_gt_9,w-8,if-else,w-7,if-end:h-3"],
  ])("%j is %s", (chain, text) => {
    expect(textOf(chain)).toBe(text);
  });
});
