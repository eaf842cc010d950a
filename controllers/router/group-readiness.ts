import type { Pass } from "../llminferenceservice/pass.ts";
import { ABSENT, type Marks, TRUE } from "../status/conditions.ts";
import { type RoutingGroup, divergentMembers, routingGroup } from "./group.ts";

function divergence(group: RoutingGroup): string | undefined {
  const divergent = divergentMembers(group);
  if (divergent.length === 0) return undefined;
  const models = divergent.map((member) => `${member.name} [${member.models.join(" ")}]`).join(", ");
  return `routing group ${group.name}: these members serve other models and get no share of the requests: ${models}; give all members the same model name and adapters`;
}

/** Conditions of a service in a routing group: they inform, and make nothing ready or not. */
export function groupMarks(pass: Pass): Marks {
  const group = routingGroup(pass);
  if (group === undefined) return { GroupReady: ABSENT, GroupDegraded: ABSENT };
  const message = divergence(group);
  return {
    GroupReady: TRUE,
    GroupDegraded: message === undefined ? ABSENT : { status: "True", reason: "MemberDivergence", message },
  };
}
