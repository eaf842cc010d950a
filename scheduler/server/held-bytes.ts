/** What a view of memory costs beside it. */
const VIEW_BYTES = 192;

/**
 * Bytes that come in parts and are held until they are whole. Parts are views of larger memory, such as all that one read of a
 * socket gave: what is but a small share of it is copied, so that a few bytes never keep much more of it from being freed.
 */
export class HeldBytes {
  #parts: Buffer[] = [];
  #length = 0;
  #costBytes = 0;
  /** Memory of the newest parts, where they begin, and their bytes. */
  #memory: ArrayBufferLike | undefined;
  #from = 0;
  #fresh = 0;

  /** Bytes held. */
  get length(): number {
    return this.#length;
  }

  /** Memory that holding them takes: at most twice their length, and that of the newest part. */
  get costBytes(): number {
    return this.#costBytes;
  }

  add(part: Buffer): void {
    if (part.buffer !== this.#memory) this.#begin(part.buffer);
    this.#parts.push(part);
    this.#length += part.length;
    this.#fresh += part.length;
    this.#costBytes += VIEW_BYTES;
  }

  /** Copies the newest parts, too, where they keep much more than themselves. */
  settle(): void {
    if (this.#memory === undefined) return;
    const whole = this.#memory.byteLength;
    this.#memory = undefined;
    const views = this.#parts.length - this.#from;
    if (this.#fresh * 2 >= whole && views * VIEW_BYTES <= this.#fresh) return;
    this.#parts.push(joined(this.#parts.splice(this.#from), this.#fresh));
    this.#costBytes += this.#fresh + VIEW_BYTES - whole - views * VIEW_BYTES;
  }

  /** All bytes, which are no longer held. */
  take(): Buffer {
    const [first] = this.#parts;
    const bytes = first !== undefined && this.#parts.length === 1 ? first : joined(this.#parts, this.#length);
    this.clear();
    return bytes;
  }

  clear(): void {
    this.#parts = [];
    this.#length = 0;
    this.#costBytes = 0;
    this.#memory = undefined;
  }

  #begin(memory: ArrayBufferLike): void {
    this.settle();
    this.#memory = memory;
    this.#from = this.#parts.length;
    this.#fresh = 0;
    this.#costBytes += memory.byteLength;
  }
}

/** Memory of its own, not of a pool that others keep. */
function joined(parts: readonly Buffer[], length: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(length);
  let at = 0;
  for (const part of parts) at += part.copy(bytes, at);
  return bytes;
}
