import { closest } from "../../crds/suggest.ts";
import type { Report } from "../framework/problem.ts";

/** Switches of the configuration. */
export interface FeatureGates {
  /** Queues before scheduling. */
  readonly flowControl: boolean;
  /** Whether replicas that do not lead follow the pool too. */
  readonly haPopulateNonLeaderDatastore: boolean;
}

const DEFAULTS: FeatureGates = { flowControl: false, haPopulateNonLeaderDatastore: true };
/** Gates of former releases whose feature is always there, or gone. */
const RETIRED = ["dataLayer", "enableLegacyMetrics", "prepareDataPlugins"];
const TRUE = ["1", "t", "true"];
const FALSE = ["0", "f", "false"];

/** Reads `name`, `name=true` and `name=false`; the last of several wins. `extra` names gates that are known besides. */
export function readGates(given: readonly string[], extra: readonly string[], report: Report): FeatureGates {
  const known = [...Object.keys(DEFAULTS), ...extra];
  const gates: Record<string, boolean> = { ...DEFAULTS };
  given.forEach((text, index) => {
    const path = `featureGates[${index}]`;
    const at = text.indexOf("=");
    const name = at === -1 ? text : text.slice(0, at);
    const value =
      at === -1
        ? "true"
        : text
            .slice(at + 1)
            .trim()
            .toLowerCase();
    if (RETIRED.includes(name)) report.warn(`${path}: gate ${name} has no effect any more; remove it`);
    else if (!known.includes(name)) {
      const likely = closest(name, known);
      const remedy = likely === undefined ? `known: ${known.join(", ")}` : `did you mean "${likely}"?`;
      report.error({ path, value: text, cause: `feature gate "${name}" is unknown`, remedy });
    } else if (![...TRUE, ...FALSE].includes(value))
      report.error({ path, value: text, cause: "is not a valid value for the gate", remedy: "give true or false" });
    else gates[name] = TRUE.includes(value);
  });
  return { ...DEFAULTS, ...gates };
}
