import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { KINDS } from "../kube/resources.ts";
import { type Answered, type OperatorBed, startBed } from "../test/operator-bed.ts";
import { SHAPES } from "../test/service-shapes.ts";
import { type PolicyRule, operatorNamespaceRules, operatorRules } from "./operator-role.ts";
import { PICKER_RULES } from "./scheduler/rbac.ts";

const NAMESPACE = "life";
const USER = { fieldManager: "user" };

/** One right: group, resource with sub-resource, verb, namespace. */
interface Right {
  readonly group: string;
  readonly resource: string;
  readonly verb: string;
  readonly namespace: string | undefined;
  readonly name: string | undefined;
}

const VERBS: Readonly<Record<string, string>> = { POST: "create", PUT: "update", PATCH: "patch", DELETE: "delete" };

/** What an API server asks its authorizer for one request; an apply that created asked for that too. */
function rightsOf({ method, path, status }: Answered): readonly Right[] {
  const url = new URL(path, "http://server");
  const parts = url.pathname.split("/").filter((part) => part !== "");
  const [group, rest] = parts[0] === "api" ? ["", parts.slice(2)] : [parts[1] ?? "", parts.slice(3)];
  // Discovery is for everybody who is authenticated.
  if (rest.length === 0) return [];
  const namespaced = rest[0] === "namespaces" && rest.length > 2;
  const [resource = "", name, subresource] = namespaced ? rest.slice(2) : rest;
  const right: Right = {
    group,
    resource: subresource === undefined ? resource : `${resource}/${subresource}`,
    namespace: namespaced ? rest[1] : undefined,
    name,
    verb: "",
  };
  const read = url.searchParams.get("watch") === "true" ? "watch" : name === undefined ? "list" : "get";
  const verb = method === "GET" ? read : (VERBS[method] ?? method);
  return [{ ...right, verb }, ...(verb === "patch" && status === 201 ? [{ ...right, verb: "create" }] : [])];
}

const grants = (rule: PolicyRule, { group, resource, verb, name }: Right): boolean =>
  rule.apiGroups.includes(group) &&
  rule.resources.includes(resource) &&
  rule.verbs.includes(verb) &&
  (rule.resourceNames === undefined || rule.resourceNames.includes(name ?? ""));

/** Rights that no request of the operator uses, yet the API server wants it to have. */
function isNeededUnused(group: string, resource: string, verb: string): boolean {
  // Handed on to schedulers (RBAC's escalation check), and what `blockOwnerDeletion` asks for.
  const handedOn = PICKER_RULES.some((rule) => grants(rule, { group, resource, verb, namespace: "", name: undefined }));
  return handedOn || verb === "bind" || resource.endsWith("/finalizers");
}

describe("the operator's rights", () => {
  let bed: OperatorBed;
  let used: readonly Right[] = [];

  beforeAll(async () => {
    bed = await startBed([NAMESPACE]);
    await live(bed);
    used = bed.answered.filter(({ status }) => status < 300 || status === 404).flatMap(rightsOf);
  }, 180_000);
  afterAll(async () => await bed?.close());

  test("what it does is granted", () => {
    const namespaceRules = operatorNamespaceRules();
    const missing = used.filter(
      (right) =>
        !operatorRules().some((rule) => grants(rule, right)) &&
        !(right.namespace === "kserve" && namespaceRules.some((rule) => grants(rule, right))),
    );
    expect([...new Set(missing.map(({ verb, resource, group }) => `${verb} ${resource}.${group}`))]).toEqual([]);
  });

  test("what is granted is done in the life of services", () => {
    const unused = [...operatorRules(), ...operatorNamespaceRules()].flatMap((rule) =>
      rule.apiGroups.flatMap((group) =>
        rule.resources.flatMap((resource) =>
          rule.verbs
            .filter(
              (verb) =>
                !used.some((right) => right.group === group && right.resource === resource && right.verb === verb),
            )
            .filter((verb) => !isNeededUnused(group, resource, verb))
            .map((verb) => `${verb} ${resource}.${group}`),
        ),
      ),
    );
    expect(unused).toEqual([]);
  });
});

/** Services of every shape come, are edited and go, with references to objects of others and a pod that does not serve. */
async function live(bed: OperatorBed): Promise<void> {
  const { client } = bed;
  const { apiVersion, kind } = KINDS.LLMInferenceService;
  await bed.client.create({
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { namespace: NAMESPACE, name: "own" },
    secrets: [{ name: "token" }],
  });
  await client.create({ apiVersion: "v1", kind: "Secret", metadata: { namespace: NAMESPACE, name: "token" } });
  await bed.client.create({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { namespace: NAMESPACE, name: "picker" },
    data: { epp: "kind: EndpointPickerConfig" },
  });
  const configuration = { optionalObjects: '{"disruptionBudgets": true, "monitors": true}' };
  const system = { namespace: "kserve", name: "inferenceservice-config" };
  await client.create({ apiVersion: "v1", kind: "ConfigMap", metadata: system, data: configuration });
  await client.create({
    apiVersion: KINDS.GatewayClass.apiVersion,
    kind: "GatewayClass",
    metadata: { name: "test" },
    spec: { controllerName: "istio.io/gateway-controller" },
  });
  // Objects of others that are found by name alone.
  const backing = { namespace: "kserve", name: "kserve-ingress-gateway" };
  await client.create({ apiVersion: "v1", kind: "Service", metadata: backing, spec: { ports: [{ port: 80 }] } });
  await client.create({
    apiVersion: KINDS.ClusterRoleBinding.apiVersion,
    kind: "ClusterRoleBinding",
    metadata: { name: `${NAMESPACE}-routed-epp-auth-rb` },
    roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "view" },
  });
  // A certificate that is none has to be replaced.
  const spoilt = { namespace: "kserve", name: "llmisvc-webhook-server-cert" };
  await client.create({
    apiVersion: "v1",
    kind: "Secret",
    metadata: spoilt,
    type: "kubernetes.io/tls",
    data: { "tls.crt": "eA==", "tls.key": "eA==" },
  });
  let operator = await bed.start({ identity: "first" });
  for (const [name, spec] of Object.entries(SHAPES))
    await client.create({ apiVersion, kind, metadata: { namespace: NAMESPACE, name: name.toLowerCase() }, spec }, USER);
  const referring = {
    ...SHAPES["routed"],
    template: { serviceAccountName: "own" },
    router: { route: {}, scheduler: { config: { ref: { name: "picker", key: "epp" } } } },
  };
  const annotations = { "serving.kserve.io/exp-dra-device-class": "gpu" };
  await client.create(
    { apiVersion, kind, metadata: { namespace: NAMESPACE, name: "referring" }, spec: referring },
    USER,
  );
  await client.create(
    { apiVersion, kind, metadata: { namespace: NAMESPACE, name: "devices", annotations }, spec: SHAPES["plain"] },
    USER,
  );
  await bed.quiet(300);
  await unreadyPod(bed);
  await refusedPool(bed);
  await switchTlsOn(bed);
  for (const gone of [KINDS.ValidatingWebhookConfiguration, KINDS.MutatingWebhookConfiguration])
    for (const { metadata } of (await client.list(gone)).items) await client.delete(gone, metadata);
  await operator.close();
  operator = await bed.start({ identity: "second" });
  const plain = { namespace: NAMESPACE, name: "plain" };
  const stop = async (key: { namespace?: string | undefined; name: string }, value: string | null): Promise<void> => {
    const body = { metadata: { annotations: { "serving.kserve.io/stop": value } } };
    await client.patch(KINDS.LLMInferenceService, key, { type: "merge", body });
  };
  // What happens twice is one Event with a count.
  for (const value of ["true", null]) {
    await stop(plain, value);
    await bed.quiet(200);
  }
  for (const { metadata } of (await client.list(KINDS.LLMInferenceService, { namespace: NAMESPACE })).items)
    await stop(metadata, "true");
  await bed.quiet(300);
  for (const { metadata } of (await client.list(KINDS.LLMInferenceService, { namespace: NAMESPACE })).items)
    await client.delete(KINDS.LLMInferenceService, metadata);
  await bed.quiet(300);
  await operator.close();
}

/** A gateway that knows the older InferencePool alone: the service gets one, and loses it with its scheduler. */
async function refusedPool(bed: OperatorBed): Promise<void> {
  const key = { namespace: NAMESPACE, name: "routed-kserve-route" };
  const parentRef = { name: "kserve-ingress-gateway", namespace: "kserve" };
  const conditions = ["Accepted", "ResolvedRefs"].map((type) => ({
    type,
    status: type === "Accepted" ? "True" : "False",
    reason: type === "Accepted" ? "Accepted" : "InvalidKind",
    message: "",
    lastTransitionTime: "2026-01-01T00:00:00Z",
  }));
  const status = { parents: [{ parentRef, controllerName: "test/gateway", conditions }] };
  await bed.client.patch(KINDS.HTTPRoute, key, { type: "merge", body: { status } }, { subresource: "status" });
  await bed.quiet(300);
}

/** The configuration is taken over while the operator runs; another gateway's backends are told of TLS by policies. */
async function switchTlsOn(bed: OperatorBed): Promise<void> {
  const { client } = bed;
  const spec = { controllerName: "test/gateway" };
  await client.create({
    apiVersion: KINDS.GatewayClass.apiVersion,
    kind: "GatewayClass",
    metadata: { name: "other" },
    spec,
  });
  const gateway = { namespace: "kserve", name: "kserve-ingress-gateway" };
  await client.patch(KINDS.Gateway, gateway, { type: "merge", body: { spec: { gatewayClassName: "other" } } });
  const ingress = JSON.stringify({
    ingressGateway: "unused/unused",
    kserveIngressGateway: "kserve/kserve-ingress-gateway",
    enableLLMInferenceServiceTLS: true,
  });
  const configuration = { namespace: "kserve", name: "inferenceservice-config" };
  await client.patch(KINDS.ConfigMap, configuration, { type: "merge", body: { data: { ingress } } });
  await bed.quiet(300);
}

/** A pod of which only Events could tell why it does not serve. */
async function unreadyPod(bed: OperatorBed): Promise<void> {
  const labels = {
    "app.kubernetes.io/name": "plain",
    "app.kubernetes.io/part-of": "llminferenceservice",
    "app.kubernetes.io/component": "llminferenceservice-workload",
  };
  const spec = { containers: [{ name: "main", image: "vllm:1" }] };
  const key = { namespace: NAMESPACE, name: "plain-0" };
  await bed.client.create({ apiVersion: "v1", kind: "Pod", metadata: { ...key, labels }, spec });
  const body = { status: { conditions: [{ type: "PodScheduled", status: "True" }] } };
  await bed.client.patch(KINDS.Pod, key, { type: "merge", body }, { subresource: "status" });
  await bed.quiet(1_200);
}
