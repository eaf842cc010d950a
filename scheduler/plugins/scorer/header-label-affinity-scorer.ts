import { object, required, text } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";

/** Prefers endpoints whose label has the value of a request header. */
export const headerLabelAffinityScorer = definePlugin({
  type: "header-label-affinity-scorer",
  kinds: ["scorer"],
  stability: "alpha",
  description: "1 for endpoints whose label has the value of a request header, else 0.",
  parameters: object({
    headerName: required(text({ doc: "Request header.", default: "", nonEmpty: true })),
    labelKey: required(text({ doc: "Pod label.", default: "", nonEmpty: true })),
  }),
  create: ({ headerName, labelKey }) => {
    const header = headerName.trim().toLowerCase();
    return {
      score: ({ request, endpoints }, slots, count, scores) => {
        const wanted = request.headers.get(header) ?? "";
        if (wanted === "") return;
        for (let i = 0; i < count; i++)
          scores[i] = endpoints.metadata(slots[i] ?? 0).labels[labelKey] === wanted ? 1 : 0;
      },
    };
  },
});
