import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { internalError } from "./errors.ts";
import type { ServedKind } from "./kinds.ts";
import { at, listOf, metaOf, objectOf, textOf } from "./objects.ts";
import type { WebhookCaller } from "./webhook-call.ts";

/** Core-group names of Event fields, by their names in events.k8s.io/v1. */
const EVENT_FIELDS: Readonly<Record<string, string>> = {
  regarding: "involvedObject",
  note: "message",
  reportingController: "reportingComponent",
  deprecatedSource: "source",
  deprecatedFirstTimestamp: "firstTimestamp",
  deprecatedLastTimestamp: "lastTimestamp",
  deprecatedCount: "count",
};

const FROM_CORE = Object.fromEntries(Object.entries(EVENT_FIELDS).map(([modern, core]) => [core, modern]));

function convertEvent(event: JsonObject, apiVersion: string): JsonObject {
  const names = apiVersion === "v1" ? EVENT_FIELDS : FROM_CORE;
  const renamed = Object.entries(event).map(([key, value]): [string, Json] => [names[key] ?? key, value]);
  return { ...Object.fromEntries(renamed), apiVersion };
}

/** Turns objects of a kind from one served version into another. */
export class Converter {
  readonly #call: WebhookCaller;
  #uids = 0;

  constructor(call: WebhookCaller) {
    this.#call = call;
  }

  /** Converts all objects at once, in order. Errors: 500 when the conversion webhook fails. */
  async convert(objects: readonly JsonObject[], kind: ServedKind, apiVersion: string): Promise<JsonObject[]> {
    const foreign = objects.filter((object) => object["apiVersion"] !== apiVersion);
    if (foreign.length === 0) return [...objects];
    if (kind.storage === "/events") return objects.map((object) => convertEvent(object, apiVersion));
    if (kind.conversion?.["strategy"] !== "Webhook") return objects.map((object) => ({ ...object, apiVersion }));
    const converted = await this.#callWebhook(foreign, kind, apiVersion);
    const byOriginal = new Map(foreign.map((object, index) => [object, converted[index]]));
    return objects.map((object) => byOriginal.get(object) ?? object);
  }

  async #callWebhook(objects: readonly JsonObject[], kind: ServedKind, apiVersion: string): Promise<JsonObject[]> {
    const label = `conversion webhook for ${textOf(objects[0]?.["apiVersion"])}, Kind=${kind.kind} failed`;
    const uid = `conversion-${++this.#uids}`;
    const review = {
      kind: "ConversionReview",
      apiVersion: "apiextensions.k8s.io/v1",
      request: { uid, desiredAPIVersion: apiVersion, objects: [...objects] },
    };
    const clientConfig = objectOf(at(kind.conversion, "webhook", "clientConfig"));
    const answer = await this.#call(clientConfig, review, 30_000).catch((error: unknown) => {
      throw internalError(`${label}: ${error instanceof Error ? error.message : String(error)}`);
    });
    const response = objectOf(answer["response"]);
    const results = listOf(response["convertedObjects"]).map(objectOf);
    if (at(response, "result", "status") !== "Success" || results.length !== objects.length)
      throw internalError(`${label}: ${textOf(at(response, "result", "message")) || "no objects in the answer"}`);
    return results.map((result, index) => restoreMetadata(result, objects[index]!));
  }
}

/** A conversion may change labels and annotations only. */
function restoreMetadata(converted: JsonObject, original: JsonObject): JsonObject {
  const { labels, annotations } = metaOf(converted);
  const metadata: JsonObject = { ...metaOf(original) };
  delete metadata["labels"];
  delete metadata["annotations"];
  if (labels !== undefined) metadata["labels"] = labels;
  if (annotations !== undefined) metadata["annotations"] = annotations;
  return { ...converted, metadata };
}
