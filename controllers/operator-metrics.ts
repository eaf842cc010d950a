import { type ControllerMetrics, createControllerMetrics } from "../kube/controller-metrics.ts";
import { type EventMetrics, createEventMetrics } from "../kube/events.ts";
import { type ElectionMetrics, createElectionMetrics } from "../kube/leader-election.ts";
import { type ObjectChange, type ReflectorMetrics, createReflectorMetrics } from "../kube/reflector.ts";
import type { KubeObject } from "../kube/types.ts";
import type { Family, Gauge, MetricsRegistry } from "../telemetry/metrics.ts";
import { at } from "../crds/json.ts";
import { asJson } from "./llminferenceservice/pass.ts";
import { type WebhookMetrics, createWebhookMetrics } from "./webhooks/metrics.ts";
import { parseConditions } from "./status/conditions.ts";

/** Metrics of an operator process. */
export interface OperatorMetrics {
  readonly controllers: ControllerMetrics;
  readonly watches: ReflectorMetrics;
  readonly election: ElectionMetrics;
  readonly services: ServiceMetrics;
  readonly webhooks: WebhookMetrics;
  readonly events: EventMetrics;
}

/** Bound of combinations of condition, status and reason. */
const MAX_SERIES = 1_000;

/** Declares the metrics of an operator. */
export function createOperatorMetrics(registry: MetricsRegistry): OperatorMetrics {
  return {
    controllers: createControllerMetrics(registry),
    watches: createReflectorMetrics(registry),
    election: createElectionMetrics(registry),
    services: new ServiceMetrics(registry),
    webhooks: createWebhookMetrics(registry),
    events: createEventMetrics(registry),
  };
}

/** How many services have which condition, and why, kept up to date by their changes. */
export class ServiceMetrics {
  readonly #counts: Family<Gauge>;

  constructor(registry: MetricsRegistry) {
    this.#counts = registry.gauge({
      name: "llmisvc_services",
      help: "LLMInferenceServices by condition, its status and its reason",
      labels: ["condition", "status", "reason"],
      maxSeries: MAX_SERIES,
    });
  }

  /** Takes over a change of a service. */
  update(change: ObjectChange): void {
    if (change.type === "updated") this.#count(change.previous, -1);
    this.#count(change.object, change.type === "deleted" ? -1 : 1);
  }

  #count(service: KubeObject, by: number): void {
    for (const { type, status, reason = "" } of parseConditions(at(asJson(service), "status", "conditions")))
      this.#counts.labels(type, status, reason).inc(by);
  }
}
