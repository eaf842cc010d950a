/** Width and height in pixels. */
export interface Size {
  readonly width: number;
  readonly height: number;
}

/** The size stands near the start of a file; a picture's metadata may come before it. */
const MAX_HEADER_BYTES = 256 * 1024;
const BASE64_MARK = ";base64,";

/** The size of an image in a data URL (PNG, GIF, JPEG, WebP); undefined for other URLs and formats. */
export function imageSize(url: Buffer): Size | undefined {
  if (url.toString("latin1", 0, 5).toLowerCase() !== "data:") return undefined;
  const mark = url.subarray(0, 256).indexOf(BASE64_MARK);
  if (mark < 0) return undefined;
  const start = mark + BASE64_MARK.length;
  const bytes = Buffer.from(url.toString("latin1", start, start + MAX_HEADER_BYTES), "base64");
  const size = pngSize(bytes) ?? gifSize(bytes) ?? jpegSize(bytes) ?? webpSize(bytes);
  return size !== undefined && size.width > 0 && size.height > 0 ? size : undefined;
}

const startsWith = (bytes: Buffer, text: string, at = 0): boolean =>
  bytes.toString("latin1", at, at + text.length) === text;

function pngSize(bytes: Buffer): Size | undefined {
  if (bytes.length < 24 || !startsWith(bytes, "\x89PNG\r\n\x1a\n")) return undefined;
  return { width: bytes.readUInt32BE(16), height: bytes.readUInt32BE(20) };
}

function gifSize(bytes: Buffer): Size | undefined {
  if (bytes.length < 10 || !startsWith(bytes, "GIF8")) return undefined;
  return { width: bytes.readUInt16LE(6), height: bytes.readUInt16LE(8) };
}

/** Markers that begin a frame: SOF0 to SOF15 without the three numbers that mean something else. */
const isFrame = (marker: number): boolean => marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);

function jpegSize(bytes: Buffer): Size | undefined {
  if (!startsWith(bytes, "\xff\xd8")) return undefined;
  for (let at = 2; at + 9 <= bytes.length && bytes[at] === 0xff; ) {
    const marker = bytes[at + 1]!;
    if (marker === 0xff) at++;
    else if (isFrame(marker)) return { height: bytes.readUInt16BE(at + 5), width: bytes.readUInt16BE(at + 7) };
    else at += 2 + bytes.readUInt16BE(at + 2);
  }
  return undefined;
}

function webpSize(bytes: Buffer): Size | undefined {
  if (bytes.length < 30 || !startsWith(bytes, "RIFF") || !startsWith(bytes, "WEBP", 8)) return undefined;
  if (startsWith(bytes, "VP8X", 12)) return { width: bytes.readUIntLE(24, 3) + 1, height: bytes.readUIntLE(27, 3) + 1 };
  if (startsWith(bytes, "VP8L", 12)) {
    const bits = bytes.readUInt32LE(21);
    return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
  }
  if (!startsWith(bytes, "VP8 ", 12)) return undefined;
  return { width: bytes.readUInt16LE(26) & 0x3fff, height: bytes.readUInt16LE(28) & 0x3fff };
}
