/** The configuration in effect, for people: defaults filled in, secrets left out. */
import { isRecord } from "../framework/parameters.ts";
import type { SchedulerConfig } from "./types.ts";

const SECRET = /token$|secret|password|credential|api_?key|passphrase/i;
const HIDDEN = "(hidden)";

/** A copy without the texts of members that are named like secrets. */
export function redacted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(redacted);
  if (!isRecord(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      const hides = typeof inner === "string" && inner !== "" && SECRET.test(key);
      return [key, hides ? HIDDEN : redacted(inner)];
    }),
  );
}

/** An EndpointPickerConfig that says everything that is in effect. */
export function effectiveConfig(config: SchedulerConfig): Readonly<Record<string, unknown>> {
  const { plugins, profiles, gates, flowControl, saturationDetector, dataSources, parserTypes } = config;
  return {
    apiVersion: "llm-d.ai/v1alpha1",
    kind: "EndpointPickerConfig",
    featureGates: Object.entries(gates).map(([name, on]) => `${name}=${on}`),
    plugins: plugins.map(({ name, type, parameters, declared }) => ({
      name,
      type,
      parameters: redacted(parameters),
      ...(declared ? {} : { added: true }),
    })),
    profileHandler: config.handler,
    schedulingProfiles: profiles.map(({ name, plugins: used }) => ({
      name,
      plugins: used.map(({ plugin, weight }) => ({ pluginRef: plugin, weight })),
    })),
    flowControl: { ...flowControl, saturationDetector },
    dataLayer: { sources: dataSources, discovery: config.discovery },
    requestHandler: { parsers: parserTypes ?? "default" },
  };
}
