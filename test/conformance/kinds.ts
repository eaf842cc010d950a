import type { Json, JsonObject } from "./step.ts";

/** A kind whose objects scenarios write. */
export interface Kind {
  readonly apiVersion: string;
  readonly kind: string;
  /** Collection in the namespace of a scenario. */
  readonly path: string;
  readonly plural: string;
  /** Everything but metadata of a good object, in several variants. */
  readonly contents: readonly JsonObject[];
  /** Changes of one field each, as merge patches; some are refused. */
  readonly changes: readonly JsonObject[];
  /** Whether strategic merge patches are served. */
  readonly strategic: boolean;
  /** A status, where the kind has one as a sub-resource. */
  readonly status?: JsonObject;
  readonly scalable?: true;
}

const container = (name: string, more: JsonObject = {}): JsonObject => ({ name, image: "busybox", ...more });
const template = (labels: JsonObject, containers: readonly Json[]): JsonObject => ({
  metadata: { labels },
  spec: { containers },
});

/** The custom kind of the suite: defaults, bounds, patterns, unions, CEL rules, list types, pruning, status and scale. */
export const WIDGET_DEFINITION: JsonObject = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "widgets.conformance.example.com" },
  spec: {
    group: "conformance.example.com",
    scope: "Namespaced",
    names: { plural: "widgets", singular: "widget", kind: "Widget", listKind: "WidgetList", shortNames: ["wd"] },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: "object",
            properties: {
              spec: {
                type: "object",
                required: ["size"],
                "x-kubernetes-validations": [
                  { rule: "!has(self.max) || self.size <= self.max", message: "size must not exceed max" },
                ],
                properties: {
                  size: { type: "integer", minimum: 1, maximum: 100 },
                  max: { type: "integer" },
                  color: { type: "string", default: "red", enum: ["red", "green", "blue"] },
                  code: { type: "string", pattern: "^[a-z]+$", maxLength: 8 },
                  replicas: { type: "integer", minimum: 0 },
                  tags: { type: "array", items: { type: "string" }, "x-kubernetes-list-type": "set", maxItems: 4 },
                  parts: {
                    type: "array",
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["name"],
                    items: {
                      type: "object",
                      required: ["name"],
                      properties: { name: { type: "string" }, count: { type: "integer", default: 1 } },
                    },
                  },
                  amount: { "x-kubernetes-int-or-string": true },
                  nested: {
                    type: "object",
                    properties: { flag: { type: "boolean", default: false }, text: { type: "string", nullable: true } },
                  },
                  free: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
                  map: { type: "object", additionalProperties: { type: "string" } },
                },
              },
              status: {
                type: "object",
                properties: { replicas: { type: "integer" }, phase: { type: "string" } },
              },
            },
          },
        },
        subresources: {
          status: {},
          scale: { specReplicasPath: ".spec.replicas", statusReplicasPath: ".status.replicas" },
        },
        additionalPrinterColumns: [
          { name: "Size", type: "integer", jsonPath: ".spec.size" },
          { name: "Color", type: "string", jsonPath: ".spec.color" },
          { name: "Phase", type: "string", jsonPath: ".status.phase", priority: 1 },
        ],
      },
    ],
  },
};

const collection = (prefix: string, plural: string): string => `${prefix}/namespaces/{ns}/${plural}`;

/** The kinds of the suite: what the operator writes, and the custom kind. */
export const KINDS: readonly Kind[] = [
  {
    apiVersion: "v1",
    kind: "ConfigMap",
    plural: "configmaps",
    path: collection("/api/v1", "configmaps"),
    strategic: true,
    contents: [{ data: { key: "value" } }, { data: { a: "1", b: "2" } }, {}, { binaryData: { raw: "AAEC" } }],
    changes: [
      { data: { key: "other" } },
      { data: { extra: "more" } },
      { data: null },
      { data: { key: null } },
      { data: { "bad key!": "x" } },
      { data: { key: 5 } },
      { immutable: true },
      { unknownField: 1 },
    ],
  },
  {
    apiVersion: "v1",
    kind: "Secret",
    plural: "secrets",
    path: collection("/api/v1", "secrets"),
    strategic: true,
    contents: [{ data: { key: "dmFsdWU=" } }, { stringData: { key: "plain" } }, { type: "example.com/own" }],
    changes: [
      { data: { key: "b3RoZXI=" } },
      { stringData: { more: "text" } },
      { type: "changed" },
      { data: { key: "not base64!" } },
      { data: null },
    ],
  },
  {
    apiVersion: "v1",
    kind: "Service",
    plural: "services",
    path: collection("/api/v1", "services"),
    strategic: true,
    contents: [
      { spec: { clusterIP: "None", selector: { app: "a" }, ports: [{ port: 80 }] } },
      { spec: { clusterIP: "None", selector: { app: "a" }, ports: [{ name: "http", port: 80, targetPort: "web" }] } },
      {
        spec: {
          clusterIP: "None",
          selector: { app: "c" },
          ports: [
            { name: "a", port: 80, protocol: "TCP" },
            { name: "b", port: 81, targetPort: 8081 },
          ],
        },
      },
    ],
    changes: [
      { spec: { selector: { app: "b" } } },
      { spec: { ports: [{ port: 8080 }] } },
      { spec: { ports: [{ port: 70000 }] } },
      { spec: { ports: [] } },
      { spec: { sessionAffinity: "ClientIP" } },
      { spec: { type: "Nonsense" } },
    ],
  },
  {
    apiVersion: "v1",
    kind: "ServiceAccount",
    plural: "serviceaccounts",
    path: collection("/api/v1", "serviceaccounts"),
    strategic: true,
    contents: [{}, { automountServiceAccountToken: false }, { imagePullSecrets: [{ name: "pull" }] }],
    changes: [
      { automountServiceAccountToken: true },
      { imagePullSecrets: [{ name: "other" }] },
      { secrets: [{ name: "token" }] },
    ],
  },
  {
    apiVersion: "v1",
    kind: "Pod",
    plural: "pods",
    path: collection("/api/v1", "pods"),
    strategic: true,
    contents: [
      { spec: { containers: [container("main")] } },
      { spec: { containers: [container("main", { command: ["sleep"], ports: [{ containerPort: 80 }] })] } },
    ],
    changes: [
      { spec: { containers: [container("main", { image: "busybox:2" })] } },
      { spec: { nodeName: "n" } },
      { spec: { terminationGracePeriodSeconds: 5 } },
      { spec: { containers: [] } },
    ],
    status: { phase: "Running" },
  },
  {
    apiVersion: "apps/v1",
    kind: "Deployment",
    plural: "deployments",
    path: collection("/apis/apps/v1", "deployments"),
    strategic: true,
    contents: [
      { spec: { selector: { matchLabels: { app: "a" } }, template: template({ app: "a" }, [container("main")]) } },
      {
        spec: {
          replicas: 3,
          selector: { matchLabels: { app: "b" } },
          template: template({ app: "b" }, [
            container("main", { env: [{ name: "A", value: "1" }], resources: { limits: { cpu: "1", memory: "1Gi" } } }),
            container("side", { readinessProbe: { httpGet: { path: "/", port: 80 } } }),
          ]),
        },
      },
    ],
    changes: [
      { spec: { replicas: 5 } },
      { spec: { replicas: -1 } },
      { spec: { template: { metadata: { annotations: { restarted: "now" } } } } },
      { spec: { template: { spec: { containers: [container("main", { image: "busybox:2" })] } } } },
      { spec: { template: { spec: { volumes: [{ name: "v", emptyDir: {} }] } } } },
      { spec: { selector: { matchLabels: { app: "other" } } } },
      { spec: { strategy: { type: "Recreate", rollingUpdate: null } } },
      { spec: { template: { spec: { restartPolicy: "Never" } } } },
      { spec: { unknownField: true } },
    ],
    status: { replicas: 2, observedGeneration: 1 },
    scalable: true,
  },
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "Role",
    plural: "roles",
    path: collection("/apis/rbac.authorization.k8s.io/v1", "roles"),
    strategic: true,
    contents: [{ rules: [{ apiGroups: [""], resources: ["pods"], verbs: ["get"] }] }, { rules: [] }],
    changes: [
      { rules: [{ apiGroups: [""], resources: ["pods"], verbs: ["get", "list"] }] },
      { rules: [{ apiGroups: [""], resources: ["pods"], verbs: [] }] },
    ],
  },
  {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    plural: "leases",
    path: collection("/apis/coordination.k8s.io/v1", "leases"),
    strategic: true,
    contents: [{ spec: { holderIdentity: "me", leaseDurationSeconds: 15 } }, {}],
    changes: [
      { spec: { holderIdentity: "you", leaseTransitions: 1 } },
      { spec: { leaseDurationSeconds: 0 } },
      { spec: { leaseDurationSeconds: "ten" } },
    ],
  },
  {
    apiVersion: "conformance.example.com/v1",
    kind: "Widget",
    plural: "widgets",
    path: collection("/apis/conformance.example.com/v1", "widgets"),
    strategic: false,
    contents: [
      { spec: { size: 1 } },
      { spec: { size: 2, replicas: 2, tags: ["a", "b"], parts: [{ name: "x" }, { name: "y", count: 2 }] } },
      { spec: { size: 3, max: 5, nested: {}, map: { k: "v" }, free: { any: { thing: 1 } }, amount: "10%" } },
    ],
    changes: [
      { spec: { size: 50 } },
      { spec: { size: 0 } },
      { spec: { size: "big" } },
      { spec: { size: null } },
      { spec: { size: 9, max: 5 } },
      { spec: { color: "pink" } },
      { spec: { color: null } },
      { spec: { code: "UPPER" } },
      { spec: { tags: ["a", "a"] } },
      { spec: { tags: ["a", "b", "c", "d", "e"] } },
      { spec: { parts: [{ name: "x", count: 3 }] } },
      { spec: { parts: [{ name: "x" }, { name: "x" }] } },
      { spec: { parts: [{ count: 1 }] } },
      { spec: { nested: { text: null, flag: true } } },
      { spec: { unknownField: 1, free: { kept: true } } },
      { spec: { map: { k: 1 } } },
      { spec: { amount: 5 } },
      { spec: { amount: true } },
      { spec: { replicas: 4 } },
    ],
    status: { replicas: 1, phase: "Ready" },
    scalable: true,
  },
];
