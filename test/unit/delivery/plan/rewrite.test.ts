import { describe, expect, test } from "vitest";
import { rewrite, type Rewriter } from "../../../../src/delivery/plan/rewrite.ts";
import { pairsOf } from "../../../../src/delivery/plan/query.ts";
import { planText } from "../../../../src/delivery/plan/text.ts";
import { namesIn, parseImageKit } from "../../../../src/delivery/plan/url.ts";
import { refusal } from "./setup.ts";

const cloudinary = (path: string): string | undefined =>
  rewrite("cloudinary", `image/upload/${path}/photo.jpg`.split("/"), [])?.chain;
const imgix = (query: string): string | undefined => rewrite("imgix", ["photo.jpg"], pairsOf(query))?.chain;
const url = (rewriter: Rewriter, rawPath: string, rawQuery = "") => {
  const { path, plan, query } = parseImageKit({
    rawPath,
    rawQuery,
    named: new Map([["thumb", "w-9"]]),
    rewriter,
  });
  return { path, plan: plan && planText(plan), query };
};
/** Items without their order. */
const ordered = (text: string | undefined): unknown =>
  text?.split(":").map((step) => step.split(",").toSorted());
const ie = (text: string): string => `ie-${encodeURIComponent(Buffer.from(text).toString("base64"))}`;

describe("Cloudinary", () => {
  test.each([
    ["w_100", "w-100"],
    ["h_100,w_50", "w-50,h-100,c-force"],
    ["w_0.5", "w-0.5"],
    ["w_1.0", "w-cw_mul_1.0"],
    ["c_scale,w_1.5,h_0.5", "w-cw_mul_1.5,h-0.5,c-force"],
    ["w_1", "w-1"],
    ["w_0.5,fl_relative", "w-0.5"],
    ["w_auto", "w-auto"],
    ["ar_2.5,w_9", "w-9,ar-2.5-1"],
    ["ar_3,w_9", "w-9,ar-3-1"],
    ["ar_4:3,w_9", "w-9,ar-4-3"],
    ["g_north", "fo-top"],
    ["g_south_east", "fo-bottom_right"],
    ["g_center", "fo-center"],
    ["g_auto", "fo-auto"],
    ["g_face", "fo-face"],
    ["g_custom", "fo-custom"],
    ["x_100,y_50", "x-100,y-50"],
    ["f_jpg", "f-jpg"],
    ["f_auto", "f-auto"],
    ["q_60", "q-60"],
    ["q_auto", "q-70"],
    ["q_auto:low", "q-50"],
    ["q_auto:eco", "q-60"],
    ["q_auto:good", "q-70"],
    ["q_auto:best", "q-86"],
    ["pg_2,w_50", "w-50,pg-2"],
    ["a_90", "rt-90"],
    ["a_-67", "rt-N67"],
    ["a_hflip", "fl-h"],
    ["r_20", "r-20"],
    ["r_20:30:40:50", "r-20_30_40_50"],
    ["r_20:30", "r-20_30_20_30"],
    ["r_max", "r-max"],
    ["o_40", "o-40"],
    ["e_blur", "bl-1"],
    ["e_blur:500", "bl-5"],
    ["e_grayscale", "e-grayscale"],
    ["e_contrast:100", "e-contrast"],
    ["e_sharpen", "e-sharpen"],
    ["e_sharpen:500", "e-sharpen-5"],
    ["e_unsharp_mask:500", "e-usm-0-5-1-0.05"],
    ["e_unsharp_mask:250", "e-usm-0-2.5-1-0.05"],
    ["e_trim", "t-true"],
    ["e_trim:20", "t-20"],
    ["e_trim:20:red", "t-20"],
    ["bo_5px_solid_red", "b-5_red"],
    ["bo_5px_solid_BLUE", "b-5_blue"],
    ["bo_5px_solid_rgb:AAAA54", "b-5_AAAA54"],
    ["bo_5px_solid_rgb:AAAA54A9", "b-5_AAAA5466"],
    ["bo_5px_solid_rgb:B4F", "b-5_BB44FF"],
    ["bo_5px_solid_rgb:B4F9", "b-5_BB44FF60"],
    ["b_red", "bg-red"],
    ["b_BLUE", "bg-blue"],
    ["b_rgb:AAAA54A9", "bg-AAAA5466"],
    ["b_rgb:AAAA54FF", "bg-AAAA54"],
    ["b_rgb:B4F9", "bg-BB44FF60"],
    ["dpr_3.0", "dpr-3.0"],
    ["dn_150", "dn-150"],
    ["c_crop,w_9,h_9", "w-9,h-9,cm-extract"],
    ["c_crop,w_9,h_8,x_5", "w-9,h-8,x-5,y-0,cm-extract"],
    ["c_crop,w_9,h_8,x_-5,y_6", "w-9,h-8,x-0,y-6,cm-extract"],
    [
      "c_crop,w_9,h_8,g_south_east,y_6",
      "w-9,h-8,cm-extract,fo-bottom_right,x-cw_sub_9_sub_0,y-ch_sub_8_sub_6",
    ],
    ["c_crop,w_9,h_8,g_north,x_-5", "w-9,h-8,cm-extract,fo-top,xc-cw_div_2_sub_5,y-0"],
    [
      "c_crop,w_0.5,h_8,g_east,x_0.25,y_6",
      "w-0.5,h-8,cm-extract,fo-right,x-cw_sub_cw_mul_0.5_sub_cw_mul_0.25,yc-ch_div_2_add_6",
    ],
    ["c_crop,h_8,g_south,x_5,y_6", "h-8,cm-extract,fo-bottom,x-0,y-ch_sub_8_sub_6"],
    ["c_crop,w_9,ar_2,g_south,x_5", "w-9,ar-2-1,cm-extract,fo-bottom"],
    ["c_crop,w_9,h_8,g_face,x_5", "w-9,h-8,cm-extract,fo-face"],
    ["c_crop,w_9,h_8,g_xy_center,x_40,y_30", "w-9,h-8,cm-extract,xc-40,yc-30"],
    ["c_fill", "c-maintain_ratio"],
    ["c_fit", "c-at_max"],
    ["c_pad", "cm-pad_resize"],
    ["c_scale", "c-force"],
    ["t_thumb", "n-thumb"],
    ["fl_progressive", "pr-true"],
    ["fl_progressive:steep", "pr-true"],
    ["fl_progressive:none", "pr-false"],
    ["fl_lossy.progressive:semi", "pr-true"],
    ["fl_lossy,fl_progressive", "pr-true"],
    ["so_10.5599,eo_20.5522,du_10.5500", "so-10.56,eo-20.55,du-10.55"],
    ["h_100,w_wide/a_90", "h-100:rt-90"],
    ["h_300,w_300,c_crop,g_north", "w-300,h-300,cm-extract,fo-top"],
    // Wrong values are left out without a word.
    ["w_0,h_9", "h-9"],
    ["c_wide,w_8,h_9", "w-8,h-9"],
    ["a_720,h_9", "h-9"],
    ["q_101,h_9", "h-9"],
    ["pg_0,h_9", "h-9"],
    ["pg_name:cover,h_9", "h-9"],
    ["w_100:rt-90,h_9", "h-9"],
    ["c_toString,g_constructor,h_9", "h-9"],
    ["b_nocolour,bo_5px_dotted_red,e_sepia,fl_lossy,h_9", "h-9"],
    ["w_1,w_2", "w-1"],
    ["e_sepia", undefined],
  ])("%s is %s", (transformation, chain) => {
    expect(ordered(cloudinary(transformation))).toEqual(ordered(chain));
  });

  test.each([
    ["image/upload/w_100/v1234/dir/photo.jpg", "dir/photo.jpg", "w-100"],
    ["w_100/v1234/dir/photo.jpg", "dir/photo.jpg", "w-100"],
    ["image/upload/s--Ab12Cd34--/w_100,h_50/a_90/photo.jpg", "photo.jpg", "w-100,h-50,c-force:rt-90"],
    ["image/upload/dir/photo.jpg", "dir/photo.jpg", undefined],
    ["v1234/photo.jpg", "photo.jpg", undefined],
    ["dir/w_100/photo.jpg", "dir/w_100/photo.jpg", undefined],
    ["img_2024/photo.jpg", "img_2024/photo.jpg", undefined],
    ["my_holidays/photo.jpg", "my_holidays/photo.jpg", undefined],
    ["w_100", "w_100", undefined],
    // What says nothing is a folder, unless the URL is Cloudinary's beyond doubt.
    ["a_team/photo.jpg", "a_team/photo.jpg", undefined],
    ["e_books/h_files/photo.jpg", "e_books/h_files/photo.jpg", undefined],
    ["t_shirts/red.jpg", "t_shirts/red.jpg", undefined],
    ["w_100/a_team/w_50/photo.jpg", "a_team/w_50/photo.jpg", "w-100"],
    ["u_boats/photo.jpg", "u_boats/photo.jpg", undefined],
    ["w_100,e_sepia/v1/a_team/photo.jpg", "a_team/photo.jpg", "w-100"],
    ["image/upload/e_sepia/photo.jpg", "photo.jpg", undefined],
    ["image/upload/v1/a_team/photo.jpg", "a_team/photo.jpg", undefined],
    ["s--Ab12Cd34--/e_sepia/photo.jpg", "photo.jpg", undefined],
    ["image/fetch/w_100/https://example.com/a%20b.jpg", "https://example.com/a%20b.jpg", "w-100"],
    ["tr:w-5/w_100/photo.jpg", "w_100/photo.jpg", "w-5"],
    ["t_thumb/photo.jpg", "photo.jpg", "w-9"],
  ])("%s is the file %s", (path, file, plan) => {
    expect(url("cloudinary", path)).toMatchObject({ path: file, plan });
  });

  test("layers need no image/upload either", () => {
    const { path, plan } = url("cloudinary", "l_logo.png/e_grayscale/fl_layer_apply/w_9/photo.jpg");
    expect(path).toBe("photo.jpg");
    expect(plan).toMatch(/logo\.png.*e-grayscale.*w-9/);
  });

  test.each([
    ["image/upload/w_100/v1234/dir/photo.jpg", "image/upload/dir/photo.jpg", "w-100"],
    ["image/upload/s--Ab12Cd34--/t_thumb/photo.jpg", "image/upload/photo.jpg", "w-9"],
    ["image/upload/photo.jpg", "image/upload/photo.jpg", undefined],
    ["w_100/dir/photo.jpg", "dir/photo.jpg", "w-100"],
    ["dir/photo.jpg", "dir/photo.jpg", undefined],
  ])("with its types preserved, %s is the file %s", (path, file, plan) => {
    expect(url("cloudinary-preserve-types", path)).toMatchObject({ path: file, plan });
  });

  test("a path of components without end is refused", () => {
    expect(refusal(() => cloudinary("l_x/".repeat(5000)))).toMatch(
      /^LimitExceeded: A URL has at most 32 components/,
    );
  });

  test("films have qualities of their own", () => {
    expect(rewrite("cloudinary", ["video", "upload", "q_auto:best", "a.mp4"], [])?.chain).toBe("q-60");
    expect(rewrite("cloudinary", ["q_auto:low", "a.mp4"], [])?.chain).toBe("q-40");
  });

  test("named transformations are found, so that they can be looked up", () => {
    for (const rewriter of ["cloudinary", "cloudinary-preserve-types"] as const)
      expect(namesIn("image/upload/t_thumb/a.jpg", "", rewriter)).toEqual(["thumb"]);
    expect(namesIn("image/upload/t_thumb/a.jpg", "")).toEqual([]);
  });

  test.each([
    ["l_logos:logo", `l-image,${ie("logos/logo")},lfo-center,l-end`],
    [
      "l_logo.png,w_100,o_50,g_north_east,x_10,y_20",
      `l-image,${ie("logo.png")},lap-top_right,lx-10,ly-20:w-100,o-50,l-end`,
    ],
    ["l_logo.png,g_south,y_5", `l-image,${ie("logo.png")},lap-bottom,lx-0,ly-5,l-end`],
    [
      "w_500/l_logo.png/w_100,e_grayscale/a_45/fl_layer_apply,g_west/r_9",
      `w-500:l-image,${ie("logo.png")},lfo-left:w-100,e-grayscale:rt-45,l-end:r-9`,
    ],
    ["l_logo.png,w_9,h_8", `l-image,${ie("logo.png")},lfo-center:w-9,h-8,c-force,l-end`],
    ["l_logo.png,x_-50,y_20", `l-image,${ie("logo.png")},lap-center,lx-N50,ly-20,l-end`],
    ["l_logo.png,g_east,x_-5,y_-0.1", `l-image,${ie("logo.png")},lap-right,lx-0,ly-Nbh_mul_0.1,l-end`],
    ["l_logo.png,g_xy_center,x_50,y_0.5", `l-image,${ie("logo.png")},lxc-50,lyc-bh_mul_0.5,l-end`],
    ["l_logo.png,g_face,x_5", `l-image,${ie("logo.png")},lap-center,lx-5,ly-0,l-end`],
    ["l_logo.png,fl_relative,w_0.5", `l-image,${ie("logo.png")},lfo-center:w-bw_mul_0.5,l-end`],
    [
      "l_logo.png/c_scale,fl_relative,w_1.0/fl_layer_apply.no_overflow,g_north/w_9",
      `l-image,${ie("logo.png")},lfo-top:w-bw_mul_1.0,c-force,l-end:w-9`,
    ],
    [
      "l_text:Roboto_20:x,c_fit,fl_relative,w_0.9",
      `l-text,${ie("x")},ff-Roboto,fs-20,w-bw_mul_0.9,lfo-center,l-end`,
    ],
    ["l_text:Roboto_20:x,c_fit,w_0.9", `l-text,${ie("x")},ff-Roboto,fs-20,lfo-center,l-end`],
    [
      "l_text:Roboto_50_bold_left:Hello%2C%20you,co_rgb:FF0000,g_south_west,x_5,y_5",
      `l-text,${ie("Hello, you")},ff-Roboto,fs-50,tg-b,ia-left,co-FF0000,lap-bottom_left,lx-5,ly-5,l-end`,
    ],
    [
      "l_text:fonts:My.ttf_20_italic_end:x,b_white",
      `l-text,${ie("x")},ff-fonts@@My.ttf,fs-20,tg-i,ia-right,bg-white,lfo-center,l-end`,
    ],
    [
      "l_text:Open%20Sans_20:100%,w_200,c_fit",
      `l-text,${ie("100%")},ff-Open Sans,fs-20,w-200,lfo-center,l-end`,
    ],
    [
      "l_text:Roboto_60:Hi,co_yellow,o_50,a_-90,bo_2px_solid_red,w_90,h_9,x_5",
      `l-text,${ie("Hi")},ff-Roboto,fs-60,co-yellow,lap-center,lx-5,ly-0:rt-N90,o-50,l-end`,
    ],
    [
      "l_text:PT_Serif_60_bold_letter_spacing_5_line_spacing_-10.5:Hi",
      `l-text,${ie("Hi")},ff-PT_Serif,fs-60,tg-b,lfo-center,l-end`,
    ],
    [
      "l_text:fonts:my_2_font.ttf_20_stroke_line_spacing_1:Hi_30:x",
      `l-text,${ie("Hi_30:x")},ff-fonts@@my_2_font.ttf,fs-20,lfo-center,l-end`,
    ],
    ["l_text:broken:x/w_9", "w-9"],
    ["l_fetch:aHR0cDovL2EvYi5wbmc=/w_9", "w-9"],
    ["u_back/w_9", "w-9"],
  ])("%s is a layer", (transformation, chain) => {
    expect(cloudinary(transformation)).toBe(chain);
    // And the grammar takes it.
    expect(url("cloudinary", `image/upload/${encodeURI(transformation)}/photo.jpg`).path).toBe("photo.jpg");
  });
});

describe("imgix", () => {
  test.each([
    ["a.pdf", "w-50,pg-2"],
    ["b.AI", "w-50,pg-2"],
    ["c.jpg", "w-50"],
  ])("%s?page=2&w=50 is %s: pages are those of documents", (file, chain) => {
    expect(rewrite("imgix", [file], pairsOf("page=2&w=50"))?.chain).toBe(chain);
  });

  test.each([
    ["w=100", "w-100"],
    ["h=100", "h-100"],
    ["w=0.5", "w-0.5"],
    ["w=1.0&h=0.5&fit=scale", "w-cw,h-0.5,c-force"],
    ["ar=2:3&w=100&fit=crop", "w-100,ar-2-3"],
    ["ar=3:1&w=100&h=50&fit=crop", "w-100,h-50"],
    ["ar=3:1&w=100", "w-100"],
    ["w=100&h=50", "w-100,h-50,c-at_max_enlarge"],
    ["w=100&h=50&fit=nonsense", "w-100,h-50,c-at_max_enlarge"],
    ["w=100&h=50&fit=crop", "w-100,h-50"],
    ["w=100&h=50&crop=top", "w-100,h-50,fo-top,c-at_max_enlarge"],
    ["crop=top", "fo-top"],
    ["crop=top,left", "fo-top_left"],
    ["crop=left,top", "fo-top_left"],
    ["crop=right,bottom", "fo-bottom_right"],
    ["crop=faces", "fo-auto"],
    ["fit=clip", "c-at_max_enlarge"],
    ["fit=fill", "cm-pad_resize"],
    ["fit=scale", "c-force"],
    ["fit=crop", undefined],
    ["fit=fillmax", "cm-pad_resize_no_enlarge"],
    ["fit=max", "c-at_max"],
    ["fit=facearea", "fo-face"],
    ["fit=facearea&crop=top", "fo-face"],
    ["fm=jpg", "f-jpg"],
    ["fm=jp2", "f-jpg"],
    ["fm=png8", "f-png"],
    ["fm=webp", "f-webp"],
    ["auto=compress,format", "f-auto"],
    ["q=60", "q-60"],
    ["orient=6", "rt-90"],
    ["orient=1", "rt-0"],
    ["orient=270", "rt-270"],
    ["fill-color=red", "bg-red"],
    ["bg=BLUE", "bg-blue"],
    ["bg=AAAA54", "bg-AAAA54"],
    ["bg=A9AAAA54", "bg-AAAA5466"],
    ["fill-color=B4F", "bg-BB44FF"],
    ["bg=9B4F", "bg-BB44FF60"],
    ["dpr=3.0", "dpr-3.0"],
    ["sharp=10", "e-sharpen-200"],
    ["sharp=100", "e-sharpen-2000"],
    ["con=-50", "e-contrast"],
    ["usm=40", "e-usm-2.5-8-1-0.05"],
    ["usm=20&usmrad=2", "e-usm-2-4-1-0.05"],
    ["blur=100", "bl-5"],
    ["blur=1", "bl-1"],
    ["trim=auto", "t-true"],
    // Wrong values are left out without a word.
    ["h=100&w=wide&blur=100", "h-100,bl-5"],
    ["w=100,h-200", undefined],
    ["usm=-50&usmrad=2", undefined],
    ["fit=constructor&fm=toString&orient=5&bg=nocolour&trim=x&crop=x&con=0&sharp=0", undefined],
  ])("?%s is %s", (query, chain) => {
    expect(imgix(query)).toBe(chain);
  });

  test("other parameters are left to web servers", () => {
    expect(url("imgix", "a.jpg", "w=100&token=x&usm=5&ixlib=js")).toEqual({
      path: "a.jpg",
      plan: "w-100,e-usm-2.5-1-1-0.05",
      query: "token=x&ixlib=js",
    });
    expect(url("imgix", "a.jpg", "token=x")).toEqual({ path: "a.jpg", plan: undefined, query: "token=x" });
  });
});

test.each([
  ["imwidth=100", "w-100"],
  ["imwidth=100&imheight=50", "w-100,h-50"],
  ["imwidth=wide&imheight=50", "h-50"],
  ["imwidth=0", undefined],
])("Akamai's ?%s is %s", (query, chain) => {
  expect(rewrite("akamai", ["a.jpg"], pairsOf(query))?.chain).toBe(chain);
});

test("without a rewriter those words mean nothing", () => {
  expect(
    parseImageKit({ rawPath: "w_100/a.jpg", rawQuery: "w=100&imwidth=5", named: new Map() }),
  ).toMatchObject({
    path: "w_100/a.jpg",
    plan: undefined,
    query: "w=100&imwidth=5",
  });
});
