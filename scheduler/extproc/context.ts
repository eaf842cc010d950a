import type { Logger } from "../../telemetry/log.ts";
import type { Tracing } from "../../telemetry/tracing.ts";
import type { RequestMetrics } from "../metrics/request-metrics.ts";
import type { Parsers } from "../parsers/parsers.ts";
import type { UsageFormat } from "../parsers/traits.ts";
import type { Director, RoutingDecision } from "../request/types.ts";

/** What all streams of a server share. */
export interface ExtProcContext {
  readonly director: Director;
  readonly parsers: Parsers;
  readonly metrics: RequestMetrics;
  readonly logger: Logger;
  /** Absent: nothing is traced. */
  readonly tracing?: Tracing | undefined;
  /** Monotonic milliseconds. */
  readonly now: () => number;
  /** A fresh request id. */
  readonly newId: () => string;
  /** Bytes of a whole request body; a larger one is refused with 413. */
  readonly maxBodyBytes: number;
  /** `BODY_MODE` of requests and answers where the proxy does not tell it, as older ones do not; default: full duplex. */
  readonly assumedMode?: number;
  /** Whether subset hints of the proxy are ignored. */
  readonly ignoreSubset: boolean;
}

/** A request that found its endpoint. */
export interface Route {
  /** Value of the destination header. */
  readonly destination: string;
  /** Handle for the director's hooks; undefined for requests without an inference body. */
  readonly ticket: unknown;
  readonly model: string;
  readonly targetModel: string;
  readonly fairnessId: string;
  readonly priority: number;
  readonly streamRequested: boolean;
  readonly usageFormat: UsageFormat;
  readonly onEvicted?: RoutingDecision["onEvicted"];
}
