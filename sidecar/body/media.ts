import { isArray, isObject, isString, type Span, scanArray, scanDocument, scanObject } from "../../json/scan.ts";
import type { JsonDocument } from "./document.ts";

/** Types of content parts that an encoder works on. */
const MEDIA: ReadonlySet<string> = new Set(["image_url", "audio_url", "video_url", "input_audio"]);

/**
 * The images, videos and audio in the messages of a chat completion, each as the JSON of its content part. What is named by the
 * same URL comes once. Throws `ScanError` for messages that are no JSON.
 */
export function mediaParts(body: JsonDocument): Buffer[] {
  const messages = body.raw("messages");
  if (messages === undefined || !isArray(messages, whole(messages))) return [];
  const parts = new Map<string, Buffer>();
  scanArray(messages, 0, (message) => {
    if (isObject(messages, message))
      scanObject(messages, message.start, (key, content) => {
        if (key === "content" && isArray(messages, content)) collect(messages, content, parts);
      });
  });
  return [...parts.values()];
}

const whole = (bytes: Buffer): Span => ({ start: 0, end: bytes.length });

function collect(bytes: Buffer, content: Span, parts: Map<string, Buffer>): void {
  scanArray(bytes, content.start, (element) => {
    if (!isObject(bytes, element)) return;
    const part = bytes.subarray(element.start, element.end);
    const members = scanDocument(part);
    const type = members.get("type");
    if (!isString(part, type)) return;
    const name = textAt(part, type);
    const item = members.get(name);
    if (!MEDIA.has(name)) return;
    // What is given by its bytes may come twice, with different meaning for nobody; comparing it would cost more than encoding it.
    const url = item !== undefined && isObject(part, item) ? urlOf(part.subarray(item.start, item.end)) : undefined;
    const key = url === undefined ? `#${parts.size}` : `${name} ${url}`;
    if (!parts.has(key)) parts.set(key, part);
  });
}

function urlOf(item: Buffer): string | undefined {
  const url = scanDocument(item).get("url");
  return isString(item, url) ? textAt(item, url) : undefined;
}

/** The text between the quotes, with its escapes. */
const textAt = (bytes: Buffer, { start, end }: Span): string => bytes.toString("latin1", start + 1, end - 1);
