import { TOPOLOGY } from "../../framework/data.ts";
import { object, text } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";

/** Where endpoints run, by the labels of their pods. */
export const topologyExtractor = definePlugin({
  type: "topology-extractor",
  kinds: ["extractor", "data-producer"],
  stability: "alpha",
  description: "Tells from pod labels where endpoints run.",
  limits: "labels of nodes are not read: pods must carry the labels themselves",
  parameters: object({
    hostname: text({ doc: "Label of the host.", default: "kubernetes.io/hostname" }),
    rack: text({ doc: "Label of the rack.", default: "topology.kubernetes.io/rack" }),
    zone: text({ doc: "Label of the zone.", default: "topology.kubernetes.io/zone" }),
    region: text({ doc: "Label of the region.", default: "topology.kubernetes.io/region" }),
  }),
  produces: [TOPOLOGY],
  create: ({ hostname, rack, zone, region }, context) => {
    const handle = context.data(TOPOLOGY, context.name);
    const labels = [hostname, rack, zone, region];
    return { produce: (cycle) => void (handle.of(cycle).labels = labels) };
  },
});
