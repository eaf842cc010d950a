import type { JsonObject } from "../../crds/schema/types.ts";
import type { Admission } from "./admission.ts";
import type { Converter } from "./conversion.ts";
import { admitBuiltin, applyDefaults, zeroOf } from "./defaults.ts";
import { type DeleteMode, holdsNamespace, markDeleted, waitsForPod } from "./deletion.ts";
import {
  ApiError,
  alreadyExists,
  badRequest,
  conflict,
  forbidden,
  invalid,
  notFound,
  outdated,
  type Subject,
} from "./errors.ts";
import type { KindRegistry, ServedKind } from "./kinds.ts";
import { applyConfiguration, recordUpdate } from "./managed-fields.ts";
import { bumpGeneration, carryMetadata, dropEmptyMetadata, stampNew, urlMismatch } from "./metadata.ts";
import {
  cloneJson,
  ensureMeta,
  equalJson,
  finalizersOf,
  metaOf,
  nameOf,
  namespaceOf,
  objectOf,
  textOf,
  timestamp,
} from "./objects.ts";
import { refuseUndecodable, refuseUntyped } from "./typed-decoding.ts";
import { ServiceAddresses, keepAllocated } from "./service-addresses.ts";
import type { Store } from "./store.ts";
import { validateObject } from "./validation.ts";

/** A request for one object or collection, as the URL and its query say it. */
export interface Target {
  readonly kind: ServedKind;
  /** Empty for cluster-scoped kinds and for lists over all namespaces. */
  readonly namespace: string;
  /** Empty for collections. */
  readonly name: string;
  /** Empty, `status` or `finalize`. */
  readonly subresource: string;
}

/** How a write is meant. */
export interface WriteMode {
  readonly manager: string;
  readonly dryRun: boolean;
  readonly fieldValidation: "Strict" | "Warn" | "Ignore";
  readonly force: boolean;
  /** Texts for the client's Warning headers. */
  readonly warnings: string[];
}

/** An object in the version that was asked for, and whether the write created it. */
export interface Written {
  readonly object: JsonObject;
  readonly created: boolean;
}

/** A write that meets a concurrent one starts again; this often before it is a conflict. */
const MAX_ATTEMPTS = 10;

/** Fields that the sub-resource owns; a write to the object itself cannot change them. */
const STATUS = "status";

/** Kinds whose status may come with their creation, as a kubelet registers its node. */
const KEEPS_STATUS = new Set(["/nodes"]);

export const subjectOf = (target: Target): Subject => ({
  group: target.kind.group,
  kind: target.kind.plural,
  ...(target.name === "" ? {} : { name: target.name }),
});

export function storeKey(target: { kind: ServedKind; namespace: string; name: string }): string {
  return target.kind.namespaced ? `${target.namespace}/${target.name}` : target.name;
}

/** Create, read, update, apply and delete of every kind: admission, defaults, validation, ownership of fields, storage. */
export class Resources {
  readonly store: Store;
  readonly kinds: KindRegistry;
  readonly converter: Converter;
  readonly #admission: Admission;
  readonly #now: () => number;
  readonly #addresses: ServiceAddresses;

  constructor(parts: {
    store: Store;
    kinds: KindRegistry;
    converter: Converter;
    admission: Admission;
    now: () => number;
  }) {
    this.store = parts.store;
    this.kinds = parts.kinds;
    this.converter = parts.converter;
    this.#admission = parts.admission;
    this.#now = parts.now;
    this.#addresses = new ServiceAddresses(parts.store);
  }

  /** Errors: 404. */
  async get(target: Target): Promise<JsonObject> {
    return (await this.#read(target)).current;
  }

  /** Stores a new object. Errors: 409 when it exists, 422, refusals of webhooks. */
  async create(target: Target, body: JsonObject, mode: WriteMode): Promise<JsonObject> {
    const object = cloneJson(body);
    this.#checkUrl(target, object);
    refuseUndecodable(target.kind, object);
    if (textOf(metaOf(object)["resourceVersion"]) !== "")
      throw new ApiError(500, "", "resourceVersion should not be set on objects to be created");
    return await this.#create(target, object, mode, true);
  }

  /** Replaces an object. Errors: as `create`, 404, 409 when `metadata.resourceVersion` is not the current one. */
  async update(target: Target, body: JsonObject, mode: WriteMode): Promise<Written> {
    this.#checkUrl(target, body);
    refuseUndecodable(target.kind, body);
    const isMissing = this.store.get(target.kind.storage, storeKey(target)) === undefined;
    if (isMissing && target.subresource === "" && CREATED_BY_UPDATE.has(target.kind.storage))
      return { object: await this.#create(target, cloneJson(body), mode, true), created: true };
    const replace = (): JsonObject => {
      this.#refuseUnconditional(target, body);
      return cloneJson(body);
    };
    return { object: await this.#modify(target, mode, replace), created: false };
  }

  /** Writes what `change` makes of the current object; runs again when another write comes between. */
  async patch(target: Target, mode: WriteMode, change: (current: JsonObject) => JsonObject): Promise<Written> {
    const object = await this.#modify(target, mode, (current) => {
      const next = change(current);
      this.#checkUrl(target, next);
      return next;
    });
    return { object, created: false };
  }

  /** Server-side apply; creates what does not exist. */
  async apply(target: Target, body: JsonObject, mode: WriteMode): Promise<Written> {
    const applied = cloneJson(body);
    ensureMeta(applied)["name"] ??= target.name;
    if (target.kind.namespaced) ensureMeta(applied)["namespace"] ??= target.namespace;
    this.#checkUrl(target, applied);
    if (metaOf(applied)["managedFields"] !== undefined) throw badRequest("metadata.managedFields must be nil");
    const unknown = target.kind.structural.prune(cloneJson(applied));
    refuseUntyped(target.kind, applied, unknown, namespaceOf(body));
    const scoped = this.#appliedPart(target, applied);
    if (this.store.get(target.kind.storage, storeKey(target)) === undefined && target.subresource === "") {
      const object = this.#applied(target, undefined, scoped, mode);
      return { object: await this.#create(target, object, mode, false), created: true };
    }
    const object = await this.#modify(target, mode, (current) => this.#applied(target, current, scoped, mode), false);
    return { object, created: false };
  }

  /**
   * Deletes an object, or marks it where finalizers or a grace period ask for time. Returns the object and whether it is
   * gone already. Errors: 404, 409 when a precondition does not hold.
   */
  async delete(target: Target, mode: DeleteMode): Promise<{ object: JsonObject; gone: boolean }> {
    const { stored, current } = await this.#read(target);
    this.#checkPreconditions(target, stored, mode);
    const request = {
      ...target,
      operation: "DELETE" as const,
      object: null,
      oldObject: current,
      dryRun: mode.dryRun,
      warnings: mode.warnings,
    };
    await this.#admission.mutate(request);
    await this.#admission.validate(request);
    if (this.store.get(target.kind.storage, storeKey(target)) !== stored) return await this.delete(target, mode);
    const next = markDeleted(target.kind, stored, mode, this.#now());
    if (mode.dryRun) return { object: next ?? current, gone: next === undefined };
    if (next === undefined) return { object: await this.#remove(target, stored), gone: true };
    const written = equalJson(next, stored) ? stored : this.store.put(target.kind.storage, storeKey(target), next);
    const [object] = await this.converter.convert([written], target.kind, target.kind.apiVersion);
    return { object: object!, gone: false };
  }

  async #remove(target: Target, stored: JsonObject): Promise<JsonObject> {
    const removed = this.store.remove(target.kind.storage, storeKey(target)) ?? stored;
    return (await this.converter.convert([removed], target.kind, target.kind.apiVersion))[0]!;
  }

  async #read(target: Target): Promise<{ stored: JsonObject; current: JsonObject }> {
    const stored = this.store.get(target.kind.storage, storeKey(target));
    if (stored === undefined) throw notFound(subjectOf(target));
    const [current] = await this.converter.convert([stored], target.kind, target.kind.apiVersion);
    return { stored, current: current! };
  }

  /** Some kinds are replaced only by a writer that says which version it has seen. */
  #refuseUnconditional({ kind, name, subresource }: Target, body: JsonObject): void {
    const isConditional = kind.conversion !== undefined || CONDITIONAL.has(kind.storage);
    if (!isConditional || subresource === "scale" || textOf(metaOf(body)["resourceVersion"]) !== "") return;
    const message = "must be specified for an update";
    const error = { path: "metadata.resourceVersion", kind: "Invalid" as const, value: 0, message };
    throw invalid({ group: kind.group, kind: kind.plural, name }, [error]);
  }

  #checkUrl(target: Target, object: JsonObject): void {
    const complaint = urlMismatch(object, target.kind, target.namespace, target.name === "" ? undefined : target.name);
    if (complaint !== undefined) throw badRequest(complaint);
  }

  #checkPreconditions(target: Target, stored: JsonObject, mode: DeleteMode): void {
    const meta = metaOf(stored);
    for (const [field, name] of [
      ["uid", "UID"],
      ["resourceVersion", "ResourceVersion"],
    ] as const) {
      const wanted = mode[field];
      if (wanted !== undefined && wanted !== meta[field])
        throw conflict(
          subjectOf(target),
          `Precondition failed: ${name} in precondition: ${wanted}, ${name} in object meta: ${textOf(meta[field])}`,
        );
    }
  }

  #applied(target: Target, current: JsonObject | undefined, scoped: JsonObject, mode: WriteMode): JsonObject {
    const { kind } = target;
    return applyConfiguration(current, scoped, kind.schema, this.#writer(target, mode), mode.force);
  }

  #writer(target: Target, mode: WriteMode) {
    return {
      manager: mode.manager,
      apiVersion: target.kind.apiVersion,
      subresource: target.subresource,
      time: timestamp(this.#now()),
    };
  }

  /** A status apply owns status alone, any other apply everything but status. */
  #appliedPart(target: Target, applied: JsonObject): JsonObject {
    const { status, ...rest } = applied;
    if (target.subresource === STATUS) {
      const { apiVersion, kind, metadata } = applied;
      const { name, namespace } = objectOf(metadata);
      const meta = { name: name!, ...(namespace === undefined ? {} : { namespace }) };
      return { apiVersion: apiVersion!, kind: kind!, metadata: meta, ...(status === undefined ? {} : { status }) };
    }
    return target.kind.hasStatus || status === undefined ? rest : applied;
  }

  /** Drops unknown fields: an error, a warning, or silence, as the client asked. */
  #prune(kind: ServedKind, object: JsonObject, mode: WriteMode): void {
    const unknown = kind.structural.prune(object).map((path) => `unknown field ${JSON.stringify(path)}`);
    if (unknown.length === 0 || mode.fieldValidation === "Ignore") return;
    if (mode.fieldValidation === "Warn") mode.warnings.push(...unknown);
    else
      throw badRequest(
        `${kind.kind} in version ${JSON.stringify(kind.version)} cannot be handled as a ${kind.kind}: strict decoding error: ${unknown.join(", ")}`,
      );
  }

  async #create(target: Target, object: JsonObject, mode: WriteMode, record: boolean): Promise<JsonObject> {
    const { kind } = target;
    this.#prune(kind, object, mode);
    dropEmptyMetadata(object);
    stampNew(kind, object, target.namespace, this.#now());
    if (kind.hasStatus && !KEEPS_STATUS.has(kind.storage)) delete object[STATUS];
    applyDefaults(kind, object);
    const named = { ...target, name: nameOf(object) };
    this.#checkNamespace(named);
    this.#checkFree(named);
    if (record) recordUpdate(zeroOf(kind), object, kind.schema, this.#writer(target, mode));
    admitBuiltin(kind, object);
    const admitted = await this.#admit(named, "CREATE", object, undefined, mode);
    this.#checkFree(named);
    this.#addresses.allocate(kind, admitted);
    if (mode.dryRun) return admitted;
    const [storable] = await this.converter.convert([admitted], kind, kind.storageApiVersion);
    this.#checkFree(named);
    const stored = this.store.put(kind.storage, storeKey(named), storable!);
    return (await this.converter.convert([stored], kind, kind.apiVersion))[0]!;
  }

  #checkFree(target: Target): void {
    const present = this.store.get(target.kind.storage, storeKey(target));
    if (present === undefined) return;
    const refusal = alreadyExists(subjectOf(target));
    if (metaOf(present)["deletionTimestamp"] === undefined) throw refusal;
    throw new ApiError(refusal.code, refusal.reason, `object is being deleted: ${refusal.message}`, refusal.details);
  }

  #checkNamespace(target: Target): void {
    if (!target.kind.namespaced) return;
    const namespace = this.store.get("/namespaces", target.namespace);
    if (namespace === undefined) throw notFound({ group: "", kind: "namespaces", name: target.namespace });
    if (metaOf(namespace)["deletionTimestamp"] !== undefined)
      throw forbidden(
        subjectOf(target),
        `unable to create new content in namespace ${target.namespace} because it is being terminated`,
      );
  }

  async #admit(
    target: Target,
    operation: "CREATE" | "UPDATE",
    object: JsonObject,
    old: JsonObject | undefined,
    mode: WriteMode,
  ): Promise<JsonObject> {
    const { kind } = target;
    const request = {
      ...target,
      operation,
      object,
      oldObject: old ?? null,
      dryRun: mode.dryRun,
      warnings: mode.warnings,
    };
    const mutated = (await this.#admission.mutate(request)) ?? object;
    kind.structural.prune(mutated);
    applyDefaults(kind, mutated);
    const errors = validateObject(kind, mutated, old);
    if (errors.length > 0) throw invalid({ group: kind.group, kind: kind.kind, name: nameOf(mutated) }, errors);
    await this.#admission.validate({ ...request, object: mutated });
    return mutated;
  }

  async #modify(
    target: Target,
    mode: WriteMode,
    change: (current: JsonObject) => JsonObject,
    record = true,
  ): Promise<JsonObject> {
    for (let attempt = 1; ; attempt++) {
      const { stored, current } = await this.#read(target);
      const next = change(cloneJson(current));
      const expected = textOf(metaOf(next)["resourceVersion"]);
      if (expected !== "" && expected !== metaOf(current)["resourceVersion"]) throw outdated(subjectOf(target));
      const uid = textOf(metaOf(next)["uid"]);
      if (uid !== "" && uid !== metaOf(current)["uid"])
        throw conflict(
          subjectOf(target),
          `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${textOf(metaOf(current)["uid"])}`,
        );
      const changed = await this.#prepareUpdate(target, current, next, mode, record);
      // A write that changes nothing still moves an object of a former version to the present one.
      const prepared = changed ?? (stored["apiVersion"] === target.kind.storageApiVersion ? undefined : current);
      if (prepared === undefined || mode.dryRun) return prepared ?? current;
      const [storable] = await this.converter.convert([prepared], target.kind, target.kind.storageApiVersion);
      if (this.store.get(target.kind.storage, storeKey(target)) === stored)
        return await this.#commit(target, storable!);
      if (attempt >= MAX_ATTEMPTS) throw outdated(subjectOf(target));
    }
  }

  /** The object as it will be stored; undefined when nothing changes. */
  async #prepareUpdate(
    target: Target,
    current: JsonObject,
    next: JsonObject,
    mode: WriteMode,
    record: boolean,
  ): Promise<JsonObject | undefined> {
    const { kind, subresource } = target;
    const applied = record ? undefined : metaOf(next)["managedFields"];
    this.#prune(kind, next, mode);
    const scoped = scopedTo(subresource, kind, current, next);
    dropEmptyMetadata(scoped);
    carryMetadata(current, scoped);
    if (!record) ensureMeta(scoped)["managedFields"] = applied ?? [];
    applyDefaults(kind, scoped);
    keepAllocated(kind, current, scoped);
    const admitted = await this.#admit(target, "UPDATE", scoped, current, mode);
    carryMetadata(current, admitted);
    if (subresource === "") bumpGeneration(kind, current, admitted);
    if (record && equalExceptOwnership(current, admitted)) return undefined;
    if (record) recordUpdate(current, admitted, kind.schema, this.#writer(target, mode));
    return equalJson(current, admitted) ? undefined : admitted;
  }

  /** Stores an update; an object that only waited for its last finalizer goes instead. */
  async #commit(target: Target, object: JsonObject): Promise<JsonObject> {
    const meta = metaOf(object);
    const held =
      finalizersOf(object).length > 0 || waitsForPod(target.kind, object) || holdsNamespace(target.kind, object);
    if (meta["deletionTimestamp"] !== undefined && !held) {
      this.store.put(target.kind.storage, storeKey(target), object);
      return await this.#remove(target, object);
    }
    const stored = this.store.put(target.kind.storage, storeKey(target), object);
    return (await this.converter.convert([stored], target.kind, target.kind.apiVersion))[0]!;
  }
}

/** Kinds that a replacement creates where they are missing. */
const CREATED_BY_UPDATE: ReadonlySet<string> = new Set([
  "/services",
  "/endpoints",
  "/events",
  "coordination.k8s.io/leases",
  "rbac.authorization.k8s.io/roles",
  "rbac.authorization.k8s.io/rolebindings",
  "rbac.authorization.k8s.io/clusterroles",
  "rbac.authorization.k8s.io/clusterrolebindings",
]);

/** Kinds of Kubernetes itself that are replaced only with their version. */
const CONDITIONAL: ReadonlySet<string> = new Set([
  "coordination.k8s.io/leases",
  "policy/poddisruptionbudgets",
  "apiextensions.k8s.io/customresourcedefinitions",
  "admissionregistration.k8s.io/mutatingwebhookconfigurations",
  "admissionregistration.k8s.io/validatingwebhookconfigurations",
]);

/** The part of `next` that a write to the sub-resource may change, in the current object. A binding changes both parts. */
function scopedTo(subresource: string, kind: ServedKind, current: JsonObject, next: JsonObject): JsonObject {
  if (subresource === STATUS) return withStatus(current, next);
  return subresource === "binding" ? next : withoutStatus(kind, current, next);
}

/** The current object with the status of `next`; field ownership may change too. */
function withStatus(current: JsonObject, next: JsonObject): JsonObject {
  const result = cloneJson(current);
  if (next[STATUS] === undefined) delete result[STATUS];
  else result[STATUS] = next[STATUS];
  return result;
}

function withoutStatus(kind: ServedKind, current: JsonObject, next: JsonObject): JsonObject {
  if (!kind.hasStatus) return next;
  const { [STATUS]: _status, ...rest } = next;
  return current[STATUS] === undefined ? rest : { ...rest, [STATUS]: cloneJson(current[STATUS]) };
}

function equalExceptOwnership(a: JsonObject, b: JsonObject): boolean {
  const bare = (object: JsonObject): JsonObject => {
    const { managedFields: _managedFields, ...metadata } = metaOf(object);
    return { ...object, metadata };
  };
  return equalJson(bare(a), bare(b));
}
