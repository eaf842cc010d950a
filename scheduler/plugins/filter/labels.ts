import { type LabelSelector, selectorMatches } from "../../../kube/labels.ts";
import type { EndpointMetadata } from "../../framework/endpoint.ts";
import { bool, choice, list, noParameters, object, required, text, textMap } from "../../framework/parameters.ts";
import { type AnyPluginDefinition, definePlugin, type Plugin } from "../../framework/plugin.ts";

const ROLE_LABEL = "llm-d.ai/role";

function keeping(test: (metadata: EndpointMetadata) => boolean): Plugin {
  return {
    filter: ({ endpoints }, slots, count) => {
      let kept = 0;
      for (let i = 0; i < count; i++) {
        const slot = slots[i] ?? 0;
        if (test(endpoints.metadata(slot))) slots[kept++] = slot;
      }
      return kept;
    },
  };
}

function roleFilter(type: string, roles: readonly string[], unlabelled: boolean): AnyPluginDefinition {
  return definePlugin({
    type,
    kinds: ["filter"],
    stability: "beta",
    description: `Keeps endpoints whose label ${ROLE_LABEL} is one of ${roles.join(", ")}.`,
    parameters: noParameters(),
    create: () =>
      keeping(({ labels }) => {
        const role = labels[ROLE_LABEL];
        return role === undefined ? unlabelled : roles.includes(role);
      }),
  });
}

/** Keeps endpoints that decode; those without a role do. */
export const decodeFilter = roleFilter(
  "decode-filter",
  ["decode", "prefill-decode", "both", "encode-prefill-decode", "encode-decode"],
  true,
);
/** Keeps endpoints that prefill. */
export const prefillFilter = roleFilter(
  "prefill-filter",
  ["prefill", "encode-prefill", "prefill-decode", "both", "encode-prefill-decode"],
  false,
);

/** Keeps endpoints by the value of one label. */
export const byLabel = definePlugin({
  type: "by-label",
  kinds: ["filter"],
  stability: "beta",
  deprecated: "label-selector-filter",
  description: "Keeps endpoints whose label has one of the values.",
  parameters: object(
    {
      label: required(text({ doc: "Label name.", default: "", nonEmpty: true })),
      validValues: list(text({ doc: "A value.", default: "" }), { doc: "Values that are kept." }),
      allowsNoLabel: bool({ doc: "Whether endpoints without the label are kept.", default: false }),
    },
    {
      check: ({ validValues, allowsNoLabel }, path, report) => {
        if (validValues.length > 0 || allowsNoLabel) return;
        const remedy = "list values in validValues or set allowsNoLabel to true";
        report.error({
          path: `${path}.validValues`,
          value: undefined,
          cause: "the filter would drop everything",
          remedy,
        });
      },
    },
  ),
  create: ({ label, validValues, allowsNoLabel }) =>
    keeping(({ labels }) => {
      const value = labels[label];
      return value === undefined ? allowsNoLabel : validValues.includes(value);
    }),
});

const selector = object({
  matchLabels: textMap("Labels that must be equal."),
  matchExpressions: list(
    object({
      key: required(text({ doc: "Label name.", default: "", nonEmpty: true })),
      operator: required(
        choice({ doc: "Operator.", default: "Exists", of: ["In", "NotIn", "Exists", "DoesNotExist"] }),
      ),
      values: list(text({ doc: "A value.", default: "" }), { doc: "Values of In and NotIn." }),
    }),
    { doc: "Expressions that must hold." },
  ),
});

function selectorFilter(type: string, deprecated?: string): AnyPluginDefinition {
  return definePlugin({
    type,
    kinds: ["filter"],
    stability: "beta",
    ...(deprecated === undefined ? {} : { deprecated }),
    description: "Keeps endpoints that a Kubernetes label selector matches.",
    parameters: selector,
    create: (given: LabelSelector) => keeping(({ labels }) => selectorMatches(given, labels)),
  });
}

/** Keeps endpoints that a label selector matches. */
export const labelSelectorFilter = selectorFilter("label-selector-filter");
/** Former name of `label-selector-filter`. */
export const byLabelSelector = selectorFilter("by-label-selector", "label-selector-filter");
