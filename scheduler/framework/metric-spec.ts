/** A metric with the labels that its series must have. */
export interface MetricSpec {
  readonly name: string;
  readonly labels: readonly (readonly [name: string, value: string])[];
}

/** What a text says: a metric, none (the empty text disables a metric), or why it cannot be read. */
export type ReadMetricSpec =
  | { readonly spec: MetricSpec | undefined; readonly problem?: undefined }
  | { readonly spec?: undefined; readonly problem: string };

const NAME = /^[a-zA-Z_:][a-zA-Z0-9_:.]*$/;
const LABEL = /^\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^",{}=]*?))\s*(?:,|$)/;

/** Reads `name` or `name{label=value,label2="value2"}`; blanks around parts do not count, quotes are optional. */
export function readMetricSpec(text: string): ReadMetricSpec {
  const trimmed = text.trim();
  if (trimmed === "") return { spec: undefined };
  const open = trimmed.indexOf("{");
  const name = (open === -1 ? trimmed : trimmed.slice(0, open)).trim();
  if (!NAME.test(name)) return { problem: `"${name}" is not a metric name` };
  if (open === -1) return { spec: { name, labels: [] } };
  if (!trimmed.endsWith("}")) return { problem: "the closing brace is missing" };
  const labels = readLabels(trimmed.slice(open + 1, -1));
  return labels === undefined ? { problem: "labels are not of the form name=value" } : { spec: { name, labels } };
}

function readLabels(text: string): (readonly [string, string])[] | undefined {
  const labels: (readonly [string, string])[] = [];
  let rest = text.trim();
  while (rest !== "") {
    const match = LABEL.exec(rest);
    if (match === null) return undefined;
    const value = match[2] === undefined ? (match[3] ?? "") : match[2].replace(/\\(.)/g, "$1");
    labels.push([match[1] ?? "", value]);
    rest = rest.slice(match[0].length).trim();
  }
  return labels;
}

/** The metric of a text known to be good. */
export function metricSpec(text: string): MetricSpec {
  const { spec, problem } = readMetricSpec(text);
  if (spec === undefined) throw new Error(`metric "${text}": ${problem ?? "is empty"}`);
  return spec;
}
