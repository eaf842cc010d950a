import type { IncomingMessage } from "node:http";

/**
 * Reads an answer until `enough` says so of what there is, or to its end, and leaves the rest unread. Rejects with the stream's
 * error.
 */
export function peek(answer: IncomingMessage, enough: (held: Buffer) => boolean): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    let held: Buffer = Buffer.alloc(0);
    const finish = (): void => {
      answer.off("data", take).off("end", finish).off("error", reject);
      answer.pause();
      resolve(held);
    };
    const take = (chunk: Buffer): void => {
      held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
      if (enough(held)) finish();
    };
    answer.on("data", take).once("end", finish).once("error", reject);
  });
}
