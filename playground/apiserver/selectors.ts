import type { JsonObject } from "../../crds/schema/types.ts";
import { type LabelSelector, selectorMatches } from "../../kube/labels.ts";
import { badRequest } from "./errors.ts";
import { at, metaOf, scalarText, textMap } from "./objects.ts";

/** Whether an object is selected. */
export type Predicate = (object: JsonObject) => boolean;

type Labels = Readonly<Record<string, string>>;

const SET = /^(\S+)\s+(in|notin)\s+\(([^()]*)\)$/;
const NAME = /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/;

/** Splits at commas outside parentheses. */
function requirements(text: string): string[] {
  return text
    .split(/,(?![^(]*\))/)
    .map((part) => part.trim())
    .filter((part) => part !== "");
}

function labelName(key: string, selector: string): string {
  if (NAME.test(key)) return key;
  throw badRequest(
    `unable to parse requirement: invalid label key ${JSON.stringify(key)} in ${JSON.stringify(selector)}`,
  );
}

function labelRequirement(text: string): (labels: Labels) => boolean {
  const set = SET.exec(text);
  if (set !== null) {
    const key = labelName(set[1]!, text);
    const values = new Set(set[3]!.split(",").map((value) => value.trim()));
    const wanted = set[2] === "in";
    return (labels) => (labels[key] === undefined ? !wanted : values.has(labels[key]) === wanted);
  }
  const [left = "", operator, right = "", more] = text.split(/(!=|==|=)/).map((part) => part.trim());
  if (more !== undefined)
    throw badRequest(`unable to parse requirement: found '${more}', expected: ',' or 'end of string'`);
  if (operator === undefined) {
    if (!left.startsWith("!")) return hasLabel(labelName(left, text));
    const key = labelName(left.slice(1).trim(), text);
    return (labels) => labels[key] === undefined;
  }
  const key = labelName(left, text);
  return operator === "!=" ? (labels) => labels[key] !== right : (labels) => labels[key] === right;
}

const hasLabel =
  (key: string) =>
  (labels: Labels): boolean =>
    labels[key] !== undefined;

/** Reads a label selector in Kubernetes' text form; empty selects all. Errors: 400. */
export function labelSelector(text: string): Predicate {
  const checks = requirements(text).map(labelRequirement);
  if (checks.length === 0) return () => true;
  return (object) => {
    const labels = textMap(metaOf(object)["labels"]);
    return checks.every((check) => check(labels));
  };
}

/** Reads a LabelSelector object (`matchLabels`, `matchExpressions`); an absent or empty one selects all. */
export function objectLabelSelector(selector: JsonObject): Predicate {
  // Shape checked by the schema of the object that holds it.
  const typed = selector as LabelSelector;
  return (object) => selectorMatches(typed, textMap(metaOf(object)["labels"]));
}

/** Fields that lists of a kind can be selected by, besides name and namespace. */
const SELECTABLE: Readonly<Record<string, RegExp>> = {
  "/pods":
    /^(spec\.(nodeName|restartPolicy|schedulerName|serviceAccountName|hostNetwork)|status\.(phase|podIP|nominatedNodeName))$/,
  "/secrets": /^type$/,
  "/nodes": /^spec\.unschedulable$/,
  "/namespaces": /^status\.phase$/,
  "/events":
    /^(involvedObject\.(kind|namespace|name|uid|apiVersion|resourceVersion|fieldPath)|reason|reportingComponent|source|type|regarding\..*)$/,
  "/services": /^spec\.(clusterIP|type)$/,
  "apps/replicasets": /^status\.replicas$/,
};

/** Groups of custom kinds, whose names have a dot and are not of Kubernetes. */
const isCustom = (storage: string): boolean => /\./.test(storage) && !/\.k8s\.io\//.test(storage);

function unselectable(storage: string, path: string): string {
  return SELECTABLE[storage] === undefined && !isCustom(storage)
    ? `"${path}" is not a known field selector: only "metadata.name", "metadata.namespace"`
    : `field label not supported: ${path}`;
}

function isSelectable(storage: string, path: string): boolean {
  if (storage === "" || path === "metadata.name" || path === "metadata.namespace") return true;
  return SELECTABLE[storage]?.test(path) ?? false;
}

/**
 * Reads a field selector: `path=value`, `==` and `!=` on any scalar field of the object. A field that is absent compares
 * as the empty text, as Kubernetes compares its zero values.
 */
export function fieldSelector(text: string, storage = ""): Predicate {
  const checks = requirements(text).map((part) => {
    const [path = "", operator, value = ""] = part.split(/(!=|==|=)/).map((piece) => piece.trim());
    if (operator === undefined) throw badRequest(`invalid selector: '${text}'; can't understand '${part}'`);
    if (!isSelectable(storage, path)) throw badRequest(unselectable(storage, path));
    const steps = path.split(".");
    const wanted = operator !== "!=";
    return (object: JsonObject) => (scalarText(at(object, ...steps)) === value) === wanted;
  });
  return (object) => checks.every((check) => check(object));
}
