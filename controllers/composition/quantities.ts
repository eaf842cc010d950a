import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { canonicalQuantity } from "../../kube/quantity.ts";
import { isObject } from "../../crds/json.ts";

/** Fields whose members are quantities. */
const QUANTITY_MAPS: ReadonlySet<string> = new Set(["limits", "requests", "overhead"]);
/** Fields that are quantities themselves. */
const QUANTITIES: ReadonlySet<string> = new Set(["sizeLimit", "divisor"]);

function canonical(value: Json): Json {
  return typeof value === "string" || typeof value === "number" ? canonicalQuantity(String(value)) : value;
}

function inField(key: string, value: Json): Json {
  if (QUANTITIES.has(key)) return canonical(value);
  if (!QUANTITY_MAPS.has(key) || !isObject(value)) return withCanonicalQuantities(value);
  const entries = Object.entries(value).map(([name, quantity]) => [name, canonical(quantity)] as const);
  return entries.some(([name, quantity]) => quantity !== value[name]) ? Object.fromEntries(entries) : value;
}

/** The pod spec, or any part of one, with its quantities in the form in which Kubernetes stores them. */
export function withCanonicalQuantities<T extends Json>(value: T): T;
export function withCanonicalQuantities(value: Json): Json {
  if (Array.isArray(value)) {
    const items = value.map((item) => withCanonicalQuantities(item));
    return items.some((item, index) => item !== value[index]) ? items : value;
  }
  if (!isObject(value)) return value;
  const entries = Object.entries(value).map(([key, item]) => [key, inField(key, item)] as const);
  return entries.some(([key, item]) => item !== value[key]) ? Object.fromEntries(entries) : value;
}

const PODS = ["template", "worker"] as const;

function editPods(workload: JsonObject): JsonObject {
  const pods = PODS.flatMap((key) => {
    const pod = workload[key];
    return isObject(pod) ? [[key, withCanonicalQuantities(pod)] as const] : [];
  });
  return { ...workload, ...Object.fromEntries(pods) };
}

function editScheduler(scheduler: JsonObject): JsonObject {
  const { tokenizer } = scheduler;
  return { ...editPods(scheduler), ...(isObject(tokenizer) ? { tokenizer: editPods(tokenizer) } : {}) };
}

/** The spec with the quantities of its pods in Kubernetes' form, so that equal specs give equal children. */
export function canonicalSpec(spec: JsonObject): JsonObject {
  const prefill = spec["prefill"];
  const router = spec["router"];
  const scheduler = isObject(router) ? router["scheduler"] : undefined;
  return {
    ...editPods(spec),
    ...(isObject(prefill) ? { prefill: editPods(prefill) } : {}),
    ...(isObject(router) && isObject(scheduler) ? { router: { ...router, scheduler: editScheduler(scheduler) } } : {}),
  };
}
