/** Lines kept of one container run, and their total size. */
const MAX_LINES = 20_000;
const MAX_BYTES = 4 * 1024 * 1024;

/** What a reader wants of a log. */
export interface LogSelection {
  readonly follow: boolean;
  readonly timestamps: boolean;
  /** Lines from the end; undefined for all. */
  readonly tailLines: number | undefined;
  /** Only lines from this time on, in ms since the epoch. */
  readonly sinceMs: number | undefined;
}

interface Line {
  readonly atMs: number;
  readonly text: string;
}

/** The output of one run of a container: bounded, oldest lines dropped first. */
export class LogBuffer {
  readonly #now: () => number;
  #lines: Line[] = [];
  #dropped = 0;
  #bytes = 0;
  #partial = "";
  #ended = false;
  readonly #listeners = new Set<() => void>();

  /** `now` is the wall clock in ms. */
  constructor(now: () => number) {
    this.#now = now;
  }

  append(chunk: string): void {
    const parts = (this.#partial + chunk).split("\n");
    this.#partial = parts.pop() ?? "";
    if (this.#partial.length > MAX_BYTES / 4) {
      parts.push(this.#partial);
      this.#partial = "";
    }
    const atMs = this.#now();
    for (const text of parts) this.#push({ atMs, text });
    if (parts.length > 0) this.#notify();
  }

  /** The run is over: what is left without a line end becomes a line, and followers end. */
  end(): void {
    if (this.#partial !== "") this.#push({ atMs: this.#now(), text: this.#partial });
    this.#partial = "";
    this.#ended = true;
    this.#notify();
  }

  /** The last lines, at most `maxBytes` of them, as the kubelet's fallback termination message. */
  tail(maxLines: number, maxBytes: number): string {
    const text = this.#lines
      .slice(-maxLines)
      .map((line) => line.text)
      .join("\n");
    return text.length > maxBytes ? text.slice(-maxBytes) : text;
  }

  /** The selected lines, each with its line end; with `follow` also those to come, until the run ends or `signal` fires. */
  async *read(selection: LogSelection, signal: AbortSignal): AsyncGenerator<string, void, undefined> {
    const sinceMs = selection.sinceMs ?? Number.NEGATIVE_INFINITY;
    let position = this.#dropped + Math.max(0, this.#lines.length - (selection.tailLines ?? this.#lines.length));
    for (;;) {
      position = Math.max(position, this.#dropped);
      for (; position < this.#dropped + this.#lines.length; position++) {
        const line = this.#lines[position - this.#dropped]!;
        if (line.atMs < sinceMs) continue;
        const text = `${selection.timestamps ? `${new Date(line.atMs).toISOString()} ` : ""}${line.text}\n`;
        yield text;
      }
      if (!selection.follow || this.#ended || signal.aborted) return;
      await this.#change(signal);
    }
  }

  #push(line: Line): void {
    this.#lines.push(line);
    this.#bytes += line.text.length;
    while (this.#lines.length > 1 && (this.#bytes > MAX_BYTES || this.#lines.length > MAX_LINES)) this.#dropTenth();
  }

  #dropTenth(): void {
    const dropped = this.#lines.splice(0, Math.max(1, Math.floor(this.#lines.length / 10)));
    this.#dropped += dropped.length;
    for (const line of dropped) this.#bytes -= line.text.length;
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }

  async #change(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#listeners.add(resolve);
    signal.addEventListener("abort", () => resolve(), { once: true });
    await promise;
    this.#listeners.delete(resolve);
  }
}
