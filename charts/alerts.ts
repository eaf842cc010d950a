/** An alert of the chart, and what to tell about it. */
export interface Alert {
  readonly name: string;
  /** PromQL: a series is an alert. */
  readonly expr: string;
  /** How long it has to be so. */
  readonly for: string;
  readonly severity: "critical" | "warning";
  /** What is the case, with `{{ $labels.… }}` of the series. */
  readonly meaning: string;
  /** What to do. */
  readonly remedy: string;
}

const OPERATOR = 'service="llmisvc-controller-manager-service"';

/** All alerts: those of the operator, then those of schedulers and their pools. */
export const ALERTS: readonly Alert[] = [
  {
    name: "LlmisvcOperatorDown",
    expr: `absent(up{${OPERATOR}} == 1)`,
    for: "5m",
    severity: "critical",
    meaning: "No operator can be read. Services go on serving; changes to them are refused, and deletions wait.",
    remedy: "kubectl -n kserve describe pods -l control-plane=llmisvc-controller-manager, and llmisvc doctor",
  },
  {
    name: "LlmisvcReconcilesFail",
    expr: `sum by (controller) (rate(controller_runtime_reconcile_errors_total{${OPERATOR}}[10m])) > 0.05`,
    for: "15m",
    severity: "warning",
    meaning: "Reconciles of {{ $labels.controller }} fail again and again.",
    remedy: "kubectl get llmisvc -A shows the reason of each service; the operator's log has every failure",
  },
  {
    name: "LlmisvcReconcilesWait",
    expr: `max by (name) (workqueue_depth{${OPERATOR}}) > 100`,
    for: "15m",
    severity: "warning",
    meaning: "More than 100 objects of {{ $labels.name }} have waited for a quarter of an hour.",
    remedy: "give the operator more CPU, or look for a slow API server or webhook in its log",
  },
  {
    name: "LlmisvcOperatorForbidden",
    expr: `sum by (method) (rate(rest_client_requests_total{${OPERATOR},code="403"}[10m])) > 0`,
    for: "10m",
    severity: "warning",
    meaning: "The API server refuses requests ({{ $labels.method }}) of the operator.",
    remedy: "llmisvc doctor names the missing rights; helm upgrade writes the ClusterRole of this release",
  },
  {
    name: "LlmisvcPoolWithoutEndpoints",
    expr: "max by (namespace, name) (llm_d_epp_ready_endpoints) == 0",
    for: "5m",
    severity: "critical",
    meaning: "The scheduler of {{ $labels.namespace }}/{{ $labels.name }} has no endpoint with fresh metrics.",
    remedy: "llmisvc doctor tells whether pods are not ready, not selected, or cannot be read",
  },
  {
    name: "LlmisvcPoolBlind",
    expr: "max by (namespace, name) (endpoint_picker_stale_endpoints) / (max by (namespace, name) (endpoint_picker_stale_endpoints) + max by (namespace, name) (llm_d_epp_ready_endpoints)) > 0.5",
    for: "5m",
    severity: "warning",
    meaning:
      "Most endpoints of {{ $labels.namespace }}/{{ $labels.name }} have old metrics, so requests are spread without knowing their load.",
    remedy: "check that model servers answer /metrics, and that network policies let the scheduler read it",
  },
  {
    name: "LlmisvcRequestsFail",
    expr: "sum by (namespace, llminferenceservice) (rate(endpoint_picker_request_errors_total[5m])) / sum by (namespace, llminferenceservice) (rate(endpoint_picker_requests_total[5m])) > 0.05",
    for: "10m",
    severity: "warning",
    meaning: "More than 5 % of the requests to {{ $labels.namespace }}/{{ $labels.llminferenceservice }} fail.",
    remedy: "llmisvc why lists the newest requests and why they were refused; else see the model servers' logs",
  },
  {
    name: "LlmisvcRequestsDropped",
    expr: "sum by (namespace, llminferenceservice, reason) (rate(endpoint_picker_dropped_total[5m])) > 0.1",
    for: "10m",
    severity: "warning",
    meaning: "Requests to {{ $labels.namespace }}/{{ $labels.llminferenceservice }} are dropped: {{ $labels.reason }}.",
    remedy: "add replicas, or give the requests that matter a higher InferenceObjective",
  },
  {
    name: "LlmisvcPoolOverloaded",
    expr: "max by (namespace, name) (llm_d_epp_average_queue_size) > 10",
    for: "10m",
    severity: "warning",
    meaning:
      "On average more than ten requests wait at each model server of {{ $labels.namespace }}/{{ $labels.name }}.",
    remedy: "add replicas (spec.replicas or spec.scaling)",
  },
  {
    name: "LlmisvcKvCacheFull",
    expr: "max by (namespace, name) (llm_d_epp_average_kv_cache_utilization) > 0.95",
    for: "15m",
    severity: "warning",
    meaning: "The KV caches of {{ $labels.namespace }}/{{ $labels.name }} are full, so that engines preempt requests.",
    remedy: "add replicas, lower --max-num-seqs of the engine, or use larger accelerators",
  },
  {
    name: "LlmisvcConfigRejected",
    expr: "max by (namespace, pod) (endpoint_picker_config_last_load_successful) == 0",
    for: "1m",
    severity: "warning",
    meaning:
      "The scheduler {{ $labels.namespace }}/{{ $labels.pod }} runs on its former configuration: the present one cannot be used.",
    remedy: "llmisvc lint, or the scheduler's log, names every error with its path",
  },
  {
    name: "LlmisvcDecisionsSlow",
    expr: "histogram_quantile(0.99, sum by (namespace, llminferenceservice, le) (rate(endpoint_picker_scheduling_duration_seconds_bucket[5m]))) > 0.05",
    for: "10m",
    severity: "warning",
    meaning:
      "One decision in a hundred of {{ $labels.namespace }}/{{ $labels.llminferenceservice }} takes more than 50 ms.",
    remedy: "the scheduler is short of CPU: raise its limit, or add replicas (spec.router.scheduler.replicas)",
  },
];

/** The groups of a PrometheusRule. */
export function alertGroups(): object {
  const rules = ALERTS.map(({ name, expr, for: duration, severity, meaning, remedy }) => ({
    alert: name,
    expr,
    for: duration,
    labels: { severity },
    annotations: { summary: meaning, description: remedy },
  }));
  return { groups: [{ name: "llmisvc", rules }] };
}

/** The alerts as rows of a table in Markdown. */
export function alertTable(): string {
  const plain = (text: string): string => text.replaceAll(/\{\{ \$labels\.(\w+) \}\}/g, "`$1`").replaceAll("|", "\\|");
  const rows = ALERTS.map(
    ({ name, severity, meaning, remedy }) => `| \`${name}\` | ${severity} | ${plain(meaning)} | ${plain(remedy)} |`,
  );
  return `| Alert | Severity | Meaning | Remedy |\n|---|---|---|---|\n${rows.join("\n")}\n`;
}
