import { X509Certificate, createPrivateKey } from "node:crypto";
import { isIP } from "node:net";
import type { JsonObject } from "../../crds/schema/types.ts";
import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { createSelfSigned } from "../../kube/x509.ts";
import { at, textAt } from "../../crds/json.ts";
import { objectsOf, stringMapOf, stringsOf } from "../json-edit.ts";
import {
  COMPONENTS,
  COMPONENT_LABEL,
  NAME_LABEL,
  PART_OF,
  PART_OF_LABEL,
  SCHEDULER_POD_COMPONENT,
  componentLabels,
} from "../labels.ts";
import {
  type CertificateBundle,
  type CertificateRequest,
  type Pass,
  asJson,
  child,
  ownedChild,
} from "../llminferenceservice/pass.ts";
import { pickerServiceName } from "../router/pool-reference.ts";
import { runsTokenizer } from "../scheduler/tokenizer-address.ts";

const DAY_MS = 86_400_000;
const VALID_MS = 12 * 365 * DAY_MS;
const RENEW_AFTER_MS = 8 * 365 * DAY_MS;

function serviceDomains(pass: Pass, service: string): string[] {
  const name = `${service}.${pass.namespace}.svc`;
  return [name, `${name}.${pass.settings.clusterDomain}`];
}

/** Addresses by which servers of the service reach each other: they change with every pod. */
function podAddresses(pass: Pass): string[] {
  const schedulers: readonly (string | undefined)[] = [COMPONENTS.scheduler, SCHEDULER_POD_COMPONENT];
  return pass.cluster
    .list(KINDS.Pod, pass.namespace, { [NAME_LABEL]: pass.name, [PART_OF_LABEL]: PART_OF })
    .filter((pod) => !schedulers.includes(pod.metadata.labels?.[COMPONENT_LABEL]))
    .flatMap((pod) => {
      const status = asJson(pod)?.["status"];
      return [textAt(status, "podIP"), ...objectsOf(at(status, "podIPs")).map((entry) => textAt(entry, "ip"))];
    })
    .filter((address) => address !== undefined);
}

function serviceAddresses(pass: Pass): string[] {
  const spec = ownedChild(pass, KINDS.Service, pass.names.workloadService)?.["spec"];
  return [textAt(spec, "clusterIP") ?? "", ...stringsOf(at(spec, "clusterIPs"))];
}

const sorted = (values: readonly string[]): string[] => [...new Set(values)].sort();

/**
 * What the service's certificate must be valid for. Pod addresses count only while the servers speak TLS: without it nobody
 * checks them, and each new pod would cost a certificate. Addresses still unknown (`None`, empty) are left out.
 */
export function certificateRequest(pass: Pass): CertificateRequest {
  const picker = pickerServiceName(pass);
  const tokenizer = runsTokenizer(pass) ? [pass.names.tokenizer] : [];
  const services = [pass.names.workloadService, ...(picker === undefined ? [] : [picker]), ...tokenizer];
  const pods = pass.global.ingress.enableTls ? podAddresses(pass) : [];
  const addresses = ["127.0.0.1", ...pods, ...serviceAddresses(pass)].filter((address) => isIP(address) !== 0);
  return {
    dnsNames: sorted(["localhost", ...services.flatMap((service) => serviceDomains(pass, service))]),
    ipAddresses: sorted(addresses),
  };
}

function decoded(secret: JsonObject, key: string): string {
  return Buffer.from(textAt(secret, "data", key) ?? "", "base64").toString("utf8");
}

function covers(certificate: X509Certificate, request: CertificateRequest): boolean {
  return (
    request.dnsNames.every((name) => certificate.checkHost(name, { subject: "never" }) !== undefined) &&
    request.ipAddresses.every((address) => certificate.checkIP(address) !== undefined)
  );
}

function expiryAnnotation(pass: Pass, secret: JsonObject): string | undefined {
  const annotations = stringMapOf(at(secret, "metadata", "annotations"));
  return pass.global.expirationAnnotations.map((name) => annotations[name]).find((value) => value !== undefined);
}

function isUsable(pass: Pass, secret: JsonObject, request: CertificateRequest): boolean {
  const renewAt = Date.parse(expiryAnnotation(pass, secret) ?? "");
  if (renewAt <= pass.nowMs) return false;
  try {
    const certificate = new X509Certificate(decoded(secret, "tls.crt"));
    return (
      Date.parse(certificate.validTo) > pass.nowMs &&
      certificate.checkPrivateKey(createPrivateKey(decoded(secret, "tls.key"))) &&
      covers(certificate, request)
    );
  } catch {
    // Data that is no certificate or no key is replaced.
    return false;
  }
}

const base64 = (text: string): string => Buffer.from(text, "utf8").toString("base64");

/** RFC 3339 in seconds, as the annotation holds it. */
const timestamp = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");

function issuedSecret(pass: Pass, request: CertificateRequest): { data: JsonObject; expiry: string } {
  const { certificate, privateKey, authority } = pass.issueCertificate(request);
  return {
    data: { "ca.crt": base64(authority), "tls.crt": base64(certificate), "tls.key": base64(privateKey) },
    expiry: timestamp(pass.nowMs + RENEW_AFTER_MS),
  };
}

/**
 * The Secret with key and certificate of all components of the service, made even where TLS is off, since pods mount it. A
 * live one stays until it is due, damaged, or no longer covers a name.
 */
export function buildTlsSecret(pass: Pass): readonly KubeObject[] {
  const request = certificateRequest(pass);
  const live = ownedChild(pass, KINDS.Secret, pass.names.tlsSecret);
  const usable = live !== undefined && isUsable(pass, live, request);
  const { data, expiry } = usable
    ? { data: { ...stringMapOf(live["data"]) }, expiry: expiryAnnotation(pass, live) }
    : issuedSecret(pass, request);
  const annotation = pass.global.expirationAnnotations[0] ?? "certificates.kserve.io/expiration";
  const metadata = {
    name: pass.names.tlsSecret,
    labels: componentLabels(pass.name, COMPONENTS.workload),
    annotations: expiry === undefined ? {} : { [annotation]: expiry },
  };
  return [child(pass, KINDS.Secret, metadata, { type: "kubernetes.io/tls", data })];
}

/** Issues self-signed certificates of 12 years on fresh P-256 keys; `nowMs` is the wall clock. */
export function createIssuer(nowMs: () => number): (request: CertificateRequest) => CertificateBundle {
  return (request) => {
    const [notBefore, notAfter] = [new Date(nowMs()), new Date(nowMs() + VALID_MS)];
    const pair = createSelfSigned({ organization: "Kserve Self Signed", ...request, notBefore, notAfter });
    return { ...pair, authority: pair.certificate };
  };
}
