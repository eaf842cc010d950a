import { object, text } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";

/** Changes of Kubernetes objects. */
export const k8sNotificationSource = definePlugin({
  type: "k8s-notification-source",
  kinds: ["data-source"],
  stability: "beta",
  description: "Tells extractors of changes of Kubernetes objects.",
  limits: "no extractor of this scheduler uses it",
  parameters: object({
    group: text({ doc: "API group.", default: "" }),
    version: text({ doc: "API version.", default: "" }),
    kind: text({ doc: "Kind.", default: "" }),
  }),
});
