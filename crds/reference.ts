import { type OurKind, OBJECT_SCHEMAS, customResourceDefinitions } from "./definitions.ts";
import { at, listAt, textAt } from "./json.ts";
import { POD_DEFINITIONS } from "./core/pod-spec.ts";
import type { Json, JsonSchema } from "./schema/types.ts";

const KINDS: readonly OurKind[] = ["LLMInferenceService", "LLMInferenceServiceConfig"];

/** Parts that Kubernetes and the Gateway API document at length: named, with their first level of fields at most. */
const ELSEWHERE: readonly (readonly [name: string, schema: JsonSchema, url: string])[] = [
  [
    "PodSpec",
    POD_DEFINITIONS["PodSpec"]!,
    "https://kubernetes.io/docs/reference/kubernetes-api/workload-resources/pod-v1/#PodSpec",
  ],
  [
    "PersistentVolumeClaimSpec",
    POD_DEFINITIONS["PersistentVolumeClaimSpec"]!,
    "https://kubernetes.io/docs/reference/kubernetes-api/config-and-storage-resources/persistent-volume-claim-v1/#PersistentVolumeClaimSpec",
  ],
];

/** The type of a schema in words: `[]object`, `map of string`, `quantity`. */
function typeOf(schema: JsonSchema): string {
  if (schema["x-kubernetes-int-or-string"] === true)
    return schema.pattern === undefined ? "integer or string" : "quantity";
  if (schema.type === "array") return `[]${typeOf(schema.items ?? {})}`;
  if (typeof schema.additionalProperties === "object") return `map of ${typeOf(schema.additionalProperties)}`;
  return schema.type ?? "any";
}

/** What a value has to be, beyond its type. */
function boundsOf(schema: JsonSchema): string {
  const { enum: values, minimum, maximum, minItems, maxItems, minLength, maxLength, pattern } = schema;
  const between = (least: number | undefined, most: number | undefined, what: string): string[] => {
    if (least === undefined && most === undefined) return [];
    if (most === undefined) return [`at least ${least}${what}`];
    return [least === undefined ? `at most ${most}${what}` : `${least} to ${most}${what}`];
  };
  const keys = schema["x-kubernetes-list-map-keys"];
  return [
    ...(values === undefined
      ? []
      : [values.map((value) => `\`${typeof value === "string" ? value : JSON.stringify(value)}\``).join(", ")]),
    ...between(minimum, maximum, ""),
    ...between(minItems, maxItems, " items"),
    ...between(minLength, maxLength, " characters"),
    ...(pattern === undefined || typeOf(schema) === "quantity" ? [] : [`matches \`${pattern}\``]),
    ...(keys === undefined ? [] : [`merged by ${keys.map((key) => `\`${key}\``).join(", ")}`]),
    ...(schema.default === undefined ? [] : [`default \`${JSON.stringify(schema.default)}\``]),
  ].join("; ");
}

const cell = (text: string): string => text.replaceAll("|", "\\|").replaceAll("\n", " ");

/** The schema whose fields are listed below a field: of an object, of the elements of a list or map. */
function inner(schema: JsonSchema): JsonSchema {
  if (schema.items !== undefined) return inner(schema.items);
  return typeof schema.additionalProperties === "object" ? inner(schema.additionalProperties) : schema;
}

function rows(schema: JsonSchema, path: string, elsewhere: ReadonlyMap<string, string>): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, property]) => {
    const place = path === "" ? key : `${path}.${key}`;
    const body = inner(property);
    const name = elsewhere.get(fieldsOf(body));
    const type =
      name === undefined ? typeOf(property) : typeOf(property).replace("object", `[${name}](#${name.toLowerCase()})`);
    const mark = schema.required?.includes(key) === true ? " (required)" : "";
    const suffix = property.type === "array" ? "[]" : typeof property.additionalProperties === "object" ? ".*" : "";
    const row = `| \`${place}\` | ${cell(type)}${mark} | ${cell(boundsOf(property))} | ${cell(property.description ?? "")} |`;
    return [row, ...(name === undefined ? rows(body, `${place}${suffix}`, elsewhere) : [])];
  });
}

/** Names of the fields of an object: what tells a foreign type, whatever was made of its schema. */
const fieldsOf = (schema: JsonSchema): string => Object.keys(schema.properties ?? {}).join(" ");

function rules(schema: JsonSchema, path: string, elsewhere: ReadonlyMap<string, string>): string[] {
  if (elsewhere.has(fieldsOf(schema))) return [];
  const own = (schema["x-kubernetes-validations"] ?? []).map(
    ({ message = "", fieldPath = "" }) => `| \`${path}${fieldPath}\` | ${cell(message)} |`,
  );
  const below = Object.entries(schema.properties ?? {}).flatMap(([key, property]) => [
    ...rules(property, path === "" ? key : `${path}.${key}`, elsewhere),
    ...(property.items === undefined ? [] : rules(property.items, `${path}.${key}[]`, elsewhere)),
  ]);
  return [...own, ...below];
}

const TABLE = "| Field | Type | Values | |\n|---|---|---|---|";

function columnsOf(kind: OurKind): string {
  const crd = customResourceDefinitions().find((entry) => textAt(entry, "spec", "names", "kind") === kind);
  const version = listAt(crd, "spec", "versions")[0];
  const columns = listAt(version, "additionalPrinterColumns");
  const text = (column: Json): string =>
    `\`${textAt(column, "name")}\`${at(column, "priority") === 1 ? " (`-o wide`)" : ""}`;
  return columns.map(text).join(", ");
}

function sectionOf(kind: OurKind, elsewhere: ReadonlyMap<string, string>): string {
  const schema = OBJECT_SCHEMAS[kind].v1alpha2;
  const { spec, status } = schema.properties!;
  const parts = [`## ${kind}`, schema.description ?? "", `Columns of \`kubectl get\`: ${columnsOf(kind)}.`];
  if (kind === "LLMInferenceService")
    parts.push(
      `${TABLE}\n${rows({ properties: { spec: spec! } }, "", elsewhere).join("\n")}`,
      "### Rules",
      RULES_INTRO,
      `| At | Rule |\n|---|---|\n${rules({ properties: { spec: spec! } }, "", elsewhere).join("\n")}`,
    );
  else parts.push(CONFIG_INTRO);
  parts.push("### Status", `${TABLE}\n${rows({ properties: { status: status! } }, "", elsewhere).join("\n")}`);
  return parts.join("\n\n");
}

const RULES_INTRO =
  "Rules that the API server checks itself; the operator's webhooks check more, and tell everything at once. `llmisvc lint` checks all of it without a cluster.";
const CONFIG_INTRO =
  "Its `spec` has the fields of an LLMInferenceService, all of them optional but where their parent is given, and `baseRefs` must be empty. Texts may be Go templates over the service that uses it: `{{ .ObjectMeta.Name }}`, `{{ .Spec.Model.Name }}`.";

const FIRST_VERSION = `## v1alpha1

Served and converted both ways without loss. It differs in these fields:

| v1alpha1 | v1alpha2 |
|---|---|
| \`spec.model.criticality\` | annotation \`internal.serving.kserve.io/model-criticality\` |
| \`spec.router.scheduler.pool.spec.selector\` (a map) | \`….selector.matchLabels\` |
| \`spec.router.scheduler.pool.spec.targetPortNumber\` | \`….targetPorts[0].number\` |
| \`spec.router.scheduler.pool.spec.extensionRef\` with \`portNumber\` | \`….endpointPickerRef\` with \`port.number\` |
| annotation \`internal.serving.kserve.io/v1alpha2-only\` | \`kvCacheOffloading\`, \`model.confidential\`, and what of a pool has no other place |`;

/** The API reference as Markdown: every field of our kinds in the stored version, from the schemas themselves. */
export function apiReference(): string {
  const elsewhere = new Map(ELSEWHERE.map(([name, schema]) => [fieldsOf(schema), name] as const));
  const foreign = ELSEWHERE.map(([name, schema, url]) => {
    const fields = Object.entries(schema.properties ?? {}).map(
      ([key, property]) => `| \`${key}\` | ${cell(typeOf(property))} | ${cell(property.description ?? "")} |`,
    );
    return `## ${name}\n\nA type of [Kubernetes](${url}); nothing of it is required here, since presets bring the rest.\n\n| Field | Type | |\n|---|---|---|\n${fields.join("\n")}`;
  });
  return `${[
    "# API reference",
    "<!-- Made by `make docs` from the schemas in crds/; a test compares. -->",
    "Group `serving.kserve.io`, versions `v1alpha2` (stored) and `v1alpha1`. `kubectl explain llminferenceservice.spec` tells the same.",
    ...KINDS.map((kind) => sectionOf(kind, elsewhere)),
    FIRST_VERSION,
    ...foreign,
  ].join("\n\n")}\n`;
}
