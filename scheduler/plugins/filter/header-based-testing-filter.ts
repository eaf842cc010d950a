import type { EndpointMetadata } from "../../framework/endpoint.ts";
import { noParameters } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";

const HEADER = "test-epp-endpoint-selection";

const names = (entry: string, { address, hostPort }: EndpointMetadata): boolean =>
  entry === hostPort || entry === address || entry === `[${address}]`;

/** Keeps the endpoints that a request header lists, in its order: for conformance tests. */
export const headerBasedTestingFilter = definePlugin({
  type: "header-based-testing-filter",
  kinds: ["filter"],
  stability: "beta",
  description: `Keeps the endpoints that the request header ${HEADER} lists, in its order. For conformance tests.`,
  parameters: noParameters(),
  create: () => ({
    filter: ({ request, endpoints }, slots, count) => {
      const wanted = (request.headers.get(HEADER) ?? "").split(",").map((entry) => entry.trim());
      const candidates = Array.from(slots.subarray(0, count));
      const kept = new Set(
        wanted.flatMap((entry) => candidates.filter((slot) => entry !== "" && names(entry, endpoints.metadata(slot)))),
      );
      slots.set([...kept]);
      return kept.size;
    },
    dropReason: () => `not listed by the header ${HEADER}`,
  }),
});
