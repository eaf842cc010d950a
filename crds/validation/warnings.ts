import { MODEL_SCHEMES } from "../model-schemes.ts";
import { objectAt, textAt } from "../json.ts";
import type { JsonObject } from "../schema/types.ts";
import type { Collector } from "./findings.ts";

/** What Services may be called (RFC 1035 label). */
const SERVICE_NAME = /^[a-z]([-a-z0-9]*[a-z0-9])?$/;
/** Characters of a label, which every child carries the name in. */
const MAX_LABEL = 63;

/** Warns about what is accepted but does not do what its author will think. */
export function warnAboutNoEffect(found: Collector, object: JsonObject): void {
  warnAboutModel(found, object);
  const router = objectAt(object, "spec", "router");
  if (objectAt(router, "ingress") !== undefined)
    found.warn("spec.router.ingress has no effect: use spec.router.gateway and spec.router.route");
  const scheduler = objectAt(router, "scheduler");
  const pool = objectAt(scheduler, "pool");
  if (objectAt(pool, "spec") !== undefined && (textAt(pool, "ref", "name") ?? "") !== "")
    found.warn("spec.router.scheduler.pool.spec has no effect beside pool.ref");
  if (scheduler !== undefined && objectAt(router, "route") === undefined && objectAt(router, "gateway") === undefined)
    found.warn("spec.router.scheduler gets no requests without spec.router.route: no route leads to its pool");
}

function warnAboutModel(found: Collector, object: JsonObject): void {
  const uri = textAt(object, "spec", "model", "uri") ?? "";
  const scheme = /^([\w.+-]+):\/\//.exec(uri)?.[1];
  if (uri !== "" && (scheme === undefined || !MODEL_SCHEMES.includes(scheme)))
    found.warn(
      `spec.model.uri ${JSON.stringify(uri)} cannot be fetched: use one of ${MODEL_SCHEMES.map((name) => `${name}://`).join(" ")}`,
    );
}

/** Warns about a name that the service's children cannot have, or not carry. */
export function warnAboutName(found: Collector, object: JsonObject): void {
  const name = textAt(object, "metadata", "name") ?? "";
  if (name !== "" && !SERVICE_NAME.test(name))
    found.warn(
      `metadata.name ${JSON.stringify(name)} cannot name a Service: children get a name made of it; begin with a letter, use letters, digits and hyphens to have them named after it`,
    );
  if (name.length > MAX_LABEL)
    found.warn(
      `metadata.name has ${name.length} characters: children carry it in a label, which takes ${MAX_LABEL}; use a shorter one`,
    );
}
