import { readdirSync, readFileSync, statSync } from "node:fs";
import { isIPv6 } from "node:net";
import { join } from "node:path";
import { createSecureContext, rootCertificates, type SecureContext } from "node:tls";
import { gunzip } from "node:zlib";
import type { EndpointMetadata } from "../framework/endpoint.ts";
import { PageConnection, type PageLimits } from "./page-connection.ts";
import { ScrapeError } from "./scrape-error.ts";

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

/** Reads metrics pages over connections that are kept. */
export interface PageClient {
  /** The page of one endpoint, valid until its next one is read. Rejects with `ScrapeError`, or with the signal's reason. */
  fetch(metadata: EndpointMetadata, signal: AbortSignal): Promise<Buffer>;
  close(): void;
}

/** Beyond any engine's page. */
const LIMITS: PageLimits = { timeoutMs: 1000, maxBytes: 8 * 1024 * 1024 };
/** Certificates and tokens are files that somebody renews. */
const REREAD_MS = 60_000;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----/;

/** Creates a client; files are read on first use, and again when they changed. Throws when a file cannot be read. */
export function createPageClient(settings: PageSettings, now: () => number, limits = LIMITS): PageClient {
  /** Connections that wait for their next reading, by address. */
  const idle = new Map<string, PageConnection>();
  let access = readAccess(settings);
  let stamp = stampOf(settings);
  let checkedAt = now();

  const renew = (): void => {
    if (now() - checkedAt < REREAD_MS) return;
    checkedAt = now();
    forget(idle, ({ open }) => !open);
    const current = stampOf(settings);
    if (current === stamp) return;
    stamp = current;
    access = readAccess(settings);
    forget(idle, () => true);
  };

  return {
    fetch: async (metadata, signal) => {
      renew();
      const { context, headers } = access;
      const [host, port] = addressOf(settings, metadata);
      const address = isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`;
      const tls = context === undefined ? undefined : { context, verify: !settings.insecureSkipVerify };
      const connection = idle.get(address) ?? new PageConnection({ host, port, tls }, limits);
      idle.delete(address);
      const request = `GET ${settings.path} HTTP/1.1\r\nhost: ${address}\r\n${headers}\r\n`;
      const { page, gzip } = await connection.read(request, signal);
      keep(idle, address, connection);
      return gzip ? await unpacked(page, limits.maxBytes) : page;
    },
    close: () => forget(idle, () => true),
  };
}

/** Keeps one connection for each address. */
function keep(idle: Map<string, PageConnection>, address: string, connection: PageConnection): void {
  idle.get(address)?.close();
  idle.set(address, connection);
}

function forget(idle: Map<string, PageConnection>, which: (connection: PageConnection) => boolean): void {
  for (const [address, connection] of idle) {
    if (!which(connection)) continue;
    connection.close();
    idle.delete(address);
  }
}

/** What the files say. */
interface Access {
  /** Undefined without TLS. */
  readonly context: SecureContext | undefined;
  /** Lines of the request, each with its end. */
  readonly headers: string;
}

function readAccess(settings: PageSettings): Access {
  const context = settings.scheme === "https" ? createSecureContext(tlsOptions(settings)) : undefined;
  return { context, headers: headersOf(settings) };
}

function tlsOptions(settings: PageSettings): object {
  const { insecureSkipVerify, caFile, certificateFile, keyFile, caFolders } = settings;
  const read = (file: string | undefined): string | undefined =>
    file === undefined ? undefined : readFileSync(file, "utf8");
  const client = { cert: read(certificateFile), key: read(keyFile) };
  if (insecureSkipVerify) return client;
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

function headersOf({ tokenFile }: PageSettings): string {
  const accept = "accept: text/plain;version=0.0.4\r\n";
  return tokenFile === undefined
    ? accept
    : `${accept}authorization: Bearer ${readFileSync(tokenFile, "utf8").trim()}\r\n`;
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

/** Servers are not asked for compressed pages; one that sends them all the same is understood. */
function unpacked(body: Buffer, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    gunzip(body, { maxOutputLength: maxBytes }, (error, page) => {
      if (error === null) resolve(page);
      else reject(new ScrapeError("too-large", "compressed page cannot be unpacked", { cause: error }));
    });
  });
}
