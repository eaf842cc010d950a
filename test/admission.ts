import { webhookConfigurations } from "../controllers/install.ts";
import { defaultGlobalConfig } from "../controllers/composition/global-config.ts";
import type { ReviewContext } from "../controllers/webhooks/review.ts";
import { answerReview } from "../controllers/webhooks/server.ts";
import { coreKinds } from "../crds/core.ts";
import { customResourceDefinitions } from "../crds/definitions.ts";
import { objectAt, textAt } from "../crds/json.ts";
import type { Json, JsonObject } from "../crds/schema/types.ts";
import { Admission } from "../playground/apiserver/admission.ts";
import { Converter } from "../playground/apiserver/conversion.ts";
import { ApiError } from "../playground/apiserver/errors.ts";
import { KindRegistry, type ServedKind, builtinKind } from "../playground/apiserver/kinds.ts";
import { Resources } from "../playground/apiserver/resources.ts";
import { Store } from "../playground/apiserver/store.ts";
import type { WriteMode } from "../playground/apiserver/target.ts";
import { SYSTEM_NAMESPACE } from "./composition.ts";

/** What came of an apply. */
export interface Verdict {
  /** Undefined where the object was taken; else the API server's message. */
  readonly refused: string | undefined;
  readonly warnings: readonly string[];
}

/**
 * The write path of an API server with our definitions and webhooks, without its sockets: strict decoding, defaulting webhook,
 * schema, validating webhook, conversion, storage.
 */
export class AdmissionPath {
  readonly #kinds = new KindRegistry(coreKinds().map(builtinKind));
  readonly #store = new Store();
  readonly #resources: Resources;

  constructor() {
    const context: ReviewContext = {
      systemNamespace: SYSTEM_NAMESPACE,
      global: () => defaultGlobalConfig(SYSTEM_NAMESPACE),
      isPreset: () => false,
      protectPresets: true,
      localModels: () => [],
      usersOf: () => [],
    };
    const call = async (clientConfig: JsonObject, review: JsonObject): Promise<JsonObject> => {
      const path = textAt(clientConfig, "service", "path") ?? "";
      const answer = answerReview(path, JSON.parse(JSON.stringify(review)) as JsonObject, context);
      if (answer === undefined) throw new Error(`no webhook at ${path}`);
      return answer;
    };
    const converter = new Converter(call);
    const admission = new Admission({ store: this.#store, kinds: this.#kinds, converter, call });
    const now = (): number => 0;
    this.#resources = new Resources({ store: this.#store, kinds: this.#kinds, converter, admission, now });
    for (const definition of customResourceDefinitions()) this.#kinds.define(withConversion(definition));
    const webhooks = webhookConfigurations({ systemNamespace: SYSTEM_NAMESPACE, authority: "", presets: [] });
    for (const object of webhooks) this.#put(JSON.parse(JSON.stringify(object)) as JsonObject);
  }

  #put(object: JsonObject): void {
    const kind = this.#kind(object);
    this.#store.put(kind.storage, textAt(object, "metadata", "name") ?? "", object);
  }

  #kind(object: JsonObject): ServedKind {
    const kind = this.#kinds.ofKind(textAt(object, "apiVersion") ?? "", textAt(object, "kind") ?? "");
    if (kind === undefined) throw new Error(`${textAt(object, "kind")} is not served`);
    return kind;
  }

  /** Makes a namespace. */
  createNamespace(name: string): void {
    this.#put({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
  }

  /** Creates an object in a namespace as `kubectl apply` does, or replaces the one of that name. */
  async apply(object: JsonObject, namespace: string): Promise<Verdict> {
    const kind = this.#kind(object);
    const name = textAt(object, "metadata", "name") ?? "";
    const placed = { ...object, metadata: { ...objectAt(object, "metadata"), namespace } };
    const mode: WriteMode = {
      manager: "kubectl",
      dryRun: false,
      fieldValidation: "Strict",
      force: false,
      warnings: [],
    };
    const target = { kind, namespace, name, subresource: "" };
    try {
      if (this.#store.get(kind.storage, `${namespace}/${name}`) === undefined)
        await this.#resources.create({ ...target, name: "" }, placed, mode);
      else await this.#resources.update(target, placed, mode);
      return { refused: undefined, warnings: mode.warnings };
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return { refused: error.message, warnings: mode.warnings };
    }
  }

  /** A stored object in the version asked for; undefined where there is none. */
  async read(apiVersion: string, kind: string, namespace: string, name: string): Promise<Json | undefined> {
    const served = this.#kinds.ofKind(apiVersion, kind)!;
    if (this.#store.get(served.storage, `${namespace}/${name}`) === undefined) return undefined;
    return await this.#resources.get({ kind: served, namespace, name, subresource: "" });
  }
}

/** The definition with the conversion webhook that the operator adds. */
function withConversion(definition: JsonObject): JsonObject {
  const clientConfig = { service: { namespace: SYSTEM_NAMESPACE, name: "webhooks", path: "/convert" } };
  const conversion = { strategy: "Webhook", webhook: { conversionReviewVersions: ["v1"], clientConfig } };
  return { ...definition, spec: { ...objectAt(definition, "spec"), conversion } };
}
