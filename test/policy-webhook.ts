import { type Server, createServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { HttpKubeClient } from "../kube/http-client.ts";
import { createSelfSigned } from "../kube/x509.ts";

/** Somebody's admission webhooks, which stand between the operator and its Deployments. */
export interface PolicyWebhook {
  /** Guards a namespace in the manner of a scenario: a refusal, no answer, or an expired certificate. */
  guard(namespace: string, manner: string): Promise<void>;
  close(): Promise<void>;
}

const DAY_MS = 86_400_000;

function certificate(validDays: number): { readonly certificate: string; readonly privateKey: string } {
  const notBefore = new Date(Date.now() - 10 * DAY_MS);
  const notAfter = new Date(Date.now() + validDays * DAY_MS);
  const subject = { organization: "policy", dnsNames: ["localhost"], ipAddresses: ["127.0.0.1"] };
  return createSelfSigned({ ...subject, notBefore, notAfter });
}

async function listen(pair: { readonly certificate: string; readonly privateKey: string }): Promise<Server> {
  const server = createServer({ cert: pair.certificate, key: pair.privateKey }, (request, response) => {
    let text = "";
    request.setEncoding("utf8").on("data", (chunk: string) => void (text += chunk));
    request.once("end", () => {
      const { apiVersion, kind, request: review } = JSON.parse(text) as Record<string, { readonly uid: string }>;
      const status = { code: 403, message: "label team is missing" };
      response.end(JSON.stringify({ apiVersion, kind, response: { uid: review!.uid, allowed: false, status } }));
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  return server;
}

const portOf = (server: Server): number => (server.address() as AddressInfo).port;

async function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}

/** Starts the webhooks' servers; nothing is guarded yet. */
export async function startPolicyWebhook(client: HttpKubeClient): Promise<PolicyWebhook> {
  const pairs = { denies: certificate(10), expired: certificate(-1) };
  const servers = {
    denies: await listen(pairs.denies),
    expired: await listen(pairs.expired),
    gone: await listen(pairs.denies),
  };
  const gonePort = portOf(servers.gone);
  await closed(servers.gone);
  const manners: Readonly<Record<string, { name: string; port: number; authority: string }>> = {
    "child denied": { name: "gate.policy.io", port: portOf(servers.denies), authority: pairs.denies.certificate },
    "webhook down": { name: "inject.mesh.io", port: gonePort, authority: pairs.denies.certificate },
    "webhook certificate expired": {
      name: "inject.mesh.io",
      port: portOf(servers.expired),
      authority: pairs.expired.certificate,
    },
  };
  return {
    guard: async (namespace, manner) => {
      const { name, port, authority } = manners[manner]!;
      const rule = {
        apiGroups: ["apps"],
        apiVersions: ["v1"],
        operations: ["CREATE", "UPDATE"],
        resources: ["deployments"],
      };
      await client.create({
        apiVersion: "admissionregistration.k8s.io/v1",
        kind: "ValidatingWebhookConfiguration",
        metadata: { name: namespace },
        webhooks: [
          {
            name,
            clientConfig: { url: `https://127.0.0.1:${port}/`, caBundle: Buffer.from(authority).toString("base64") },
            rules: [rule],
            namespaceSelector: { matchLabels: { "kubernetes.io/metadata.name": namespace } },
            failurePolicy: "Fail",
            sideEffects: "None",
            admissionReviewVersions: ["v1"],
            timeoutSeconds: 2,
          },
        ],
      });
    },
    close: async () => {
      await closed(servers.denies);
      await closed(servers.expired);
    },
  };
}
