/** A line of a panel: a PromQL expression, and what the legend says of each series. */
export interface Target {
  readonly expr: string;
  readonly legend: string;
}

/** A graph over time. */
export interface Panel {
  readonly title: string;
  /** Unit by its name in Grafana. */
  readonly unit: "reqps" | "s" | "short" | "percentunit" | "bytes" | "ops";
  readonly targets: readonly Target[];
}

/** A dashboard: its panels in order, two in a row. */
export interface Dashboard {
  /** Name of its file, and its identity in Grafana. */
  readonly name: string;
  readonly title: string;
  /** A choice at the top: the values that a label of a metric has. */
  readonly variables: readonly { readonly name: string; readonly metric: string; readonly label: string }[];
  readonly panels: readonly Panel[];
}

const CHOSEN = 'namespace=~"$namespace",llminferenceservice=~"$service"';

const rate = (metric: string, by: string, filter = CHOSEN): string => `sum by (${by}) (rate(${metric}{${filter}}[5m]))`;
const one = (expr: string, legend = ""): readonly Target[] => [{ expr, legend }];

/** Median and 99th percentile of a histogram. */
const percentiles = (metric: string, filter = CHOSEN): readonly Target[] =>
  [0.5, 0.99].map((share) => ({
    expr: `histogram_quantile(${share}, ${rate(`${metric}_bucket`, "le", filter)})`,
    legend: `p${share * 100}`,
  }));

const ofPods = (metric: string): readonly Target[] => one(`sum by (pod) (${metric}{${CHOSEN}})`, "{{pod}}");

const SERVICES: Dashboard = {
  name: "llmisvc-services",
  title: "LLMInferenceServices",
  variables: [
    { name: "namespace", metric: "llm_d_epp_ready_endpoints", label: "namespace" },
    { name: "service", metric: "llm_d_epp_ready_endpoints", label: "llminferenceservice" },
  ],
  panels: [
    {
      title: "Requests by model",
      unit: "reqps",
      targets: one(rate("endpoint_picker_requests_total", "target_model_name"), "{{target_model_name}}"),
    },
    {
      title: "Failed and dropped requests",
      unit: "reqps",
      targets: [
        { expr: rate("endpoint_picker_request_errors_total", "error_code"), legend: "{{error_code}}" },
        { expr: rate("endpoint_picker_dropped_total", "reason"), legend: "dropped: {{reason}}" },
      ],
    },
    { title: "Time to first token", unit: "s", targets: percentiles("llm_d_epp_request_ttft_seconds") },
    { title: "Duration of requests", unit: "s", targets: percentiles("llm_d_epp_request_duration_seconds") },
    { title: "Waiting requests by pod", unit: "short", targets: ofPods("endpoint_picker_endpoint_waiting_requests") },
    { title: "Running requests by pod", unit: "short", targets: ofPods("endpoint_picker_endpoint_running_requests") },
    { title: "KV cache by pod", unit: "percentunit", targets: ofPods("endpoint_picker_endpoint_kv_cache_usage") },
    { title: "Picks by pod", unit: "reqps", targets: one(rate("endpoint_picker_picks_total", "pod"), "{{pod}}") },
    {
      title: "Prompt tokens that were cached",
      unit: "percentunit",
      targets: one(
        `sum(rate(llm_d_epp_request_cached_tokens_sum{${CHOSEN}}[5m])) / sum(rate(llm_d_epp_request_input_tokens_sum{${CHOSEN}}[5m]))`,
      ),
    },
    {
      title: "Endpoints",
      unit: "short",
      targets: [
        { expr: `sum by (name) (llm_d_epp_ready_endpoints{${CHOSEN}})`, legend: "{{name}}: fresh" },
        { expr: `sum by (name) (endpoint_picker_stale_endpoints{${CHOSEN}})`, legend: "{{name}}: stale" },
      ],
    },
    { title: "Time of a decision", unit: "s", targets: percentiles("endpoint_picker_scheduling_duration_seconds") },
    {
      title: "Processor time of schedulers",
      unit: "short",
      targets: one(rate("process_cpu_seconds_total", "pod"), "{{pod}}"),
    },
    { title: "Memory of schedulers", unit: "bytes", targets: ofPods("process_resident_memory_bytes") },
    { title: "Open streams of proxies", unit: "short", targets: ofPods("endpoint_picker_open_streams") },
  ],
};

const OF_OPERATOR = 'service="llmisvc-controller-manager-service"';

const OPERATOR: Dashboard = {
  name: "llmisvc-operator",
  title: "LLMInferenceService operator",
  variables: [],
  panels: [
    {
      title: "Reconciles",
      unit: "ops",
      targets: one(
        rate("controller_runtime_reconcile_total", "controller, result", OF_OPERATOR),
        "{{controller}}: {{result}}",
      ),
    },
    {
      title: "Failed reconciles",
      unit: "ops",
      targets: one(rate("controller_runtime_reconcile_errors_total", "controller", OF_OPERATOR), "{{controller}}"),
    },
    {
      title: "Time of a reconcile",
      unit: "s",
      targets: percentiles("controller_runtime_reconcile_time_seconds", OF_OPERATOR),
    },
    {
      title: "Objects that wait",
      unit: "short",
      targets: one(`sum by (name) (workqueue_depth{${OF_OPERATOR}})`, "{{name}}"),
    },
    {
      title: "Requests to the API server",
      unit: "reqps",
      targets: one(rate("rest_client_requests_total", "method, code", OF_OPERATOR), "{{method}} {{code}}"),
    },
    {
      title: "Lists and ends of watches",
      unit: "ops",
      targets: one(rate("kube_reflector_outcomes_total", "outcome", OF_OPERATOR), "{{outcome}}"),
    },
    {
      title: "Processor time",
      unit: "short",
      targets: one(rate("process_cpu_seconds_total", "pod", OF_OPERATOR), "{{pod}}"),
    },
    {
      title: "Memory",
      unit: "bytes",
      targets: one(`sum by (pod) (process_resident_memory_bytes{${OF_OPERATOR}})`, "{{pod}}"),
    },
  ],
};

/** The dashboards of the chart. */
export const DASHBOARDS: readonly Dashboard[] = [SERVICES, OPERATOR];

const ROW = { width: 12, height: 8 } as const;
const SOURCE = { type: "prometheus", uid: "${datasource}" } as const;

/** A dashboard as Grafana imports it. */
export function grafanaDashboard({ name, title, variables, panels }: Dashboard): object {
  const choice = { type: "query", datasource: SOURCE, includeAll: true, multi: true, refresh: 2 };
  return {
    uid: name,
    title,
    tags: ["llmisvc"],
    schemaVersion: 39,
    refresh: "30s",
    time: { from: "now-1h", to: "now" },
    templating: {
      list: [
        { name: "datasource", type: "datasource", query: "prometheus" },
        ...variables.map(({ name: variable, metric, label }) => ({
          ...choice,
          name: variable,
          query: { query: `label_values(${metric}, ${label})`, refId: variable },
        })),
      ],
    },
    panels: panels.map(({ title: heading, unit, targets }, index) => ({
      id: index + 1,
      type: "timeseries",
      title: heading,
      datasource: SOURCE,
      gridPos: { x: (index % 2) * ROW.width, y: Math.floor(index / 2) * ROW.height, w: ROW.width, h: ROW.height },
      fieldConfig: { defaults: { unit, min: 0 }, overrides: [] },
      targets: targets.map(({ expr, legend }, line) => ({
        refId: String.fromCharCode(65 + line),
        datasource: SOURCE,
        expr,
        ...(legend === "" ? {} : { legendFormat: legend }),
      })),
    })),
  };
}
