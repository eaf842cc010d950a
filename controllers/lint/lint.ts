import { createStructurals, schemaOf } from "../../crds/check.ts";
import { convert } from "../../crds/conversion.ts";
import { applyServiceDefaults } from "../../crds/defaults.ts";
import { GROUP, STORAGE_VERSION, VERSIONS } from "../../crds/definitions.ts";
import { isObject, listAt, objectAt, textAt } from "../../crds/json.ts";
import { createRuleEngine } from "../../crds/schema/rules.ts";
import { type Json, type JsonObject, fieldErrorBody } from "../../crds/schema/types.ts";
import { describeUnknown } from "../../crds/unknown-fields.ts";
import { parseQuantity } from "../../kube/quantity.ts";
import { YamlError, parseYamlDocuments } from "../../kube/yaml.ts";
import { type YamlLines, yamlLines } from "../../kube/yaml-lines.ts";
import { type CheckContext, checkManifest } from "../webhooks/check.ts";
import { type Bases, composeErrors } from "./compose-check.ts";

const HUB = `${GROUP}/${STORAGE_VERSION}`;
const NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const MAX_NAME = 253;

/** A text to lint, and what it is called. */
export interface LintSource {
  readonly name: string;
  readonly text: string;
}

/** One thing that is wrong, or worth a look. */
export interface LintFinding {
  readonly source: string;
  /** Counted from 1. */
  readonly line: number;
  readonly severity: "error" | "warning";
  /** `Kind/name`; empty where the text is no object. */
  readonly object: string;
  /** Path of the field; empty for the whole object. */
  readonly field: string;
  readonly message: string;
}

/** What came of linting. */
export interface LintReport {
  readonly findings: readonly LintFinding[];
  /** Objects of our kinds that were checked, and objects of other kinds that were left alone. */
  readonly checked: number;
  readonly skipped: number;
}

/** What lint knows besides the texts. */
export interface LintContext extends CheckContext {
  /** Namespace of objects that name none. */
  readonly namespace: string;
  /** Configs and ConfigMaps of a cluster; undefined without one, so that a base that no text has is only a warning. */
  readonly live: Bases | undefined;
}

/** An object in a text. */
export interface LintObject {
  readonly source: string;
  readonly object: JsonObject;
  /** Line of a field of it. */
  readonly lineOf: (path: string) => number;
}

const structuralOf = createStructurals(createRuleEngine(parseQuantity));

/** Finds everything that is wrong with the objects of our kinds in texts of YAML streams: all of it, with lines. */
export function lint(sources: readonly LintSource[], context: LintContext): LintReport {
  const broken: LintFinding[] = [];
  const objects = sources.flatMap((source) => objectsIn(source, broken));
  const ours = objects.filter(({ object }) => textAt(object, "apiVersion")?.startsWith(`${GROUP}/v`) === true);
  const own = ours.filter(({ object }) => /^LLMInferenceService(Config)?$/.test(textAt(object, "kind") ?? ""));
  const found = own.flatMap((entry) => findingsOf(entry, objects, context));
  return {
    findings: inOrder([...broken, ...found], sources),
    checked: own.length,
    skipped: objects.length - own.length,
  };
}

/** By the order of the texts, and of the lines in them. */
function inOrder(findings: readonly LintFinding[], sources: readonly LintSource[]): readonly LintFinding[] {
  const places = new Map(sources.map(({ name }, index) => [name, index]));
  return findings.toSorted((a, b) => places.get(a.source)! - places.get(b.source)! || a.line - b.line);
}

/** The objects of a text; what cannot be read becomes a finding. Items of lists count one by one. */
export function objectsIn({ name, text }: LintSource, broken: LintFinding[] = []): LintObject[] {
  try {
    const documents = parseYamlDocuments(text);
    const lines = yamlLines(text);
    return documents.flatMap((document, index) => {
      if (isObject(document as Json)) return itemsOf(name, document as JsonObject, lines[index]);
      broken.push(plain(name, lines[index]?.lineOf("") ?? 1, "a document must be an object with apiVersion and kind"));
      return [];
    });
  } catch (error) {
    if (!(error instanceof YamlError)) throw error;
    broken.push(plain(name, error.line ?? 1, error.message.replace(/^line \d+: /, "")));
    return [];
  }
}

const plain = (source: string, line: number, message: string): LintFinding => ({
  source,
  line,
  severity: "error",
  object: "",
  field: "",
  message,
});

function itemsOf(source: string, document: JsonObject, lines: YamlLines | undefined): LintObject[] {
  const lineOf = (path: string): number => lines?.lineOf(path) ?? 1;
  const items = document["items"];
  if (!Array.isArray(items) || textAt(document, "kind")?.endsWith("List") !== true)
    return [{ source, object: document, lineOf }];
  return items.filter(isObject).map((object, index) => ({
    source,
    object,
    lineOf: (path) => lineOf(path === "" ? `items[${index}]` : `items[${index}].${path}`),
  }));
}

function findingsOf(entry: LintObject, all: readonly LintObject[], context: LintContext): LintFinding[] {
  const { source, lineOf, object } = entry;
  const title = `${textAt(object, "kind")}/${textAt(object, "metadata", "name") ?? ""}`;
  const finding = (severity: "error" | "warning", field: string, message: string): LintFinding => ({
    source,
    line: lineOf(field),
    severity,
    object: title,
    field,
    message,
  });
  const error = (field: string, message: string): LintFinding => finding("error", field, message);
  const schema = schemaOf(object);
  if (schema === undefined)
    return [error("apiVersion", `unknown version; known: ${VERSIONS.map((name) => `${GROUP}/${name}`).join(", ")}`)];
  const copy = structuredClone(object);
  const structural = structuralOf(object)!;
  const unknown = structural.prune(copy).map((path) => error(path, describeUnknown(path, object, schema)));
  structural.applyDefaults(copy);
  const defaulted = withDefaults(copy);
  const checked = checkManifest(defaulted, undefined, context);
  const own = [
    ...unknown,
    ...nameErrors(object).map((message) => error("metadata.name", message)),
    ...checked.errors.map((problem) => error(problem.path, fieldErrorBody(problem))),
  ];
  const warnings = checked.warnings.map((text) => finding("warning", pathIn(text), text));
  if (own.length > 0 || textAt(object, "kind") !== "LLMInferenceService") return [...own, ...warnings];
  const composed = composeErrors(
    convert(defaulted, HUB),
    all.map((other) => other.object),
    context,
  );
  return [...warnings, ...composed.map(({ severity, path, message }) => finding(severity, path, message))];
}

function withDefaults(object: JsonObject): JsonObject {
  if (textAt(object, "kind") !== "LLMInferenceService") return object;
  return convert(applyServiceDefaults(convert(object, HUB)), textAt(object, "apiVersion") ?? HUB);
}

function nameErrors(object: JsonObject): string[] {
  const metadata = objectAt(object, "metadata");
  const name = textAt(metadata, "name") ?? "";
  if (name === "")
    return textAt(metadata, "generateName") === undefined ? ["Required value: name or generateName"] : [];
  if (name.length <= MAX_NAME && NAME.test(name)) return [];
  return [
    `Invalid value: ${JSON.stringify(name)}: use lower case letters, digits, - and ., beginning and ending with a letter or digit, at most ${MAX_NAME} characters`,
  ];
}

/** The path that a warning begins with. */
const pathIn = (text: string): string => /^(spec|metadata)[\w.[\]/-]*/.exec(text)?.[0].replace(/[:.]$/, "") ?? "";

/** Names of configs and ConfigMaps that the services of texts refer to, for fetching them from a cluster. */
export function referencesOf(objects: readonly JsonObject[]): {
  readonly configs: string[];
  readonly configMaps: string[];
} {
  const unique = (names: readonly (string | undefined)[]): string[] => [
    ...new Set(names.flatMap((name) => name ?? [])),
  ];
  return {
    configs: unique(
      objects.flatMap((object) => listAt(object, "spec", "baseRefs").map((reference) => textAt(reference, "name"))),
    ),
    configMaps: unique(objects.map((object) => textAt(object, "spec", "router", "scheduler", "config", "ref", "name"))),
  };
}
