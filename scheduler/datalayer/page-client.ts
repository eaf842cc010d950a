import { readdirSync, readFileSync, statSync } from "node:fs";
import { Agent as HttpAgent, get as httpGet, type IncomingMessage, type RequestOptions } from "node:http";
import { Agent as HttpsAgent, get as httpsGet } from "node:https";
import { join } from "node:path";
import { rootCertificates } from "node:tls";
import { gunzip } from "node:zlib";
import type { EndpointMetadata } from "../framework/endpoint.ts";

/** Where metrics are, and how the model servers are trusted. */
export interface PageSettings {
  readonly scheme: "http" | "https";
  readonly path: string;
  /** 0: the endpoint's own metrics address. */
  readonly port: number;
  /** Whether any certificate will do. */
  readonly insecureSkipVerify: boolean;
  /** PEM files. */
  readonly caFile: string | undefined;
  readonly certificateFile: string | undefined;
  readonly keyFile: string | undefined;
  /** Folders with PEM files of more authorities, colon-separated as in SSL_CERT_DIR. */
  readonly caFolders: readonly string[];
  /** File with a token for the header `Authorization: Bearer`. */
  readonly tokenFile: string | undefined;
}

/** Why a page was not read, in a few kinds that are counted. */
export type ScrapeFault = "unreachable" | "timeout" | "status" | "too-large" | "not-metrics";

/** A page that could not be read. `retryAfterMs` is what the server asked for, if it did. */
export class ScrapeError extends Error {
  readonly fault: ScrapeFault;
  readonly retryAfterMs: number;

  constructor(fault: ScrapeFault, message: string, options: { cause?: unknown; retryAfterMs?: number } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = "ScrapeError";
    this.fault = fault;
    this.retryAfterMs = options.retryAfterMs ?? 0;
  }
}

/** Reads metrics pages over connections that are kept. */
export interface PageClient {
  /** The page of one endpoint. Rejects with `ScrapeError`, or with the signal's reason. */
  fetch(metadata: EndpointMetadata, signal: AbortSignal): Promise<Buffer>;
  close(): void;
}

/** What one reading may take. */
export interface PageLimits {
  /** From the first byte sent to the last one received. */
  readonly timeoutMs: number;
  /** Before and after decompression. */
  readonly maxBytes: number;
}

/** Beyond any engine's page. */
const LIMITS: PageLimits = { timeoutMs: 1000, maxBytes: 8 * 1024 * 1024 };
const SOCKETS = { keepAlive: true, maxSockets: 1, timeout: 10_000 };
/** Certificates and tokens are files that somebody renews. */
const REREAD_MS = 60_000;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----/;

/** Creates a client; files are read on first use, and again when they changed. Throws when a file cannot be read. */
export function createPageClient(settings: PageSettings, now: () => number, limits = LIMITS): PageClient {
  const secure = settings.scheme === "https";
  const get = secure ? httpsGet : httpGet;
  let agent = secure ? new HttpsAgent(tlsOptions(settings)) : new HttpAgent(SOCKETS);
  let headers = headersOf(settings);
  let stamp = stampOf(settings);
  let checkedAt = now();

  const renew = (): void => {
    if (now() - checkedAt < REREAD_MS) return;
    checkedAt = now();
    const current = stampOf(settings);
    if (current === stamp) return;
    stamp = current;
    headers = headersOf(settings);
    const previous = agent;
    if (secure) agent = new HttpsAgent(tlsOptions(settings));
    previous.destroy();
  };

  return {
    fetch: (metadata, signal) => {
      renew();
      const [host, port] = addressOf(settings, metadata);
      return fetchPage(get, { host, port, path: settings.path, agent, headers }, signal, limits);
    },
    close: () => agent.destroy(),
  };
}

function tlsOptions(settings: PageSettings): object {
  const { insecureSkipVerify, caFile, certificateFile, keyFile, caFolders } = settings;
  const read = (file: string | undefined): string | undefined =>
    file === undefined ? undefined : readFileSync(file, "utf8");
  const client = { ...SOCKETS, cert: read(certificateFile), key: read(keyFile) };
  if (insecureSkipVerify) return { ...client, rejectUnauthorized: false };
  const own = read(caFile);
  return { ...client, ca: own === undefined ? [...rootCertificates, ...caFolders.flatMap(certificatesIn)] : [own] };
}

/** Certificates of a folder's files, as OpenSSL reads SSL_CERT_DIR; what cannot be read is none. */
function certificatesIn(folder: string): readonly string[] {
  try {
    const files = readdirSync(folder, { withFileTypes: true }).filter((entry) => /\.(crt|pem|0)$/.test(entry.name));
    return files.map(({ name }) => readFileSync(join(folder, name), "utf8")).filter((text) => CERTIFICATE.test(text));
  } catch {
    return [];
  }
}

function headersOf({ tokenFile }: PageSettings): Record<string, string> {
  const accept = "text/plain;version=0.0.4";
  return tokenFile === undefined
    ? { accept }
    : { accept, authorization: `Bearer ${readFileSync(tokenFile, "utf8").trim()}` };
}

/** Changes when one of the files does. */
function stampOf({ caFile, certificateFile, keyFile, tokenFile }: PageSettings): string {
  const files = [caFile, certificateFile, keyFile, tokenFile].filter((file) => file !== undefined);
  return files.map((file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0).join();
}

function addressOf({ port }: PageSettings, metadata: EndpointMetadata): readonly [host: string, port: number] {
  if (port !== 0) return [metadata.address, port];
  const { metricsHost } = metadata;
  const colon = metricsHost.lastIndexOf(":");
  return [metricsHost.slice(0, colon).replace(/^\[(.*)\]$/, "$1"), Number(metricsHost.slice(colon + 1))];
}

type Get = typeof httpGet;

function fetchPage(
  get: Get,
  target: RequestOptions,
  signal: AbortSignal,
  { timeoutMs, maxBytes }: PageLimits,
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const request = get({ ...target, signal }, (response) => {
      readBody(response, maxBytes).then(finish, fail);
    });
    const timer = setTimeout(() => fail(new ScrapeError("timeout", `no whole page within ${timeoutMs} ms`)), timeoutMs);
    const finish = (page: Buffer): void => {
      clearTimeout(timer);
      resolve(page);
    };
    const fail = (error: unknown): void => {
      clearTimeout(timer);
      const known = error instanceof ScrapeError || signal.aborted;
      reject(known ? error : new ScrapeError("unreachable", "cannot be reached", { cause: error }));
      request.destroy();
    };
    request.on("error", fail);
  });
}

/** The body, bounded in size. */
async function readBody(response: IncomingMessage, maxBytes: number): Promise<Buffer> {
  if (response.statusCode !== 200) {
    const seconds = Number(response.headers["retry-after"]);
    const retryAfterMs = Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : 0;
    throw new ScrapeError("status", `status ${response.statusCode ?? 0}`, { retryAfterMs });
  }
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) throw new ScrapeError("too-large", `page exceeds ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  const body = chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks);
  return /\bgzip\b/.test(response.headers["content-encoding"] ?? "") ? unpacked(body, maxBytes) : body;
}

/** Servers are not asked for compressed pages; one that sends them all the same is understood. */
function unpacked(body: Buffer, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    gunzip(body, { maxOutputLength: maxBytes }, (error, page) => {
      if (error === null) resolve(page);
      else reject(new ScrapeError("too-large", "compressed page cannot be unpacked", { cause: error }));
    });
  });
}
