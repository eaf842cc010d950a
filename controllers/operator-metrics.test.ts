import { expect, test } from "@jest/globals";
import { KINDS } from "../kube/resources.ts";
import type { KubeObject } from "../kube/types.ts";
import { createMetricsRegistry } from "../telemetry/metrics.ts";
import { ServiceMetrics } from "./operator-metrics.ts";

function service(name: string, reason?: string): KubeObject {
  const { apiVersion, kind } = KINDS.LLMInferenceService;
  const ready = reason === undefined ? { status: "True" } : { status: "False", reason };
  return {
    apiVersion,
    kind,
    metadata: { namespace: "n", name },
    status: { conditions: [{ type: "Ready", ...ready }] },
  };
}

test("services are counted by condition and reason through their changes", async () => {
  const registry = createMetricsRegistry();
  const metrics = new ServiceMetrics(registry);
  metrics.update({ type: "added", object: service("a", "Unschedulable") });
  metrics.update({ type: "added", object: service("b", "Unschedulable") });
  metrics.update({ type: "updated", previous: service("a", "Unschedulable"), object: service("a") });
  expect(await registry.render()).toContain('{condition="Ready",status="False",reason="Unschedulable"} 1\n');
  metrics.update({ type: "deleted", object: service("b", "Unschedulable") });
  const page = await registry.render();
  expect(page).toContain('llmisvc_services{condition="Ready",status="True",reason=""} 1\n');
  expect(page).toContain('{condition="Ready",status="False",reason="Unschedulable"} 0\n');
});
