/** How many tokens an image, video or audio part is taken for: what the estimating tokenizer of the llm-d endpoint picker assumes. */
import { choice, type Field, integer, number, object, optional, parseDurationMs } from "../../framework/parameters.ts";
import { xxh64 } from "../../prefix/xxh64.ts";
import type { Headers, MediaEstimate, MediaPart } from "../../request/types.ts";
import { imageSize, type Size } from "./image-size.ts";

const mode = choice({
  doc: "Whether a size decides, or a fixed number.",
  default: "dynamic",
  of: ["dynamic", "static"],
});
const resolution = object({
  width: integer({ doc: "Pixels.", default: 640, min: 1 }),
  height: integer({ doc: "Pixels.", default: 360, min: 1 }),
});
const dynamic = object({ factor: number({ doc: "Pixels of a token.", default: 1024, above: 0 }) });

/** Seconds as a number, or a duration such as `10s`. */
function seconds(doc: string, fallback: number): Field<number> {
  const inner = number({ doc, default: fallback, min: 0 });
  return {
    ...inner,
    accepts: "a number of seconds, or a duration",
    read: (value, path, report) => {
      const ms = typeof value === "string" ? parseDurationMs(value) : undefined;
      return inner.read(ms === undefined ? value : ms / 1000, path, report);
    },
  };
}

/** Parameters of the estimate. */
export const estimateParameters = object({
  image: object({
    mode,
    defaultResolution: resolution,
    dynamic,
    static: object({ staticToken: integer({ doc: "Tokens of an image.", default: 1, min: 1 }) }),
  }),
  video: object({
    defaultResolution: resolution,
    defaultDuration: seconds("Length of a video that no header tells.", 10),
    maxVideoTokens: integer({ doc: "Most tokens of a video; 0: any.", default: 0, min: 0 }),
    tokensPerFrame: object({
      mode,
      dynamic,
      static: object({ numTokensPerFrame: integer({ doc: "Tokens of a frame.", default: 1, min: 1 }) }),
    }),
    frames: object({
      mode: choice({ doc: "How frames are taken.", default: "sampled", of: ["sampled", "strided"] }),
      minFrames: integer({ doc: "Fewest frames.", default: 0, min: 0 }),
      maxFrames: integer({ doc: "Most frames; 0: any.", default: 0, min: 0 }),
      sampled: object({
        sampleFPS: number({ doc: "Frames taken of a second.", default: 2, above: 0 }),
        temporalPatchSize: integer({ doc: "Frames that make one; 0: each counts.", default: 0, min: 0 }),
      }),
      strided: object({
        defaultSourceFPS: number({ doc: "Frames of a second that no header tells.", default: 24, above: 0 }),
        frameStride: integer({ doc: "Of so many frames one is taken.", default: 1, min: 1 }),
      }),
    }),
  }),
});
type Parameters = typeof estimateParameters.fallback;

/** The parameters where the section may be absent as a whole. */
export const optionalEstimate = optional(estimateParameters);

const FPS = "x-llm-d-video-fps";
const DURATION = "x-llm-d-video-duration-seconds";
const RESOLUTION = "x-llm-d-video-resolution";
const BYTES_PER_TOKEN = 4;

function positive(text: string | undefined): number | undefined {
  const value = Number(text ?? "");
  return Number.isFinite(value) && value > 0 ? value : undefined;
}

function sizeOf(text: string | undefined): Size | undefined {
  const match = /^\s*(\d+)\s*[xX]\s*(\d+)\s*$/.exec(text ?? "");
  const [width, height] = [positive(match?.[1]), positive(match?.[2])];
  return width === undefined || height === undefined ? undefined : { width, height };
}

const tokensOfSize = ({ width, height }: Size, factor: number): number =>
  Math.max(1, Math.floor((width * height) / factor));

function imageTokens({ image }: Parameters, content: Buffer): number {
  if (image.mode === "static") return image.static.staticToken;
  return tokensOfSize(imageSize(content) ?? image.defaultResolution, image.dynamic.factor);
}

function frameCount({ video: { frames, defaultDuration } }: Parameters, headers: Headers): number {
  const duration = positive(headers.get(DURATION)) ?? defaultDuration;
  const { minFrames, maxFrames, sampled, strided } = frames;
  const clamped = (count: number): number =>
    Math.min(Math.max(count, minFrames), maxFrames === 0 ? Infinity : maxFrames);
  if (frames.mode === "strided") {
    const source = positive(headers.get(FPS)) ?? strided.defaultSourceFPS;
    return clamped(Math.floor(Math.floor(duration * source) / strided.frameStride));
  }
  const taken = clamped(Math.floor(duration * sampled.sampleFPS));
  return sampled.temporalPatchSize > 1 ? Math.floor(taken / sampled.temporalPatchSize) : taken;
}

function videoTokens(given: Parameters, headers: Headers): number {
  const { tokensPerFrame, defaultResolution, maxVideoTokens } = given.video;
  const size = sizeOf(headers.get(RESOLUTION)) ?? defaultResolution;
  const perFrame =
    tokensPerFrame.mode === "static"
      ? tokensPerFrame.static.numTokensPerFrame
      : tokensOfSize(size, tokensPerFrame.dynamic.factor);
  const tokens = Math.max(1, frameCount(given, headers) * perFrame);
  return maxVideoTokens === 0 ? tokens : Math.min(tokens, maxVideoTokens);
}

/** Lower half of the content's hash: what stands for the part in the prompt. */
const wordOf = (content: Buffer): number => Number(BigInt.asUintN(32, xxh64(content)));

/** Identity of a part: the hash of its content, in hex. */
export const mediaHash = ({ content }: MediaPart): string => xxh64(content).toString(16).padStart(16, "0");

/** The estimate for the parts of a request with these headers, which may tell about its videos. */
export function mediaEstimate(given: Parameters, headers: Headers): MediaEstimate {
  return ({ modality, content }) => {
    const word = wordOf(content);
    if (modality === "image") return { word, count: imageTokens(given, content) };
    if (modality === "video") return { word, count: videoTokens(given, headers) };
    return { word, count: Math.max(1, Math.ceil(content.length / BYTES_PER_TOKEN)) };
  };
}
