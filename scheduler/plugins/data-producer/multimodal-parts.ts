import { isRecord } from "../../framework/parameters.ts";
import type { ParsedBody } from "../../request/types.ts";
import { mediaHash } from "./media-estimate.ts";

type Part = { readonly modality: string; readonly hash: string };

/** Others are told by clients, and must not become label values. */
const MODALITIES = ["image", "video", "audio"];
/** A body without any of these has no such part: most bodies need no second look. */
const MARKERS = ["image", "video_url", "input_audio", "audio_url", "mm_hashes"].map((text) => Buffer.from(`"${text}`));

/** The distinct images, videos and audio parts of a request, by the hash of what they hold. */
export function multimodalParts(body: ParsedBody): readonly Part[] {
  if (!MARKERS.some((marker) => body.bytes.includes(marker))) return [];
  const parts = body.media().map((part) => ({ modality: part.modality, hash: mediaHash(part) }));
  const all = body.api === "generate" ? hashedParts(body.json()) : parts;
  return [...new Map(all.map((part) => [part.hash, part])).values()];
}

/** Hashes that a request carries itself: `features.mm_hashes`, lists by modality. */
function hashedParts(json: unknown): readonly Part[] {
  const features = isRecord(json) ? json["features"] : undefined;
  const hashes = isRecord(features) ? features["mm_hashes"] : undefined;
  return Object.entries(isRecord(hashes) ? hashes : {}).flatMap(([name, list]) => {
    const modality = MODALITIES.includes(name) ? name : "other";
    return (Array.isArray(list) ? list : [])
      .filter((hash) => typeof hash === "string")
      .map((hash) => ({ modality, hash }));
  });
}
