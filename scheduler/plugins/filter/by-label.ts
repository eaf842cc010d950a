import { bool, list, object, required, text } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";
import { keepingBy } from "./keeping.ts";

const parameters = object(
  {
    label: required(text({ doc: "Label name.", default: "", nonEmpty: true })),
    validValues: list(text({ doc: "A value.", default: "" }), { doc: "Values that are kept." }),
    allowsNoLabel: bool({ doc: "Whether endpoints without the label are kept.", default: false }),
  },
  {
    check: ({ validValues, allowsNoLabel }, path, report) => {
      if (validValues.length > 0 || allowsNoLabel) return;
      const remedy = "list values in validValues or set allowsNoLabel to true";
      const cause = "the filter would drop everything";
      report.error({ path: `${path}.validValues`, value: undefined, cause, remedy });
    },
  },
);

/** Keeps endpoints by the value of one label. */
export const byLabel = definePlugin({
  type: "by-label",
  kinds: ["filter"],
  stability: "beta",
  deprecated: "label-selector-filter",
  description: "Keeps endpoints whose label has one of the values.",
  parameters,
  create: ({ label, validValues, allowsNoLabel }) =>
    keepingBy(
      ({ labels }) => {
        const value = labels[label];
        return value === undefined ? allowsNoLabel : validValues.includes(value);
      },
      ({ labels }) => (labels[label] === undefined ? `no label ${label}` : `${label}=${labels[label]}`),
    ),
});
