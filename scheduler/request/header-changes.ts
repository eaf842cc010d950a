import type { HeaderChange, Headers } from "./types.ts";

/** Changes of a request's headers; the last change of a name wins. */
export class HeaderChanges {
  readonly #changes = new Map<string, string | undefined>();

  set(name: string, value: string): void {
    this.#changes.set(name, value);
  }

  remove(name: string): void {
    this.#changes.set(name, undefined);
  }

  written(): readonly HeaderChange[] {
    return [...this.#changes].flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
  }

  /** Names that the client sent and nobody set. */
  removed(headers: Headers): readonly string[] {
    return [...this.#changes].flatMap(([name, value]) => (value === undefined && headers.has(name) ? [name] : []));
  }
}
