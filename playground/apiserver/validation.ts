import type { FieldError, Json, JsonObject } from "../../crds/schema/types.ts";
import { type ServedKind, customKinds } from "./kinds.ts";
import { looseFinalizers, validateMetadata } from "./metadata.ts";
import { at, equalJson, isObject, listOf, nameOf, objectOf, textMap, textOf } from "./objects.ts";

const IMMUTABLE = "field is immutable";

function immutable(path: string, next: JsonObject, old: JsonObject | undefined): FieldError[] {
  if (old === undefined) return [];
  const steps = path.split(".");
  const value = at(next, ...steps);
  if (equalJson(value, at(old, ...steps))) return [];
  return [{ path, kind: "Invalid", value: value ?? null, message: IMMUTABLE }];
}

const required = (path: string, value: Json | undefined, message = ""): FieldError[] =>
  value === undefined || value === "" || value === null ? [{ path, kind: "Required", message }] : [];

function podSpecErrors(spec: JsonObject, path: string): FieldError[] {
  const containers = listOf(spec["containers"]);
  const errors = containers.length === 0 ? required(`${path}.containers`, undefined) : [];
  const seen = new Set<string>();
  for (const list of ["initContainers", "containers"]) {
    for (const [index, container] of listOf(spec[list]).entries()) {
      const place = `${path}.${list}[${index}]`;
      const name = textOf(at(container, "name"));
      errors.push(...required(`${place}.name`, name), ...required(`${place}.image`, at(container, "image")));
      if (seen.has(name)) errors.push({ path: `${place}.name`, kind: "Duplicate", value: name, message: "" });
      seen.add(name);
      errors.push(...mountErrors(objectOf(container), spec, place));
    }
  }
  return errors;
}

function mountErrors(container: JsonObject, spec: JsonObject, place: string): FieldError[] {
  const volumes = new Set(listOf(spec["volumes"]).map((volume) => at(volume, "name")));
  return listOf(container["volumeMounts"]).flatMap((mount, index): FieldError[] => {
    const name = at(mount, "name");
    if (volumes.has(name)) return [];
    return [{ path: `${place}.volumeMounts[${index}].name`, kind: "NotFound", value: name ?? "", message: "" }];
  });
}

/** Workloads with a selector over the labels of their pod template. */
function workloadErrors(next: JsonObject, old: JsonObject | undefined): FieldError[] {
  const spec = objectOf(next["spec"]);
  const selector = textMap(at(spec, "selector", "matchLabels"));
  const labels = textMap(at(spec, "template", "metadata", "labels"));
  const errors: FieldError[] = [];
  if (spec["selector"] === undefined) errors.push({ path: "spec.selector", kind: "Required", message: "" });
  else if (Object.entries(selector).some(([key, value]) => labels[key] !== value))
    errors.push({
      path: "spec.template.metadata.labels",
      kind: "Invalid",
      value: labels,
      message: "`selector` does not match template `labels`",
    });
  errors.push(...immutable("spec.selector", next, old));
  if (Number(spec["replicas"]) < 0)
    errors.push({
      path: "spec.replicas",
      kind: "Invalid",
      value: spec["replicas"]!,
      message: "must be greater than or equal to 0",
    });
  const policy = at(spec, "template", "spec", "restartPolicy");
  if (policy !== "Always" && policy !== undefined)
    errors.push({
      path: "spec.template.spec.restartPolicy",
      kind: "NotSupported",
      value: policy,
      message: 'supported values: "Always"',
    });
  return [...errors, ...podSpecErrors(objectOf(at(spec, "template", "spec")), "spec.template.spec")];
}

function serviceErrors(next: JsonObject): FieldError[] {
  const spec = objectOf(next["spec"]);
  const ports = listOf(spec["ports"]);
  const types = ["ClusterIP", "ExternalName", "LoadBalancer", "NodePort"];
  if (!types.includes(textOf(spec["type"])))
    return [
      {
        path: "spec.type",
        kind: "NotSupported",
        value: spec["type"] ?? "",
        message: `supported values: ${types.map((type) => JSON.stringify(type)).join(", ")}`,
      },
    ];
  if (ports.length === 0 && spec["type"] !== "ExternalName" && spec["clusterIP"] !== "None")
    return required("spec.ports", undefined);
  return ports.flatMap((port, index): FieldError[] => {
    const number = Number(at(port, "port"));
    const path = `spec.ports[${index}]`;
    const errors = ports.length > 1 ? required(`${path}.name`, at(port, "name")) : [];
    if (!(number >= 1 && number <= 65_535))
      errors.push({
        path: `${path}.port`,
        kind: "Invalid",
        value: at(port, "port") ?? 0,
        message: "must be between 1 and 65535, inclusive",
      });
    const target = at(port, "targetPort");
    if (typeof target === "number" && !(target >= 1 && target <= 65_535))
      errors.push({
        path: `${path}.targetPort`,
        kind: "Invalid",
        value: target,
        message: "must be between 1 and 65535, inclusive",
      });
    return errors;
  });
}

function ruleErrors(next: JsonObject): FieldError[] {
  return listOf(next["rules"]).flatMap((rule, index): FieldError[] =>
    listOf(at(rule, "verbs")).length > 0
      ? []
      : [{ path: `rules[${index}].verbs`, kind: "Required", message: "verbs must contain at least one value" }],
  );
}

function definitionErrors(next: JsonObject, old: JsonObject | undefined): FieldError[] {
  const spec = objectOf(next["spec"]);
  const names = objectOf(spec["names"]);
  const expected = `${textOf(names["plural"])}.${textOf(spec["group"])}`;
  const errors = [
    ...required("spec.group", spec["group"]),
    ...required("spec.names.plural", names["plural"]),
    ...required("spec.names.kind", names["kind"]),
  ];
  if (spec["scope"] !== "Namespaced" && spec["scope"] !== "Cluster")
    errors.push({
      path: "spec.scope",
      kind: "NotSupported",
      value: spec["scope"] ?? "",
      message: 'supported values: "Cluster", "Namespaced"',
    });
  if (nameOf(next) !== expected)
    errors.push({
      path: "metadata.name",
      kind: "Invalid",
      value: nameOf(next),
      message: `must be spec.names.plural+"."+spec.group`,
    });
  const versions = listOf(spec["versions"]);
  if (versions.filter((version) => at(version, "storage") === true).length !== 1)
    errors.push({
      path: "spec.versions",
      kind: "Invalid",
      value: versions.map((version) => at(version, "name") ?? null),
      message: "must have exactly one version marked as storage version",
    });
  for (const [index, version] of versions.entries())
    if (!isObject(at(version, "schema", "openAPIV3Schema")))
      errors.push({
        path: `spec.versions[${index}].schema.openAPIV3Schema`,
        kind: "Required",
        message: "schemas are required",
      });
  if (errors.length === 0) errors.push(...schemaErrors(next));
  return [
    ...errors,
    ...immutable("spec.group", next, old),
    ...immutable("spec.names.plural", next, old),
    ...immutable("spec.scope", next, old),
  ];
}

/** A schema that cannot be prepared (a pattern that is no expression) would break every write of the kind. */
function schemaErrors(definition: JsonObject): FieldError[] {
  try {
    customKinds(definition);
    return [];
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return [{ path: "spec.versions", kind: "Invalid", value: nameOf(definition), message: error.message }];
  }
}

function leaseErrors(next: JsonObject): FieldError[] {
  const fields = [
    ["leaseDurationSeconds", 1, "must be greater than 0"],
    ["leaseTransitions", 0, "must be greater than or equal to 0"],
  ] as const;
  return fields.flatMap(([field, least, message]): FieldError[] => {
    const value = at(next, "spec", field);
    if (value === undefined || Number(value) >= least) return [];
    return [{ path: `spec.${field}`, kind: "Invalid", value, message }];
  });
}

const KEY_RULE =
  "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

/** Keys become names of files. */
function keyErrors(next: JsonObject): FieldError[] {
  return ["data", "binaryData"].flatMap((field) =>
    Object.keys(objectOf(next[field]))
      .filter((key) => !/^[-._a-zA-Z0-9]+$/.test(key))
      .map((key): FieldError => ({ path: `${field}[${key}]`, kind: "Invalid", value: key, message: KEY_RULE })),
  );
}

function frozenErrors(next: JsonObject, old: JsonObject | undefined): FieldError[] {
  if (old?.["immutable"] !== true) return [];
  return ["immutable", "data", "binaryData"].flatMap((field): FieldError[] =>
    equalJson(next[field], old[field])
      ? []
      : [{ path: field, kind: "Forbidden", message: "field is immutable when `immutable` is set" }],
  );
}

/** A pod's spec but for what may change: images, the deadline, and further tolerations. */
function fixedPart(pod: JsonObject): Json {
  const {
    containers,
    initContainers,
    activeDeadlineSeconds: _deadline,
    tolerations: _tolerations,
    ...rest
  } = objectOf(pod["spec"]);
  const bare = (list: Json | undefined): Json[] =>
    listOf(list).map((item) => {
      const { image: _image, ...others } = objectOf(item);
      return others;
    });
  return { ...rest, containers: bare(containers), initContainers: bare(initContainers) };
}

const isScheduled = (pod: JsonObject): boolean =>
  listOf(at(pod, "status", "conditions")).some((condition) => at(condition, "type") === "PodScheduled");

function fixedPodErrors(next: JsonObject, old: JsonObject | undefined): FieldError[] {
  // Only a binding writes spec and status at once.
  const isBinding = old !== undefined && isScheduled(next) && !isScheduled(old);
  if (old === undefined || isBinding) return [];
  if (equalJson(fixedPart(next), fixedPart(old))) return [];
  const count = (pod: JsonObject, field: string): number => listOf(at(pod, "spec", field)).length;
  const resized = ["containers", "initContainers"].find((field) => count(next, field) !== count(old, field));
  if (resized !== undefined) {
    const message = `pod updates may not add or remove ${resized === "containers" ? "containers" : "init containers"}`;
    return [{ path: `spec.${resized}`, kind: "Forbidden", message }];
  }
  const message =
    "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations)";
  return [{ path: "spec", kind: "Forbidden", message }];
}

const CHECKS: Readonly<Record<string, (next: JsonObject, old: JsonObject | undefined) => FieldError[]>> = {
  "/pods": (next, old) => [...podSpecErrors(objectOf(next["spec"]), "spec"), ...fixedPodErrors(next, old)],
  "/services": serviceErrors,
  "/configmaps": (next, old) => [...frozenErrors(next, old), ...keyErrors(next)],
  "/secrets": (next, old) => [...immutable("type", next, old), ...frozenErrors(next, old), ...keyErrors(next)],
  "coordination.k8s.io/leases": leaseErrors,
  "apps/deployments": workloadErrors,
  "apps/replicasets": workloadErrors,
  "apps/statefulsets": workloadErrors,
  "rbac.authorization.k8s.io/roles": ruleErrors,
  "rbac.authorization.k8s.io/clusterroles": ruleErrors,
  "rbac.authorization.k8s.io/rolebindings": (next, old) => immutable("roleRef", next, old),
  "rbac.authorization.k8s.io/clusterrolebindings": (next, old) => immutable("roleRef", next, old),
  "apiextensions.k8s.io/customresourcedefinitions": definitionErrors,
};

/** What is allowed, and yet not what its writer may think. */
export function warningsAbout(kind: ServedKind, next: JsonObject, old: JsonObject | undefined): string[] {
  if (kind.conversion !== undefined) return looseFinalizers(next, old);
  const spec = objectOf(next["spec"]);
  const isIgnored =
    kind.storage === "/services" && spec["clusterIP"] === "None" && spec["sessionAffinity"] === "ClientIP";
  return isIgnored ? ["spec.SessionAffinity is ignored for headless services"] : [];
}

/** All that is wrong with an object: its metadata, its schema, and for built-in kinds what fields say about each other. */
export function validateObject(kind: ServedKind, next: JsonObject, old: JsonObject | undefined): FieldError[] {
  const bySchema = kind.structural.validate(next, old);
  const checks = bySchema.length > 0 ? [] : (CHECKS[kind.storage]?.(next, old) ?? []);
  return [...validateMetadata(kind, next, old), ...bySchema, ...checks];
}
