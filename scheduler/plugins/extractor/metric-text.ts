import { readMetricSpec } from "../../framework/metric-spec.ts";
import { type Field, text } from "../../framework/parameters.ts";

/** A metric, perhaps with labels; the empty text stands for none. */
export function metricText(doc: string, fallback = ""): Field<string> {
  const inner = text({ doc: `${doc}: name{label=value,…}.`, default: fallback });
  return {
    ...inner,
    read: (value, path, report) => {
      const given = inner.read(value, path, report);
      const { problem } = readMetricSpec(given);
      if (problem === undefined) return given;
      const remedy = "write it like name or name{label=value}";
      report.error({ path, value, cause: `is no metric: ${problem}`, remedy });
      return fallback;
    },
  };
}
