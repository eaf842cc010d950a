import { noParameters } from "../../framework/parameters.ts";
import { type AnyPluginDefinition, definePlugin } from "../../framework/plugin.ts";
import { keepingBy } from "./keeping.ts";

/** Pod label that tells which stages of disaggregated serving a pod takes. */
export const ROLE_LABEL = "llm-d.ai/role";

/** A filter that keeps pods whose role is one of `roles`; `unlabelled`: whether pods without the label stay. */
export function roleFilter(type: string, roles: readonly string[], unlabelled: boolean): AnyPluginDefinition {
  const others = unlabelled ? ", or that have no such label" : "";
  return definePlugin({
    type,
    kinds: ["filter"],
    stability: "beta",
    description: `Keeps endpoints whose label ${ROLE_LABEL} is one of ${roles.join(", ")}${others}.`,
    parameters: noParameters(),
    create: () =>
      keepingBy(
        ({ labels }) => {
          const role = labels[ROLE_LABEL];
          return role === undefined ? unlabelled : roles.includes(role);
        },
        ({ labels }) => `role ${labels[ROLE_LABEL] ?? "missing"}`,
      ),
  });
}
