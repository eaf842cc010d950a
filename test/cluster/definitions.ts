import { KINDS, type Resource } from "../../kube/resources.ts";
import type { KubeClient } from "../../kube/client.ts";
import { type KubeObject, isAlreadyExists } from "../../kube/types.ts";
import { parseYamlDocuments } from "../../kube/yaml.ts";
import { readShared } from "../corpus.ts";
import { until } from "../../playground/until.ts";

/** The official definitions that a current installation has, relative to `reference/crds/`. */
const FILES = [
  "gateway-api/v1.5.1-standard/gateway.networking.k8s.io_gatewayclasses.yaml",
  "gateway-api/v1.5.1-standard/gateway.networking.k8s.io_gateways.yaml",
  "gateway-api/v1.5.1-standard/gateway.networking.k8s.io_httproutes.yaml",
  "gateway-api/v1.5.1-standard/gateway.networking.k8s.io_grpcroutes.yaml",
  "gateway-api/v1.5.1-standard/gateway.networking.k8s.io_referencegrants.yaml",
  "kserve-bundled/main-2026-08-21/gateway-inference-extension.yaml",
  "lws/v0.8.0/leaderworkerset.x-k8s.io_leaderworkersets.yaml",
  "keda/v2.18.0/keda.sh_scaledobjects.yaml",
  "wva/kserve-v0.20.0-bundled/llmd.ai_variantautoscalings.yaml",
] as const;

/** Gateway API, inference extension, LeaderWorkerSet and autoscalers as their projects publish them. */
export function referenceDefinitions(): KubeObject[] {
  return FILES.flatMap((file) => parseYamlDocuments(readShared(`reference/crds/${file}`)) as unknown as KubeObject[]);
}

/** A definition that takes any object of a kind, for those of which only the name matters. */
export function schemaless({ apiVersion, kind, plural, namespaced }: Resource): KubeObject {
  const [group = "", version = ""] = apiVersion.split("/");
  const schema = { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } };
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      names: { kind, plural, singular: kind.toLowerCase() },
      scope: namespaced ? "Namespaced" : "Cluster",
      versions: [{ name: version, served: true, storage: true, schema }],
    },
  };
}

/** Creates definitions, leaves those that are there alone, and waits until all are served. */
export async function createDefinitions(client: KubeClient, definitions: readonly KubeObject[]): Promise<void> {
  await Promise.all(
    definitions.map(async (definition) => {
      try {
        await client.create(definition, { fieldManager: "test" });
      } catch (error) {
        if (!isAlreadyExists(error)) throw error;
      }
    }),
  );
  for (const { metadata } of definitions) await established(client, metadata.name);
}

const ESTABLISHED_MS = 120_000;

async function established(client: KubeClient, name: string): Promise<void> {
  let status: { conditions?: { type: string; status: string; message?: string }[] } | undefined;
  const isServed = async (): Promise<boolean> => {
    status = (await client.get(KINDS.CustomResourceDefinition, { name }))["status"] as typeof status;
    return (
      status?.conditions?.some((condition) => condition.type === "Established" && condition.status === "True") ?? false
    );
  };
  await until(`${name} is served`, isServed, { timeoutMs: ESTABLISHED_MS, detail: () => JSON.stringify(status) });
}
