import { request } from "node:https";
import { X509Certificate } from "node:crypto";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { type HttpKubeClient, createKubeClient, loadKubeConfig } from "../../kube/http-client.ts";
import { KINDS } from "../../kube/resources.ts";
import { createSelfSigned } from "../../kube/x509.ts";
import { type ApiServer, createApiServer } from "../../playground/apiserver/server.ts";
import { silentLogger } from "../../telemetry/log.ts";
import { defaultGlobalConfig } from "../composition/global-config.ts";
import { WEBHOOK_SECRET, WEBHOOK_SERVICE, type ServingCertificate, ensureCertificate } from "./certificate.ts";
import { createMetricsRegistry } from "../../telemetry/metrics.ts";
import { createWebhookMetrics } from "./metrics.ts";
import { startWebhookServer } from "./server.ts";

const NAMESPACE = "kserve";
const DAY_MS = 86_400_000;
const NOW_MS = Date.now();
const KEY = { namespace: NAMESPACE, name: WEBHOOK_SECRET };

describe("serving certificate", () => {
  let server: ApiServer;
  let client: HttpKubeClient;

  beforeEach(async () => {
    server = await createApiServer();
    client = createKubeClient(await loadKubeConfig({ text: server.kubeconfig() }));
    await client.create({ apiVersion: "v1", kind: "Namespace", metadata: { name: NAMESPACE } });
  });
  afterEach(async () => {
    client.close();
    await server.close();
  });

  test("is made once, and shared by replicas that start together", async () => {
    const all = await Promise.all([0, 1, 2].map(() => ensureCertificate(client, NAMESPACE, NOW_MS)));
    expect(new Set(all.map(({ certificate }) => certificate)).size).toBe(1);
    expect(await ensureCertificate(client, NAMESPACE, NOW_MS + 300 * DAY_MS)).toEqual(all[0]);
  });

  test("is renewed a month before its end, and the former one stays known", async () => {
    const first = await ensureCertificate(client, NAMESPACE, NOW_MS);
    const second = await ensureCertificate(client, NAMESPACE, NOW_MS + 340 * DAY_MS);
    expect(second.certificate).not.toBe(first.certificate);
    expect(second.authority).toContain(first.certificate.trim());
    expect(second.authority).toContain(second.certificate.trim());
    const third = await ensureCertificate(client, NAMESPACE, NOW_MS + 1000 * DAY_MS);
    expect(third.authority.match(/BEGIN CERTIFICATE/g)).toHaveLength(1);
  });

  const byCertManager = async (validForMs: number): Promise<string> => {
    const { certificate, privateKey } = createSelfSigned({
      organization: "cert-manager",
      commonName: "x",
      dnsNames: [`${WEBHOOK_SERVICE}.${NAMESPACE}.svc`],
      ipAddresses: [],
      notBefore: new Date(NOW_MS - DAY_MS),
      notAfter: new Date(NOW_MS + validForMs),
    });
    const base64 = (text: string): string => Buffer.from(text).toString("base64");
    const annotations = { "cert-manager.io/certificate-name": "llmisvc-serving-cert" };
    const data = { "tls.crt": base64(certificate), "tls.key": base64(privateKey), "ca.crt": base64("the authority") };
    const secret = {
      apiVersion: "v1",
      kind: "Secret",
      metadata: { ...KEY, annotations },
      type: "kubernetes.io/tls",
      data,
    };
    await client.create(secret);
    return certificate;
  };

  test("of cert-manager is taken as it is, however short it is valid", async () => {
    const certificate = await byCertManager(DAY_MS);
    const before = await client.get(KINDS.Secret, KEY);
    expect(await ensureCertificate(client, NAMESPACE, NOW_MS)).toMatchObject({
      certificate,
      authority: "the authority",
    });
    expect(await client.get(KINDS.Secret, KEY)).toEqual(before);
  });

  test("of cert-manager that has ended is an error, and is not replaced", async () => {
    await byCertManager(DAY_MS);
    const before = await client.get(KINDS.Secret, KEY);
    await expect(ensureCertificate(client, NAMESPACE, NOW_MS + 2 * DAY_MS)).rejects.toThrow("kept by cert-manager");
    expect(await client.get(KINDS.Secret, KEY)).toEqual(before);
  });

  test("is exchanged without a restart", async () => {
    const context = {
      systemNamespace: NAMESPACE,
      global: () => defaultGlobalConfig(NAMESPACE),
      isPreset: () => false,
      protectPresets: true,
      localModels: () => [],
      usersOf: () => [],
    };
    const first = await ensureCertificate(client, NAMESPACE, NOW_MS - 340 * DAY_MS);
    const registry = createMetricsRegistry();
    const metrics = createWebhookMetrics(registry);
    const at = { host: "127.0.0.1", port: 0 };
    const webhooks = await startWebhookServer({ ...at, pair: first, context, logger: silentLogger, metrics });
    try {
      expect(await servedTo(webhooks.port, first)).toBe(fingerprint(first));
      const second = await ensureCertificate(client, NAMESPACE, NOW_MS);
      expect(await servedTo(webhooks.port, second)).toBe(fingerprint(first));
      webhooks.setCertificate(second);
      expect(await servedTo(webhooks.port, second)).toBe(fingerprint(second));
    } finally {
      await webhooks.close();
    }
    const page = await registry.render();
    expect(page).toMatch(/^controller_runtime_webhook_requests_total\{webhook="\/convert",code="\d+"\} 3$/m);
    expect(page).toContain('controller_runtime_webhook_requests_in_flight{webhook="/convert"} 0\n');
  });
});

const fingerprint = ({ certificate }: ServingCertificate): string => new X509Certificate(certificate).fingerprint256;

/** Fingerprint of what the server proves itself by to a client that knows the authorities. */
function servedTo(port: number, { authority }: ServingCertificate): Promise<string> {
  const servername = `${WEBHOOK_SERVICE}.${NAMESPACE}.svc`;
  return new Promise((resolve, reject) => {
    const call = request({
      host: "127.0.0.1",
      port,
      method: "POST",
      path: "/convert",
      servername,
      ca: authority,
      agent: false,
    });
    call.once("error", reject);
    call.once("response", (response) => {
      const { socket } = response as unknown as { socket: { getPeerX509Certificate(): X509Certificate | undefined } };
      resolve(socket.getPeerX509Certificate()?.fingerprint256 ?? "");
      response.resume();
    });
    call.end('{"request":{}}');
  });
}
