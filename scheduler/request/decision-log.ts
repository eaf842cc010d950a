import { describeError, type Logger, VERBOSITY } from "../../telemetry/log.ts";
import type { ProfileResult, Random, Refusal, SchedulingRequest } from "../framework/cycle.ts";
import { DecisionRecord, type RecordedFleet } from "../scheduling/record.ts";
import { DecisionRing } from "../scheduling/ring.ts";
import {
  type CandidateTrace,
  type DecisionTrace,
  destinationsOf,
  type ProfileTrace,
  traceOf,
} from "../scheduling/trace.ts";
import { EXPLAIN_HEADER, type Headers, RequestError } from "./types.ts";

/** What a decision log takes. */
export interface DecisionLogOptions {
  readonly logger: Logger;
  /** Age in ms from which metrics are stale; 0: never. */
  readonly staleAfterMs: number;
  /** Share of decisions that are kept and logged, 0 to 1. */
  readonly sampling: number;
  readonly random: Random;
  /** Wall-clock time of monotonic 0. */
  readonly originMs: number;
}

/** Traces that were asked for stay longer than the ring has room for decisions. */
const MAX_KEPT = 256;
/** Decisions on one page. */
const MAX_LISTED = 100;

/** A decision in a list. */
export interface DecisionSummary {
  readonly requestId: string;
  readonly time: string;
  readonly model: string;
  readonly candidates: number;
  readonly destinations: readonly string[];
  readonly refusal?: string;
}

/** Decisions of the recent past: all of them in a ring, those asked for by header or sampling for longer. */
export class DecisionLog {
  readonly #options: DecisionLogOptions;
  readonly #ring = new DecisionRing();
  /** Decisions are made one after the other. */
  readonly #record = new DecisionRecord();
  readonly #kept = new Map<string, DecisionTrace>();

  constructor(options: DecisionLogOptions) {
    this.#options = options;
  }

  /** Where the next decision is written down. */
  begin(request: Omit<SchedulingRequest, "body">, fleet: RecordedFleet, nowMs: number): DecisionRecord {
    this.#record.begin(request, fleet, nowMs, this.#options.staleAfterMs);
    return this.#record;
  }

  /** A request goes to the targets of this result; `replaced` are addresses that a plugin put in their place. */
  routed(
    record: DecisionRecord,
    primary: ProfileResult,
    replaced: readonly string[] | undefined,
    headers: Headers,
  ): void {
    record.primary = record.profiles.findIndex((profile) => profile === primary);
    record.destinations = replaced;
    this.#finish(record, headers);
  }

  /** A request without a body goes to this address: any one was good. */
  drawn(record: DecisionRecord, destination: string, headers: Headers): void {
    record.destinations = [destination];
    this.#finish(record, headers);
  }

  /** A request was refused, or its decision failed. */
  refused(record: DecisionRecord, error: unknown, headers: Headers): void {
    record.refusal = refusalOf(error);
    this.#finish(record, headers);
  }

  #finish(record: DecisionRecord, headers: Headers): void {
    const { logger, sampling, random, originMs } = this.#options;
    this.#ring.push(record);
    const wanted = isWanted(headers) || (sampling > 0 && random.next() < sampling);
    if (!wanted && !logger.enabled(VERBOSITY.debug)) return;
    const trace = traceOf(record, this.#ring.count, originMs);
    if (wanted) this.#keep(trace);
    logger.v(wanted ? VERBOSITY.default : VERBOSITY.debug, lineOf(trace), fieldsOf(trace, logger));
  }

  #keep(trace: DecisionTrace): void {
    this.#kept.delete(trace.requestId);
    this.#kept.set(trace.requestId, trace);
    const [oldest] = this.#kept.keys();
    if (this.#kept.size > MAX_KEPT && oldest !== undefined) this.#kept.delete(oldest);
  }

  /** The newest decision about a request; undefined when it is not remembered. */
  find(requestId: string): DecisionTrace | undefined {
    const past = this.#ring.find(requestId);
    if (past === undefined) return this.#kept.get(requestId);
    return traceOf(past.record, past.sequence, this.#options.originMs);
  }

  /** The newest decisions, newest first. */
  list(limit: number): readonly DecisionSummary[] {
    const past = this.#ring.newest(Math.min(Math.max(1, limit), MAX_LISTED));
    return past.map(({ record }) => summaryOf(record, this.#options.originMs));
  }

  /** The debug page: one decision with `?id=`, else the newest ones, as many as `?limit=` says. Undefined: not found. */
  page(query: URLSearchParams): unknown {
    const id = query.get("id");
    if (id !== null) return this.find(id);
    const limit = Number(query.get("limit") ?? MAX_LISTED);
    return { count: this.#ring.count, decisions: this.list(Number.isFinite(limit) ? limit : MAX_LISTED) };
  }
}

function isWanted(headers: Headers): boolean {
  const value = headers.get(EXPLAIN_HEADER);
  return value !== undefined && value !== "" && value !== "false" && value !== "0";
}

function refusalOf(error: unknown): Refusal {
  if (!(error instanceof RequestError)) return { code: "Internal", message: describeError(error) };
  const { code, message, droppedReason } = error;
  return { code, message, droppedReason };
}

function summaryOf(record: DecisionRecord, originMs: number): DecisionSummary {
  return {
    requestId: record.requestId,
    time: new Date(originMs + record.atMs).toISOString(),
    model: record.targetModel,
    candidates: record.collectedCount,
    destinations: destinationsOf(record),
    ...(record.refusal === undefined ? {} : { refusal: record.refusal.message }),
  };
}

const lineOf = ({ refusal }: DecisionTrace): string => (refusal === undefined ? "request routed" : "request refused");

const primaryOf = ({ profiles, primary }: DecisionTrace): ProfileTrace | undefined =>
  profiles.findLast(({ profile }) => profile === primary) ?? profiles.at(-1);

/** One readable line: what was picked and what spoke for it; at verbosity 5 all candidates. */
function fieldsOf(trace: DecisionTrace, logger: Logger): Readonly<Record<string, unknown>> {
  const profile = primaryOf(trace);
  const picked = profile?.candidates.find(({ endpoint }) => endpoint === profile.targets[0]);
  return {
    requestId: trace.requestId,
    model: trace.targetModel,
    priority: trace.priority,
    candidates: trace.candidates,
    ...(profile === undefined ? {} : profileFields(profile)),
    ...(picked === undefined ? {} : candidateFields(picked)),
    ...(trace.refusal === undefined ? { destinations: trace.destinations } : { refusal: trace.refusal.message }),
    ...(logger.enabled(VERBOSITY.trace) ? { all: profile?.candidates.map(candidateFields) } : {}),
  };
}

function profileFields({ profile, filters, freshness, ties, picker, randomState }: ProfileTrace): object {
  const left = Object.fromEntries(filters.map(({ plugin, left }) => [plugin, left]));
  return { profile, filters: left, freshness, ties, picker: picker?.plugin, randomState };
}

function candidateFields({ endpoint, address, verdict, inputs, scores = [], total }: CandidateTrace): object {
  const weighted = Object.fromEntries(scores.map(({ scorer, weighted }) => [scorer, weighted]));
  return { endpoint, address, verdict, inputs, scores: weighted, total };
}
