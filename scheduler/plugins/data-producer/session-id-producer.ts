import type { Headers } from "../../request/types.ts";
import { SESSION_ID } from "../../framework/data.ts";
import { object, text } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";

function cookie(headers: Headers, name: string): string {
  for (const pair of (headers.get("cookie") ?? "").split(";")) {
    const at = pair.indexOf("=");
    if (at > 0 && pair.slice(0, at).trim() === name) return pair.slice(at + 1).trim();
  }
  return "";
}

/** Takes the session id from a header or a cookie. */
export const sessionIdProducer = definePlugin({
  type: "session-id-producer",
  kinds: ["data-producer"],
  stability: "beta",
  description: "Takes the session id from a header or a cookie.",
  parameters: object(
    {
      headerName: text({ doc: "Header of the id.", default: "" }),
      cookieName: text({ doc: "Cookie of the id.", default: "" }),
    },
    {
      check: ({ headerName, cookieName }, path, report) => {
        if ((headerName === "") !== (cookieName === "")) return;
        const cause = "must have exactly one of headerName and cookieName";
        report.error({ path, value: { headerName, cookieName }, cause, remedy: "give one of them" });
      },
    },
  ),
  produces: [SESSION_ID],
  create: ({ headerName, cookieName }, context) => {
    const handle = context.data(SESSION_ID, context.name);
    const header = headerName.trim().toLowerCase();
    return {
      produce: (cycle) => {
        const { headers } = cycle.request;
        handle.of(cycle).id = header === "" ? cookie(headers, cookieName) : (headers.get(header) ?? "").trim();
      },
    };
  },
});
