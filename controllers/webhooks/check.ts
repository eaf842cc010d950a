import { createObjectCheck } from "../../crds/check.ts";
import { convert } from "../../crds/conversion.ts";
import { GROUP, STORAGE_VERSION } from "../../crds/definitions.ts";
import { at, listAt, objectAt, textAt } from "../../crds/json.ts";
import { createRuleEngine } from "../../crds/schema/rules.ts";
import type { FieldError, Json, JsonObject } from "../../crds/schema/types.ts";
import type { Findings } from "../../crds/validation.ts";
import { parseQuantity } from "../../kube/quantity.ts";
import { MAX_CONFIG_TEXT } from "../../scheduler/config/text.ts";
import { validateEndpointPickerConfig } from "../../scheduler/config/validate.ts";
import { checkConfig } from "../composition/config-check.ts";
import type { GlobalConfig } from "../composition/global-config.ts";

const HUB = `${GROUP}/${STORAGE_VERSION}`;
const INLINE = "spec.router.scheduler.config.inline";
/** Image of the scheduler that this validator belongs to. */
const OWN_IMAGE = /(^|\/)llmisvc-scheduler([:@]|$)/;

const checkObject = createObjectCheck(createRuleEngine(parseQuantity));

/** What checks depend on besides the object. */
export interface CheckContext {
  readonly systemNamespace: string;
  readonly global: () => GlobalConfig;
}

const merged = (...findings: readonly Findings[]): Findings => ({
  errors: findings.flatMap(({ errors }) => errors),
  warnings: findings.flatMap(({ warnings }) => warnings),
});

/**
 * Checks a service or a config in either version: its schema, what its fields say about each other, its templates (of a
 * config, on a sample service), and the scheduler configuration in it, by the scheduler's own validator. All errors at once.
 */
export function checkManifest(object: JsonObject, old: JsonObject | undefined, context: CheckContext): Findings {
  const hub = convert(object, HUB);
  const templates = textAt(object, "kind") === "LLMInferenceServiceConfig" ? templateErrors(hub, context) : [];
  return merged(
    checkObject(object, old),
    { errors: templates, warnings: [] },
    checkScheduler(hub),
    deprecations(object),
  );
}

function templateErrors(config: JsonObject, { systemNamespace, global }: CheckContext): FieldError[] {
  const found = checkConfig(objectAt(config, "spec") ?? {}, systemNamespace, global());
  return found.map(({ path, message }): FieldError => ({ kind: "Invalid", path, message }));
}

/** What the scheduler would say about the inline configuration; a scheduler of another make has the last word on it. */
function checkScheduler(hub: JsonObject): Findings {
  const inline = at(hub, ...INLINE.split("."));
  if (inline === undefined || isEmpty(inline) || hasTemplate(inline)) return merged();
  if (typeof inline === "string" && inline.length > MAX_CONFIG_TEXT)
    return {
      errors: [{ kind: "TooLong", path: INLINE, message: `may not be more than ${MAX_CONFIG_TEXT} characters` }],
      warnings: [],
    };
  const { errors, warnings } = validateEndpointPickerConfig(inline);
  const told = errors.map(
    (error): FieldError => ({
      kind: "Invalid",
      path: error.path === "" ? INLINE : `${INLINE}.${error.path}`,
      message: `${error.cause}; ${error.remedy}`,
      ...(error.value === undefined ? {} : { value: error.value as Json }),
    }),
  );
  const about = warnings.map((text) => `${INLINE}: ${text}`);
  if (!isForeign(hub)) return { errors: told, warnings: about };
  return { errors: [], warnings: [...told.map(({ path, message }) => `${path}: ${message}`), ...about] };
}

const isEmpty = (inline: Json): boolean => JSON.stringify(inline).length < '{"":0}'.length;
const hasTemplate = (inline: Json): boolean => JSON.stringify(inline).includes("{{");

function isForeign(hub: JsonObject): boolean {
  const containers = listAt(hub, "spec", "router", "scheduler", "template", "containers");
  const image = textAt(containers.find((container) => textAt(container, "name") === "main") ?? null, "image");
  return image !== undefined && !OWN_IMAGE.test(image);
}

/** Pod specs of a service. */
const PODS = ["template", "worker", "prefill.template", "prefill.worker", "router.scheduler.template"].map((path) => [
  "spec",
  ...path.split("."),
]);

/** Spellings that are taken and have a better one. */
function deprecations(object: JsonObject): Findings {
  const warnings: string[] = [];
  if (at(object, "spec", "model", "criticality") !== undefined)
    warnings.push("spec.model.criticality has no effect any more: use an InferenceObjective");
  for (const path of PODS)
    if (at(object, ...path, "serviceAccount") !== undefined)
      warnings.push(`${path.join(".")}.serviceAccount is the former name of serviceAccountName`);
  return { errors: [], warnings };
}
