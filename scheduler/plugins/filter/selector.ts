import { type LabelSelector, selectorMatches } from "../../../kube/labels.ts";
import { choice, type Field, list, object, required, text, textMap } from "../../framework/parameters.ts";
import { type AnyPluginDefinition, definePlugin } from "../../framework/plugin.ts";
import { keepingBy } from "./keeping.ts";

const expression = object(
  {
    key: required(text({ doc: "Label name.", default: "", nonEmpty: true })),
    operator: required(choice({ doc: "Operator.", default: "Exists", of: ["In", "NotIn", "Exists", "DoesNotExist"] })),
    values: list(text({ doc: "A value.", default: "" }), { doc: "Values of In and NotIn." }),
  },
  {
    check: ({ operator, values }, path, report) => {
      const wanted = operator === "In" || operator === "NotIn";
      if (wanted === values.length > 0) return;
      const cause = wanted ? `must not be empty with ${operator}` : `must be empty with ${operator}`;
      report.error({ path: `${path}.values`, value: values, cause, remedy: wanted ? "list values" : "remove them" });
    },
  },
);

/** A Kubernetes label selector as parameters. */
export const selector = object({
  matchLabels: textMap("Labels that must be equal."),
  matchExpressions: list(expression, { doc: "Expressions that must hold." }),
});

const TERM = /^(?:(!?)([\w./-]+)|([\w./-]+)\s*(==?|!=)\s*([\w.-]*)|([\w./-]+)\s+(in|notin)\s*\(([^)]*)\))$/;

/** A selector in the form of `kubectl -l`: `a=b,c!=d,e in (f,g),h,!i`; undefined for any other text. */
export function parseSelectorText(text: string): LabelSelector | undefined {
  const matchExpressions = text.split(/,(?![^(]*\))/).flatMap((part) => {
    const match = TERM.exec(part.trim());
    if (match === null) return [];
    const [, negated, present, key, operator, value = "", setKey, setOperator, values = ""] = match;
    if (present !== undefined) return [{ key: present, operator: negated === "!" ? "DoesNotExist" : "Exists" }];
    if (key !== undefined) return [{ key, operator: operator === "!=" ? "NotIn" : "In", values: [value] }];
    const list = values.split(",").map((item) => item.trim());
    return [{ key: setKey ?? "", operator: setOperator === "in" ? "In" : "NotIn", values: list }];
  });
  return matchExpressions.length === text.split(/,(?![^(]*\))/).length ? { matchExpressions } : undefined;
}

/** A label selector as an object, or as text. */
export const selectorOrText: Field<LabelSelector> = {
  ...selector,
  accepts: "a label selector",
  read: (value, path, report) => {
    if (typeof value !== "string") return selector.read(value, path, report);
    const parsed = parseSelectorText(value);
    if (parsed !== undefined) return parsed;
    report.error({ path, value, cause: "is not a label selector", remedy: "write it like a=b,c in (d,e)" });
    return selector.fallback;
  },
};

/** A filter that keeps what a label selector matches; an empty one keeps all. */
export function selectorFilter(type: string, deprecated?: string): AnyPluginDefinition {
  return definePlugin({
    type,
    kinds: ["filter"],
    stability: "beta",
    ...(deprecated === undefined ? {} : { deprecated }),
    description: "Keeps endpoints that a Kubernetes label selector matches.",
    parameters: selector,
    create: (given: LabelSelector) =>
      keepingBy(
        ({ labels }) => selectorMatches(given, labels),
        () => "labels do not match the selector",
      ),
  });
}
