import { describe, expect, test } from "@jest/globals";
import { createReport } from "../../framework/problem.ts";
import { xxh64 } from "../../prefix/xxh64.ts";
import type { MediaPart } from "../../request/types.ts";
import { imageSize } from "./image-size.ts";
import { estimateParameters, mediaEstimate, mediaHash } from "./media-estimate.ts";

/** Tokens of a part under these parameters and request headers. */
function tokens(part: MediaPart, given: unknown = {}, headers: Readonly<Record<string, string>> = {}): number {
  const report = createReport();
  const parameters = estimateParameters.read(given, "", report);
  if (report.errors.length > 0) throw new Error(JSON.stringify(report.errors));
  return mediaEstimate(parameters, new Map(Object.entries(headers)))(part).count;
}

const part = (modality: MediaPart["modality"], content: string): MediaPart => ({
  modality,
  content: Buffer.from(content),
});
const dataUrl = (hex: string): string => `data:image/x;base64,${Buffer.from(hex, "hex").toString("base64")}`;

const PNG = `89504e470d0a1a0a0000000d49484452${"00000400"}${"00000200"}0806000000`;
const GIF = `474946383961${"4001"}${"f000"}000000`;
const JPEG = `ffd8ffe00006aabbccddffc0000b08${"0200"}${"0400"}01011100`;
const WEBP_X = `524946460000000057454250${"56503858"}0a00000000000000${"ff0300"}${"ff0100"}`;
const WEBP_L = `524946460000000057454250${"5650384c"}000000002f${"ffc37f00"}0000000000`;
const WEBP = `524946460000000057454250${"56503820"}00000000000000${"9d012a"}${"0004"}${"0002"}`;

describe("size of images in data URLs", () => {
  test.each([
    ["PNG", PNG, [1024, 512]],
    ["GIF", GIF, [320, 240]],
    ["JPEG", JPEG, [1024, 512]],
    ["WebP, extended", WEBP_X, [1024, 512]],
    ["WebP, lossless", WEBP_L, [1024, 512]],
    ["WebP, lossy", WEBP, [1024, 512]],
  ])("%s", (_, hex, [width, height]) => {
    expect(imageSize(Buffer.from(dataUrl(hex)))).toEqual({ width, height });
  });

  test.each([
    "http://a/b.png",
    "data:image/png,xx",
    "data:image/png;base64,",
    dataUrl("ffd8ffc0"),
    dataUrl("89504e47"),
  ])("%s has none", (url) => {
    expect(imageSize(Buffer.from(url))).toBeUndefined();
  });
});

describe("tokens", () => {
  test.each([
    ["default size", "http://a", {}, 225],
    ["its own size", dataUrl(PNG), {}, 512],
    ["at least one", "http://a", { image: { dynamic: { factor: 1e9 } } }, 1],
    ["another default size", "http://a", { image: { defaultResolution: { width: 100, height: 200 } } }, 19],
    ["fixed", dataUrl(PNG), { image: { mode: "static", static: { staticToken: 7 } } }, 7],
    ["fixed, by default one", dataUrl(PNG), { image: { mode: "static" } }, 1],
  ])("of an image: %s", (_, url, given, expected) => {
    expect(tokens(part("image", url), given)).toBe(expected);
  });

  test.each([
    ["AAAAAAAAwav", 3],
    ["", 1],
  ])("of audio %s", (content, expected) => {
    expect(tokens(part("audio", content))).toBe(expected);
  });

  const frames = (more: object): object => ({ video: { frames: more } });
  test.each([
    ["10 s, 2 frames a second", {}, {}, 20 * 225],
    ["length in the headers", {}, { "x-llm-d-video-duration-seconds": "2.6" }, 5 * 225],
    ["size in the headers", {}, { "x-llm-d-video-resolution": "64x32" }, 20 * 2],
    ["fewest frames", frames({ minFrames: 30 }), {}, 30 * 225],
    ["most frames", frames({ maxFrames: 3 }), {}, 3 * 225],
    ["patches of time", frames({ sampled: { temporalPatchSize: 2 } }), {}, 10 * 225],
    ["strides", frames({ mode: "strided", strided: { frameStride: 7 } }), {}, 34 * 225],
    ["strides, speed in the headers", frames({ mode: "strided" }), { "x-llm-d-video-fps": "3" }, 30 * 225],
    ["fixed frames", { video: { tokensPerFrame: { mode: "static", static: { numTokensPerFrame: 4 } } } }, {}, 80],
    ["most tokens", { video: { maxVideoTokens: 99 } }, {}, 99],
    ["a duration as text", { video: { defaultDuration: "3s" } }, {}, 6 * 225],
    ["no frame at all", { video: { defaultDuration: 0 } }, {}, 1],
  ])("of a video: %s", (_, given, headers, expected) => {
    expect(tokens(part("video", "v"), given, headers)).toBe(expected);
  });
});

test("a part is known by the hash of its content", () => {
  const image = part("image", "http://a");
  expect(mediaHash(image)).toBe(xxh64(Buffer.from("http://a")).toString(16).padStart(16, "0"));
  expect(mediaEstimate(estimateParameters.fallback, new Map())(image).word).toBe(
    Number(xxh64(Buffer.from("http://a")) & 0xffff_ffffn),
  );
});
