import { mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterEach, describe, expect, test } from "@jest/globals";
import { createSelfSigned } from "../../kube/x509.ts";
import type { EndpointMetadata } from "../framework/endpoint.ts";
import { createPageClient, type PageClient, type PageSettings } from "./page-client.ts";
import { ScrapeError } from "./scrape-error.ts";

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0).reverse()) close();
});

const PLAIN: PageSettings = {
  scheme: "http",
  path: "/metrics",
  port: 0,
  insecureSkipVerify: false,
  caFile: undefined,
  certificateFile: undefined,
  keyFile: undefined,
  caFolders: [],
  tokenFile: undefined,
};

const listening = (port: number): EndpointMetadata => ({
  namespace: "ns",
  podName: "a",
  name: "a-rank-0",
  address: "127.0.0.1",
  port,
  hostPort: `127.0.0.1:${port}`,
  labels: {},
  rank: 0,
  metricsHost: `127.0.0.1:${port}`,
  nodeAddress: "",
});

async function serve(listener: RequestListener): Promise<EndpointMetadata & { connections: () => number }> {
  const server = createServer(listener);
  let connections = 0;
  server.on("connection", () => connections++);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return { ...listening((server.address() as AddressInfo).port), connections: () => connections };
}

function client(settings: Partial<PageSettings> = {}, now = () => performance.now()): PageClient {
  const made = createPageClient({ ...PLAIN, ...settings }, now, { timeoutMs: 150, maxBytes: 100_000 });
  closers.push(() => made.close());
  return made;
}

const never = new AbortController().signal;

test("pages come over one connection", async () => {
  const server = await serve((request, response) => response.end(`path ${request.url}`));
  const pages = client();
  for (let i = 0; i < 3; i++) expect((await pages.fetch(server, never)).toString()).toBe("path /metrics");
  expect(server.connections()).toBe(1);
});

test("a page in chunks, with their extensions and trailers", async () => {
  const server = await serve((_, response) => {
    response.writeHead(200, { trailer: "x-end" });
    for (const part of ["a 1\n", "b 2\n".repeat(5000), "c 3\n"]) response.write(part);
    response.addTrailers({ "x-end": "1" });
    response.end();
  });
  const pages = client();
  for (let i = 0; i < 2; i++) {
    const page = (await pages.fetch(server, never)).toString();
    expect(page).toBe(`a 1\n${"b 2\n".repeat(5000)}c 3\n`);
  }
  expect(server.connections()).toBe(1);
});

test("servers that keep no connection: by announcement, and behind the client's back", async () => {
  const closing = await serve((_, response) => response.setHeader("connection", "close").end("a 1\n"));
  const pages = client();
  for (let i = 0; i < 2; i++) expect((await pages.fetch(closing, never)).toString()).toBe("a 1\n");
  expect(closing.connections()).toBe(2);
  const silent = await serve((request, response) => {
    response.end("b 2\n", () => void setImmediate(() => request.socket.destroy()));
  });
  for (let i = 0; i < 3; i++) expect((await pages.fetch(silent, never)).toString()).toBe("b 2\n");
});

test("another port, a token", async () => {
  const server = await serve((request, response) => response.end(request.headers.authorization));
  const folder = mkdtempSync(join(tmpdir(), "pages-"));
  closers.push(() => rmSync(folder, { recursive: true }));
  const tokenFile = join(folder, "token");
  writeFileSync(tokenFile, "secret\n");
  let now = 0;
  const pages = client({ port: server.port, tokenFile }, () => now);
  expect((await pages.fetch(listening(1), never)).toString()).toBe("Bearer secret");
  writeFileSync(tokenFile, "renewed");
  utimesSync(tokenFile, 61, 61);
  now = 61_000;
  expect((await pages.fetch(listening(1), never)).toString()).toBe("Bearer renewed");
});

test("a compressed page is unpacked", async () => {
  const server = await serve((_, response) => response.setHeader("content-encoding", "gzip").end(gzipSync("a 1\n")));
  expect((await client().fetch(server, never)).toString()).toBe("a 1\n");
});

/** Packed before the client's time runs. */
const BOMB = gzipSync(Buffer.alloc(5_000_000));

describe("servers that misbehave", () => {
  const cases: readonly (readonly [string, ScrapeError["fault"], RequestListener])[] = [
    ["answer 429", "status", (_, response) => response.writeHead(429, { "retry-after": "7" }).end()],
    ["answer 500 with a body", "status", (_, response) => response.writeHead(500).end("x".repeat(200_000))],
    ["send without end", "too-large", (_, response) => endless(response)],
    [
      "announce 100 MB",
      "too-large",
      (_, response) => response.writeHead(200, { "content-length": 100_000_000 }) && endless(response),
    ],
    ["send a bomb", "too-large", (_, response) => response.setHeader("content-encoding", "gzip").end(BOMB)],
    ["send damaged gzip", "too-large", (_, response) => response.setHeader("content-encoding", "gzip").end("no gzip")],
    ["never answer", "timeout", () => {}],
    ["stall in the body", "timeout", (_, response) => response.write("a 1\n")],
    ["drip", "timeout", (_, response) => drip(() => response.write("a"))],
    ["cut", "unreachable", (request) => request.socket.destroy()],
    [
      "send headers without end",
      "unreachable",
      (request) => drip(() => request.socket.write(`x: ${"y".repeat(5000)}\r\n`.repeat(20))),
    ],
    ["send noise", "unreachable", (request) => request.socket.write("\0\x01\x02 noise\r\n\r\n")],
  ];

  test.each(cases)("%s", async (_name, fault, listener) => {
    const server = await serve(listener);
    const error = await client()
      .fetch(server, never)
      .catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ScrapeError);
    expect((error as ScrapeError).fault).toBe(fault);
    if (_name === "answer 429") expect((error as ScrapeError).retryAfterMs).toBe(7000);
  });

  test("nobody listens", async () => {
    const server = await serve(() => {});
    for (const close of closers.splice(0)) close();
    await expect(client().fetch(server, never)).rejects.toMatchObject({ fault: "unreachable" });
  });

  test("an aborted reading ends", async () => {
    const server = await serve(() => {});
    const abort = new AbortController();
    const page = client().fetch(server, abort.signal);
    abort.abort();
    await expect(page).rejects.toThrow();
  });
});

function endless(response: { write(chunk: Buffer, done: () => void): boolean; destroyed: boolean }): void {
  const chunk = Buffer.alloc(10_000, "a");
  const more = (): void => void (response.destroyed || response.write(chunk, more));
  more();
}

function drip(write: () => void): void {
  const timer = setInterval(write, 5);
  closers.push(() => clearInterval(timer));
}

test("TLS: a private authority, none, any certificate, and a client certificate", async () => {
  const pair = createSelfSigned({
    organization: "test",
    dnsNames: [],
    ipAddresses: ["127.0.0.1"],
    notBefore: new Date(Date.now() - 1000),
    notAfter: new Date(Date.now() + 3_600_000),
  });
  const folder = mkdtempSync(join(tmpdir(), "pages-"));
  closers.push(() => rmSync(folder, { recursive: true }));
  const [certificateFile, keyFile] = [join(folder, "tls.crt"), join(folder, "tls.key")];
  writeFileSync(certificateFile, pair.certificate);
  writeFileSync(keyFile, pair.privateKey);
  const tls = { cert: pair.certificate, key: pair.privateKey, ca: pair.certificate };
  const server = createSecureServer({ ...tls, requestCert: true, rejectUnauthorized: false }, (request, response) => {
    const peer = (request.socket as unknown as { getPeerCertificate(): object }).getPeerCertificate();
    response.end(Object.keys(peer).length > 0 ? "known" : "unknown");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  const endpoint = listening((server.address() as AddressInfo).port);
  const get = async (settings: Partial<PageSettings>): Promise<string> =>
    (await client({ scheme: "https", ...settings }).fetch(endpoint, never)).toString();
  expect(await get({ insecureSkipVerify: true })).toBe("unknown");
  expect(await get({ caFile: certificateFile })).toBe("unknown");
  expect(await get({ caFolders: [folder, "/absent"] })).toBe("unknown");
  expect(await get({ caFile: certificateFile, certificateFile, keyFile })).toBe("known");
  await expect(get({})).rejects.toMatchObject({ fault: "unreachable" });
});

test("a certificate file that is absent is an error at once", () => {
  expect(() => client({ scheme: "https", caFile: "/absent/ca.crt" })).toThrow("/absent/ca.crt");
});
