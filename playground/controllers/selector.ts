import { type Fields, recordAt, recordsAt, textMapAt, textAt, textsAt } from "../fields.ts";

type Labels = Readonly<Record<string, string>>;

/** Whether labels have all pairs of a plain selector map. An empty map selects everything. */
export function matchesMap(selector: Labels, labels: Labels): boolean {
  return Object.entries(selector).every(([key, value]) => labels[key] === value);
}

/** Whether labels satisfy a LabelSelector (`matchLabels` and `matchExpressions`). A missing selector selects nothing. */
export function matchesSelector(selector: Fields | undefined, labels: Labels): boolean {
  if (selector === undefined) return false;
  return (
    matchesMap(textMapAt(selector, "matchLabels"), labels) &&
    recordsAt(selector, "matchExpressions").every((expression) => matchesExpression(expression, labels))
  );
}

function matchesExpression(expression: Fields, labels: Labels): boolean {
  const value = labels[textAt(expression, "key") ?? ""];
  const values = textsAt(expression, "values");
  switch (textAt(expression, "operator") ?? "") {
    case "In":
      return value !== undefined && values.includes(value);
    case "NotIn":
      return value === undefined || !values.includes(value);
    case "Exists":
      return value !== undefined;
    case "DoesNotExist":
      return value === undefined;
    default:
      return false;
  }
}

/** The labels of an object. */
export function labelsOf(object: unknown): Labels {
  return textMapAt(recordAt(object, "metadata"), "labels");
}
