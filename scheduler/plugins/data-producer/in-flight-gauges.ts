import type { SchedulingRequest } from "../../framework/cycle.ts";
import type { PluginContext } from "../../framework/plugin.ts";
import type { Gauge } from "../../../telemetry/metrics.ts";
import type { Share } from "./in-flight-counts.ts";

const LABELS = ["endpoint_name", "namespace", "producer_name", "fairness_id", "priority"];
const MAX_SERIES = 5000;

/** Who a request belongs to. */
type Sender = Pick<SchedulingRequest, "fairnessId" | "priority">;

/** What one sender has under way to one endpoint. */
interface Series {
  readonly labels: readonly string[];
  readonly requestGauge: Gauge;
  readonly tokenGauge: Gauge;
  requests: number;
  tokens: number;
}

/** Shows what is under way, by endpoint and sender. A series lives as long as it counts something. */
export class InFlightGauges {
  readonly #context: PluginContext;
  readonly #requests;
  readonly #tokens;
  /** By slot, then by sender. */
  readonly #series = new Map<number, Map<string, Series>>();

  constructor(context: PluginContext) {
    const { metrics } = context;
    const common = { labels: LABELS, maxSeries: MAX_SERIES };
    this.#context = context;
    this.#requests = metrics.gauge({ name: "llm_d_epp_inflight_requests", help: "Requests under way.", ...common });
    this.#tokens = metrics.gauge({ name: "llm_d_epp_inflight_tokens", help: "Tokens under way.", ...common });
  }

  /** Adds (`sign` 1) or takes away (−1) a share of a request. */
  change({ slot, requests, tokens }: Share, request: Sender, sign: 1 | -1): void {
    const key = `${request.priority} ${request.fairnessId}`;
    const series = this.#series.get(slot)?.get(key) ?? (sign === 1 ? this.#create(slot, key, request) : undefined);
    if (series === undefined) return;
    series.requests += sign * requests;
    series.tokens += sign * tokens;
    series.requestGauge.set(series.requests);
    series.tokenGauge.set(series.tokens);
    if (series.requests > 0) return;
    this.#series.get(slot)?.delete(key);
    this.#remove(series);
  }

  /** Drops the series of an endpoint that is gone. */
  drop(slot: number): void {
    for (const series of this.#series.get(slot)?.values() ?? []) this.#remove(series);
    this.#series.delete(slot);
  }

  #create(slot: number, key: string, { fairnessId, priority }: Sender): Series {
    const { name, namespace } = this.#context.endpoints.metadata(slot);
    const labels = [name, namespace, this.#context.name, fairnessId, String(priority)];
    const requestGauge = this.#requests.labels(...labels);
    const series = { labels, requestGauge, tokenGauge: this.#tokens.labels(...labels), requests: 0, tokens: 0 };
    const own = this.#series.get(slot) ?? new Map<string, Series>();
    this.#series.set(slot, own.set(key, series));
    return series;
  }

  #remove({ labels }: Series): void {
    this.#requests.remove(...labels);
    this.#tokens.remove(...labels);
  }
}
