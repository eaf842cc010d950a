import { type Labels, selectorMatches } from "../../kube/labels.ts";
import { type Fields, recordAt, recordsAt, textAt, textMapAt, textsAt } from "../fields.ts";

/** Whether labels satisfy a LabelSelector as the API serves it. A missing selector selects nothing. */
export function matchesSelector(selector: Fields | undefined, labels: Labels): boolean {
  if (selector === undefined) return false;
  const matchExpressions = recordsAt(selector, "matchExpressions").map((expression) => ({
    key: textAt(expression, "key") ?? "",
    operator: textAt(expression, "operator") ?? "",
    values: textsAt(expression, "values"),
  }));
  return selectorMatches({ matchLabels: textMapAt(selector, "matchLabels"), matchExpressions }, labels);
}

/** The labels of an object. */
export function labelsOf(object: unknown): Labels {
  return textMapAt(recordAt(object, "metadata"), "labels");
}
