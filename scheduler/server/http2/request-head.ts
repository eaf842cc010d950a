/** Header section of a request, checked as RFC 9113 §8 demands. */

/** Bytes of a header section, counted as RFC 9113 §6.5.2 does; a larger one is refused. */
export const MAX_HEADER_LIST_BYTES = 64 * 1024;
const FIELD_OVERHEAD = 32;
const NAME = /^[!#$%&'*+\-.^_`|~0-9a-z]+$/;
const NOT_IN_VALUES = /[\0\r\n]/;
const PSEUDO: ReadonlySet<string> = new Set([":method", ":scheme", ":path", ":authority"]);
/** Fields of HTTP/1.1 connections, which mean nothing here. */
const CONNECTION_FIELDS: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-connection",
  "transfer-encoding",
  "upgrade",
]);

/** Collects the fields of one header or trailer section. */
export class RequestHead {
  readonly #fields = new Map<string, string>();
  readonly #trailers: boolean;
  #bytes = 0;
  #regular = false;
  #problem: string | undefined;

  /** `trailers`: no pseudo-header fields are allowed. */
  constructor(trailers: boolean) {
    this.#trailers = trailers;
  }

  /** Takes the next field. */
  add(name: string, value: string): void {
    this.#bytes += name.length + value.length + FIELD_OVERHEAD;
    if (this.tooLarge) return;
    if (name.startsWith(":")) this.#addPseudo(name, value);
    else this.#addRegular(name, value);
  }

  get(name: string): string | undefined {
    return this.#fields.get(name);
  }

  get tooLarge(): boolean {
    return this.#bytes > MAX_HEADER_LIST_BYTES;
  }

  /** Why the section is malformed; undefined where it is in order. */
  get problem(): string | undefined {
    if (this.#problem !== undefined || this.#trailers) return this.#problem;
    const missing = [":method", ":scheme", ":path"].find((name) => !this.#fields.get(name));
    return missing === undefined ? undefined : `without ${missing}`;
  }

  #addPseudo(name: string, value: string): void {
    if (this.#trailers || this.#regular || !PSEUDO.has(name) || this.#fields.has(name))
      this.#problem ??= `pseudo-header ${name} out of place`;
    this.#set(name, value);
  }

  #addRegular(name: string, value: string): void {
    this.#regular = true;
    if (!NAME.test(name)) this.#problem ??= "field name with characters that are not allowed";
    if (CONNECTION_FIELDS.has(name) || (name === "te" && value !== "trailers"))
      this.#problem ??= `connection-specific field ${name}`;
    this.#set(name, value);
  }

  #set(name: string, value: string): void {
    if (NOT_IN_VALUES.test(value)) this.#problem ??= `value of ${name} with characters that are not allowed`;
    this.#fields.set(name, value);
  }
}
