import type { Cycle } from "../../framework/cycle.ts";
import type { PluginContext, Stages } from "../../framework/plugin.ts";

const LABELS = ["plugin_name", "plugin_type", "model_name", "decision_type"];

/** Counts how requests are split over stages, in the metric `llm_d_epp_<family>_decision_total`. */
export function countDecisions(
  context: PluginContext,
  type: string,
  family: "disagg" | "pd",
): (cycle: Cycle, stages: Stages) => void {
  const decisions = context.metrics.counter({
    name: `llm_d_epp_${family}_decision_total`,
    help: "Requests by the stages that serve them on pods of their own.",
    labels: LABELS,
    aliases: [{ name: `llm_d_inference_scheduler_${family}_decision_total`, labels: ["model_name", "decision_type"] }],
    maxSeries: 1000,
  });
  return ({ request, results }, { prefill, encode }) => {
    const used = [
      results.get(encode) === undefined ? "" : "encode",
      results.get(prefill) === undefined ? "" : "prefill",
      "decode",
    ].filter((stage) => stage !== "");
    const kind = used.length === 1 ? "decode-only" : used.join("-");
    decisions.labels(context.name, type, request.targetModel || "unknown", kind).inc();
  };
}
