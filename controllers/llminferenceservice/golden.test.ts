import { describe, expect, test } from "@jest/globals";
import type { Json, JsonObject } from "../../crds/schema/types.ts";
import type { KubeObject } from "../../kube/types.ts";
import { parseYaml } from "../../kube/yaml.ts";
import { SYSTEM_NAMESPACE, composeInput, configOf, serviceOf } from "../../test/composition.ts";
import { listShared, readShared } from "../../test/corpus.ts";
import { EXPLAINED, differencesOfChildren, isKind, unexplained } from "../../test/golden.ts";
import { compose } from "../composition/compose.ts";
import { defaultGlobalConfig } from "../composition/global-config.ts";
import { isObject, listAt, objectAt, stringAt } from "../composition/json.ts";
import { asJson } from "./pass.ts";
import { plan } from "./plan.ts";

const NAMESPACE = "NS";
const ROOT = "corpus/golden/";

const GATEWAY_STATUS: JsonObject = {
  addresses: [{ type: "IPAddress", value: "10.96.0.10" }],
  conditions: [{ type: "Programmed", status: "True" }],
};

/** The cluster of the recording: Gateways that are programmed, and nothing else. */
function gateway(apiVersion: string, namespace: string, name: string): KubeObject {
  const listeners = [{ name: "http", port: 80, protocol: "HTTP", allowedRoutes: { namespaces: { from: "All" } } }];
  return { apiVersion, kind: "Gateway", metadata: { namespace, name }, spec: { listeners }, status: GATEWAY_STATUS };
}

function childrenOf(service: JsonObject, configs: readonly Json[]): readonly KubeObject[] {
  const own = serviceOf(service, NAMESPACE);
  const composition = compose(composeInput(own, { configs: configs.map((config) => configOf(config, NAMESPACE)) }));
  return plan({
    service: {
      apiVersion: "serving.kserve.io/v1alpha2",
      kind: "LLMInferenceService",
      metadata: { ...own.metadata, uid: "uid", generation: 1 },
      spec: own.spec,
    },
    composition,
    global: defaultGlobalConfig(SYSTEM_NAMESPACE),
    settings: { systemNamespace: SYSTEM_NAMESPACE, clusterDomain: "cluster.local", wildcardHostname: "inference" },
    cluster: {
      find: ({ kind, apiVersion }, { namespace = "", name }) =>
        kind === "Gateway" ? gateway(apiVersion, namespace, name) : undefined,
      list: () => [],
      serves: () => true,
    },
    nowMs: 0,
    issueCertificate: () => ({ certificate: "", privateKey: "", authority: "" }),
  }).children;
}

interface Recorded {
  readonly path: string;
  readonly service: JsonObject;
  readonly stored: readonly Json[];
  readonly children: readonly Json[];
}

function allDifferences({ service, stored, children: recorded }: Recorded): readonly string[] {
  const configs = stored.filter((object) => isKind(object, "LLMInferenceServiceConfig"));
  return differencesOfChildren(
    childrenOf(service, configs).flatMap((child) => asJson(child) ?? []),
    recorded,
  );
}

/** Whether a recorded child belongs to the service: one file may hold several. */
const isOwn = (child: Json, service: Json): boolean =>
  listAt(child, "metadata", "ownerReferences").some(
    (owner) => stringAt(owner, "name") === stringAt(service, "metadata", "name"),
  );

/** These recordings refer to a ConfigMap that their files do not hold. */
const FOREIGN_CONFIG_MAP = "r-managed__s-with-configmap-ref__w-llmd-simulator.yaml";

const CASES: readonly Recorded[] = listShared(ROOT, ".yaml")
  .filter((path) => !path.endsWith(FOREIGN_CONFIG_MAP))
  .flatMap((path) => {
    const recording = objectAt(parseYaml(readShared(path)));
    const stored = listAt(recording, "stored");
    return stored.filter(isObject).flatMap((service) => {
      if (!isKind(service, "LLMInferenceService")) return [];
      const children = listAt(recording, "children").filter((child) => isOwn(child, service));
      return [{ path: path.slice(ROOT.length), service, stored, children }];
    });
  });

describe("children of a recorded KServe controller", () => {
  const found = CASES.map((recorded) => [recorded.path, allDifferences(recorded)] as const);

  test.each(found)("%s", (_path, all) => {
    expect(unexplained(all)).toEqual([]);
  });

  test.each(EXPLAINED)("a difference is explained by: %s", (_what, pattern) => {
    expect(found.some(([, all]) => all.some((text) => pattern.test(text)))).toBe(true);
  });
});
