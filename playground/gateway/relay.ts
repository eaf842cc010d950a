import type { Readable, Writable } from "node:stream";
import { writeTo } from "./upstream.ts";

/** Bytes that are kept while they are with the picker, so that its failure need not cost them. */
const MAX_RETAINED_BYTES = 64 * 1024 * 1024;

/** A body that grew beyond what may wait for the picker. */
export class BodyTooLarge extends Error {}

/** What carries pieces of a body to the picker. */
export type SendToPicker = (chunk: Uint8Array, endOfStream: boolean) => Promise<void>;

/**
 * One body on its way through the picker: pieces go to the picker, and what it sends back goes to the sink. When the picker
 * fails, what it had not given back and all the rest go straight to the sink.
 */
export class Relay {
  readonly #send: SendToPicker;
  #pending: Uint8Array[] = [];
  #pendingBytes = 0;
  #sourceEnded = false;
  #direct: Promise<Writable> | undefined;

  constructor(send: SendToPicker) {
    this.#send = send;
  }

  /** Carries the source to its end. Rejects with the source's error, or with `BodyTooLarge`. */
  async pump(source: Readable): Promise<void> {
    for await (const piece of source) {
      const chunk = piece as Uint8Array;
      if (this.#direct !== undefined) await writeTo(await this.#direct, chunk);
      else await this.#hand(chunk);
    }
    this.#sourceEnded = true;
    if (this.#direct !== undefined) (await this.#direct).end();
    else await this.#send(new Uint8Array(0), true);
  }

  async #hand(chunk: Uint8Array): Promise<void> {
    this.#pending.push(chunk);
    this.#pendingBytes += chunk.length;
    if (this.#pendingBytes > MAX_RETAINED_BYTES) throw new BodyTooLarge("body is too large for the endpoint picker");
    await this.#send(chunk, false);
  }

  /** A piece came back from the picker. */
  async echoed(chunk: Uint8Array, endOfStream: boolean, sink: Writable): Promise<void> {
    let left = chunk.length;
    while (left > 0 && this.#pending.length > 0) {
      const first = this.#pending[0]!;
      const taken = Math.min(left, first.length);
      left -= taken;
      this.#pendingBytes -= taken;
      if (taken === first.length) this.#pending.shift();
      else this.#pending[0] = first.subarray(taken);
    }
    await writeTo(sink, chunk);
    if (endOfStream) sink.end();
  }

  /** The picker takes no part any more. */
  async bypass(sink: Writable): Promise<void> {
    if (this.#direct !== undefined) return;
    const flush = async (): Promise<Writable> => {
      for (const chunk of this.#pending.splice(0)) await writeTo(sink, chunk);
      return sink;
    };
    const ended = this.#sourceEnded;
    this.#direct = flush();
    await this.#direct;
    if (ended) sink.end();
  }
}
