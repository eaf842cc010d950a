/** The steps of a decision, each over the cycle that the director has begun. */
import { describeError, type Logger } from "../../telemetry/log.ts";
import type { Decision, ProfileResult, Refusal } from "../framework/cycle.ts";
import type { Pipeline } from "../scheduling/pipeline.ts";
import { RequestError } from "./types.ts";

const SATURATED = "system saturated, sheddable request dropped";
const SCREENED = "screeners eliminated all endpoint candidates";
const NO_TARGET = "failed to find target endpoint: ";

function refused({ code, message, droppedReason }: Refusal, context = ""): RequestError {
  return new RequestError(code, context + message, droppedReason);
}

/** Refuses a sheddable request while the pool is saturated. */
export function shed({ cycle, detector }: Pipeline): void {
  if (cycle.request.priority >= 0) return;
  if ((detector.saturation?.(cycle, cycle.candidates, cycle.candidateCount) ?? 0) < 1) return;
  throw new RequestError("ResourceExhausted", SATURATED, "rejected-saturated");
}

/** Narrows the candidates. Refuses the request where none is left. */
export function screen({ cycle, screeners }: Pipeline): void {
  for (const screener of screeners)
    cycle.candidateCount = screener.screen?.(cycle, cycle.candidates, cycle.candidateCount) ?? cycle.candidateCount;
  cycle.record.screened(cycle.candidates, cycle.candidateCount);
  if (cycle.candidateCount === 0) throw new RequestError("ServiceUnavailable", SCREENED, "rejected-no-endpoints");
}

/** Runs the first `count` producers. One that fails costs its data alone. */
export function produce({ cycle, producers }: Pipeline, count: number, logger: Logger): void {
  for (let i = 0; i < count; i++) {
    try {
      producers[i]?.produce?.(cycle);
    } catch (error) {
      logger.error("failed to prepare per request data", { requestId: cycle.request.id, error });
    }
  }
}

/** Lets admitters refuse the request; the first refusal counts. */
export function admit({ cycle, admitters }: Pipeline): void {
  for (const plugin of admitters) {
    const refusal = plugin.admit?.(cycle);
    if (refusal !== undefined) throw refused(refusal, "request cannot be admitted: ");
  }
}

/** Runs profiles until the handler has enough, and returns the primary result. */
export function schedule(pipeline: Pipeline): ProfileResult {
  const { cycle, handler, profiles, profileNames } = pipeline;
  for (;;) {
    const next = handler.nextProfiles?.(cycle, profileNames) ?? [];
    if (next.length === 0) break;
    for (const name of next) profiles.get(name)?.run(cycle);
  }
  const outcome = handler.primaryProfile?.(cycle);
  if (outcome !== undefined && "refusal" in outcome)
    throw refused(outcome.refusal, outcome.refusal.code === "ResourceExhausted" ? NO_TARGET : "");
  const primary = cycle.results.get(outcome?.profile ?? "");
  if (primary !== undefined) return primary;
  const cause = `failed to run any scheduler profile for request ${cycle.request.id}`;
  throw new RequestError("ResourceExhausted", NO_TARGET + cause);
}

/** Refuses a request that wants a decode worker with its prefix cached or none (RFC 7240, `Prefer: if-available`). */
export function demandCached({ cycle, prefixMatch }: Pipeline, slot: number): void {
  const preferences = cycle.request.headers.get("prefer");
  if (preferences === undefined || !hasPreference(preferences, "if-available")) return;
  if ((prefixMatch?.of(cycle).cachedBlocks[slot] ?? 0) > 0) return;
  throw new RequestError("PreconditionFailed", "no decode worker has the requested KV cache");
}

const hasPreference = (preferences: string, name: string): boolean =>
  preferences.split(",").some((preference) => preference.split(";", 1)[0]?.trim().toLowerCase() === name);

/** Tells all plugins the decision before the request is sent. Returns why it must not be sent, if so. */
export function announce({ cycle, announced }: Pipeline, decision: Decision): RequestError | undefined {
  let failures: { readonly error: unknown; readonly text: string }[] | undefined;
  for (const { plugin, type, name } of announced) {
    try {
      plugin.preRequest?.(cycle, decision);
    } catch (error) {
      (failures ??= []).push({ error, text: `PreRequest "${type}/${name}" failed: ${describeError(error)}` });
    }
  }
  if (failures === undefined) return undefined;
  const [first] = failures;
  if (failures.length === 1 && first?.error instanceof RequestError) return first.error;
  return new RequestError("Internal", failures.map(({ text }) => text).join("\n"));
}
