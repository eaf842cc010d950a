/** Fields of an EndpointPickerConfig: the current ones, and those of former releases that are read in their place. */
import {
  anything,
  bool,
  durationMs,
  type Field,
  integer,
  list,
  number,
  object,
  optional,
  quantity,
  required,
  retired,
  text,
  type Values,
} from "../framework/parameters.ts";

const name = (doc: string): Field<string> => required(text({ doc, default: "", nonEmpty: true }));

const plugin = object({
  type: name("Plugin type."),
  name: text({ doc: "Name for references; the type when absent.", default: "" }),
  parameters: anything("Parameters of the type."),
});

const profile = object({
  name: name("Name of the profile."),
  plugins: list(
    object({
      pluginRef: name("Name of a plugin."),
      weight: number({ doc: "Weight of a scorer.", default: 1 }),
    }),
    { doc: "Plugins of the profile." },
  ),
});

const reference = object({ pluginRef: name("Name of a plugin.") });

const dataLayer = object({
  injectDefaults: bool({ doc: "Whether metrics are scraped when no source of them is listed.", default: true }),
  sources: list(
    object({
      pluginRef: name("Name of a data source."),
      extractors: list(reference, { doc: "Extractors that read the source." }),
    }),
    { doc: "Sources of data." },
  ),
  discovery: optional(reference),
  peerDiscovery: optional(reference),
  crossReplicaSyncerPluginRef: text({ doc: "Syncer of state between replicas.", default: "" }),
  crossReplicaSyncInterval: durationMs({ doc: "Interval of that sync.", default: undefined, above: 0 }),
});

const BAND_BYTES = 1_000_000_000;
const BAND_REQUESTS = 5000;

const bandFields = {
  priority: integer({ doc: "Priority of the band.", default: 0 }),
  maxBytes: quantity({ doc: "Bytes that may wait; 0: the default.", default: BAND_BYTES, min: 0 }),
  maxRequests: quantity({ doc: "Requests that may wait; 0: the default.", default: BAND_REQUESTS, min: 0 }),
  fairnessPolicyRef: text({ doc: "Chooses between flows.", default: "global-strict-fairness-policy" }),
  orderingPolicyRef: text({ doc: "Orders a flow.", default: "fcfs-ordering-policy" }),
  priorityName: retired("bands are known by their priority"),
  queue: retired("there is one kind of queue"),
};
const band = object(bandFields);

/** The `flowControl` section. Limits of 0 globally mean none. */
export const flowControl = object(
  {
    maxBytes: quantity({ doc: "Bytes that may wait in all bands.", default: undefined, min: 0 }),
    maxRequests: quantity({ doc: "Requests that may wait in all bands.", default: undefined, min: 0 }),
    defaultRequestTTL: durationMs({ doc: "Longest wait; 0s: no limit.", default: undefined, min: 0 }),
    noEndpointRequestTTL: durationMs({ doc: "Longest wait while the pool is empty.", default: undefined, min: 0 }),
    defaultPriorityBand: optional(band),
    defaultNegativePriorityBand: optional(band),
    priorityBands: list(band, { doc: "Bands known from the start." }),
    usageLimitPolicyPluginRef: text({ doc: "Limits how far bands may fill the pool.", default: "" }),
    saturationDetector: optional(object({ pluginRef: text({ doc: "Name of a detector.", default: "" }) })),
    enableEviction: bool({ doc: "Whether running requests may be ended for more urgent ones.", default: false }),
    shards: retired("queues are not sharded"),
    interFlowPolicy: retired("use fairnessPolicyRef of the bands"),
    intraFlowPolicy: retired("use orderingPolicyRef of the bands"),
  },
  {
    check: ({ priorityBands }, path, report) =>
      priorityBands.forEach(({ priority: value }, index) => {
        if (priorityBands.findIndex(({ priority }) => priority === value) === index) return;
        const cause = "is the priority of an earlier band";
        report.error({ path: `${path}.priorityBands[${index}].priority`, value, cause, remedy: "keep one" });
      }),
  },
);

/** Flow control as configured; absent: all defaults. */
export type FlowControlSection = Values<NonNullable<typeof flowControl.fields>> & typeof flowControl.fallback;

/** Fields of an EndpointPickerConfig. */
export const document = object({
  apiVersion: anything("Group and version."),
  kind: anything("EndpointPickerConfig."),
  metadata: anything("Ignored."),
  featureGates: list(text({ doc: "A gate, or gate=true or gate=false.", default: "" }), { doc: "Feature gates." }),
  plugins: list(plugin, { doc: "Plugin instances." }),
  schedulingProfiles: list(profile, { doc: "Profiles." }),
  dataLayer: optional(dataLayer),
  flowControl: optional(flowControl),
  requestHandler: optional(object({ parsers: list(reference, { doc: "Request parsers." }) })),
});

/** A document as read. */
export type Document = Values<NonNullable<typeof document.fields>> & typeof document.fallback;
