import { at, isObject, listAt, numberAt, objectAt, textAt } from "../json.ts";
import type { Json, JsonObject } from "../schema/types.ts";
import type { Collector } from "./findings.ts";

const PATH = "spec.router.scheduler";

/** Checks the number of scheduler pods. */
export function checkSchedulerReplicas(found: Collector, object: JsonObject): void {
  const replicas = numberAt(object, "spec", "router", "scheduler", "replicas");
  if (replicas !== undefined && replicas <= 0)
    found.add("Invalid", `${PATH}.replicas`, "must be greater than 0", replicas);
}

/** Checks where the scheduler's configuration comes from; what it says is checked elsewhere. */
export function checkScheduler(found: Collector, object: JsonObject): void {
  checkSchedulerReplicas(found, object);
  const scheduler = objectAt(object, "spec", "router", "scheduler");
  if (scheduler === undefined) return;
  const config = objectAt(scheduler, "config");
  if (config !== undefined) checkConfig(found, `${PATH}.config`, config);
  checkPluginFields(found, scheduler);
}

function checkConfig(found: Collector, path: string, config: JsonObject): void {
  const [inline, ref] = [at(config, "inline"), objectAt(config, "ref")];
  if ((inline === undefined) === (ref === undefined))
    found.add("Invalid", path, "exactly one of inline and ref is needed", { ...config });
  if (inline !== undefined && !holdsConfig(inline))
    found.add("Invalid", `${path}.inline`, "must hold an EndpointPickerConfig", inline);
  if (ref !== undefined && (textAt(ref, "name") ?? "") === "")
    found.add("Invalid", `${path}.ref.name`, "must name a ConfigMap", "");
}

const holdsConfig = (inline: Json): boolean =>
  isObject(inline) ? Object.keys(inline).length > 0 : typeof inline === "string" && inline.trim() !== "";

/** A flag of the scheduler that brings a whole configuration, in all its spellings. */
const CONFIG_FLAG = /^--?config-?(text|file)(=|$)/i;

function templateConfigures(scheduler: JsonObject): boolean {
  return listAt(scheduler, "template", "containers").some((container) =>
    [...listAt(container, "command"), ...listAt(container, "args")].some(
      (argument) => typeof argument === "string" && CONFIG_FLAG.test(argument),
    ),
  );
}

/** `scorerPlugins` and `pickerPlugin` make a configuration, so that there must be no other. */
function checkPluginFields(found: Collector, scheduler: JsonObject): void {
  const given = ["scorerPlugins", "pickerPlugin"].filter((name) => {
    const value = scheduler[name];
    return isObject(value) || (Array.isArray(value) && value.length > 0);
  });
  const [first] = given;
  if (first === undefined) return;
  if (objectAt(scheduler, "config") !== undefined)
    found.add("Invalid", `${PATH}.${first}`, `excludes ${PATH}.config: name the plugins there, or remove it`);
  if (templateConfigures(scheduler))
    found.add("Invalid", `${PATH}.${first}`, `excludes a configuration among the arguments of ${PATH}.template`);
  if ((textAt(scheduler, "pool", "ref", "name") ?? "") !== "")
    found.warn(`${PATH}.${given.join(" and ")} has no effect: the pool of pool.ref has a scheduler of its own`);
}
