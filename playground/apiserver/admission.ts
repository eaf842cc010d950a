import { randomUUID } from "node:crypto";
import type { Json, JsonObject } from "../../crds/schema/types.ts";
import type { Converter } from "./conversion.ts";
import { ApiError, badRequest, internalError } from "./errors.ts";
import type { KindRegistry, ServedKind } from "./kinds.ts";
import { MatchConditions } from "./match-conditions.ts";
import { at, isObject, listOf, nameOf, namespaceOf, objectOf, textOf } from "./objects.ts";
import { jsonPatch } from "./patches.ts";
import { objectLabelSelector } from "./selectors.ts";
import type { Store } from "./store.ts";
import type { WebhookCaller } from "./webhook-call.ts";

/** A write on its way into the store. */
export interface AdmissionRequest {
  readonly operation: "CREATE" | "UPDATE" | "DELETE";
  readonly kind: ServedKind;
  readonly namespace: string;
  readonly name: string;
  readonly subresource: string;
  /** Null for deletes. */
  readonly object: JsonObject | null;
  readonly oldObject: JsonObject | null;
  readonly dryRun: boolean;
  /** Texts for the client's Warning headers are added here. */
  readonly warnings: string[];
}

type Phase = "mutating" | "validating";

const STORAGE: Readonly<Record<Phase, string>> = {
  mutating: "admissionregistration.k8s.io/mutatingwebhookconfigurations",
  validating: "admissionregistration.k8s.io/validatingwebhookconfigurations",
};

const covers = (list: Json | undefined, value: string): boolean => {
  const values = listOf(list);
  return values.includes("*") || values.includes(value);
};

function coversResource(rule: Json, plural: string, subresource: string): boolean {
  const wanted = subresource === "" ? plural : `${plural}/${subresource}`;
  return listOf(at(rule, "resources")).some((resource) => {
    if (resource === "*/*" || resource === wanted) return true;
    if (resource === "*") return subresource === "";
    return resource === `${plural}/*` || (subresource !== "" && resource === `*/${subresource}`);
  });
}

function ruleMatches(rule: Json, request: AdmissionRequest, kind: ServedKind): boolean {
  const scope = textOf(at(rule, "scope")) || "*";
  if (scope !== "*" && (scope === "Namespaced") !== kind.namespaced) return false;
  return (
    covers(at(rule, "operations"), request.operation) &&
    covers(at(rule, "apiGroups"), kind.group) &&
    covers(at(rule, "apiVersions"), kind.version) &&
    coversResource(rule, kind.plural, request.subresource)
  );
}

/** Calls the admission webhooks that are registered in the store, as Kubernetes does. */
export class Admission {
  readonly #store: Store;
  readonly #kinds: KindRegistry;
  readonly #converter: Converter;
  readonly #call: WebhookCaller;
  readonly #conditions = new MatchConditions();

  constructor(parts: { store: Store; kinds: KindRegistry; converter: Converter; call: WebhookCaller }) {
    this.#store = parts.store;
    this.#kinds = parts.kinds;
    this.#converter = parts.converter;
    this.#call = parts.call;
  }

  /** Runs the mutating webhooks one after the other; returns the object as they left it. Errors: the refusal. */
  async mutate(request: AdmissionRequest): Promise<JsonObject | null> {
    let object = request.object;
    for (const { webhook, kind } of this.#matching("mutating", request)) {
      const response = await this.#review(webhook, { ...request, object }, kind);
      const patch = textOf(response?.["patch"]);
      if (patch !== "" && object !== null) object = await this.#patched(object, request.kind, kind, patch);
    }
    return object;
  }

  /** Asks all validating webhooks. Errors: the first refusal. */
  async validate(request: AdmissionRequest): Promise<void> {
    const matching = this.#matching("validating", request);
    await Promise.all(matching.map(({ webhook, kind }) => this.#review(webhook, request, kind)));
  }

  async #patched(object: JsonObject, own: ServedKind, seen: ServedKind, patch: string): Promise<JsonObject> {
    const [converted] = await this.#converter.convert([object], own, seen.apiVersion);
    const operations = JSON.parse(Buffer.from(patch, "base64").toString("utf8")) as Json;
    const [back] = await this.#converter.convert([jsonPatch(converted!, operations)], own, own.apiVersion);
    return back!;
  }

  #matching(phase: Phase, request: AdmissionRequest): { webhook: JsonObject; kind: ServedKind }[] {
    if (request.kind.group === "admissionregistration.k8s.io") return [];
    const configurations = this.#store.list(STORAGE[phase]);
    configurations.sort((a, b) => (a.key < b.key ? -1 : 1));
    return configurations
      .flatMap(({ object }) => listOf(object["webhooks"]).map(objectOf))
      .flatMap((webhook) => {
        const kind = this.#matchedKind(webhook, request);
        return kind !== undefined && this.#selects(webhook, request) ? [{ webhook, kind }] : [];
      });
  }

  /** The version in which the webhook wants the object; undefined when no rule matches. */
  #matchedKind(webhook: JsonObject, request: AdmissionRequest): ServedKind | undefined {
    const rules = listOf(webhook["rules"]);
    const equivalent = webhook["matchPolicy"] === "Exact" ? [] : this.#kinds.ofStorage(request.kind.storage);
    return [request.kind, ...equivalent].find((kind) => rules.some((rule) => ruleMatches(rule, request, kind)));
  }

  #selects(webhook: JsonObject, request: AdmissionRequest): boolean {
    const byObject = objectLabelSelector(objectOf(webhook["objectSelector"]));
    const objects = [request.object, request.oldObject].filter((object) => object !== null);
    if (!objects.some(byObject)) return false;
    const namespace = request.kind.plural === "namespaces" ? request.name : request.namespace;
    const scope = this.#store.get("/namespaces", namespace);
    return scope === undefined || objectLabelSelector(objectOf(webhook["namespaceSelector"]))(scope);
  }

  async #review(webhook: JsonObject, request: AdmissionRequest, kind: ServedKind): Promise<JsonObject | undefined> {
    const name = textOf(webhook["name"]);
    const sideEffects = textOf(webhook["sideEffects"]);
    if (request.dryRun && sideEffects !== "None" && sideEffects !== "NoneOnDryRun")
      throw badRequest(`admission webhook ${JSON.stringify(name)} does not support dry run`);
    const review = await this.#reviewOf(request, kind);
    if (!this.#conditions.isCalled(webhook, review)) return undefined;
    const timeoutMs = Number(webhook["timeoutSeconds"] ?? 10) * 1000;
    let answer: JsonObject;
    try {
      answer = await this.#call(objectOf(webhook["clientConfig"]), review, timeoutMs);
      if (!isObject(answer["response"])) throw new Error("the answer has no response");
    } catch (error) {
      if (webhook["failurePolicy"] === "Ignore") return undefined;
      const cause = error instanceof Error ? error.message : String(error);
      throw internalError(`failed calling webhook ${JSON.stringify(name)}: failed to call webhook: ${cause}`);
    }
    const response = objectOf(answer["response"]);
    request.warnings.push(...listOf(response["warnings"]).map(textOf));
    if (response["allowed"] !== true) throw refusal(name, response);
    return response;
  }

  async #reviewOf(request: AdmissionRequest, kind: ServedKind): Promise<JsonObject> {
    const convert = async (object: JsonObject | null): Promise<JsonObject | null> =>
      object === null ? null : (await this.#converter.convert([object], request.kind, kind.apiVersion))[0]!;
    const gvk = (served: ServedKind) => ({ group: served.group, version: served.version, kind: served.kind });
    const gvr = (served: ServedKind) => ({ group: served.group, version: served.version, resource: served.plural });
    return {
      kind: "AdmissionReview",
      apiVersion: "admission.k8s.io/v1",
      request: {
        uid: randomUUID(),
        kind: gvk(kind),
        resource: gvr(kind),
        requestKind: gvk(request.kind),
        requestResource: gvr(request.kind),
        ...(request.subresource === ""
          ? {}
          : { subResource: request.subresource, requestSubResource: request.subresource }),
        name: request.name || nameOf(request.object ?? {}),
        ...(request.kind.namespaced ? { namespace: request.namespace || namespaceOf(request.object ?? {}) } : {}),
        operation: request.operation,
        userInfo: { username: "system:admin", groups: ["system:masters", "system:authenticated"] },
        object: await convert(request.object),
        oldObject: await convert(request.oldObject),
        dryRun: request.dryRun,
        options: null,
      },
    };
  }
}

function refusal(name: string, response: JsonObject): ApiError {
  const status = objectOf(response["status"]);
  const code = Number(status["code"] ?? 403);
  const cause = textOf(status["message"]) || textOf(status["reason"]);
  const text = `admission webhook ${JSON.stringify(name)} denied the request${cause === "" ? " without explanation" : `: ${cause}`}`;
  const details = status["details"];
  const reason = textOf(status["reason"]) || (code === 403 ? "Forbidden" : "");
  return new ApiError(code >= 400 ? code : 403, reason, text, isObject(details) ? details : undefined);
}
