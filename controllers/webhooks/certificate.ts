import { X509Certificate } from "node:crypto";
import { FIELD_MANAGER } from "../../kube/apply.ts";
import type { KubeClient } from "../../kube/client.ts";
import { KINDS } from "../../kube/resources.ts";
import { type KubeObject, isAlreadyExists, isConflict } from "../../kube/types.ts";
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

/** By this annotation cert-manager marks a Secret that it keeps. */
const CERT_MANAGER = "cert-manager.io/certificate-name";
const WRITE_TRIES = 5;

/** The serving certificate of the webhooks, and the authorities by which clients may know it. */
export interface ServingCertificate extends ServingPair {
  /** PEM of one or more certificates. */
  readonly authority: string;
}

/**
 * The serving certificate of the webhooks: the one in the Secret while it is good for another 30 days, else a new one, which
 * is stored there, so that all replicas serve the same. The former certificate stays among the authorities while others may
 * still serve it. A Secret that cert-manager keeps is taken as it is. Errors: those of the client; a Secret of cert-manager
 * without a usable certificate.
 */
export async function ensureCertificate(
  client: KubeClient,
  namespace: string,
  nowMs: number,
): Promise<ServingCertificate> {
  for (let attempt = 1; ; attempt++) {
    const live = await client.find(KINDS.Secret, { namespace, name: WEBHOOK_SECRET });
    const stored = live === undefined ? undefined : certificateOf(live);
    if (live?.metadata.annotations?.[CERT_MANAGER] !== undefined) return checked(stored, namespace, nowMs);
    if (stored !== undefined && isGood(stored, namespace, nowMs, RENEW_BEFORE_MS)) return stored;
    const pair = issue(namespace, nowMs);
    const former = stored !== undefined && isGood(stored, namespace, nowMs, 0) ? stored.certificate : "";
    const next = { ...pair, authority: `${pair.certificate.trimEnd()}\n${former}` };
    try {
      await store(client, namespace, next, live);
      return next;
    } catch (error) {
      // Another replica was first: what it stored is as good.
      if (attempt >= WRITE_TRIES || (!isAlreadyExists(error) && !isConflict(error))) throw error;
    }
  }
}

function checked(stored: ServingCertificate | undefined, namespace: string, nowMs: number): ServingCertificate {
  if (stored !== undefined && isGood(stored, namespace, nowMs, 0)) return stored;
  throw new Error(
    `Secret ${namespace}/${WEBHOOK_SECRET} is kept by cert-manager and has no certificate for ${hostOf(namespace)} that is valid now: look at its Certificate`,
  );
}

const hostOf = (namespace: string): string => `${WEBHOOK_SERVICE}.${namespace}.svc`;

function issue(namespace: string, nowMs: number): ServingPair {
  return createSelfSigned({
    // A subject of its own: clients look authorities up by it, and a renewed certificate is beside the former one.
    organization: `llmisvc ${new Date(nowMs).toISOString()}`,
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
  pair: ServingCertificate,
  live: KubeObject | undefined,
): Promise<void> {
  const base64 = (text: string): string => Buffer.from(text).toString("base64");
  const { certificate, privateKey, authority } = pair;
  const data = { "tls.crt": base64(certificate), "tls.key": base64(privateKey), "ca.crt": base64(authority) };
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

function certificateOf(secret: KubeObject): ServingCertificate | undefined {
  const data = stringMapOf(asJson(secret)?.["data"]);
  const text = (key: string): string => Buffer.from(data[key] ?? "", "base64").toString("utf8");
  const [certificate, privateKey, authority] = [text("tls.crt"), text("tls.key"), text("ca.crt")];
  if (certificate === "" || privateKey === "") return undefined;
  return { certificate, privateKey, authority: authority === "" ? certificate : authority };
}

/** Whether a certificate is for our Service and valid for some time yet. */
function isGood({ certificate }: ServingPair, namespace: string, nowMs: number, leastMs: number): boolean {
  try {
    const parsed = new X509Certificate(certificate);
    return parsed.checkHost(hostOf(namespace)) !== undefined && Date.parse(parsed.validTo) - nowMs > leastMs;
  } catch {
    return false;
  }
}
