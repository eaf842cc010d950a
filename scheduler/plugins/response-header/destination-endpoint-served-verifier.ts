import { noParameters } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";

const HEADER = "x-conformance-test-served-endpoint";
const MISSING = "fail: missing destination endpoint served metadata";

/** Shows the client which endpoint answered: for conformance tests. */
export const destinationEndpointServedVerifier = definePlugin({
  type: "destination-endpoint-served-verifier",
  kinds: ["response-header"],
  stability: "beta",
  description: `Sets the answer's header ${HEADER} to the endpoint that answered. For conformance tests.`,
  parameters: noParameters(),
  create: () => ({ onResponseHeaders: (_ticket, _headers, served) => [[HEADER, served ?? MISSING]] }),
});
