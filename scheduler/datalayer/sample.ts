import type { EngineMetrics, MetricNames } from "./engines.ts";
import { type Series, seriesOf } from "./metric-page.ts";

/** Values of one scrape; undefined where the page has none, which keeps the old value. */
export interface EndpointSample {
  waiting?: number | undefined;
  running?: number | undefined;
  kvUsage?: number | undefined;
  cacheBlockSize?: number | undefined;
  cacheNumBlocks?: number | undefined;
  maxActiveModels?: number | undefined;
  activeModels?: ReadonlySet<string> | undefined;
  waitingModels?: ReadonlySet<string> | undefined;
  /** Values of custom metrics by attribute. */
  attributes?: ReadonlyMap<string, number> | undefined;
}

/** A sample, and the names of metrics that the page should have had. */
export interface ReadSample {
  readonly sample: EndpointSample;
  readonly missing: readonly string[];
}

/** Series of the first name that the page has. */
function matching(page: Buffer, wanted: MetricNames): Series[] {
  for (const { name, labels } of wanted) {
    const found = seriesOf(page, name).filter((series) => labels.every(([key, value]) => series.label(key) === value));
    if (found.length > 0) return found;
  }
  return [];
}

/** The highest by `key`; the first of equals. */
function highest(series: readonly Series[], key: (series: Series) => number): Series | undefined {
  return series.reduce<Series | undefined>(
    (best, next) => (best === undefined || key(next) > key(best) ? next : best),
    undefined,
  );
}

const byTime = (series: Series): number => series.timestamp;
const byValue = (series: Series): number => series.value;

/** Label by which a server in front of several data-parallel engines tells them apart. */
const ENGINE_INDEX = "engine";

/** Value of the newest series; engines behind one server are taken together. */
function gauge(page: Buffer, wanted: MetricNames, combine: "sum" | "mean"): number | undefined {
  const series = matching(page, wanted);
  const newest = highest(series, byTime);
  if (newest === undefined || series.length === 1) return newest?.value;
  const engines = series.filter(
    (other) => other.timestamp === newest.timestamp && other.label(ENGINE_INDEX) !== undefined,
  );
  if (engines.length < 2 || newest.label(ENGINE_INDEX) === undefined) return newest.value;
  const sum = engines.reduce((total, { value }) => total + value, 0);
  return combine === "sum" ? sum : sum / engines.length;
}

function wholeNumber(text: string | undefined): number | undefined {
  const value = Number(text);
  return text !== undefined && text !== "" && Number.isInteger(value) && value >= 0 ? value : undefined;
}

function namesOf(text: string | undefined): ReadonlySet<string> {
  const names = (text ?? "").split(",").map((name) => name.trim());
  return new Set(names.filter((name) => name !== ""));
}

/** Takes what the scheduler uses out of a metrics page. */
export function readSample(page: Buffer, engine: EngineMetrics): ReadSample {
  // vLLM stores the time of a LoRA series as its value.
  const lora = highest(matching(page, engine.lora), byValue);
  const cache = highest(matching(page, engine.cacheInfo), byTime);
  const custom = engine.custom.map(({ attribute, metric }) => [attribute, gauge(page, [metric], "sum")] as const);
  const sample: EndpointSample = {
    waiting: gauge(page, engine.waiting, "sum"),
    running: gauge(page, engine.running, "sum"),
    kvUsage: gauge(page, engine.kvUsage, "mean"),
    cacheBlockSize: gauge(page, engine.blockSize, "mean") ?? wholeNumber(cache?.label(engine.blockSizeLabel)),
    cacheNumBlocks: gauge(page, engine.numBlocks, "mean") ?? wholeNumber(cache?.label(engine.numBlocksLabel)),
    maxActiveModels: wholeNumber(lora?.label("max_lora")),
    activeModels: lora && namesOf(lora.label("running_lora_adapters")),
    waitingModels: lora && namesOf(lora.label("waiting_lora_adapters")),
    attributes:
      custom.length === 0
        ? undefined
        : new Map(custom.filter((entry): entry is readonly [string, number] => entry[1] !== undefined)),
  };
  return { sample, missing: missingOf(engine, sample) };
}

/** Names that were looked for in vain. A page need not tell about adapters and cache layout. */
function missingOf(engine: EngineMetrics, sample: EndpointSample): readonly string[] {
  const missing: string[] = [];
  for (const column of ["waiting", "running", "kvUsage"] as const) {
    const [first] = engine[column];
    if (first !== undefined && sample[column] === undefined) missing.push(first.name);
  }
  for (const { attribute, metric } of engine.custom)
    if (sample.attributes?.has(attribute) !== true) missing.push(metric.name);
  return missing;
}

/** Whether a page is Prometheus text at all; an engine may answer JSON or HTML under a wrong path. */
export function isExposition(page: Buffer): boolean {
  const first = page.find((byte) => byte !== 32 && byte !== 9 && byte !== 10 && byte !== 13);
  return first !== 0x5b && first !== 0x7b && first !== 0x3c;
}
