import type { JsonObject } from "../../crds/schema/types.ts";
import { childName, childParent } from "../../templates/child-name.ts";
import {
  FunctionError,
  type FunctionTable,
  integerArgument,
  requireArguments,
  stringArgument,
} from "../../templates/engine/functions.ts";
import { Struct, type Value, formatValue, indirect, isList } from "../../templates/engine/values.ts";
import { quantityUnits } from "../../kube/quantity.ts";

/** Grace period of a pod that names none, in seconds: that of the workload presets. */
const DEFAULT_GRACE_SECONDS = 60;
/** Kept back for the engine's own exit, in seconds. */
const EXIT_SECONDS = 5;

/** A field of a struct, through pointers; null where the struct or the field is not set. */
function field(value: Value, name: string): Value {
  const target = indirect(value);
  return target instanceof Struct ? indirect(target.field(name) ?? null) : null;
}

/** Seconds that the engine may take to finish its requests, after the pre-stop hook has used its own. */
function shutdownTimeout(args: readonly Value[]): bigint {
  requireArguments(args, 2);
  const given = field(args[0] ?? null, "TerminationGracePeriodSeconds");
  const grace = typeof given === "bigint" ? given : BigInt(DEFAULT_GRACE_SECONDS);
  const left = grace - integerArgument(args, 1);
  const rest = left - (left < EXIT_SECONDS ? left : BigInt(EXIT_SECONDS));
  return rest > 0n ? rest : 0n;
}

function secondaryTiers(offloading: Value): JsonObject[] {
  const tiers = field(offloading, "Secondary");
  if (tiers === null || !isList(tiers)) return [];
  return tiers.flatMap((tier, index) =>
    field(tier, "FileSystem") === null ? [] : [{ root_dir: `/mnt/kv-cache-${index}`, type: "fs" }],
  );
}

function bytesOf(offloading: Value): bigint {
  const text = formatValue(field(offloading, "CPU") ?? "0");
  const bytes = quantityUnits(text);
  if (bytes === undefined) throw new FunctionError(`kvCacheOffloading.cpu: ${JSON.stringify(text)} is no quantity`);
  return bytes;
}

/** vLLM's KV offloading as shell words for a double-quoted assignment; empty where the service offloads nothing. */
function kvTransferConfig(args: readonly Value[]): string {
  requireArguments(args, 1);
  const offloading = args[0] ?? null;
  if (!(indirect(offloading) instanceof Struct)) return "";
  const policy = field(offloading, "EvictionPolicy");
  const tiers = secondaryTiers(offloading);
  const extra = [
    `"cpu_bytes_to_use":${bytesOf(offloading)}`,
    ...(typeof policy === "string" && policy !== "" ? [`"eviction_policy":${JSON.stringify(policy)}`] : []),
    ...(tiers.length > 0 ? [`"secondary_tiers":${JSON.stringify(tiers)}`] : []),
    '"spec_name":"TieringOffloadingSpec"',
  ];
  const config = `{"kv_connector":"OffloadingConnector","kv_connector_extra_config":{${extra.join(",")}},"kv_role":"kv_both"}`;
  return `--kv-transfer-config '${config.replaceAll('"', '\\"')}'`;
}

/** The text as one word of a POSIX shell. */
function shellQuote(args: readonly Value[]): string {
  requireArguments(args, 1);
  const text = stringArgument(args, 0);
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

/** Functions of configs beyond Go's: KServe's three, and `shellQuote`. */
export const CONFIG_FUNCTIONS: FunctionTable = {
  ChildName: (args) => {
    requireArguments(args, 2);
    return childName(childParent(stringArgument(args, 0)), stringArgument(args, 1));
  },
  shutdownTimeout,
  kvTransferConfig,
  shellQuote,
};
