/** Scalar attributes of endpoints, addressed by name and producer. */
import type { EndpointColumns } from "../framework/endpoint.ts";
import { text } from "../framework/parameters.ts";

/** Producer of the attributes that are scraped from the engines. */
const SCRAPED = "core-metrics-extractor";

/** Reads the value of a slot; NaN when the endpoint has none. */
export type AttributeReader = (endpoints: EndpointColumns, slot: number) => number;

const COLUMNS: Readonly<Record<string, AttributeReader>> = {
  WaitingQueueSize: ({ waiting }, slot) => waiting[slot] ?? NaN,
  RunningRequestsSize: ({ running }, slot) => running[slot] ?? NaN,
  KVCacheUsagePercent: ({ kvUsage }, slot) => kvUsage[slot] ?? NaN,
};

/** Parameter that names the producer of an attribute. */
export const attributeProducer = text({
  doc: "Producer of the attribute; empty: one without producer.",
  default: SCRAPED,
});

/** Former releases wrote `Name/Producer` in one text. */
export function splitAttribute(
  field: string,
): (parameters: Readonly<Record<string, unknown>>, warn: (text: string) => void) => Readonly<Record<string, unknown>> {
  return (parameters, warn) => {
    const value = parameters[field];
    if (typeof value !== "string" || !value.includes("/") || parameters["producer"] !== undefined) return parameters;
    const at = value.lastIndexOf("/");
    warn(`${field}: "${value}" taken as an attribute and its producer; use the parameter producer`);
    return { ...parameters, [field]: value.slice(0, at), producer: value.slice(at + 1) };
  };
}

/** How an attribute is read: scraped ones by their own name, others as `name/producer`. */
export function attributeReader(name: string, producer: string): AttributeReader {
  const column = producer === SCRAPED && Object.hasOwn(COLUMNS, name) ? COLUMNS[name] : undefined;
  if (column !== undefined) return column;
  const key = producer === SCRAPED || producer === "" ? name : `${name}/${producer}`;
  return (endpoints, slot) => endpoints.attribute(key, slot);
}
