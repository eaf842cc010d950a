import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, request as httpsRequest } from "node:https";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { afterEach, expect, test } from "@jest/globals";
import { type CertificatePair, createSelfSigned } from "../../kube/x509.ts";
import { until } from "../../playground/until.ts";
import { answerJson, ask, startEngine, startSidecar } from "../../test/sidecar-bed.ts";
import { certificatesIn, readAuthorities } from "./authorities.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

function certificate(name: string): CertificatePair {
  return createSelfSigned({
    organization: name,
    dnsNames: ["localhost"],
    ipAddresses: ["127.0.0.1"],
    notBefore: new Date(Date.now() - 1000),
    notAfter: new Date(Date.now() + 3_600_000),
  });
}

function folderWith(pair: CertificatePair): string {
  const folder = mkdtempSync(join(tmpdir(), "sidecar-tls-"));
  closers.push(() => rmSync(folder, { recursive: true }));
  put(folder, pair);
  return folder;
}

function put(folder: string, pair: CertificatePair): void {
  writeFileSync(join(folder, "tls.crt"), pair.certificate);
  writeFileSync(join(folder, "tls.key"), pair.privateKey);
}

async function secureEngine({ certificate: cert, privateKey: key }: CertificatePair): Promise<number> {
  const server = createServer({ cert, key }, (_request, response) => answerJson(response, { kv_transfer_params: 1 }));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  closers.push(() => {
    server.close();
    server.closeAllConnections();
  });
  return (server.address() as AddressInfo).port;
}

test("engines are trusted by the certificates in SSL_CERT_DIR, and by renewed ones", async () => {
  const [ours, others] = [certificate("ours"), certificate("others")];
  const folder = folderWith(others);
  const [engine, prefill] = [await secureEngine(ours), await secureEngine(ours)];
  const args = ["--enable-tls=decoder,prefiller", "--prefill-fallback=none"];
  const env = { SSL_CERT_DIR: `/nowhere:${folder}` };
  const sidecar = await startSidecar(engine, args, { env });
  closers.push(() => sidecar.stop(0));
  const port = sidecar.ports[0]!;
  const headers = { "x-prefiller-host-port": `127.0.0.1:${prefill}` };
  const statuses = async () => [
    (await ask(port, "/v1/completions", { body: "{}" })).status,
    (await ask(port, "/v1/completions", { headers, body: "{}" })).status,
  ];
  expect(await statuses()).toEqual([503, 502]);
  put(folder, ours);
  await until("the renewed certificate is trusted", async () => (await statuses()).every((status) => status === 200));
});

test("any certificate where it is not to be verified", async () => {
  const engine = await secureEngine(certificate("any"));
  const sidecar = await startSidecar(engine, ["--enable-tls=decoder", "--tls-insecure-skip-verify=decoder"]);
  closers.push(() => sidecar.stop(0));
  expect((await ask(sidecar.ports[0]!, "/v1/models", { method: "GET" })).status).toBe(200);
});

/** Organization in the certificate of whoever serves the port. */
function servedBy(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = httpsRequest({ port, host: "127.0.0.1", path: "/", rejectUnauthorized: false, agent: false });
    request.once("response", (answer) => {
      resolve(String((answer.socket as TLSSocket).getPeerCertificate().subject.O));
      answer.resume();
    });
    request.once("error", reject).end();
  });
}

test("clients are served by TLS, with a certificate that is followed, or one of its own", async () => {
  const engine = await startEngine((_seen, response) => answerJson(response, {}));
  closers.push(() => engine.close());
  const folder = folderWith(certificate("first"));
  const followed = await startSidecar(engine.port, ["--secure-proxy=true", `--cert-path=${folder}`]);
  const own = await startSidecar(engine.port, ["--secure-proxy=true"]);
  closers.push(
    () => followed.stop(0),
    () => own.stop(0),
  );
  expect([await servedBy(followed.ports[0]!), await servedBy(own.ports[0]!)]).toEqual(["first", "llmisvc"]);
  put(folder, certificate("second"));
  await until("the new certificate is served", async () => (await servedBy(followed.ports[0]!)) === "second");
});

test("certificates are found among other texts", () => {
  const [one, two] = [certificate("one").certificate.trim(), certificate("two").certificate.trim()];
  const broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----";
  expect(certificatesIn(`# x\n${one}\n${broken}\ntoken\n${two}`)).toEqual([one, two]);
  expect(readAuthorities({ SSL_CERT_DIR: "/nowhere", SSL_CERT_FILE: "/nowhere/x" })).toEqual([]);
});
