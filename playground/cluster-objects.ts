import { KINDS } from "../kube/resources.ts";
import type { KubeObject } from "../kube/types.ts";
import { CONTROLLER_NAME } from "./gateway/gateway-status.ts";
import { NODE_NAME } from "./pods/runner.ts";

/** Namespace of the operator, its presets and the default Gateway. */
export const SYSTEM_NAMESPACE = "kserve";

/** What the objects of a fresh playground depend on. */
export interface ClusterOptions {
  /** Port that the gateway holds. */
  readonly gatewayPort: number;
  /** Keys of the operator's ConfigMap `inferenceservice-config` that replace or join ours, as JSON texts. */
  readonly configuration?: Readonly<Record<string, string>>;
}

/**
 * What a cluster has before anything of ours is installed: namespaces with their default ServiceAccounts, the node, a
 * Gateway with its class, and the operator's configuration. Namespaces come first.
 */
export function defaultClusterObjects(options: ClusterOptions): KubeObject[] {
  const namespaces = ["default", "kube-system", SYSTEM_NAMESPACE];
  return [
    ...namespaces.map((name) => namespace(name)),
    ...namespaces.map((name) => serviceAccount(name)),
    node(),
    gatewayClass(),
    gateway(options.gatewayPort),
    configuration(options.configuration ?? {}),
  ];
}

function namespace(name: string): KubeObject {
  return { apiVersion: "v1", kind: "Namespace", metadata: { name, labels: { "kubernetes.io/metadata.name": name } } };
}

function serviceAccount(namespaceName: string): KubeObject {
  return { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default", namespace: namespaceName } };
}

/** A node that takes any pod: nothing here uses the resources it claims. */
export function node(): KubeObject {
  const capacity = { cpu: "256", memory: "4Ti", pods: "10000", "nvidia.com/gpu": "1024" };
  return {
    apiVersion: "v1",
    kind: "Node",
    metadata: { name: NODE_NAME, labels: { "kubernetes.io/hostname": NODE_NAME, "kubernetes.io/os": "linux" } },
    spec: {},
    status: {
      capacity,
      allocatable: capacity,
      conditions: [{ type: "Ready", status: "True", reason: "KubeletReady", message: "processes of this machine" }],
    },
  };
}

/** The class of the Gateways that the playground's gateway serves. */
export function gatewayClass(): KubeObject {
  return {
    apiVersion: KINDS.GatewayClass.apiVersion,
    kind: "GatewayClass",
    metadata: { name: "playground" },
    spec: { controllerName: CONTROLLER_NAME, description: "HTTP front of the playground" },
  };
}

function gateway(port: number): KubeObject {
  return {
    apiVersion: KINDS.Gateway.apiVersion,
    kind: "Gateway",
    metadata: { name: "kserve-ingress-gateway", namespace: SYSTEM_NAMESPACE },
    spec: {
      gatewayClassName: "playground",
      listeners: [{ name: "http", protocol: "HTTP", port, allowedRoutes: { namespaces: { from: "All" } } }],
    },
  };
}

function configuration(overrides: Readonly<Record<string, string>>): KubeObject {
  const ingress = {
    enableGatewayApi: true,
    kserveIngressGateway: `${SYSTEM_NAMESPACE}/kserve-ingress-gateway`,
    ingressGateway: "knative-serving/knative-ingress-gateway",
    ingressDomain: "example.com",
    urlScheme: "http",
    enableLLMInferenceServiceTLS: false,
  };
  return {
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "inferenceservice-config", namespace: SYSTEM_NAMESPACE },
    data: { ingress: JSON.stringify(ingress, undefined, 2), ...overrides },
  };
}
