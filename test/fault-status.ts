import { compose } from "../controllers/composition/compose.ts";
import { defaultGlobalConfig } from "../controllers/composition/global-config.ts";
import { plan } from "../controllers/llminferenceservice/plan.ts";
import { type Marks, notReady } from "../controllers/status/conditions.ts";
import { childRefused } from "../controllers/status/refusals.ts";
import type { JsonObject } from "../crds/schema/types.ts";
import { validateService } from "../crds/validation.ts";
import { KubeError } from "../kube/types.ts";
import { clusterOf } from "./cluster-view.ts";
import { SYSTEM_NAMESPACE, composeInput, serviceOf } from "./composition.ts";
import { NAME, NAMESPACE } from "./fault-objects.ts";
import { PLAIN, type Scenario } from "./fault-scenarios.ts";

/** The status that the operator writes for the service of a scenario. */
export function statusOf(scenario: Scenario): JsonObject {
  const manifest: JsonObject = { metadata: { name: scenario.name ?? NAME }, spec: scenario.spec ?? PLAIN };
  const own = serviceOf(manifest, NAMESPACE);
  const input = composeInput(own, {
    options: { validate: (spec) => validateService({ metadata: { name: NAME }, spec }).errors },
  });
  const wanted = plan({
    service: {
      apiVersion: "serving.kserve.io/v1alpha2",
      kind: "LLMInferenceService",
      metadata: { ...own.metadata, uid: "uid", generation: 1 },
      spec: own.spec,
    },
    composition: compose(input),
    global: defaultGlobalConfig(SYSTEM_NAMESPACE),
    settings: { systemNamespace: SYSTEM_NAMESPACE, clusterDomain: "cluster.local", wildcardHostname: "inference" },
    cluster: clusterOf(scenario.objects ?? [], scenario.extras),
    nowMs: 0,
    issueCertificate: () => ({ certificate: "", privateKey: "", authority: "" }),
  });
  return wanted.conclude(refusedMarks(scenario, wanted)).status;
}

function refusedMarks({ refused }: Scenario, { children, stepOf }: ReturnType<typeof plan>): Marks {
  if (refused === undefined) return {};
  const [kind, code, message] = refused;
  const child = children.find((candidate) => candidate.kind === kind)!;
  const { condition, reason } = stepOf.get(child)!;
  const cause = childRefused(kind, new KubeError({ code, reason: "", message }), reason)!;
  return { [condition]: notReady(cause.reason, cause.message) };
}
