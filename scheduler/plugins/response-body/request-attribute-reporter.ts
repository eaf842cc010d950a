import { list, object, required, text } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";

/** Hands values computed from the token counts to the proxy. */
export const requestAttributeReporter = definePlugin({
  type: "request-attribute-reporter",
  kinds: ["response-body"],
  stability: "beta",
  description: "Hands values that a CEL expression computes from the token counts to the proxy.",
  limits: "expressions are not evaluated: nothing is reported",
  parameters: required(
    object({
      attributes: required(
        list(
          object({
            key: required(
              object({
                namespace: text({ doc: "Namespace of the dynamic metadata.", default: "envoy.lb" }),
                name: required(text({ doc: "Name there.", default: "", nonEmpty: true })),
              }),
            ),
            expression: required(text({ doc: "CEL over `usage`.", default: "", nonEmpty: true })),
            condition: text({ doc: "CEL that must hold.", default: "" }),
          }),
          { doc: "What is reported: one attribute.", min: 1 },
        ),
      ),
    }),
  ),
});
