import { childNames } from "../controllers/names.ts";
import type { Json, JsonObject } from "../crds/schema/types.ts";
import { KINDS, type Resource } from "../kube/resources.ts";
import type { KubeObject } from "../kube/types.ts";
import { SYSTEM_NAMESPACE } from "./composition.ts";

/** Namespace and name of the services. */
export const NAMESPACE = "ml";
export const NAME = "llama";
const OWNER = {
  apiVersion: "serving.kserve.io/v1alpha2",
  kind: "LLMInferenceService",
  name: NAME,
  uid: "uid",
  controller: true,
};
/** Names of the children of the service. */
export const names = childNames(NAMESPACE, NAME);

/** An object of the service, or of no namespace where its kind has none. */
export function object(
  resource: Resource,
  name: string,
  more: JsonObject = {},
  labels: Record<string, string> = {},
): KubeObject {
  const { apiVersion, kind, namespaced } = resource;
  const metadata = {
    name,
    ...(namespaced ? { namespace: NAMESPACE } : {}),
    labels,
    generation: 1,
    ownerReferences: [OWNER],
  };
  return { apiVersion, kind, metadata, ...more };
}

const LABELS = (component: string) => ({
  "app.kubernetes.io/name": NAME,
  "app.kubernetes.io/part-of": "llminferenceservice",
  "app.kubernetes.io/component": component,
});

const UNAVAILABLE: Json = {
  type: "Available",
  status: "False",
  reason: "MinimumReplicasUnavailable",
  message: "Deployment does not have minimum availability.",
};

/** A Deployment of the service, by default without ready pods. */
export const deployment = (name: string, conditions: readonly Json[] = [UNAVAILABLE]): KubeObject =>
  object(KINDS.Deployment, name, { status: { observedGeneration: 1, conditions: [...conditions] } });

/** The workload that gets no pods, with the cause. */
export const replicaFailure = (message: string): readonly KubeObject[] => [
  deployment(names.deployment, [
    UNAVAILABLE,
    { type: "ReplicaFailure", status: "True", reason: "FailedCreate", message },
  ]),
];

/** A pod of that status and the Deployment that it belongs to: the workload unless a component is named. */
export function pod(status: JsonObject, more: { spec?: JsonObject; component?: string } = {}): readonly KubeObject[] {
  const component = more.component ?? "llminferenceservice-workload";
  const owner = component.includes("scheduler") ? names.scheduler : names.deployment;
  return [deployment(owner), object(KINDS.Pod, "llama-0", { spec: more.spec ?? {}, status }, LABELS(component))];
}

/** Status of a pod whose container `main` is in a state. */
export const container = (state: JsonObject, more: JsonObject = {}): JsonObject => ({
  containerStatuses: [{ name: "main", image: "vllm:v9", ready: false, restartCount: 0, state, ...more }],
});

/** A pod that finds no node. */
export const unscheduled = (message: string, spec: JsonObject = {}): readonly KubeObject[] =>
  pod(
    { phase: "Pending", conditions: [{ type: "PodScheduled", status: "False", reason: "Unschedulable", message }] },
    { spec },
  );

/** A pod whose storage initializer fails. */
export const initFailed = (message: string): readonly KubeObject[] =>
  pod({
    initContainerStatuses: [
      {
        name: "storage-initializer",
        restartCount: 2,
        state: { waiting: { reason: "CrashLoopBackOff" } },
        lastState: { terminated: { exitCode: 1, reason: "Error", message } },
      },
    ],
    containerStatuses: [{ name: "main", restartCount: 0, state: { waiting: { reason: "PodInitializing" } } }],
  });

/** A pod whose container has ended again and again, the last time with that message. */
export const crashed = (message: string, more: JsonObject = {}): readonly KubeObject[] =>
  pod(
    container(
      { waiting: { reason: "CrashLoopBackOff", message: "back-off 40s restarting failed container" } },
      { restartCount: 3, lastState: { terminated: { exitCode: 1, reason: "Error", message, ...more } } },
    ),
    { spec: { containers: [{ name: "main", resources: { limits: { memory: "8Gi" } } }] } },
  );

/** Status of a pod whose container is being created. */
export const CREATING = container({ waiting: { reason: "ContainerCreating" } });
/** State of a container that runs. */
export const RUNNING: JsonObject = { running: { startedAt: "2026-01-01T00:00:00Z" } };
/** Spec of a pod whose container has a readiness probe. */
export const PROBED: JsonObject = {
  containers: [{ name: "main", readinessProbe: { httpGet: { path: "/health", port: 8001 } } }],
};

/** The default Gateway. */
export const gateway = (conditions: readonly Json[] = [{ type: "Programmed", status: "True" }]): KubeObject => ({
  ...object(KINDS.Gateway, "kserve-ingress-gateway", {
    spec: { listeners: [{ name: "http", port: 80, protocol: "HTTP" }] },
    status: { addresses: [{ type: "IPAddress", value: "203.0.113.10" }], conditions: [...conditions] },
  }),
  metadata: { name: "kserve-ingress-gateway", namespace: SYSTEM_NAMESPACE },
});

/** The default Gateway as the parent of a route. */
export const PARENT = {
  group: "gateway.networking.k8s.io",
  kind: "Gateway",
  name: "kserve-ingress-gateway",
  namespace: SYSTEM_NAMESPACE,
};

/** The route of the service, with what the Gateway says of it. */
export function route(accepted: JsonObject, resolved: JsonObject = { status: "True" }): KubeObject {
  const conditions = [
    { type: "Accepted", ...accepted },
    { type: "ResolvedRefs", ...resolved },
  ];
  const spec = { parentRefs: [PARENT] };
  return object(KINDS.HTTPRoute, names.route, { spec, status: { parents: [{ parentRef: PARENT, conditions }] } });
}

/** The pool of the service, with what Gateways say of it. */
export const pool = (parents: readonly Json[]): KubeObject =>
  object(KINDS.InferencePool, names.pool, { status: { parents: [...parents] } });
