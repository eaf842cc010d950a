import { API_TRAITS } from "../parsers/traits.ts";
import type { Metadata, MetadataValue, ParsedBody, RoutingDecision } from "../request/types.ts";
import type { Route } from "./context.ts";
import { LB_NAMESPACE } from "./decode.ts";
import { DESTINATION_HEADER } from "./headers.ts";

const SCORES_KEY = `${DESTINATION_HEADER}-scores`;

/** A request that nothing but its headers told about. */
export const BODYLESS: Omit<Route, "destination"> = {
  ticket: undefined,
  model: "",
  targetModel: "",
  fairnessId: "default-flow",
  priority: 0,
  streamRequested: false,
  usageFormat: "usage",
};

/** What the stream has to know of a decision. */
export function routeOf(decision: RoutingDecision, body: ParsedBody): Route {
  return {
    destination: decision.destination,
    ticket: decision.ticket,
    model: decision.incomingModel,
    targetModel: decision.targetModel,
    fairnessId: decision.fairnessId,
    priority: decision.priority,
    streamRequested: body.stream,
    usageFormat: API_TRAITS[body.api].usage,
    onEvicted: decision.onEvicted,
  };
}

/** What the proxy is told beside the headers. */
export function lbMetadata(
  destination: string,
  decision: Pick<RoutingDecision, "scores" | "metadata"> = NO_EXTRAS,
): Metadata {
  const { scores, metadata } = decision;
  const values = new Map<string, MetadataValue>([[DESTINATION_HEADER, destination]]);
  if (scores !== undefined && scores.size > 0) values.set(SCORES_KEY, scores);
  if (metadata === undefined) return new Map([[LB_NAMESPACE, values]]);
  const own = metadata.get(LB_NAMESPACE) ?? [];
  return new Map([...metadata, [LB_NAMESPACE, new Map([...own, ...values])]]);
}

const NO_EXTRAS = { scores: undefined, metadata: undefined };
