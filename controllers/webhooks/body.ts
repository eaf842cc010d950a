import type { IncomingMessage } from "node:http";

/** Why a body is not read; `status` is the HTTP answer. */
export class BodyRefusal extends Error {
  readonly status: number;

  constructor(status: number, message: string) {
    super(message);
    this.name = "BodyRefusal";
    this.status = status;
  }
}

/** Reads bodies, and bounds what all of them together hold: anybody in the cluster can connect to a webhook. */
export class BodyReader {
  readonly #maxHeldBytes: number;
  #heldBytes = 0;

  constructor(maxHeldBytes: number) {
    this.#maxHeldBytes = maxHeldBytes;
  }

  /** The body of a request. Rejects with `BodyRefusal` where it is too large, or too many come at once. */
  async read(request: IncomingMessage, maxBytes: number): Promise<Buffer> {
    if (Number(request.headers["content-length"]) > maxBytes) throw tooLarge(maxBytes);
    const chunks: Buffer[] = [];
    let size = 0;
    try {
      for await (const chunk of request as AsyncIterable<Buffer>) {
        size += chunk.length;
        this.#heldBytes += chunk.length;
        if (size > maxBytes) throw tooLarge(maxBytes);
        if (this.#heldBytes > this.#maxHeldBytes) throw new BodyRefusal(503, "too many reviews at once");
        chunks.push(chunk);
      }
      return Buffer.concat(chunks);
    } finally {
      this.#heldBytes -= size;
    }
  }
}

const tooLarge = (maxBytes: number): BodyRefusal => new BodyRefusal(413, `review larger than ${maxBytes} bytes`);
