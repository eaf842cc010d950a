import { describe, expect, test } from "@jest/globals";
import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { clusterOf } from "../../test/cluster-view.ts";
import type { ClusterView } from "../llminferenceservice/pass.ts";
import { modelCollisions, modelKeys } from "./model-collisions.ts";

function service(
  name: string,
  model: string,
  more: { group?: string; adapters?: string[]; gone?: boolean } = {},
): KubeObject {
  const { apiVersion, kind } = KINDS.LLMInferenceService;
  const lora = { adapters: (more.adapters ?? []).map((adapter) => ({ name: adapter, uri: "hf://a/x" })) };
  const route = more.group === undefined ? {} : { group: more.group, weight: 1 };
  const deletion = more.gone === true ? { deletionTimestamp: "2026-01-01T00:00:00Z" } : {};
  return {
    apiVersion,
    kind,
    metadata: { namespace: "n", name, ...deletion },
    spec: { model: { name: model, lora }, router: { route } },
  };
}

/** A view that finds services by their models, as the operator's cache does. */
function viewOf(services: readonly KubeObject[]): ClusterView {
  const serving = (namespace: string, model: string): string[] =>
    services.filter((other) => modelKeys(other).includes(`${namespace}/${model}`)).map(({ metadata }) => metadata.name);
  return { ...clusterOf(services), serving };
}

describe("models that two services of a namespace serve", () => {
  const own = service("own", "llama", { adapters: ["poet"] });
  test.each<[string, KubeObject, ReturnType<typeof modelCollisions>]>([
    ["other names", service("other", "qwen"), []],
    ["the same name", service("other", "llama"), [{ model: "llama", services: ["other"] }]],
    ["an adapter's name", service("other", "poet"), [{ model: "poet", services: ["other"] }]],
    ["a service on its way out", service("other", "llama", { gone: true }), []],
  ])("%s", (_what, other, collisions) => {
    expect(modelCollisions(own, viewOf([own, other]))).toEqual(collisions);
  });

  test("members of one routing group share a name on purpose", () => {
    const [first, second, third] = [
      service("first", "llama", { group: "g" }),
      service("second", "llama", { group: "g" }),
      service("third", "llama", { group: "h" }),
    ];
    expect(modelCollisions(first, viewOf([first, second, third]))).toEqual([{ model: "llama", services: ["third"] }]);
  });
});
