import type { Headers } from "../../request/types.ts";
import { SESSION_ID } from "../../framework/data.ts";
import { list, object, text } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";

/** Headers in which agents name their session. */
const KNOWN = ["x-claude-code-session-id", "x-session-affinity", "session-id", "session_id"];

/** Makes the session of an agent its fairness id. */
export const agentIdentity = definePlugin({
  type: "agent-identity",
  kinds: ["request-header", "data-producer"],
  stability: "alpha",
  description: `Takes the fairness id from the first session header that is there: yours, then ${KNOWN.join(", ")}.`,
  parameters: object({
    additionalSessionHeaders: list(text({ doc: "A header.", default: "" }), { doc: "Headers that come first." }),
  }),
  produces: [SESSION_ID],
  create: ({ additionalSessionHeaders }, context) => {
    const handle = context.data(SESSION_ID, context.name);
    const headers = [...additionalSessionHeaders.map((name) => name.trim().toLowerCase()), ...KNOWN];
    const find = (given: Headers): string | undefined => {
      for (const name of headers) {
        const value = given.get(name);
        if (value !== undefined && value !== "") return value;
      }
      return undefined;
    };
    return {
      fairnessId: find,
      produce: (cycle) => void (handle.of(cycle).id = find(cycle.request.headers) ?? ""),
    };
  },
});
