import { randomInt, randomUUID } from "node:crypto";
import type { FieldError, Json, JsonObject } from "../../crds/schema/types.ts";
import type { ServedKind } from "./kinds.ts";
import {
  ensureMeta,
  equalJson,
  finalizersOf,
  listOf,
  metaOf,
  nameOf,
  namespaceOf,
  textMap,
  textOf,
  timestamp,
} from "./objects.ts";

const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const LABEL = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
const SERVICE = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
const QUALIFIED = /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;
const LABEL_VALUE = /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/;
/** Kinds whose names may hold colons and capitals, as RBAC's do. */
const FREE_NAMES = new Set(["Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"]);
const ANNOTATION_LIMIT_BYTES = 256 * 1024;
/** The alphabet of generated names has no vowels and no digits that look like letters. */
const SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789";

const SUBDOMAIN_RULE =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const LABEL_RULE =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SERVICE_RULE =
  "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";

/** Five random characters for `generateName`. */
function nameSuffix(): string {
  return Array.from({ length: 5 }, () => SUFFIX_ALPHABET[randomInt(SUFFIX_ALPHABET.length)]).join("");
}

/** Sets the server's own fields of a new object, and its name from `generateName`. */
export function stampNew(kind: ServedKind, object: JsonObject, namespace: string, nowMs: number): void {
  const meta = ensureMeta(object);
  if (textOf(meta["name"]) === "" && textOf(meta["generateName"]) !== "")
    meta["name"] = `${textOf(meta["generateName"]).slice(0, 58)}${nameSuffix()}`;
  if (namespace === "") delete meta["namespace"];
  else meta["namespace"] = namespace;
  for (const key of ["resourceVersion", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds"])
    delete meta[key];
  meta["uid"] = randomUUID();
  meta["creationTimestamp"] = timestamp(nowMs);
  if (hasGeneration(kind)) meta["generation"] = 1;
  else delete meta["generation"];
}

/** Groups, and kinds of other groups, of Kubernetes itself whose objects count their generations. */
const COUNTED: ReadonlySet<string> = new Set([
  "apps",
  "policy",
  "networking.k8s.io",
  "admissionregistration.k8s.io",
  "apiextensions.k8s.io",
  "discovery.k8s.io",
  "/pods",
]);

function hasGeneration(kind: ServedKind): boolean {
  return kind.conversion !== undefined || COUNTED.has(kind.group) || COUNTED.has(kind.storage);
}

/** An empty map or list in `metadata` is as good as none, and is not kept. */
export function dropEmptyMetadata(object: JsonObject): void {
  const meta = ensureMeta(object);
  for (const key of ["labels", "annotations", "finalizers", "ownerReferences"]) {
    const value = meta[key];
    if (value === null || (typeof value === "object" && Object.keys(value).length === 0)) delete meta[key];
  }
}

/** Fields of `metadata` that only the server changes. */
const FIXED = [
  "uid",
  "creationTimestamp",
  "deletionTimestamp",
  "deletionGracePeriodSeconds",
  "generation",
  "selfLink",
  "namespace",
  "name",
  "resourceVersion",
];

/** Keeps the server's own fields through an update. */
export function carryMetadata(current: JsonObject, next: JsonObject): void {
  const [from, to] = [metaOf(current), ensureMeta(next)];
  for (const key of FIXED) {
    const value = from[key];
    if (value === undefined) delete to[key];
    else to[key] = value;
  }
}

/** Kinds whose annotations count as desired state. */
const ANNOTATED: ReadonlySet<string> = new Set(["apps/deployments"]);

/** Counts `metadata.generation` up when anything but metadata and status changed. */
export function bumpGeneration(kind: ServedKind, current: JsonObject, next: JsonObject): void {
  const desired = (object: JsonObject): JsonObject => {
    const { metadata: _metadata, apiVersion: _apiVersion, status, ...spec } = object;
    const annotations = ANNOTATED.has(kind.storage) ? (metaOf(object)["annotations"] ?? {}) : {};
    const rest = { ...spec, annotations };
    return kind.hasStatus || status === undefined ? rest : { ...rest, status };
  };
  const meta = ensureMeta(next);
  if (!hasGeneration(kind)) return;
  if (!equalJson(desired(current), desired(next))) meta["generation"] = Number(metaOf(current)["generation"] ?? 0) + 1;
}

/** Checks `metadata` with Kubernetes' rules and wording; `old` is what an update replaces. */
export function validateMetadata(kind: ServedKind, object: JsonObject, old: JsonObject | undefined): FieldError[] {
  const meta = metaOf(object);
  return [
    ...nameErrors(kind, nameOf(object)),
    ...labelErrors(textMap(meta["labels"])),
    ...annotationErrors(textMap(meta["annotations"])),
    ...(hasCoreMetadata(kind) ? finalizerErrors(meta["finalizers"]) : []),
    ...lateFinalizers(object, old),
  ];
}

const hasCoreMetadata = ({ conversion, group }: ServedKind): boolean =>
  conversion === undefined && group !== "apiextensions.k8s.io" && group !== "coordination.k8s.io";

const STANDARD_FINALIZERS = new Set(["kubernetes", "orphan", "foregroundDeletion"]);

function finalizerErrors(finalizers: Json | undefined): FieldError[] {
  const message = "name is neither a standard finalizer name nor is it fully qualified";
  return listOf(finalizers).flatMap((value, index): FieldError[] =>
    typeof value !== "string" || value.includes("/") || STANDARD_FINALIZERS.has(value)
      ? []
      : [{ path: `metadata.finalizers[${index}]`, kind: "Invalid", value, message }],
  );
}

/** Warnings about new finalizers of a custom object that somebody else may use, too. */
export function looseFinalizers(object: JsonObject, old: JsonObject | undefined): string[] {
  const known = new Set([...STANDARD_FINALIZERS, ...(old === undefined ? [] : finalizersOf(old))]);
  return finalizersOf(object)
    .filter((name) => !name.includes("/") && !known.has(name))
    .map(
      (name) =>
        `metadata.finalizers: ${JSON.stringify(name)}: prefer a domain-qualified finalizer name to avoid accidental conflicts with other finalizer writers`,
    );
}

/** Nobody may hold up a deletion that has begun. */
function lateFinalizers(object: JsonObject, old: JsonObject | undefined): FieldError[] {
  if (old === undefined || metaOf(old)["deletionTimestamp"] === undefined) return [];
  const known = new Set(finalizersOf(old));
  const added = finalizersOf(object).filter((name) => !known.has(name));
  if (added.length === 0) return [];
  const list = added.map((name) => JSON.stringify(name)).join(", ");
  const message = `no new finalizers can be added if the object is being deleted, found new finalizers []string{${list}}`;
  return [{ path: "metadata.finalizers", kind: "Forbidden", message }];
}

function nameErrors(kind: ServedKind, name: string): FieldError[] {
  const path = "metadata.name";
  if (name === "") return [{ path, kind: "Required", message: "name or generateName is required" }];
  if (FREE_NAMES.has(kind.kind)) {
    const bad = name === "." || name === ".." || /[/%]/.test(name);
    return bad ? [{ path, kind: "Invalid", value: name, message: "may not be '.' or '..' or contain '/' or '%'" }] : [];
  }
  const [pattern, rule, limit] =
    kind.storage === "/services"
      ? ([SERVICE, SERVICE_RULE, 63] as const)
      : kind.storage === "/namespaces"
        ? ([LABEL, LABEL_RULE, 63] as const)
        : ([SUBDOMAIN, SUBDOMAIN_RULE, 253] as const);
  const errors: FieldError[] = [];
  if (name.length > limit)
    errors.push({ path, kind: "Invalid", value: name, message: `must be no more than ${limit} characters` });
  if (!pattern.test(name)) errors.push({ path, kind: "Invalid", value: name, message: rule });
  return errors;
}

function labelErrors(labels: Readonly<Record<string, string>>): FieldError[] {
  const path = "metadata.labels";
  return Object.entries(labels).flatMap(([key, value]): FieldError[] => {
    const errors: FieldError[] = [];
    if (!QUALIFIED.test(key))
      errors.push({
        path,
        kind: "Invalid",
        value: key,
        message:
          "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')",
      });
    if (value.length > 63) errors.push({ path, kind: "Invalid", value, message: "must be no more than 63 characters" });
    else if (!LABEL_VALUE.test(value))
      errors.push({
        path,
        kind: "Invalid",
        value,
        message:
          "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')",
      });
    return errors;
  });
}

function annotationErrors(annotations: Readonly<Record<string, string>>): FieldError[] {
  const bytes = Object.entries(annotations).reduce(
    (sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(value),
    0,
  );
  return bytes <= ANNOTATION_LIMIT_BYTES
    ? []
    : [
        {
          path: "metadata.annotations",
          kind: "TooLong",
          message: `may not be more than ${ANNOTATION_LIMIT_BYTES} bytes`,
        },
      ];
}

/** What the URL and the object say must agree. Returns the complaint, or undefined. */
export function urlMismatch(
  object: JsonObject,
  kind: ServedKind,
  namespace: string,
  name: string | undefined,
): string | undefined {
  if (object["apiVersion"] !== kind.apiVersion)
    return `the API version in the data (${textOf(object["apiVersion"])}) does not match the expected API version (${kind.apiVersion})`;
  if (object["kind"] !== kind.kind)
    return `the kind in the data (${textOf(object["kind"])}) does not match the expected kind (${kind.kind})`;
  if (kind.namespaced && namespaceOf(object) !== "" && namespaceOf(object) !== namespace)
    return "the namespace of the provided object does not match the namespace sent on the request";
  if (name !== undefined && nameOf(object) !== "" && nameOf(object) !== name)
    return `the name of the object (${nameOf(object)}) does not match the name on the URL (${name})`;
  return undefined;
}
