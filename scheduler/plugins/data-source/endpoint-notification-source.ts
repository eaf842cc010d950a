import { noParameters } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";

/** Endpoints that come and go. */
export const endpointNotificationSource = definePlugin({
  type: "endpoint-notification-source",
  kinds: ["data-source"],
  stability: "beta",
  description: "Tells extractors of endpoints that come and go. Every plugin is told anyway.",
  handledBy: "the endpoint store",
  parameters: noParameters(),
});
