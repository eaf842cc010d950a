import type { FaultId } from "../controllers/status/faults.ts";
import type { JsonObject } from "../crds/schema/types.ts";
import { KINDS } from "../kube/resources.ts";
import type { KubeObject } from "../kube/types.ts";
import type { ClusterExtras } from "./cluster-view.ts";
import {
  container,
  crashed,
  CREATING,
  deployment,
  gateway,
  initFailed,
  names,
  NAMESPACE,
  object,
  PARENT,
  pod,
  pool,
  PROBED,
  replicaFailure,
  route,
  RUNNING,
  unscheduled,
} from "./fault-objects.ts";

const MODEL: JsonObject = { uri: "hf://meta-llama/Llama-3.1-8B-Instruct", name: "llama" };
/** The spec of scenarios that name none. */
export const PLAIN: JsonObject = { model: MODEL };
const ROUTED: JsonObject = { model: MODEL, router: { gateway: {}, route: {}, scheduler: {} } };

/** What is wrong in one scenario, and the words by which the status has to name it. */
export interface Scenario {
  readonly fault: FaultId;
  readonly spec?: JsonObject;
  readonly name?: string;
  readonly objects?: readonly KubeObject[];
  readonly extras?: ClusterExtras;
  /** Answer of the API server to the first child of that kind. */
  readonly refused?: readonly [kind: string, code: number, message: string];
  readonly words: readonly string[];
}

const SCALED: JsonObject = { model: MODEL, scaling: { minReplicas: 1, maxReplicas: 4, wva: { hpa: {} } } };

/** The faults that a service or its cluster can have, by what they are. */
export const SCENARIOS: Readonly<Record<string, Scenario>> = {
  "no GPU": {
    fault: "resource-short",
    objects: unscheduled(
      "0/3 nodes are available: 3 Insufficient nvidia.com/gpu. preemption: 0/3 nodes are available.",
      {
        containers: [{ name: "main", resources: { limits: { "nvidia.com/gpu": "8" } } }],
      },
    ),
    words: ["nvidia.com/gpu", "requested: 8", "llama-0"],
  },
  "node selector matches nothing": {
    fault: "node-excluded",
    objects: unscheduled("0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector."),
    words: ["node affinity/selector"],
  },
  "PVC pending": {
    fault: "claim-pending",
    objects: unscheduled("0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims.", {
      volumes: [{ name: "m", persistentVolumeClaim: { claimName: "models" } }],
    }),
    words: ["models", "not bound"],
  },
  "PVC missing": {
    fault: "claim-missing",
    objects: unscheduled('0/1 nodes are available: persistentvolumeclaim "models" not found.'),
    words: ['"models"', "does not exist"],
  },
  "bad image": {
    fault: "image-pull",
    objects: pod(container({ waiting: { reason: "ErrImagePull", message: "manifest for vllm:v9 not found" } })),
    words: ["vllm:v9", "manifest for vllm:v9 not found", "container main"],
  },
  "bad image, backing off": {
    fault: "image-pull",
    objects: pod(container({ waiting: { reason: "ImagePullBackOff", message: 'Back-off pulling image "vllm:v9"' } })),
    extras: { warnings: { "llama-0": [{ reason: "Failed", message: "Failed to pull image: 401 Unauthorized" }] } },
    words: ["401 Unauthorized"],
  },
  "missing Secret in the environment": {
    fault: "secret-missing",
    objects: pod(
      container({ waiting: { reason: "CreateContainerConfigError", message: 'secret "hf-token" not found' } }),
    ),
    words: ['Secret "hf-token"', "does not exist"],
  },
  "missing Secret in a volume": {
    fault: "secret-missing",
    objects: pod(CREATING),
    extras: {
      warnings: {
        "llama-0": [
          { reason: "FailedMount", message: 'MountVolume.SetUp failed for volume "t" : secret "hf-token" not found' },
        ],
      },
    },
    words: ['Secret "hf-token"', "mounts"],
  },
  "missing ConfigMap": {
    fault: "config-map-missing",
    objects: pod(
      container({ waiting: { reason: "CreateContainerConfigError", message: 'configmap "chat-template" not found' } }),
    ),
    words: ['ConfigMap "chat-template"'],
  },
  "volume not mounted": {
    fault: "mount-failed",
    objects: pod(CREATING),
    extras: {
      warnings: {
        "llama-0": [{ reason: "FailedMount", message: "MountVolume.SetUp failed: nfs: server unreachable" }],
      },
    },
    words: ["nfs: server unreachable"],
  },
  "model 404": {
    fault: "model-not-found",
    objects: initFailed(
      "Traceback (most recent call last):\nRepositoryNotFoundError: 404 Client Error for url https://huggingface.co/api/models/x/y\n",
    ),
    words: ["404 Client Error", "storage-initializer"],
  },
  "model gated": {
    fault: "model-denied",
    objects: initFailed("GatedRepoError: 403 Client Error: Cannot access gated repo for url https://huggingface.co/x"),
    words: ["403 Client Error"],
  },
  "certificate of the model source expired": {
    fault: "certificate-expired",
    objects: initFailed("SSLError: certificate verify failed: certificate has expired (_ssl.c:1000)"),
    words: ["certificate has expired"],
  },
  "storage initializer fails": {
    fault: "init-failed",
    objects: initFailed("downloading\nOSError: [Errno 28] No space left on device\n\n"),
    words: ["No space left on device", "exit code 1"],
  },
  "container cannot start": {
    fault: "container-config",
    objects: pod(container({ waiting: { reason: "RunContainerError", message: 'exec: "vllmm": not found in $PATH' } })),
    words: ['"vllmm"'],
  },
  "engine crash loop": {
    fault: "crash-loop",
    objects: crashed("INFO start\nValueError: --max-model-len 131072 is too large\n"),
    words: ["ValueError: --max-model-len", "exit code 1"],
  },
  "scheduler crash loop": {
    fault: "crash-loop",
    spec: ROUTED,
    objects: [
      gateway(),
      ...pod(
        container(RUNNING, {
          restartCount: 4,
          lastState: { terminated: { exitCode: 1, message: "plugins[2].type: unknown plugin" } },
        }),
        { component: "llminferenceservice-scheduler" },
      ),
    ],
    words: ["unknown plugin"],
  },
  "no accelerator visible": {
    fault: "accelerator-missing",
    objects: crashed("RuntimeError: Failed to infer device type"),
    words: ["Failed to infer device type"],
  },
  "model larger than the accelerator": {
    fault: "accelerator-memory",
    objects: crashed("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB"),
    words: ["CUDA out of memory", "tensor"],
  },
  OOMKilled: {
    fault: "out-of-memory",
    objects: crashed("", { reason: "OOMKilled", exitCode: 137 }),
    words: ["8Gi", "memory limit"],
  },
  "wrong port": {
    fault: "port-refused",
    objects: pod(container(RUNNING), { spec: PROBED }),
    extras: {
      warnings: {
        "llama-0": [
          {
            reason: "Unhealthy",
            message:
              'Readiness probe failed: Get "http://10.1.2.3:8001/health": dial tcp 10.1.2.3:8001: connect: connection refused',
          },
        ],
      },
    },
    words: ["port 8001", "connection refused"],
  },
  "probe failing": {
    fault: "probe-failing",
    objects: pod(container(RUNNING), { spec: PROBED }),
    extras: {
      warnings: {
        "llama-0": [{ reason: "Unhealthy", message: "Readiness probe failed: HTTP probe failed with statuscode: 503" }],
      },
    },
    words: ["statuscode: 503", "readiness probe"],
  },
  "liveness probe kills": {
    fault: "probe-failing",
    objects: pod(
      container(RUNNING, { restartCount: 2, lastState: { terminated: { exitCode: 137, reason: "Error" } } }),
      { spec: PROBED },
    ),
    extras: {
      warnings: { "llama-0": [{ reason: "Unhealthy", message: "Liveness probe failed: context deadline exceeded" }] },
    },
    words: ["liveness probe", "deadline exceeded"],
  },
  "node pressure eviction": {
    fault: "evicted",
    objects: pod({ phase: "Failed", reason: "Evicted", message: "The node was low on resource: memory." }),
    words: ["low on resource: memory"],
  },
  quota: {
    fault: "quota-exceeded",
    objects: replicaFailure(
      'pods "llama-kserve-x" is forbidden: exceeded quota: team, requested: requests.nvidia.com/gpu=1, used: requests.nvidia.com/gpu=4, limited: requests.nvidia.com/gpu=4',
    ),
    words: ["exceeded quota: team", "nvidia.com/gpu"],
  },
  "quota of Services": {
    fault: "quota-exceeded",
    refused: [
      "Service",
      403,
      'services "x" is forbidden: exceeded quota: objects, requested: services=1, used: services=5, limited: services=5',
    ],
    words: ["exceeded quota: objects"],
  },
  "missing service account of pods": {
    fault: "service-account-missing",
    objects: replicaFailure(
      'pods "x" is forbidden: error looking up service account ml/runner: serviceaccount "runner" not found',
    ),
    words: ["runner"],
  },
  "missing service account of downloads": {
    fault: "service-account-missing",
    spec: { model: MODEL, template: { serviceAccountName: "runner" } },
    words: ["ml/runner"],
  },
  "pods denied by a policy": {
    fault: "admission-denied",
    objects: replicaFailure('admission webhook "validate.kyverno.svc" denied the request: images must be signed'),
    words: ["validate.kyverno.svc", "images must be signed"],
  },
  "child denied": {
    fault: "admission-denied",
    refused: ["Deployment", 403, 'admission webhook "gate.policy.io" denied the request: label team is missing'],
    words: ["gate.policy.io", "label team is missing"],
  },
  "webhook down": {
    fault: "webhook-down",
    refused: [
      "Deployment",
      500,
      'Internal error occurred: failed calling webhook "inject.mesh.io": connection refused',
    ],
    words: ["inject.mesh.io"],
  },
  "webhook certificate expired": {
    fault: "certificate-expired",
    refused: [
      "Deployment",
      500,
      'failed calling webhook "inject.mesh.io": x509: certificate has expired or is not yet valid',
    ],
    words: ["inject.mesh.io", "certificate has expired"],
  },
  "route rejected as invalid": {
    fault: "object-invalid",
    spec: ROUTED,
    objects: [gateway()],
    refused: [
      "HTTPRoute",
      422,
      'HTTPRoute "x" is invalid: spec.rules[0].matches: Too many: 65: must have at most 64 items',
    ],
    words: ["spec.rules[0].matches", "at most 64"],
  },
  "operator lacks a right": {
    fault: "operator-forbidden",
    refused: [
      "Secret",
      403,
      'secrets is forbidden: User "system:serviceaccount:kserve:x" cannot create resource "secrets" in API group ""',
    ],
    words: ['resource "secrets"', "ClusterRole"],
  },
  "pods refused for an unknown cause": {
    fault: "pods-refused",
    objects: replicaFailure("something new"),
    words: ["something new"],
  },
  "Gateway API absent": {
    fault: "gateway-api-missing",
    spec: ROUTED,
    extras: { unserved: ["HTTPRoute", "Gateway", "GatewayClass"] },
    words: ["gateway.networking.k8s.io/v1"],
  },
  "gateway absent": { fault: "gateway-missing", spec: ROUTED, words: ["kserve/kserve-ingress-gateway"] },
  "referenced gateway absent": {
    fault: "gateway-missing",
    spec: { model: MODEL, router: { gateway: { refs: [{ name: "nope" }] }, route: {} } },
    words: ["Gateway ml/nope does not exist"],
  },
  "gateway not programmed": {
    fault: "gateway-not-programmed",
    spec: {
      model: MODEL,
      router: { gateway: { refs: [{ name: "kserve-ingress-gateway", namespace: "kserve" }] }, route: {} },
    },
    objects: [gateway([{ type: "Programmed", status: "False", reason: "AddressNotAssigned", message: "no address" }])],
    words: ["AddressNotAssigned", "load balancer"],
  },
  "route absent": {
    fault: "route-missing",
    spec: { model: MODEL, router: { route: { http: { refs: [{ name: "mine" }] } } } },
    words: ["HTTPRoute ml/mine does not exist"],
  },
  "route not accepted": {
    fault: "route-refused",
    spec: ROUTED,
    objects: [gateway(), route({ status: "False", reason: "NotAllowedByListeners", message: "namespace not allowed" })],
    words: ["NotAllowedByListeners", "allowedRoutes"],
  },
  "route's backend not understood": {
    fault: "route-refused",
    spec: ROUTED,
    objects: [
      gateway(),
      route({ status: "True" }, { status: "False", reason: "InvalidKind", message: "InferencePool" }),
    ],
    words: ["InvalidKind", "supports InferencePool"],
  },
  "pool not answered": {
    fault: "pool-unanswered",
    spec: ROUTED,
    objects: [gateway(), route({ status: "True" }, { status: "False", reason: "Pending", message: "" }), pool([])],
    words: ["no Gateway controller has accepted it"],
  },
  "pool not accepted": {
    fault: "pool-refused",
    spec: ROUTED,
    objects: [
      gateway(),
      route({ status: "True" }),
      pool([
        {
          parentRef: PARENT,
          conditions: [{ type: "Accepted", status: "False", reason: "NotSupportedByParent", message: "no" }],
        },
      ]),
    ],
    words: ["NotSupportedByParent"],
  },
  "referenced pool absent": {
    fault: "pool-missing",
    spec: { model: MODEL, router: { route: {}, scheduler: { pool: { ref: { name: "theirs" } } } } },
    objects: [gateway()],
    words: ["ml/theirs"],
  },
  "pool CRD absent": {
    fault: "pool-api-missing",
    spec: ROUTED,
    objects: [gateway()],
    extras: { unserved: ["InferencePool"] },
    words: ["inference.networking.k8s.io/v1"],
  },
  "LWS CRD absent": {
    fault: "lws-missing",
    spec: { model: MODEL, parallelism: { data: 2, dataLocal: 1 }, worker: { containers: [{ name: "main" }] } },
    extras: { unserved: ["LeaderWorkerSet"] },
    words: ["leaderworkerset.x-k8s.io/v1"],
  },
  "HPA cannot get metrics": {
    fault: "metrics-missing",
    spec: SCALED,
    objects: [
      object(KINDS.HorizontalPodAutoscaler, names.autoscaler, {
        status: {
          conditions: [
            { type: "AbleToScale", status: "True" },
            {
              type: "ScalingActive",
              status: "False",
              reason: "FailedGetExternalMetric",
              message: "no matches for wva_desired_replicas",
            },
          ],
        },
      }),
    ],
    words: ["wva_desired_replicas", "metrics adapter"],
  },
  "KEDA CRD absent": {
    fault: "keda-missing",
    spec: {
      model: MODEL,
      scaling: { minReplicas: 1, maxReplicas: 4, keda: { triggers: [{ type: "cpu", metadata: { value: "60" } }] } },
    },
    extras: { unserved: ["ScaledObject"] },
    words: ["keda.sh/v1alpha1"],
  },
  "baseRef missing": {
    fault: "config-missing",
    spec: { ...PLAIN, baseRefs: [{ name: "team-defaults" }] },
    words: ['"team-defaults"', "not found"],
  },
  "config broken": {
    fault: "config-broken",
    spec: {
      model: { ...MODEL, name: "{{ .Nope.Field }}" },
      template: { containers: [{ name: "main", args: ["{{ nope }}"] }] },
    },
    words: ["nope"],
  },
  "merged spec invalid": {
    fault: "spec-invalid",
    spec: { ...PLAIN, replicas: 1, scaling: { minReplicas: 1, maxReplicas: 2, wva: { hpa: {} } } },
    words: ["replicas"],
  },
  "name too long": {
    fault: "name-too-long",
    refused: [
      "Service",
      422,
      'Service "x" is invalid: metadata.name: Invalid value: "x": must be no more than 63 characters',
    ],
    words: ["must be no more than 63 characters"],
  },
  "foreign object in the way": {
    fault: "foreign-object",
    objects: [
      {
        ...object(KINDS.Service, names.workloadService),
        metadata: { name: names.workloadService, namespace: NAMESPACE },
      },
    ],
    words: [names.workloadService, "not controlled by this service"],
  },
  "foreign object that carries no label of ours": {
    fault: "foreign-object",
    refused: [
      "Service",
      409,
      'Apply failed with 1 conflict: conflict with "kubectl-client-side-apply": .spec.selector',
    ],
    words: ["kubectl-client-side-apply", ".spec.selector"],
  },
  "rollout stalled while old pods serve": {
    fault: "rollout-stalled",
    objects: [
      deployment(names.deployment, [
        { type: "Available", status: "True" },
        {
          type: "Progressing",
          status: "False",
          reason: "ProgressDeadlineExceeded",
          message: 'ReplicaSet "x" has timed out progressing.',
        },
      ]),
    ],
    words: ["timed out progressing"],
  },
};
