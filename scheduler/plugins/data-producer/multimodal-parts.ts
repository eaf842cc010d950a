import { createHash } from "node:crypto";
import { isRecord } from "../../framework/parameters.ts";
import type { ParsedBody } from "../../request/types.ts";

type Part = { readonly modality: string; readonly hash: string };

/** Types of content parts, and the modality that each is of. */
const MODALITIES: Readonly<Record<string, string>> = {
  image: "image",
  image_url: "image",
  input_image: "image",
  video_url: "video",
  input_audio: "audio",
  audio_url: "audio",
};
/** A body without any of these has no such part: most bodies need no parsing. */
const MARKERS = ["image", "video_url", "audio"]
  .map((text) => Buffer.from(`"${text}`))
  .concat([Buffer.from('"input_audio"'), Buffer.from('"input_image"')]);
const MEMBERS = ["messages", "input", "items", "content"];

/** The distinct images, videos and audio parts of a request. */
export function multimodalParts(body: ParsedBody): readonly Part[] {
  if (!MARKERS.some((marker) => body.bytes.includes(marker))) return [];
  const found = new Map<string, Part>();
  const visit = (value: unknown): void => {
    if (Array.isArray(value)) return value.forEach(visit);
    if (!isRecord(value)) return;
    const modality = typeof value["type"] === "string" ? MODALITIES[value["type"]] : undefined;
    if (modality !== undefined) {
      const hash = createHash("sha1").update(JSON.stringify(value)).digest("hex");
      found.set(hash, { modality, hash });
    } else for (const member of MEMBERS) visit(value[member]);
  };
  visit(body.json());
  return [...found.values()];
}
