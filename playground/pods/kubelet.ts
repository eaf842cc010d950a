import type { IncomingMessage, ServerResponse } from "node:http";
import { type Server, createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { createSelfSigned } from "../../kube/x509.ts";
import { type PodLogs, sendLog } from "../apiserver/logs.ts";

const CERTIFICATE_DAYS = 30;

/** The part of a kubelet that an API server asks. */
export interface Kubelet {
  /** Where the API server finds it: `status.addresses` and `daemonEndpoints` of the Node. */
  readonly host: string;
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Serves the logs of a runner's pods over HTTPS as a kubelet does (`/containerLogs/namespace/pod/container`), for API servers
 * that ask the node. The certificate is self-signed, and every client may read.
 */
export async function startKubelet(logs: PodLogs, host = "127.0.0.1"): Promise<Kubelet> {
  const notBefore = new Date(Date.now() - 60_000);
  const notAfter = new Date(notBefore.getTime() + CERTIFICATE_DAYS * 86_400_000);
  const names = { organization: "playground kubelet", dnsNames: ["localhost"], ipAddresses: [host] };
  const { certificate, privateKey } = createSelfSigned({ ...names, notBefore, notAfter });
  const server = createServer({ cert: certificate, key: privateKey }, (request, response) => {
    void answer(logs, request, response).catch(() => response.destroy());
  });
  await listen(server, host);
  return {
    host,
    port: (server.address() as AddressInfo).port,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function listen(server: Server, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, host, () => resolve());
  });
}

async function answer(logs: PodLogs, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? "/", "https://kubelet");
  const [root, namespace, pod, container] = url.pathname.split("/").slice(1).map(decodeURIComponent);
  if (root !== "containerLogs" || namespace === undefined || pod === undefined || container === undefined) {
    response.writeHead(404).end();
    return;
  }
  await sendLog(response, logs, { namespace, pod, container }, url.searchParams);
}
