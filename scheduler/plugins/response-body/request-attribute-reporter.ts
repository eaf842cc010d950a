import { Environment } from "@marcbachmann/cel-js";
import type { Usage } from "../../request/types.ts";
import { type Field, list, object, required, text } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";

const environment = new Environment().registerVariable("usage", "map");

/** Text that is a CEL expression over `usage`. */
function expression(doc: string, inner: Field<string>): Field<string> {
  return {
    ...inner,
    doc,
    accepts: "a CEL expression",
    read: (value, path, report) => {
      const source = inner.read(value, path, report);
      try {
        if (source !== "") environment.parse(source);
      } catch (error) {
        const cause = `is no CEL expression: ${error instanceof Error ? (error.message.split("\n")[0] ?? "") : ""}`;
        report.error({ path, value, cause, remedy: "write it like usage.prompt_tokens + usage.completion_tokens" });
      }
      return source;
    },
  };
}

const attribute = object({
  key: required(
    object({
      namespace: text({ doc: "Namespace of the dynamic metadata.", default: "envoy.lb" }),
      name: required(text({ doc: "Name there.", default: "", nonEmpty: true })),
    }),
  ),
  expression: expression("The value.", required(text({ doc: "", default: "", nonEmpty: true }))),
  condition: expression("What must hold for it to be reported.", text({ doc: "", default: "" })),
});

/** Token counts under the names that expressions use; absent ones are left out, so that `has` tells. */
function variables({ promptTokens, completionTokens, totalTokens, cachedTokens }: Usage): Record<string, unknown> {
  const counts = {
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: totalTokens,
    cached_tokens: cachedTokens,
  };
  const known = Object.entries(counts).filter(([, count]) => count !== undefined);
  return { usage: Object.fromEntries(known.map(([name, count]) => [name, BigInt(count ?? 0)])) };
}

/** The number of a result, as an integer; undefined for none, 0 and −1. */
function reported(result: unknown): number | undefined {
  if (typeof result !== "number" && typeof result !== "bigint") return undefined;
  const value = Math.trunc(Number(result));
  return Number.isFinite(value) && value !== 0 && value !== -1 ? value : undefined;
}

/** Hands values computed from the token counts to the proxy. */
export const requestAttributeReporter = definePlugin({
  type: "request-attribute-reporter",
  kinds: ["response-body"],
  stability: "beta",
  description: "Hands a number that a CEL expression computes from the token counts (`usage`) to the proxy.",
  parameters: required(
    object(
      { attributes: required(list(attribute, { doc: "What is reported.", min: 1 })) },
      {
        check: ({ attributes }, path, report) => {
          if (attributes.length <= 1) return;
          const cause = "has more than one attribute";
          report.error({
            path: `${path}.attributes`,
            value: attributes.length,
            cause,
            remedy: "use a plugin for each",
          });
        },
      },
    ),
  ),
  create: ({ attributes }, context) => {
    const programs = attributes.map(({ key, expression: value, condition }) => ({
      key,
      value: environment.parse(value),
      condition: condition === "" ? undefined : environment.parse(condition),
    }));
    return {
      onUsage: (_, usage) => {
        const known = variables(usage);
        const writes = new Map<string, Map<string, number>>();
        for (const { key, value, condition } of programs) {
          try {
            if (condition !== undefined && condition(known) !== true) continue;
            const number = reported(value(known));
            if (number !== undefined) writes.set(key.namespace, new Map([[key.name, number]]));
          } catch (error) {
            context.logger.v(4, "attribute not computed", { name: key.name, error });
          }
        }
        return writes;
      },
    };
  },
});
