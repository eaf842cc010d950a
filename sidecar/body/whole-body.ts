const NONE = Buffer.alloc(0);

/** Changes a body as a whole: holds it until its end. One that grows beyond the bound goes on unchanged. */
export class WholeBodyEditor {
  readonly #change: (body: Buffer) => Buffer;
  readonly #maxBytes: number;
  #held: Buffer[] | undefined = [];
  #heldBytes = 0;

  constructor(maxBytes: number, change: (body: Buffer) => Buffer) {
    this.#maxBytes = maxBytes;
    this.#change = change;
  }

  push(chunk: Buffer): Buffer {
    if (this.#held === undefined) return chunk;
    this.#held.push(chunk);
    this.#heldBytes += chunk.length;
    if (this.#heldBytes <= this.#maxBytes) return NONE;
    const all = Buffer.concat(this.#held);
    this.#held = undefined;
    return all;
  }

  end(): Buffer {
    return this.#held === undefined ? NONE : this.#change(Buffer.concat(this.#held));
  }
}
