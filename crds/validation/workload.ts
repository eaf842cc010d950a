import { at, listAt, numberAt, objectAt, textAt } from "../json.ts";
import type { Json, JsonObject } from "../schema/types.ts";
import type { Collector } from "./findings.ts";

/** Checks the parallelism, the rollout and the KV-cache offloading of one workload, which lies at `path`. */
export function checkWorkload(found: Collector, path: string, workload: JsonObject): void {
  checkParallelism(found, path, workload);
  checkRollout(found, path, workload);
  const offloading = objectAt(workload, "kvCacheOffloading");
  if (offloading !== undefined) checkOffloading(found, `${path}.kvCacheOffloading`, offloading);
}

const parallelismOf = (workload: JsonObject): readonly (number | undefined)[] =>
  ["pipeline", "data", "dataLocal"].map((name) => numberAt(workload, "parallelism", name));

function checkParallelism(found: Collector, path: string, workload: JsonObject): void {
  const parallelism = objectAt(workload, "parallelism");
  const [pipeline = 0, data = 0, dataLocal = 0] = parallelismOf(workload);
  const dataParallel = data > 0 || dataLocal > 0;
  if (objectAt(workload, "worker") !== undefined && !dataParallel && pipeline <= 0)
    found.add("Invalid", `${path}.worker`, "workers need data or pipeline parallelism: set parallelism");
  if (parallelism === undefined) return;
  if (dataParallel && pipeline > 0)
    found.add("Invalid", `${path}.parallelism`, "data and pipeline parallelism exclude each other", { ...parallelism });
  checkRanks(found, `${path}.parallelism`, parallelism);
}

function checkRanks(found: Collector, path: string, parallelism: JsonObject): void {
  const [data, dataLocal] = [numberAt(parallelism, "data"), numberAt(parallelism, "dataLocal")];
  if (data !== undefined && dataLocal === undefined)
    found.add("Invalid", `${path}.dataLocal`, "needed together with data");
  if (dataLocal !== undefined && data === undefined)
    found.add("Invalid", `${path}.data`, "needed together with dataLocal");
  for (const name of ["pipeline", "data", "dataLocal"]) {
    const value = numberAt(parallelism, name);
    if (value !== undefined && value <= 0) found.add("Invalid", `${path}.${name}`, "must be greater than 0", value);
  }
  if (data !== undefined && dataLocal !== undefined && dataLocal > 0 && data % dataLocal !== 0)
    found.warn(`${path}.data (${data}) is no multiple of dataLocal (${dataLocal}): the last ranks are not started`);
}

/** Pods that one instance of a workload spans; 1 where it has no parallelism over pods. */
export function parallelismSize(workload: JsonObject): number {
  const [pipeline = 0, data = 0, dataLocal = 0] = parallelismOf(workload);
  if (data > 0 || dataLocal > 0) return Math.max(1, Math.floor(Math.max(data, 1) / Math.max(dataLocal, 1)));
  return Math.max(1, pipeline);
}

type Rounding = (value: number) => number;

/** What `maxSurge` or `maxUnavailable` comes to for one instance; undefined where it cannot be read. */
function scaled(value: Json, round: Rounding): number | undefined {
  if (typeof value === "number") return value >= 0 ? value : undefined;
  const percent = typeof value === "string" ? /^(\d+)%$/.exec(value)?.[1] : undefined;
  return percent === undefined || Number(percent) > 100 ? undefined : round(Number(percent) / 100);
}

function checkRollout(found: Collector, path: string, workload: JsonObject): void {
  const strategy = objectAt(workload, "rolloutStrategy");
  if (strategy === undefined) return;
  const place = `${path}.rolloutStrategy`;
  const read = (name: string, round: Rounding): number | undefined => {
    const value = at(strategy, name);
    if (value === undefined) return undefined;
    const amount = scaled(value, round);
    if (amount === undefined)
      found.add("Invalid", `${place}.${name}`, "must be a number from 0 on, or a percentage up to 100%", value);
    return amount;
  };
  const [unavailable, surge] = [read("maxUnavailable", Math.floor), read("maxSurge", Math.ceil)];
  if (unavailable !== 0) return;
  if (surge === 0)
    found.add("Invalid", place, "no rollout could proceed: raise maxUnavailable or maxSurge", { ...strategy });
  if (at(strategy, "maxSurge") === undefined && objectAt(workload, "worker") !== undefined)
    found.add("Required", `${place}.maxSurge`, "a workload of several nodes has no surge of its own");
}

/** Whether a Kubernetes quantity is zero, in whatever unit. */
function isZero(quantity: Json | undefined): boolean {
  if (typeof quantity === "number") return quantity === 0;
  return (
    quantity === undefined || (typeof quantity === "string" && /^[+-]?(0+(\.0*)?|\.0+)([a-zA-Z].*)?$/.test(quantity))
  );
}

function checkOffloading(found: Collector, path: string, offloading: JsonObject): void {
  const tiers = listAt(offloading, "secondary");
  if (tiers.length === 0) return;
  if (isZero(offloading["cpu"]))
    found.add("Required", `${path}.cpu`, "slower places need host memory in front of them");
  tiers.forEach((tier, index) => checkTier(found, `${path}.secondary[${index}].fileSystem`, tier));
}

function checkTier(found: Collector, path: string, tier: Json): void {
  const files = objectAt(tier, "fileSystem");
  if (files === undefined) return found.add("Required", path, "the place needs a file system");
  const pvc = objectAt(files, "pvc");
  exactlyOne(found, path, files, ["emptyDir", "pvc"]);
  if (pvc === undefined) return;
  exactlyOne(found, `${path}.pvc`, pvc, ["spec", "ref"]);
  if (objectAt(pvc, "ref") !== undefined && (textAt(pvc, "ref", "name") ?? "") === "")
    found.add("Required", `${path}.pvc.ref.name`, "must name a PersistentVolumeClaim");
}

function exactlyOne(found: Collector, path: string, value: JsonObject, names: readonly [string, string]): void {
  const count = names.filter((name) => objectAt(value, name) !== undefined).length;
  if (count === 0) found.add("Required", path, `one of ${names.join(" and ")} is needed`);
  if (count > 1) found.add("Invalid", path, `${names.join(" and ")} exclude each other`, { ...value });
}
