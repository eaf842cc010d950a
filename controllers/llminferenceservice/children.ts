import type { KubeObject } from "../../kube/types.ts";
import { SCALING_ERROR, buildAutoscalers } from "../scaling/autoscalers.ts";
import { buildBackendTlsPolicy } from "../router/backend-tls-policy.ts";
import { buildDestinationRules } from "../router/destination-rule.ts";
import { buildHttpRoute } from "../router/http-route.ts";
import { buildSchedulerDeployment, SCHEDULER_ERROR } from "../scheduler/deployment.ts";
import { buildInferencePools } from "../scheduler/inference-pool.ts";
import { buildSchedulerRbac } from "../scheduler/rbac.ts";
import { buildSchedulerService } from "../scheduler/service.ts";
import { buildTokenizer } from "../scheduler/tokenizer.ts";
import type { PartCondition } from "../status/conditions.ts";
import { CA_BUNDLE_ERROR, buildCaBundle } from "../workload/ca-bundle.ts";
import { buildClaimTemplate } from "../workload/claim-template.ts";
import { SINGLE_NODE_ERROR, buildDeployments } from "../workload/deployment.ts";
import { buildDisruptionBudgets } from "../workload/disruption-budget.ts";
import { MULTI_NODE_ERROR, buildLeaderWorkerSets } from "../workload/leader-worker-set.ts";
import { buildMonitors } from "../workload/monitors.ts";
import { buildWorkloadRbac } from "../workload/rbac.ts";
import { buildWorkloadService } from "../workload/service.ts";
import { buildTlsSecret } from "../workload/tls.ts";
import { ROUTE_ERROR } from "../router/urls.ts";
import type { Pass } from "./pass.ts";

/** Builds the objects of one kind or purpose that the service should have now; none where it should have none. */
export type ChildBuilder = (pass: Pass) => readonly KubeObject[];

/** Builders that succeed or fail together. */
export interface Step {
  /** The condition that a failure makes False, and its reason where the failure has none of its own. */
  readonly condition: PartCondition;
  readonly reason: string;
  readonly builders: readonly ChildBuilder[];
}

/** Everything that serves the model, in the order of creation. */
export const WORKLOAD_STEPS: readonly Step[] = [
  { condition: "MainWorkloadReady", reason: CA_BUNDLE_ERROR, builders: [buildCaBundle] },
  { condition: "MainWorkloadReady", reason: "ReconcileCertsError", builders: [buildTlsSecret] },
  { condition: "MainWorkloadReady", reason: "ReconcileManagedDRAError", builders: [buildClaimTemplate] },
  { condition: "WorkerWorkloadReady", reason: MULTI_NODE_ERROR, builders: [buildLeaderWorkerSets] },
  { condition: "MainWorkloadReady", reason: SINGLE_NODE_ERROR, builders: [buildWorkloadRbac, buildDeployments] },
  { condition: "MainWorkloadReady", reason: "ReconcileWorkloadServiceError", builders: [buildWorkloadService] },
  { condition: "MainWorkloadReady", reason: SCALING_ERROR, builders: [buildAutoscalers] },
  {
    condition: "MainWorkloadReady",
    reason: "ReconcileOptionalObjectsError",
    builders: [buildDisruptionBudgets, buildMonitors],
  },
];

/** Everything that routes to it. Not reached while Gateways or routes that the service refers to are missing. */
export const ROUTER_STEPS: readonly Step[] = [
  {
    condition: "SchedulerWorkloadReady",
    reason: SCHEDULER_ERROR,
    builders: [
      buildSchedulerRbac,
      buildTokenizer,
      buildSchedulerDeployment,
      buildSchedulerService,
      buildInferencePools,
    ],
  },
  {
    condition: "HTTPRoutesReady",
    reason: ROUTE_ERROR,
    builders: [buildHttpRoute, buildDestinationRules, buildBackendTlsPolicy],
  },
];
