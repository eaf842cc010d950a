import { EXPLAIN_HEADER, type Headers } from "../request/types.ts";

/** Request header, and key of dynamic metadata, that names the chosen endpoints. */
export const DESTINATION_HEADER = "x-gateway-destination-endpoint";
/** Header of an immediate answer that tells why a request was dropped. */
export const DROPPED_REASON_HEADER = "x-llm-d-request-dropped-reason";
/** Marks answers that passed this scheduler. */
export const RESPONSE_MARKER = ["x-went-into-resp-headers", "true"] as const;

/** Headers between client, proxy and scheduler that are not for the model server. The destination is overwritten. */
const CONTROL_HEADERS: readonly string[] = [
  "x-llm-d-inference-fairness-id",
  "x-gateway-inference-fairness-id",
  "x-llm-d-inference-objective",
  "x-gateway-inference-objective",
  "x-llm-d-model-name-rewrite",
  "x-gateway-model-name-rewrite",
  "x-llm-d-slo-ttft-ms",
  "x-slo-ttft-ms",
  "x-llm-d-slo-tpot-ms",
  "x-slo-tpot-ms",
  "x-gateway-destination-endpoint-subset",
  "x-gateway-destination-endpoint-served",
  DROPPED_REASON_HEADER,
  EXPLAIN_HEADER,
];

/** The control headers that a request carries: they are removed before it reaches the model server. */
export function controlHeadersOf(headers: Headers): readonly string[] {
  return CONTROL_HEADERS.filter((name) => headers.has(name));
}

/** The path that selects a parser, without its query. */
export function pathOf(headers: Headers): string {
  const path = headers.get(":path") || headers.get("x-original-path") || headers.get("x-forwarded-path");
  return (path || "/v1/completions").split("?", 1)[0]!;
}

const BODYLESS_METHODS: ReadonlySet<string> = new Set(["GET", "HEAD", "DELETE", "OPTIONS"]);

/** Whether an empty body is what the request's method leads to expect. */
export const isBodylessMethod = (headers: Headers): boolean => BODYLESS_METHODS.has(headers.get(":method") ?? "");

/** Whether the connection changes its protocol: the body then never ends. */
export const isUpgrade = (headers: Headers): boolean => headers.has("upgrade") || headers.get(":method") === "CONNECT";
