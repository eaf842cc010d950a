import { collectDefaultMetrics, Registry } from "prom-client";

/** A count that only grows. */
export interface Counter {
  inc(by?: number): void;
}

/** A value that goes up and down. */
export interface Gauge {
  set(value: number): void;
  inc(by?: number): void;
  dec(by?: number): void;
}

/** A distribution of observed values. */
export interface Histogram {
  observe(value: number): void;
}

/**
 * All series of one metric name. A value that no label can have counts as `other`. `labels` finds or makes the series of the given values, in the order of the declared
 * names; keep the returned child where it is used often, since updating it costs no look-up.
 */
export interface Family<Child> {
  labels(...values: string[]): Child;
  /** Drops the series of these values, for label values that ceased to exist. */
  remove(...values: string[]): void;
}

/** A second name under which a metric is shown as well, with some of its labels: series that then coincide are summed. */
export interface Alias {
  readonly name: string;
  /** Help text; default is the metric's own, marked as deprecated. */
  readonly help?: string;
  /** Label names kept, each a label of the metric, optionally renamed; default all. */
  readonly labels?: readonly (string | { readonly from: string; readonly to: string })[];
}

/** Declaration of a metric. */
export interface MetricSpec {
  readonly name: string;
  readonly help: string;
  readonly labels?: readonly string[];
  readonly aliases?: readonly Alias[];
  /** Bound of distinct label-value sets; further ones share one series whose values are all `other`. Default 10,000. */
  readonly maxSeries?: number;
}

/** Declaration of a histogram: upper bounds of its buckets, ascending, without +Inf. */
export interface HistogramSpec extends MetricSpec {
  readonly buckets: readonly number[];
}

const DEFAULT_MAX_SERIES = 10_000;
/** Longest value of a label: many come from clients, and each is kept and shown for good. */
const MAX_VALUE_LENGTH = 256;
const UNPRINTABLE = /\p{Cc}/u;

/** Label value that stands for all that get no series of their own. */
export const OTHER = "other";

/** Whether a text can be a label's value: at most 256 characters, none of them a control character. */
export const isLabelValue = (text: string): boolean => text.length <= MAX_VALUE_LENGTH && !UNPRINTABLE.test(text);

/** The metrics of one process and their text exposition (Prometheus text format 0.0.4). */
export interface MetricsRegistry {
  counter(spec: MetricSpec): Family<Counter>;
  gauge(spec: MetricSpec): Family<Gauge>;
  histogram(spec: HistogramSpec): Family<Histogram>;
  /** Registers work to do right before each exposition, such as setting gauges from live state. */
  onCollect(collect: () => void): void;
  /** Adds `process_*` and `nodejs_*`. */
  collectProcessMetrics(): void;
  /** The exposition page. */
  render(): Promise<string>;
  readonly contentType: string;
}

type Kind = "counter" | "gauge" | "histogram";
type LabelValues = Record<string, string>;

interface Sample {
  readonly metricName?: string;
  readonly labels: LabelValues;
  readonly value: number;
}

/** One series: its label values in declared order, and how it is shown. */
interface Series<Child> {
  readonly values: readonly string[];
  readonly child: Child;
}

/** Creates an empty registry. */
export function createMetricsRegistry(): MetricsRegistry {
  const registry = new Registry();
  const collectors: (() => void)[] = [];
  return {
    counter: (spec) => register(registry, spec, "counter", () => new NumberCell(), showNumber),
    gauge: (spec) => register(registry, spec, "gauge", () => new NumberCell(), showNumber),
    histogram: (spec) => {
      const buckets = Float64Array.from(spec.buckets);
      const bounds = [...spec.buckets.map(formatBound), "+Inf"];
      return register(registry, spec, "histogram", () => new HistogramCell(buckets), showHistogram(bounds));
    },
    onCollect: (collect) => void collectors.push(collect),
    collectProcessMetrics: () => collectDefaultMetrics({ register: registry }),
    render: () => {
      for (const collect of collectors) collect();
      return registry.metrics();
    },
    contentType: registry.contentType,
  };
}

class NumberCell implements Counter, Gauge {
  value = 0;
  inc(by = 1): void {
    this.value += by;
  }
  dec(by = 1): void {
    this.value -= by;
  }
  set(value: number): void {
    this.value = value;
  }
}

class HistogramCell implements Histogram {
  readonly counts: Float64Array;
  sum = 0;
  readonly #buckets: Float64Array;

  constructor(buckets: Float64Array) {
    this.#buckets = buckets;
    this.counts = new Float64Array(buckets.length + 1);
  }

  observe(value: number): void {
    if (Number.isNaN(value)) return;
    let bucket = 0;
    while (bucket < this.#buckets.length && value > this.#buckets[bucket]!) bucket++;
    this.counts[bucket]!++;
    this.sum += value;
  }
}

/** Adds what a series contributes to the exposition of `name` to `into`, keyed by its labels. */
type Show<Child> = (name: string, labels: LabelValues, child: Child, into: SampleSum) => void;

const showNumber: Show<NumberCell> = (_name, labels, child, into) => into.add(undefined, labels, child.value);

function showHistogram(bounds: readonly string[]): Show<HistogramCell> {
  return (name, labels, child, into) => {
    let cumulative = 0;
    for (const [index, le] of bounds.entries()) {
      cumulative += child.counts[index]!;
      into.add(`${name}_bucket`, { ...labels, le }, cumulative);
    }
    into.add(`${name}_sum`, labels, child.sum);
    into.add(`${name}_count`, labels, cumulative);
  };
}

/** Samples of one exposition, summed where labels coincide. */
class SampleSum {
  readonly #samples = new Map<string, { metricName?: string; labels: LabelValues; value: number }>();

  add(metricName: string | undefined, labels: LabelValues, value: number): void {
    const key = `${metricName ?? ""}\n${Object.values(labels).join("\n")}`;
    const known = this.#samples.get(key);
    if (known !== undefined) known.value += value;
    else this.#samples.set(key, { ...(metricName === undefined ? {} : { metricName }), labels, value });
  }

  list(): Sample[] {
    return [...this.#samples.values()];
  }
}

const labelValue = (text: string): string => (isLabelValue(text) ? text : OTHER);

class SeriesTable<Child> implements Family<Child> {
  readonly series = new Map<string, Series<Child>>();
  readonly #labelCount: number;
  readonly #maxSeries: number;
  readonly #create: () => Child;

  constructor(labelCount: number, maxSeries: number, create: () => Child) {
    this.#labelCount = labelCount;
    this.#maxSeries = maxSeries;
    this.#create = create;
    if (labelCount === 0) this.labels();
  }

  labels(...values: string[]): Child {
    const key = values.join("\n");
    const known = this.series.get(key);
    if (known !== undefined) return known.child;
    if (values.length !== this.#labelCount)
      throw new Error(`got ${values.length} label values, want ${this.#labelCount}`);
    if (!values.every(isLabelValue)) return this.labels(...values.map(labelValue));
    if (this.series.size >= this.#maxSeries && values.some((value) => value !== OTHER))
      return this.labels(...values.map(() => OTHER));
    const child = this.#create();
    this.series.set(key, { values, child });
    return child;
  }

  remove(...values: string[]): void {
    this.series.delete(values.map(labelValue).join("\n"));
  }
}

function register<Child>(
  registry: Registry,
  spec: MetricSpec,
  kind: Kind,
  create: () => Child,
  show: Show<Child>,
): SeriesTable<Child> {
  const labels = spec.labels ?? [];
  const table = new SeriesTable(labels.length, spec.maxSeries ?? DEFAULT_MAX_SERIES, create);
  expose(registry, spec.name, spec.help, kind, () => project(spec.name, labels, labels, table, show));
  for (const alias of spec.aliases ?? []) {
    const help = alias.help ?? `[Deprecated: Use ${spec.name}] ${spec.help}`;
    expose(registry, alias.name, help, kind, () => project(alias.name, labels, alias.labels ?? labels, table, show));
  }
  return table;
}

function project<Child>(
  name: string,
  declared: readonly string[],
  kept: NonNullable<Alias["labels"]>,
  table: SeriesTable<Child>,
  show: Show<Child>,
): Sample[] {
  const columns = kept.map((label) => (typeof label === "string" ? { from: label, to: label } : label));
  const into = new SampleSum();
  for (const { values, child } of table.series.values()) {
    const labels = Object.fromEntries(columns.map(({ from, to }) => [to, values[declared.indexOf(from)] ?? ""]));
    show(name, labels, child, into);
  }
  return into.list();
}

/** What prom-client asks of a metric object that is not one of its own classes. */
type ForeignMetric = Parameters<Registry["registerMetric"]>[0];

function expose(registry: Registry, name: string, help: string, type: Kind, samples: () => Sample[]): void {
  const metric = {
    name,
    help,
    type,
    aggregator: "sum",
    reset: () => {},
    get: () => ({ name, help, type, aggregator: "sum", values: samples() }),
  };
  registry.registerMetric(metric as unknown as ForeignMetric);
}

/** Formats a bucket bound as Go's shortest `%g` does: exponent form below 1e-4 and from 1e6, exponent of two digits. */
export function formatBound(value: number): string {
  const exponent = value === 0 ? 0 : Math.floor(Math.log10(Math.abs(value)));
  if (exponent >= -4 && exponent < 6 && Math.abs(value) < 1e6) return String(value);
  const [mantissa, power] = value.toExponential().split("e");
  const digits = Math.abs(Number(power)).toString().padStart(2, "0");
  return `${mantissa}e${Number(power) < 0 ? "-" : "+"}${digits}`;
}
