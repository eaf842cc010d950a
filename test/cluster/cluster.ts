import { generateKeyPairSync, randomBytes, randomUUID } from "node:crypto";
import { mkdtempSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { createKubeClient, type HttpKubeClient, loadKubeConfig } from "../../kube/http-client.ts";
import { createSelfSigned } from "../../kube/x509.ts";
import type { KubeObject } from "../../kube/types.ts";
import { dumpYaml } from "../../kube/yaml.ts";
import { type RunningProcess, startProcess } from "../../playground/pods/process.ts";
import { RUN_VARIABLE, startWatchdog } from "../../playground/pods/watchdog.ts";
import { until } from "../../playground/until.ts";
import { createDefinitions } from "./definitions.ts";
import { type SavedState, savedState } from "./saved-state.ts";
import { folderOf, kubernetesOf } from "./toolbox.ts";
import type { Release } from "./versions.ts";

/** What a cluster is started with. */
export interface ClusterOptions {
  /** Default `newest`. */
  readonly release?: Release;
  /** Whether the controllers of Kubernetes run, or which; without them only the API server answers. Default true. */
  readonly controllers?: boolean | readonly string[];
  /** Definitions that are served from the start on. */
  readonly definitions?: readonly KubeObject[];
  /** Further flags of the API server. */
  readonly apiServerFlags?: readonly string[];
}

/** A real API server with its store and, if wanted, the controllers of Kubernetes; nothing runs pods. */
export interface Cluster {
  /** `https://127.0.0.1:port`. */
  readonly url: string;
  /** A client with all rights. */
  readonly client: HttpKubeClient;
  /** Kubeconfig (YAML) of a user with all rights, context `playground`. */
  readonly kubeconfig: string;
  /** Bearer token of that user, and the certificate (PEM) that the server proves itself by. */
  readonly token: string;
  readonly certificate: string;
  /** What the components wrote so far, for messages. */
  log(): string;
  /** Process ids of the components that run, by name. */
  processes(): ReadonlyMap<string, number>;
  /** Ends a component and starts it again with the same state and port. Resolves when it answers. */
  restart(component: "etcd" | "kube-apiserver" | "kube-controller-manager"): Promise<void>;
  /** Ends everything; no process and no file is left. */
  close(): Promise<void>;
}

const START_MS = 120_000;
const LOG_BYTES = 200_000;
/** A port found free may be taken before its user binds it; then all starts again with others. */
const START_TRIES = 3;
const SERVICE_RANGE = "10.96.0.0/16";

/** All but what wants nodes with heartbeats, a cloud, or the metrics API. */
const CONTROLLERS: readonly string[] = [
  "*",
  "-node-lifecycle-controller",
  "-taint-eviction-controller",
  "-node-ipam-controller",
  "-horizontal-pod-autoscaler-controller",
];

/**
 * Starts the components in a temporary folder on free loopback ports; ready after some seconds. However this process ends, a
 * watchdog ends the components and removes the folder. Throws with the end of their output when one does not come up.
 */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  for (let attempt = 1; ; attempt++) {
    const parts = new Parts(options);
    try {
      return await parts.start();
    } catch (error) {
      await parts.close();
      if (attempt === START_TRIES || !parts.log().includes("address already in use")) throw error;
    }
  }
}

/** A component that ended by itself starts again after this time, as a kubelet would have it. */
const RESTART_MS = 500;

interface Component {
  readonly command: readonly string[];
  readonly process: RunningProcess;
}

class Parts {
  readonly #options: ClusterOptions;
  readonly #folder = mkdtempSync(join(tmpdir(), "llmisvc-cluster-"));
  readonly #run = randomUUID();
  readonly #watchdog = startWatchdog(this.#run, this.#folder);
  readonly #token = randomBytes(16).toString("hex");
  readonly #certificate = servingCertificate();
  readonly #components = new Map<string, Component>();
  #log = "";
  #client: HttpKubeClient | undefined;
  #ended = false;
  /** Until all is up an exit is an error; after that it is followed by a new start. */
  #phase: "starting" | "running" | "closing" = "starting";

  constructor(options: ClusterOptions) {
    this.#options = options;
  }

  log(): string {
    return this.#log;
  }

  async start(): Promise<Cluster> {
    const [etcd = 0, peer = 0, api = 0] = await freePorts(3);
    const url = `https://127.0.0.1:${api}`;
    const kubeconfig = kubeconfigFor(url, this.#token, this.#certificate.certificate);
    this.#writeFiles(kubeconfig);
    this.#client = createKubeClient(await loadKubeConfig({ text: kubeconfig }));
    const { definitions = [] } = this.#options;
    const state = savedState(this.#options.release ?? "newest", definitions);
    const isSaved = definitions.length > 0 && state.restore(this.#path("etcd"));
    await this.#startComponent("etcd", this.#etcd(etcd, peer));
    await this.#startComponent("kube-apiserver", this.#apiServer(api, etcd));
    await this.#answers();
    await createDefinitions(this.#client, definitions);
    if (definitions.length > 0 && !isSaved) await this.#save(state);
    if (this.#options.controllers !== false)
      await this.#startComponent("kube-controller-manager", this.#controllerManager());
    this.#phase = "running";
    return {
      url,
      kubeconfig,
      client: this.#client,
      token: this.#token,
      certificate: this.#certificate.certificate,
      log: () => this.#log,
      processes: () => new Map([...this.#components].map(([name, { process }]) => [name, process.pid])),
      restart: (component) => this.#restart(component),
      close: () => this.close(),
    };
  }

  async close(): Promise<void> {
    this.#phase = "closing";
    this.#client?.close();
    const running = [...this.#components.values()].map(({ process }) => process);
    for (const process of running.reverse()) process.signal("SIGKILL");
    await Promise.all(running.map((process) => process.exited));
    await this.#watchdog.close();
  }

  /** Copies the store between two runs of etcd, when its files are at rest. */
  async #save(state: SavedState): Promise<void> {
    const etcd = this.#components.get("etcd");
    if (etcd === undefined) return;
    this.#components.delete("etcd");
    etcd.process.signal("SIGTERM");
    await etcd.process.exited;
    state.save(this.#path("etcd"));
    this.#ended = false;
    await this.#startComponent("etcd", etcd.command);
    await this.#answers();
  }

  #path(name: string): string {
    return join(this.#folder, name);
  }

  #writeFiles(kubeconfig: string): void {
    const serviceAccounts = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const files: Readonly<Record<string, string>> = {
      kubeconfig,
      "tokens.csv": `${this.#token},admin,admin,system:masters\n`,
      "tls.crt": this.#certificate.certificate,
      "tls.key": this.#certificate.privateKey,
      "sa.key": serviceAccounts.privateKey.export({ type: "sec1", format: "pem" }).toString(),
      "sa.pub": serviceAccounts.publicKey.export({ type: "spki", format: "pem" }).toString(),
    };
    for (const [name, text] of Object.entries(files)) writeFileSync(this.#path(name), text, { mode: 0o600 });
  }

  #etcd(client: number, peer: number): readonly string[] {
    const urls = { client: `http://127.0.0.1:${client}`, peer: `http://127.0.0.1:${peer}` };
    return [
      join(folderOf("kubernetes"), "etcd"),
      `--data-dir=${this.#path("etcd")}`,
      `--listen-client-urls=${urls.client}`,
      `--advertise-client-urls=${urls.client}`,
      `--listen-peer-urls=${urls.peer}`,
      `--initial-advertise-peer-urls=${urls.peer}`,
      `--initial-cluster=default=${urls.peer}`,
      "--unsafe-no-fsync",
      "--log-level=warn",
    ];
  }

  #apiServer(port: number, etcd: number): readonly string[] {
    return [
      join(folderOf(kubernetesOf(this.#options.release ?? "newest")), "kube-apiserver"),
      `--etcd-servers=http://127.0.0.1:${etcd}`,
      "--bind-address=127.0.0.1",
      `--secure-port=${port}`,
      `--cert-dir=${this.#path("certificates")}`,
      `--tls-cert-file=${this.#path("tls.crt")}`,
      `--tls-private-key-file=${this.#path("tls.key")}`,
      `--token-auth-file=${this.#path("tokens.csv")}`,
      "--authorization-mode=RBAC",
      // Only for show in the Service "kubernetes", whose endpoints nobody keeps here.
      "--advertise-address=10.96.255.254",
      "--endpoint-reconciler-type=none",
      `--service-cluster-ip-range=${SERVICE_RANGE}`,
      "--service-account-issuer=https://kubernetes.default.svc",
      `--service-account-key-file=${this.#path("sa.pub")}`,
      `--service-account-signing-key-file=${this.#path("sa.key")}`,
      // Nothing here routes cluster addresses: webhooks are reached at the endpoints of their Services.
      "--enable-aggregator-routing=true",
      "--kubelet-preferred-address-types=InternalIP",
      "--profiling=false",
      "--v=1",
      ...(this.#options.apiServerFlags ?? []),
    ];
  }

  #controllerManager(): readonly string[] {
    const { controllers } = this.#options;
    const chosen = typeof controllers === "object" ? controllers : CONTROLLERS;
    return [
      join(folderOf(kubernetesOf(this.#options.release ?? "newest")), "kube-controller-manager"),
      `--kubeconfig=${this.#path("kubeconfig")}`,
      `--service-account-private-key-file=${this.#path("sa.key")}`,
      `--root-ca-file=${this.#path("tls.crt")}`,
      `--controllers=${chosen.join(",")}`,
      "--leader-elect=false",
      "--secure-port=0",
      "--kube-api-qps=500",
      "--kube-api-burst=1000",
      "--v=1",
    ];
  }

  async #startComponent(name: string, command: readonly string[]): Promise<void> {
    const onOutput = (text: string): void => {
      this.#log = `${this.#log}${text}`.slice(-LOG_BYTES);
    };
    const env = { PATH: process.env["PATH"] ?? "", HOME: this.#folder, [RUN_VARIABLE]: this.#run };
    const started = await startProcess({ command, env, cwd: this.#folder, onOutput });
    const component: Component = { command, process: started };
    this.#components.set(name, component);
    void started.exited.then(async () => {
      this.#ended = true;
      await pause(RESTART_MS);
      if (this.#phase === "running" && this.#components.get(name) === component)
        await this.#startComponent(name, command);
    });
  }

  async #restart(name: string): Promise<void> {
    const component = this.#components.get(name);
    if (component === undefined) throw new Error(`${name} does not run in this cluster`);
    this.#components.delete(name);
    component.process.signal("SIGKILL");
    await component.process.exited;
    await this.#startComponent(name, component.command);
    await this.#answers();
  }

  /** Waits for the namespace `default`, which the API server makes last of its own objects. */
  async #answers(): Promise<void> {
    const detail = (): string => this.#log.slice(-4000);
    await until(
      "an answer of the API server",
      async () => {
        if (await this.#isReady()) return true;
        if (this.#ended && this.#phase === "starting") throw new Error(`no API server:\n${detail()}`);
        return false;
      },
      { timeoutMs: START_MS, detail },
    );
  }

  async #isReady(): Promise<boolean> {
    try {
      const key = { apiVersion: "v1", kind: "Namespace", plural: "namespaces", namespaced: false };
      return (await this.#client?.find(key, { name: "default" })) !== undefined;
    } catch {
      return false;
    }
  }
}

function servingCertificate() {
  const notBefore = new Date(Date.now() - 3_600_000);
  return createSelfSigned({
    organization: "llmisvc test cluster",
    dnsNames: ["localhost", "kubernetes.default.svc"],
    ipAddresses: ["127.0.0.1"],
    notBefore,
    notAfter: new Date(notBefore.getTime() + 30 * 86_400_000),
  });
}

function kubeconfigFor(server: string, token: string, certificate: string): string {
  const name = "playground";
  return dumpYaml({
    apiVersion: "v1",
    kind: "Config",
    "current-context": name,
    clusters: [
      { name, cluster: { server, "certificate-authority-data": Buffer.from(certificate).toString("base64") } },
    ],
    users: [{ name, user: { token } }],
    contexts: [{ name, context: { cluster: name, user: name, namespace: "default" } }],
  });
}

/** Ports that nobody holds at this moment, all different. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve, reject) => {
          server.once("error", reject);
          server.listen(0, "127.0.0.1", () => {
            const address = server.address();
            resolve(typeof address === "object" && address !== null ? address.port : 0);
          });
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
