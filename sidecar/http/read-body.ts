import type { IncomingMessage } from "node:http";

/** A body that is longer than what may be held. */
export class BodyTooLarge extends Error {}

/** Reads a whole body. Rejects with `BodyTooLarge`, or with the stream's error where it ends early. */
export function readBody(message: IncomingMessage, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const tooLarge = (): void => reject(new BodyTooLarge(`more than ${maxBytes} bytes`));
    if (Number(message.headers["content-length"] ?? 0) > maxBytes) return tooLarge();
    const parts: Buffer[] = [];
    let size = 0;
    message.on("data", (part: Buffer) => {
      size += part.length;
      if (size <= maxBytes) return void parts.push(part);
      message.pause();
      tooLarge();
    });
    message.once("end", () => resolve(parts.length === 1 ? parts[0]! : Buffer.concat(parts)));
    message.once("error", reject);
    message.once("close", () => reject(new Error("the message ended early")));
  });
}
