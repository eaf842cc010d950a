import { readFileSync } from "node:fs";
import type { SyntaxNodeRef } from "@lezer/common";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { parser } from "@prometheus-io/lezer-promql";
import { createControllerMetrics } from "../kube/controller-metrics.ts";
import { countAnswers } from "../kube/http-client.ts";
import { createReflectorMetrics } from "../kube/reflector.ts";
import { startFront } from "../scheduler/front.ts";
import { parseSchedulerFlags } from "../scheduler/options.ts";
import { PLUGINS } from "../scheduler/plugins/registry.ts";
import { createScheduler } from "../scheduler/scheduler.ts";
import { silentLogger } from "../telemetry/log.ts";
import { createMetricsRegistry, type MetricSpec, type MetricsRegistry } from "../telemetry/metrics.ts";
import { generatedSection } from "../test/generated-page.ts";
import { ALERTS, alertTable } from "./alerts.ts";
import { DASHBOARDS, grafanaDashboard } from "./dashboards.ts";

/** Label names of each metric, those of its parts and of its other names included. */
const declared = new Map<string, ReadonlySet<string>>();

/** What a Prometheus adds by itself and by the chart's monitors. */
const TARGET_LABELS = ["namespace", "pod", "service", "instance", "job", "llminferenceservice"];
const PROCESS_METRICS = ["process_cpu_seconds_total", "process_resident_memory_bytes"];

/** A registry that notes what is declared. */
function noting(): MetricsRegistry {
  const registry = createMetricsRegistry();
  const note = <Spec extends MetricSpec>(spec: Spec, suffixes: readonly string[]): Spec => {
    for (const { name, labels } of [spec, ...(spec.aliases ?? [])]) {
      const names = (labels ?? spec.labels ?? []).map((label) => (typeof label === "string" ? label : label.to));
      const all = new Set([...TARGET_LABELS, ...names, ...(suffixes.length > 1 ? ["le"] : [])]);
      for (const suffix of suffixes) declared.set(`${name}${suffix}`, all);
    }
    return spec;
  };
  return {
    ...registry,
    counter: (spec) => registry.counter(note(spec, [""])),
    gauge: (spec) => registry.gauge(note(spec, [""])),
    histogram: (spec) => registry.histogram(note(spec, ["_bucket", "_sum", "_count"])),
  };
}

/** What operator and scheduler show. */
const pages: string[] = [];
let close = async (): Promise<void> => undefined;

beforeAll(async () => {
  const operator = noting();
  createControllerMetrics(operator);
  createReflectorMetrics(operator);
  countAnswers(operator);
  for (const name of ["up", ...PROCESS_METRICS]) declared.set(name, new Set(TARGET_LABELS));
  const metrics = noting();
  const ports = ["--grpc-port=0", "--grpc-health-port=0", "--metrics-port=0", "--drain-timeout=0"];
  const { options } = parseSchedulerFlags([...ports, "--pool-name=p"], {});
  const config = {
    apiVersion: "llm-d.ai/v1alpha1",
    kind: "EndpointPickerConfig",
    plugins: [{ type: "file-discovery", parameters: { path: "/dev/null" } }, { type: "prefix-cache-scorer" }],
    schedulingProfiles: [{ name: "default", plugins: [{ pluginRef: "prefix-cache-scorer" }] }],
    dataLayer: { discovery: { pluginRef: "file-discovery" } },
  };
  const common = { options, metrics, logger: silentLogger };
  const connect = () => Promise.reject(new Error("there is no cluster"));
  const configText = JSON.stringify(config);
  const core = await createScheduler({ ...common, configText, registry: PLUGINS, connect });
  const state = () => ({ live: true, ready: true });
  operator.collectProcessMetrics();
  const front = await startFront({ ...common, host: "127.0.0.1", director: core.director, state, pages: core.pages });
  pages.push(await operator.render(), await metrics.render());
  close = async () => {
    await front.drain();
    await core.close();
  };
});
afterAll(async () => await close());

test("each family of a page says what it is and of which type, once and before its samples", () => {
  for (const page of pages) {
    const told = new Map<string, number>();
    for (const line of page.split("\n").filter((text) => text !== "")) {
      const [, kind, name] = /^# (HELP|TYPE) (\w+) \S/.exec(line) ?? [];
      if (kind !== undefined && name !== undefined) told.set(`${kind} ${name}`, (told.get(`${kind} ${name}`) ?? 0) + 1);
      else {
        const sample = /^\w+/.exec(line)?.[0] ?? "";
        const family = told.has(`TYPE ${sample}`) ? sample : sample.replace(/_(bucket|sum|count)$/, "");
        expect([sample, told.get(`HELP ${family}`), told.get(`TYPE ${family}`)]).toEqual([sample, 1, 1]);
      }
    }
    expect(told.size).toBeGreaterThan(20);
  }
});

/** Every selector of an expression: its metric, and the labels that it matches. Throws where it is no PromQL. */
function selectorsOf(expr: string) {
  const selectors: { readonly metric: string; readonly labels: string[] }[] = [];
  const grouped: string[] = [];
  const textOf = ({ from, to }: SyntaxNodeRef): string => expr.slice(from, to);
  parser.parse(expr).iterate({
    enter: (node) => {
      if (node.type.isError) throw new Error(`no PromQL at ${node.from}: ${expr}`);
      if (node.name === "VectorSelector")
        selectors.push({ metric: /^[\w:]+/.exec(textOf(node))?.[0] ?? "", labels: [] });
      if (node.name === "LabelName") {
        const inside = node.node.parent?.name ?? "";
        if (inside === "GroupingLabels") grouped.push(textOf(node));
        else selectors.at(-1)?.labels.push(textOf(node));
      }
    },
  });
  return { selectors, grouped };
}

const EXPRESSIONS = [
  ...ALERTS.map(({ name, expr }) => [name, expr] as const),
  ...DASHBOARDS.flatMap(({ panels }) =>
    panels.flatMap(({ title, targets }) => targets.map(({ expr }) => [title, expr] as const)),
  ),
];

test.each(EXPRESSIONS)("%s: names metrics and labels that are declared", (_, text) => {
  const { selectors, grouped } = selectorsOf(text.replaceAll("$namespace", ".*").replaceAll("$service", ".*"));
  expect(selectors.length).toBeGreaterThan(0);
  for (const { metric, labels } of selectors) {
    const known = declared.get(metric);
    expect({ metric, declared: known !== undefined }).toEqual({ metric, declared: true });
    expect([...labels, ...grouped].filter((label) => known?.has(label) !== true)).toEqual([]);
  }
});

test("a name that no metric has is found", () => {
  expect(declared.has("endpoint_picker_nothing")).toBe(false);
  expect(() => selectorsOf("sum(rate(a[5m])")).toThrow("no PromQL");
});

test("choices of dashboards are labels of a declared metric, and panels do not overlap", () => {
  for (const dashboard of DASHBOARDS) {
    for (const { metric, label } of dashboard.variables) expect(declared.get(metric)?.has(label)).toBe(true);
    const { panels } = grafanaDashboard(dashboard) as { readonly panels: readonly { readonly gridPos: object }[] };
    expect(new Set(panels.map(({ gridPos }) => JSON.stringify(gridPos))).size).toBe(panels.length);
  }
});

test("docs/operate.md lists the alerts (make docs writes them)", () => {
  expect(generatedSection("docs/operate.md", "alerts", alertTable())).toBe(alertTable());
  expect(readFileSync(new URL("../docs/operate.md", import.meta.url), "utf8")).toContain("LlmisvcOperatorDown");
});
