import { Agent as HttpAgent, get as httpGet, type RequestOptions } from "node:http";
import { Agent as HttpsAgent, get as httpsGet } from "node:https";
import { type Clock, pause } from "../../kube/clock.ts";
import { describeError, type Logger, VERBOSITY } from "../../telemetry/log.ts";
import type { EndpointMetadata } from "../framework/endpoint.ts";
import type { EndpointStore } from "./endpoint-store.ts";
import { type EngineMetrics, engineOf, readSample } from "./engines.ts";

/** Where and how often metrics are read. */
export interface ScrapeOptions {
  readonly scheme: "http" | "https";
  readonly path: string;
  /** 0: the endpoint's own port. */
  readonly port: number;
  readonly insecureSkipVerify: boolean;
  /** Pause between the ends of two scrapes of an endpoint, in ms. */
  readonly intervalMs: number;
  /** Names of vLLM's metrics. */
  readonly engine: EngineMetrics;
}

/** What a scraper needs besides. */
export interface ScraperContext {
  readonly store: EndpointStore;
  readonly clock: Clock;
  /** Uniform in [0, 1): spreads the endpoints over the interval. */
  readonly random: () => number;
  readonly logger: Logger;
}

const TIMEOUT_MS = 1000;
const MAX_PAGE_BYTES = 8 * 1024 * 1024;
const SOCKET = { keepAlive: true, maxSockets: 1, timeout: 10_000 };

/** Reads the metrics of every endpoint of the store until closed. An endpoint is never asked twice at once. */
export function startScraper(options: ScrapeOptions, { store, clock, random, logger }: ScraperContext): () => void {
  const agent =
    options.scheme === "https"
      ? new HttpsAgent({ ...SOCKET, rejectUnauthorized: !options.insecureSkipVerify })
      : new HttpAgent(SOCKET);
  const running = new Map<number, AbortController>();

  const follow = async (slot: number, signal: AbortSignal): Promise<void> => {
    const generation = store.generation[slot] ?? 0;
    await pause(clock, random() * options.intervalMs, signal);
    while (!signal.aborted) {
      await scrape(slot, generation, signal);
      await pause(clock, options.intervalMs, signal);
    }
  };

  const scrape = async (slot: number, generation: number, signal: AbortSignal): Promise<void> => {
    if (signal.aborted) return;
    const metadata = store.metadata(slot);
    try {
      const page = await fetchPage(options, metadata, agent, signal);
      store.update(slot, generation, readSample(page, engineOf(metadata.labels, options.engine)), clock.now());
    } catch (error) {
      if (!signal.aborted)
        logger.v(VERBOSITY.debug, "scrape failed", { endpoint: metadata.name, error: describeError(error) });
    }
  };

  const begin = (slot: number): void => {
    const controller = new AbortController();
    running.set(slot, controller);
    void follow(slot, controller.signal);
  };
  const end = (slot: number): void => {
    running.get(slot)?.abort();
    running.delete(slot);
  };
  const unsubscribe = store.subscribe({ onEndpointAdded: begin, onEndpointRemoved: end });
  for (const slot of store.slots()) begin(slot);
  return () => {
    unsubscribe();
    for (const slot of running.keys()) end(slot);
    agent.destroy();
  };
}

function fetchPage(
  { scheme, path, port }: ScrapeOptions,
  metadata: EndpointMetadata,
  agent: HttpAgent | HttpsAgent,
  signal: AbortSignal,
): Promise<Buffer> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]);
  const target: RequestOptions = {
    host: metadata.address,
    port: port === 0 ? metadata.port : port,
    path,
    agent,
    signal: limit,
    headers: { accept: "text/plain;version=0.0.4" },
  };
  return new Promise((resolve, reject) => {
    const request = (scheme === "https" ? httpsGet : httpGet)(target, (response) => {
      const chunks: Buffer[] = [];
      let size = 0;
      if (response.statusCode !== 200) request.destroy(new Error(`status ${response.statusCode ?? 0}`));
      response.on("data", (chunk: Buffer) => {
        size += chunk.length;
        if (size > MAX_PAGE_BYTES) request.destroy(new Error(`page exceeds ${MAX_PAGE_BYTES} bytes`));
        else chunks.push(chunk);
      });
      response.on("end", () => resolve(Buffer.concat(chunks)));
      response.on("error", reject);
    });
    request.on("error", reject);
  });
}
