import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { CreateDataPlane, DataPlane } from "../../playground/gateway/data-plane.ts";
import { until } from "../../playground/until.ts";
import type { Json } from "./config.ts";
import { type Envoy, startEnvoy } from "./envoy.ts";
import { NO_PICKER, type Resources, routeResources } from "./route-config.ts";

const TYPES = {
  listeners: "envoy.config.listener.v3.Listener",
  clusters: "envoy.config.cluster.v3.Cluster",
  endpoints: "envoy.config.endpoint.v3.ClusterLoadAssignment",
} as const satisfies Readonly<Record<keyof Resources, string>>;

/** Counters of what Envoy made of a file; endpoints are taken without a word. */
const COUNTERS = { listeners: "listener_manager.lds", clusters: "cluster_manager.cds" } as const;

/** A real Envoy as the data plane of a gateway, which gets its configuration from files that it watches. */
export interface EnvoyPlane {
  readonly create: CreateDataPlane;
  close(): Promise<void>;
}

/** Starts the Envoy. Rejects with its output when it does not come up. */
export async function startEnvoyPlane(): Promise<EnvoyPlane> {
  const files = new ConfigFiles();
  const envoy = await startEnvoy(files.bootstrap()).catch((error: unknown) => {
    files.close();
    throw error;
  });
  return {
    create: ({ host, sources }): DataPlane => ({
      failures: new Map(),
      followsEndpoints: true,
      open: async (port) => port,
      program: async (ports, _kept, routes) => await apply(files, envoy, routeResources(host, ports, routes, sources)),
      close: async () => undefined,
    }),
    close: async () => {
      await envoy.close();
      files.close();
    },
  };
}

/** Endpoints before clusters before the listeners that need them, each taken before the next. */
async function apply(files: ConfigFiles, envoy: Envoy, resources: Resources): Promise<void> {
  for (const assignment of resources.endpoints)
    files.write(endpointsFile(nameOf(assignment)), "endpoints", [assignment]);
  for (const kind of ["clusters", "listeners"] as const) {
    const before = await countsOf(envoy, kind);
    const complete =
      kind === "clusters" ? resources.clusters.map((one) => files.withEndpoints(one)) : resources.listeners;
    if (!files.write(kind, kind, complete)) continue;
    const after = await until(`Envoy took the ${kind}`, async () => {
      const now = await countsOf(envoy, kind);
      return now.taken + now.refused > before.taken + before.refused ? now : undefined;
    });
    if (after.refused > before.refused)
      throw new Error(`Envoy refused the ${kind}: ${envoy.process.stderr().slice(-2000)}`);
  }
}

async function countsOf(envoy: Envoy, kind: keyof typeof COUNTERS) {
  const prefix = COUNTERS[kind];
  return {
    taken: await envoy.stat(`${prefix}.update_success`),
    refused: await envoy.stat(`${prefix}.update_rejected`),
  };
}

const nameOf = (resource: Json): string => {
  const { name, cluster_name: cluster } = resource as { readonly name?: string; readonly cluster_name?: string };
  return cluster ?? name ?? "";
};

/** Envoy takes the endpoints of one cluster from a file, no more. */
const endpointsFile = (cluster: string): string => `endpoints-${cluster.replaceAll("/", "_")}`;

/** Discovery answers in files that are replaced as a whole. */
class ConfigFiles {
  readonly #folder = mkdtempSync(join(tmpdir(), "llmisvc-gateway-"));
  readonly #written = new Map<string, string>();
  #version = 0;

  constructor() {
    for (const kind of ["listeners", "clusters"] as const) this.write(kind, kind, []);
  }

  /** Writes the resources of a kind to a file; false where they are there already. */
  write(file: string, kind: keyof Resources, resources: readonly Json[]): boolean {
    const type = `type.googleapis.com/${TYPES[kind]}`;
    const text = JSON.stringify(resources.map((resource) => ({ "@type": type, ...(resource as object) })));
    if (this.#written.get(file) === text) return false;
    this.#written.set(file, text);
    writeFileSync(`${this.#path(file)}.new`, `{"version_info":"${++this.#version}","resources":${text}}`);
    renameSync(`${this.#path(file)}.new`, this.#path(file));
    return true;
  }

  /** A cluster that reads its endpoints from their file. */
  withEndpoints(cluster: Json): Json {
    const source = this.#source(endpointsFile(nameOf(cluster)));
    return { ...(cluster as object), eds_cluster_config: { eds_config: source } };
  }

  bootstrap(): Json {
    return {
      node: { id: "gateway", cluster: "gateway" },
      dynamic_resources: { lds_config: this.#source("listeners"), cds_config: this.#source("clusters") },
      static_resources: { clusters: [{ name: NO_PICKER, type: "STATIC", http2_protocol_options: {} }] },
    };
  }

  close(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #path(file: string): string {
    return join(this.#folder, `${file}.json`);
  }

  #source(file: string): Json {
    return { path_config_source: { path: this.#path(file) }, resource_api_version: "V3" };
  }
}
