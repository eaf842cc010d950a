import type { Span } from "../../json/scan.ts";
import { unescaped } from "./unescape.ts";

const BACKSLASH = 0x5c;

/** The string at a span as UTF-8 without escapes; shares memory where nothing is escaped. */
export function stringBytes(bytes: Buffer, span: Span): Buffer {
  const content = bytes.subarray(span.start + 1, span.end - 1);
  return content.includes(BACKSLASH) ? Buffer.from(unescaped(content)) : content;
}

/** The string at a span. */
export function stringValue(bytes: Buffer, span: Span): string {
  return stringBytes(bytes, span).toString("utf8");
}
