/** What ImageKit's own SDK writes is read as what it was asked for. */
import ImageKit from "@imagekit/nodejs";
import { describe, expect, test } from "vitest";
import { planText } from "../../../../src/delivery/plan/text.ts";
import { parseImageKit, type Asked } from "../../../../src/delivery/plan/url.ts";

const client = new ImageKit({ privateKey: "dummy-key" });
type Source = Parameters<typeof client.helper.buildSrc>[0];

function built(
  transformation: NonNullable<Source["transformation"]>,
  position: "path" | "query",
  src = "/a b/ü.jpg",
): Asked {
  const endpoint = "http://127.0.0.1:9002/root";
  const url = client.helper.buildSrc({
    urlEndpoint: endpoint,
    src,
    transformation,
    transformationPosition: position,
  });
  const [path = "", query = ""] = url.slice(endpoint.length + 1).split("?");
  return parseImageKit({ rawPath: path, rawQuery: query, named: new Map([["thumb", "w-9"]]) });
}

const EVERYTHING: NonNullable<Source["transformation"]> = [
  {
    width: 300,
    height: "ih_mul_0.5",
    crop: "force",
    cropMode: "pad_resize",
    focus: "top_left",
    background: "blurred_25_N15",
    border: "5_FFF000",
    radius: "10_20_30_40",
    rotation: "N40",
    flip: "v_h",
    blur: 10,
    dpr: 2,
    quality: 50,
    format: "webp",
    progressive: true,
    lossless: false,
    colorProfile: true,
    metadata: true,
    trim: true,
    zoom: 1.5,
    opacity: 50,
    grayscale: true,
    contrastStretch: true,
    sharpen: 10,
    unsharpMask: true,
    shadow: "bl-15_st-40_x-10_y-N5",
    gradient: "from-red_to-white",
    colorReplace: "065465_40",
    colorize: "co-FF0000_in-15",
    distort: "a-45",
    defaultImage: "/folder/none.jpg/",
    page: "2-4",
  },
  { aiDropShadow: "az-45" },
  { aiChangeBackground: "prompt-snow road" },
  { named: "thumb" },
];

describe.each(["path", "query"] as const)("in the %s", (position) => {
  test("every transformation", () => {
    const asked = built(EVERYTHING, position);
    expect(asked.path).toBe("a b/ü.jpg");
    expect(planText(asked.plan!)).toBe(
      "w-300,h-ih_mul_0.5,c-force,cm-pad_resize,fo-top_left,z-1.5,dpr-2,t-true,b-5_FFF000,rt-320,fl-h_v,r-10_20_30_40," +
        "bg-blurred_25_N15,o-50,bl-10,e-grayscale,e-contrast,e-sharpen-10,e-usm-0-1-1-0.05,e-shadow-bl-15_st-40_x-10_y-N5," +
        "e-gradient-ld-180_from-FF0000_to-FFFFFF_sp-1,e-colorize-co-FF0000_in-15,e-distort-a-45,cr-065465_40,pg-2-4," +
        "f-webp,q-50,pr-true,lo-false,cp-true,md-true,di-folder@@none.jpg:e-dropshadow-az-45_el-45_st-60:" +
        "e-changebg-prompte-c25vdyByb2Fk:w-9",
    );
  });

  test.each([
    [
      { type: "image", input: "/dir/logo.png/", position: { x: 10, y: "bh_div_2", anchorPoint: "top" } },
      "l-image,i-dir@@logo.png,lx-10,ly-bh_div_2,lap-top,l-end",
    ],
    [
      {
        type: "image",
        input: "/dir/ü (1).png",
        layerMode: "cutout",
        transformation: [{ width: 9 }, { rotation: 90 }],
      },
      `l-image,ie-${encodeURIComponent(Buffer.from("dir/ü (1).png").toString("base64"))},lm-cutout:w-9:rt-90,l-end`,
    ],
    [
      {
        type: "text",
        text: "Hello World",
        transformation: [{ fontSize: 20, fontColor: "red", typography: "b_i", padding: "1_2" }],
      },
      "l-text,i-Hello World,fs-20,co-FF0000,pa-1_2_1_2,tg-b_i,l-end",
    ],
    [
      { type: "text", text: "हिन्दी, 50% & more?", transformation: [{ fontFamily: "/fonts/P.ttf" }] },
      `l-text,ie-${encodeURIComponent(Buffer.from("हिन्दी, 50% & more?").toString("base64"))},ff-fonts@@P.ttf,l-end`,
    ],
    [
      { type: "text", text: "plain", encoding: "base64", position: { focus: "top" } },
      "l-text,i-plain,lfo-top,l-end",
    ],
    [
      { type: "video", input: "a.mp4", timing: { start: 5, end: "bdu_sub_idu", duration: 2 } },
      "l-video,i-a.mp4,lso-5,leo-bdu_sub_idu,ldu-2,l-end",
    ],
    [
      {
        type: "subtitle",
        input: "a.srt",
        transformation: [{ fontSize: 9, color: "blue", fontOutline: "2_blue", fontShadow: "blue_2" }],
      },
      "l-subtitles,i-a.srt,fs-9,co-0000FF,fol-2_0000FF,fsh-0000FF_2,l-end",
    ],
    [
      {
        type: "solidColor",
        color: "FF0000",
        transformation: [{ width: "bw_div_2", height: 9, radius: "max", alpha: 5 }],
      },
      "l-image,i-ik_canvas:w-bw_div_2,h-9,r-max,bg-FF0000,o-50,l-end",
    ],
    [
      { type: "solidColor", color: "FF0000", transformation: [{ width: 9, background: "blue" }] },
      "l-image,i-ik_canvas:w-9,bg-0000FF,l-end",
    ],
  ] as const)("the overlay %j", (overlay, text) => {
    const asked = built([{ overlay: overlay as never }], position);
    expect(planText(asked.plan!)).toBe(text);
    expect(asked.path).toBe("a b/ü.jpg");
  });

  test("a default image that is an address", () => {
    const { plan } = built(
      [{ width: 9, defaultImage: "https://a.example/b.jpg" }, { rotation: 90 }],
      position,
    );
    expect(planText(plan!)).toBe("w-9,di-https%3A@@@@a.example@@b.jpg:rt-90");
  });

  test("a film to stream", () => {
    const asked = built([{ streamingResolutions: ["240", "720"] }], position, "/a.mp4/ik-master.m3u8");
    expect(asked).toMatchObject({ path: "a.mp4", what: "hls" });
    expect(planText(asked.plan!)).toBe("sr-240_720:default-q-50,f-auto");
  });
});
