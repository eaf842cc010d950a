import {
  anything,
  type Field,
  list,
  number,
  object,
  optional,
  required,
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

/** Fields of an EndpointPickerConfig, those of former versions included. */
export const document = object({
  apiVersion: anything("Group and version."),
  kind: anything("EndpointPickerConfig."),
  metadata: anything("Ignored."),
  featureGates: list(text({ doc: "A gate.", default: "" }), { doc: "Feature gates." }),
  plugins: list(plugin, { doc: "Plugin instances." }),
  schedulingProfiles: list(profile, { doc: "Profiles." }),
  dataLayer: anything("Sources of data."),
  data: anything("Former name of dataLayer."),
  flowControl: anything("Queues before scheduling."),
  saturationDetector: anything("Former place of the saturation detector."),
  requestHandler: optional(object({ parsers: list(reference, { doc: "Request parsers." }) })),
  parser: optional(reference),
});

/** A document as read. */
export type Document = Values<NonNullable<typeof document.fields>> & typeof document.fallback;
