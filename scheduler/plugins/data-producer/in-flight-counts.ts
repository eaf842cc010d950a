import { grown } from "../../framework/data.ts";
import type { EndpointColumns } from "../../framework/endpoint.ts";

/** What one request has added to one endpoint. */
export interface Share {
  readonly slot: number;
  readonly generation: number;
  readonly requests: number;
  readonly tokens: number;
  /** Profile that picked the endpoint. */
  readonly profile: string;
}

/** Counts what this process has sent to each endpoint and has not seen answered; by slot. */
export class InFlightCounts {
  requests: Float64Array = new Float64Array(0);
  tokens: Float64Array = new Float64Array(0);
  readonly #endpoints: EndpointColumns;

  constructor(endpoints: EndpointColumns) {
    this.#endpoints = endpoints;
  }

  grow(capacity: number): void {
    this.requests = grown(this.requests, capacity);
    this.tokens = grown(this.tokens, capacity);
  }

  add({ slot, requests, tokens }: Share): void {
    this.requests[slot] = (this.requests[slot] ?? 0) + requests;
    this.tokens[slot] = (this.tokens[slot] ?? 0) + tokens;
  }

  /** Shares of an endpoint that is gone are dropped: its slot may belong to another by now. */
  release({ slot, generation, requests, tokens }: Share): void {
    if (this.#endpoints.generation[slot] !== generation) return;
    this.requests[slot] = Math.max(0, (this.requests[slot] ?? 0) - requests);
    this.tokens[slot] = Math.max(0, (this.tokens[slot] ?? 0) - tokens);
  }

  reset(slot: number): void {
    this.requests[slot] = 0;
    this.tokens[slot] = 0;
  }

  /** The `limit` endpoints with the most requests under way. */
  dump(limit: number): unknown {
    const busy = Array.from(this.requests.keys()).filter((slot) => (this.requests[slot] ?? 0) > 0);
    busy.sort((a, b) => (this.requests[b] ?? 0) - (this.requests[a] ?? 0));
    const endpoints = busy.slice(0, limit).map((slot) => ({
      endpoint: this.#endpoints.metadata(slot).name,
      requests: this.requests[slot],
      tokens: this.tokens[slot],
    }));
    return { endpoints, truncated: Math.max(0, busy.length - limit) };
  }
}
