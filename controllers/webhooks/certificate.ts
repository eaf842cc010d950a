import { X509Certificate } from "node:crypto";
import { FIELD_MANAGER } from "../../kube/apply.ts";
import type { KubeClient } from "../../kube/client.ts";
import { KINDS } from "../../kube/resources.ts";
import { type KubeObject, isAlreadyExists } from "../../kube/types.ts";
import { createSelfSigned } from "../../kube/x509.ts";
import { stringMapOf } from "../json-edit.ts";
import { asJson } from "../llminferenceservice/pass.ts";
import type { ServingPair } from "./server.ts";

/** Names of the webhook Service and of the Secret with its certificate (KServe's own). */
export const WEBHOOK_SERVICE = "llmisvc-webhook-server-service";
export const WEBHOOK_SECRET = "llmisvc-webhook-server-cert";

const VALID_MS = 365 * 24 * 3600 * 1000;
/** A certificate with less time left is replaced. */
const RENEW_BEFORE_MS = 30 * 24 * 3600 * 1000;

/**
 * The serving certificate of the webhooks: the one in the Secret while it is good for another 30 days, else a new one, which
 * is stored there, so that all replicas serve the same. Errors: those of the client.
 */
export async function ensureCertificate(client: KubeClient, namespace: string, nowMs: number): Promise<ServingPair> {
  const live = await client.find(KINDS.Secret, { namespace, name: WEBHOOK_SECRET });
  const stored = live === undefined ? undefined : pairOf(live);
  if (stored !== undefined && isGood(stored, namespace, nowMs)) return stored;
  const pair = issue(namespace, nowMs);
  try {
    await store(client, namespace, pair, live);
    return pair;
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
    return await ensureCertificate(client, namespace, nowMs);
  }
}

const hostOf = (namespace: string): string => `${WEBHOOK_SERVICE}.${namespace}.svc`;

function issue(namespace: string, nowMs: number): ServingPair {
  return createSelfSigned({
    organization: "llmisvc",
    commonName: hostOf(namespace),
    dnsNames: [hostOf(namespace), `${hostOf(namespace)}.cluster.local`, WEBHOOK_SERVICE],
    ipAddresses: [],
    notBefore: new Date(nowMs - 60_000),
    notAfter: new Date(nowMs + VALID_MS),
  });
}

async function store(
  client: KubeClient,
  namespace: string,
  pair: ServingPair,
  live: KubeObject | undefined,
): Promise<void> {
  const base64 = (text: string): string => Buffer.from(text).toString("base64");
  const { certificate, privateKey } = pair;
  const data = { "tls.crt": base64(certificate), "tls.key": base64(privateKey), "ca.crt": base64(certificate) };
  const secret = {
    apiVersion: "v1",
    kind: "Secret",
    metadata: { name: WEBHOOK_SECRET, namespace, resourceVersion: live?.metadata.resourceVersion },
    type: "kubernetes.io/tls",
    data,
  };
  const options = { fieldManager: FIELD_MANAGER };
  await (live === undefined ? client.create(secret, options) : client.update(secret, options));
}

function pairOf(secret: KubeObject): ServingPair | undefined {
  const data = stringMapOf(asJson(secret)?.["data"]);
  const text = (key: string): string => Buffer.from(data[key] ?? "", "base64").toString("utf8");
  const [certificate, privateKey] = [text("tls.crt"), text("tls.key")];
  return certificate === "" || privateKey === "" ? undefined : { certificate, privateKey };
}

function isGood({ certificate }: ServingPair, namespace: string, nowMs: number): boolean {
  try {
    const parsed = new X509Certificate(certificate);
    return parsed.checkHost(hostOf(namespace)) !== undefined && Date.parse(parsed.validTo) - nowMs > RENEW_BEFORE_MS;
  } catch {
    return false;
  }
}
