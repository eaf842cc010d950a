/** A set of labels or annotations. */
export type StringMap = Readonly<Record<string, string>>;

export const NAME_LABEL = "app.kubernetes.io/name";
export const PART_OF_LABEL = "app.kubernetes.io/part-of";
export const COMPONENT_LABEL = "app.kubernetes.io/component";
export const WORKLOAD_LABEL = "kserve.io/component";
export const ROLE_LABEL = "llm-d.ai/role";
export const ROUTING_GROUP_LABEL = "serving.kserve.io/routing-group";

/** Value of the part-of label of every child of every service. */
export const PART_OF = "llminferenceservice";

/** Selects the children of all services in a list or a watch. */
export const CHILD_SELECTOR = `${PART_OF_LABEL}=${PART_OF}`;

/** Selector of everything else. */
export const FOREIGN_SELECTOR = `${PART_OF_LABEL}!=${PART_OF}`;

/** Values of the component label (KServe v0.20). */
export const COMPONENTS = {
  workload: "llminferenceservice-workload",
  prefill: "llminferenceservice-workload-prefill",
  worker: "llminferenceservice-workload-worker",
  prefillWorker: "llminferenceservice-workload-worker-prefill",
  leader: "llminferenceservice-workload-leader",
  prefillLeader: "llminferenceservice-workload-leader-prefill",
  router: "llminferenceservice-router",
  scheduler: "llminferenceservice-router-scheduler",
  tokenizer: "tokenizer",
} as const;

/**
 * Component label of the pods of a scheduler this operator created: the value that the log commands of the published samples
 * select on. Pods of a scheduler adopted from KServe keep `COMPONENTS.scheduler`, which is in its immutable selector.
 */
export const SCHEDULER_POD_COMPONENT = "llminferenceservice-scheduler";

/** What a model-server pod does; `both` where prefill and decode are not separated. */
export type WorkloadRole = "both" | "decode" | "prefill";

/** Labels of every child of a service. */
export function baseLabels(service: string): StringMap {
  return { [NAME_LABEL]: service, [PART_OF_LABEL]: PART_OF };
}

/** Labels of a child that plays one part of a service. */
export function componentLabels(service: string, component: string): StringMap {
  return { ...baseLabels(service), [COMPONENT_LABEL]: component };
}

/** Labels of model-server pods that take requests: the pool and the workload Service select on the first three. */
export function servingLabels(service: string, component: string, role: WorkloadRole): StringMap {
  return { ...componentLabels(service, component), [WORKLOAD_LABEL]: "workload", [ROLE_LABEL]: role };
}

/** Selector of all model-server pods that take requests, of the workload Service and of a default pool. */
export function servingSelector(service: string): StringMap {
  return { ...baseLabels(service), [WORKLOAD_LABEL]: "workload" };
}

/** Whether `labels` carry every label of `selector`. */
export function matchesLabels(labels: StringMap | undefined, selector: StringMap): boolean {
  return Object.entries(selector).every(([key, value]) => labels?.[key] === value);
}
