import { asJson } from "../../../controllers/llminferenceservice/pass.ts";
import { textAt } from "../../../crds/json.ts";
import { type KubeClient, listAll } from "../../../kube/client.ts";
import type { PolicyRule } from "../../../controllers/operator-role.ts";
import { KINDS, type Resource, groupOf } from "../../../kube/resources.ts";
import { KubeError, type KubeObject, type ObjectKey } from "../../../kube/types.ts";
import type { EndpointView } from "../../../scheduler/datalayer/fleet-report.ts";
import { describeError } from "../../../telemetry/log.ts";
import { METRICS_READER } from "../../../controllers/operator-role.ts";
import { schedulersAmong } from "../scheduler-pages.ts";
import { type Right, deniedRights, neededRights } from "./rights.ts";

/** Kinds that are looked at; those of the cluster in whole, the others in the chosen namespaces. */
const CLUSTER_KINDS = [
  KINDS.CustomResourceDefinition,
  KINDS.MutatingWebhookConfiguration,
  KINDS.ValidatingWebhookConfiguration,
  KINDS.GatewayClass,
  KINDS.Gateway,
] as const;
const SERVICE_KINDS = [
  KINDS.LLMInferenceService,
  KINDS.Pod,
  KINDS.Service,
  KINDS.EndpointSlice,
  KINDS.InferencePool,
  KINDS.HTTPRoute,
  KINDS.Deployment,
] as const;
const OPERATOR_KINDS = [
  KINDS.Deployment,
  KINDS.Pod,
  KINDS.Service,
  KINDS.EndpointSlice,
  KINDS.ConfigMap,
  KINDS.LLMInferenceServiceConfig,
] as const;

/** What one scheduler process tells of its endpoints, or why it cannot be asked. */
export interface SchedulerReading {
  readonly namespace: string;
  readonly service: string;
  readonly pod: string;
  readonly reading:
    | { readonly kind: "read"; readonly endpoints: readonly EndpointView[] }
    | { readonly kind: "failed"; readonly cause: string };
}

/** A cluster at one moment, as far as the checks look at it. */
export interface Snapshot {
  readonly serverVersion: string;
  readonly nowMs: number;
  /** Objects of a kind; in one namespace where it is given. Empty where the kind could not be read. */
  list(resource: Resource, namespace?: string): readonly KubeObject[];
  find(resource: Resource, namespace: string | undefined, name: string): KubeObject | undefined;
  /** Why a kind could not be read: `missing` where the API server does not serve it. */
  unreadable(resource: Resource): string | undefined;
  /** The operator's ServiceAccount; undefined where there is no operator. */
  readonly operatorAccount: ObjectKey | undefined;
  /** Of how many rights it needs which are denied to it; undefined where that may not be asked. */
  readonly denied: { readonly asked: number; readonly rights: readonly Right[] } | undefined;
  /** The running schedulers of the services. */
  readonly schedulers: readonly SchedulerReading[];
}

/** What to look at. */
export interface Scope {
  /** Namespace of the services; undefined: all. */
  readonly namespace: string | undefined;
  /** Namespace of the operator. */
  readonly systemNamespace: string;
  /** `namespace/name` of the ServiceAccount by whose token schedulers are read. */
  readonly reader: string;
}

/** What an account has to be allowed for a whole diagnosis. */
export function doctorRules(): readonly PolicyRule[] {
  const read = [...CLUSTER_KINDS, ...SERVICE_KINDS, ...OPERATOR_KINDS].map(({ apiVersion, plural }) => ({
    apiGroups: [groupOf(apiVersion)],
    resources: [plural],
    verbs: ["list"],
  }));
  return [
    ...new Map(read.map((rule) => [JSON.stringify(rule), rule])).values(),
    { apiGroups: ["authorization.k8s.io"], resources: ["subjectaccessreviews"], verbs: ["create"] },
    { apiGroups: [""], resources: ["pods/proxy"], verbs: ["get"] },
    {
      apiGroups: [""],
      resources: ["serviceaccounts/token"],
      verbs: ["create"],
      resourceNames: [METRICS_READER],
    },
  ];
}

/** Reads everything that the checks need; what may not be read is noted, not thrown. */
export async function takeSnapshot(client: KubeClient, scope: Scope, nowMs: number): Promise<Snapshot> {
  const version = (await client.getRaw("/version")) as { readonly gitVersion?: string };
  const reads = [
    ...CLUSTER_KINDS.map((resource) => [resource, undefined] as const),
    ...SERVICE_KINDS.map((resource) => [resource, scope.namespace] as const),
    ...OPERATOR_KINDS.map((resource) => [resource, scope.systemNamespace] as const),
  ];
  const objects = new ObjectTable();
  await Promise.all(reads.map(([resource, namespace]) => objects.read(client, resource, namespace)));
  const operatorAccount = accountOf(objects, scope.systemNamespace);
  const rights = neededRights(scope.systemNamespace);
  const [denied, schedulers] = await Promise.all([
    operatorAccount === undefined ? undefined : deniedRights(client, operatorAccount, rights),
    readSchedulers(client, objects.list(KINDS.Pod, scope.namespace), scope.reader),
  ]);
  return {
    operatorAccount,
    denied: denied === undefined ? undefined : { asked: rights.length, rights: denied },
    schedulers,
    serverVersion: version.gitVersion ?? "unknown",
    nowMs,
    list: (resource, namespace) => objects.list(resource, namespace),
    find: (resource, namespace, name) =>
      objects.list(resource, namespace).find((object) => object.metadata.name === name),
    unreadable: (resource) => objects.problems.get(resource),
  };
}

/** Label of the operator's Deployment and pods. */
export const OPERATOR_LABEL = { key: "control-plane", value: "llmisvc-controller-manager" } as const;

function accountOf(objects: ObjectTable, namespace: string): ObjectKey | undefined {
  const deployment = objects
    .list(KINDS.Deployment, namespace)
    .find(({ metadata }) => metadata.labels?.[OPERATOR_LABEL.key] === OPERATOR_LABEL.value);
  if (deployment === undefined) return undefined;
  return { namespace, name: textAt(asJson(deployment), "spec", "template", "spec", "serviceAccountName") ?? "default" };
}

async function readSchedulers(
  client: KubeClient,
  pods: readonly KubeObject[],
  reader: string,
): Promise<readonly SchedulerReading[]> {
  return await Promise.all(
    schedulersAmong(client, pods, reader).map(async ({ pod, service, read }) => {
      const { namespace = "", name } = pod.metadata;
      const reading = await read("/debug/endpoints").then(
        (page) => ({ kind: "read", endpoints: (page ?? []) as readonly EndpointView[] }) as const,
        (error: unknown) => ({ kind: "failed", cause: describeError(error) }) as const,
      );
      return { namespace, service, pod: name, reading };
    }),
  );
}

class ObjectTable {
  readonly problems = new Map<Resource, string>();
  readonly #objects = new Map<Resource, Map<string, KubeObject>>();

  async read(client: KubeClient, resource: Resource, namespace: string | undefined): Promise<void> {
    try {
      const { items } = await listAll(client, resource, { namespace });
      const known = this.#objects.get(resource) ?? new Map<string, KubeObject>();
      for (const item of items) known.set(`${item.metadata.namespace}/${item.metadata.name}`, item);
      this.#objects.set(resource, known);
    } catch (error) {
      const missing = error instanceof KubeError && error.code === 404;
      this.problems.set(resource, missing ? "missing" : describeError(error));
    }
  }

  list(resource: Resource, namespace?: string): readonly KubeObject[] {
    const all = [...(this.#objects.get(resource)?.values() ?? [])];
    return namespace === undefined ? all : all.filter((object) => object.metadata.namespace === namespace);
  }
}
