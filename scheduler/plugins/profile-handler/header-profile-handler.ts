import { object, text } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";
import { onlyResult } from "./only-result.ts";

/** Runs the profile that a request header names. */
export const headerProfileHandler = definePlugin({
  type: "header-profile-handler",
  kinds: ["profile-handler"],
  stability: "alpha",
  description: "Runs the profile that a request header names.",
  parameters: object({
    headerName: text({ doc: "Request header.", default: "EPP-Profile" }),
    defaultProfile: text({ doc: "Profile of requests without it.", default: "decode" }),
  }),
  create: ({ headerName, defaultProfile }) => {
    const header = headerName.trim().toLowerCase();
    return {
      nextProfiles: ({ request, results }, profiles) => {
        if (results.names().length > 0) return [];
        if (profiles.length === 1) return profiles;
        const wanted = (request.headers.get(header) ?? "").trim() || defaultProfile.trim();
        return profiles.includes(wanted) ? [wanted] : [];
      },
      primaryProfile: (cycle) => {
        if (cycle.results.names().length > 0) return onlyResult(cycle);
        const value = cycle.request.headers.get(header) ?? "";
        const message = `no scheduling profile configured for "${header}" header value "${value}"`;
        return { refusal: { code: "BadRequest", message } };
      },
    };
  },
});
