import type { JsonObject } from "../../crds/schema/types.ts";
import type { Admission } from "./admission.ts";
import type { Converter } from "./conversion.ts";
import { admitBuiltin, applyDefaults, zeroOf } from "./defaults.ts";
import { type DeleteMode, holdsNamespace, isGraceful, markDeleted, waitsForPod } from "./deletion.ts";
import { ApiError, alreadyExists, badRequest, forbidden, invalid, notFound, outdated } from "./errors.ts";
import type { KindRegistry } from "./kinds.ts";
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
  textOf,
  timestamp,
} from "./objects.ts";
import { refuseOtherThanMeant, refuseOutdated, refuseUnconditional } from "./preconditions.ts";
import { type Target, type WriteMode, type Written, storeKey, subjectOf } from "./target.ts";
import { refuseUndecodable, refuseUnconvertible, refuseUndecodablePatch, refuseUntyped } from "./typed-decoding.ts";
import { ServiceAddresses, keepAllocated } from "./service-addresses.ts";
import type { Store } from "./store.ts";
import { validateObject, warningsAbout } from "./validation.ts";
import { STATUS, appliedPart, equalExceptOwnership, isUnrecorded, ownedPart, scopedTo } from "./write-scope.ts";

/** A write that meets a concurrent one starts again; this often before it is a conflict. */
const MAX_ATTEMPTS = 10;

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

const withVersion = (object: JsonObject, resourceVersion: string): JsonObject => ({
  ...object,
  metadata: { ...metaOf(object), resourceVersion },
});

/** Kinds whose status may come with their creation, as a kubelet registers its node. */
const KEEPS_STATUS = new Set(["/nodes"]);

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
    return await this.#create(target, object, mode, true);
  }

  /** Replaces an object. Errors: as `create`, 404, 409 when `metadata.resourceVersion` is not the current one. */
  async update(target: Target, body: JsonObject, mode: WriteMode): Promise<Written> {
    this.#checkUrl(target, body);
    refuseUndecodable(target.kind, body);
    const pruned = cloneJson(body);
    this.#prune(target, pruned, mode);
    const isMissing = this.store.get(target.kind.storage, storeKey(target)) === undefined;
    if (isMissing && target.subresource === "" && CREATED_BY_UPDATE.has(target.kind.storage)) {
      delete ensureMeta(pruned)["resourceVersion"];
      return { object: await this.#create(target, pruned, mode, true), created: true };
    }
    const replace = (): JsonObject => {
      refuseUnconditional(target, pruned);
      return cloneJson(pruned);
    };
    return { object: await this.#modify(target, mode, replace), created: false };
  }

  /** Writes what `change` makes of the current object; runs again when another write comes between. */
  async patch(target: Target, mode: WriteMode, change: (current: JsonObject) => JsonObject): Promise<Written> {
    const object = await this.#modify(target, mode, (current) => {
      const next = change(current);
      refuseUndecodablePatch(target.kind, next);
      this.#prune(target, next, mode, true);
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
    this.#checkUrl({ ...target, name: "" }, applied);
    if (metaOf(applied)["managedFields"] !== undefined) throw badRequest("metadata.managedFields must be nil");
    const unknown = target.kind.structural.prune(cloneJson(applied));
    refuseUntyped(target.kind, applied, unknown, namespaceOf(body));
    const scoped = appliedPart(target, applied);
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
    refuseOtherThanMeant(target, stored, mode);
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
    if (equalJson(next, stored)) return { object: current, gone: false };
    const object = await this.#commit(target, next, isGraceful(target.kind));
    return { object, gone: this.store.get(target.kind.storage, storeKey(target)) === undefined };
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

  #checkUrl(target: Target, object: JsonObject): void {
    const complaint = urlMismatch(object, target.kind, target.namespace, target.name === "" ? undefined : target.name);
    if (complaint !== undefined) throw badRequest(complaint);
  }

  #applied(target: Target, current: JsonObject | undefined, scoped: JsonObject, mode: WriteMode): JsonObject {
    const { kind } = target;
    const result = applyConfiguration(current, scoped, kind.schema, this.#writer(target, mode), mode.force);
    refuseUnconvertible(kind, result);
    this.#checkUrl(target, scoped);
    return result;
  }

  #writer(target: Target, mode: WriteMode) {
    return {
      manager: mode.manager,
      apiVersion: target.kind.apiVersion,
      subresource: target.subresource,
      // Writes through scale are told without their time.
      time: target.subresource === "scale" ? "" : timestamp(this.#now()),
    };
  }

  /** Drops unknown fields: an error, a warning, or silence, as the client asked. */
  #prune({ kind, name }: Target, object: JsonObject, mode: WriteMode, isPatched = false): void {
    const unknown = kind.structural.prune(object).map((path) => `unknown field ${JSON.stringify(path)}`);
    if (unknown.length === 0 || mode.fieldValidation === "Ignore") return;
    if (mode.fieldValidation === "Warn") return void mode.warnings.push(...unknown);
    const message = `strict decoding error: ${unknown.join(", ")}`;
    if (!isPatched)
      throw badRequest(
        `${kind.kind} in version ${JSON.stringify(kind.version)} cannot be handled as a ${kind.kind}: ${message}`,
      );
    const error = { path: "patch", kind: "Invalid" as const, value: JSON.stringify(object), message };
    throw invalid({ group: kind.group, kind: "", name }, [error]);
  }

  async #create(target: Target, object: JsonObject, mode: WriteMode, record: boolean): Promise<JsonObject> {
    const { kind } = target;
    const version = textOf(metaOf(object)["resourceVersion"]);
    this.#prune(target, object, mode);
    dropEmptyMetadata(object);
    stampNew(kind, object, target.namespace, this.#now());
    if (kind.hasStatus && !KEEPS_STATUS.has(kind.storage)) delete object[STATUS];
    applyDefaults(kind, object);
    const named = { ...target, name: nameOf(object) };
    this.#checkNamespace(named);
    if (record) recordUpdate(zeroOf(kind), object, kind.schema, this.#writer(target, mode));
    admitBuiltin(kind, object);
    const admitted = await this.#admit(named, "CREATE", object, undefined, mode);
    if (version === "" || mode.dryRun) this.#checkFree(named);
    this.#addresses.allocate(kind, admitted);
    if (mode.dryRun) return version === "" ? admitted : withVersion(admitted, version);
    if (version !== "") throw new ApiError(500, "", "resourceVersion should not be set on objects to be created");
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
    mode.warnings.push(...warningsAbout(kind, mutated, old));
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
      refuseOutdated(target, current, next);
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
    const scoped = scopedTo(subresource, kind, current, next);
    dropEmptyMetadata(scoped);
    carryMetadata(current, scoped);
    if (!record) ensureMeta(scoped)["managedFields"] = applied ?? [];
    applyDefaults(kind, scoped);
    keepAllocated(kind, current, scoped);
    const admitted = await this.#admit(target, "UPDATE", scoped, current, mode);
    carryMetadata(current, admitted);
    if (subresource !== STATUS) bumpGeneration(kind, current, admitted);
    if (record && equalExceptOwnership(current, admitted)) return undefined;
    if (record && !isUnrecorded(target)) {
      const owned = ownedPart(target, admitted, next);
      recordUpdate(current, owned, kind.schema, this.#writer(target, mode));
      const { managedFields } = metaOf(owned);
      if (managedFields !== undefined) ensureMeta(admitted)["managedFields"] = managedFields;
      else delete ensureMeta(admitted)["managedFields"];
    }
    return equalJson(current, admitted) ? undefined : admitted;
  }

  /** Stores an update; an object that only waited for its last finalizer goes instead, where `isTold` after its last state. */
  async #commit(target: Target, object: JsonObject, isTold = false): Promise<JsonObject> {
    const meta = metaOf(object);
    const held =
      finalizersOf(object).length > 0 || waitsForPod(target.kind, object) || holdsNamespace(target.kind, object);
    if (meta["deletionTimestamp"] !== undefined && !held) {
      if (isTold) this.store.put(target.kind.storage, storeKey(target), object);
      await this.#remove(target, object);
      return (await this.converter.convert([object], target.kind, target.kind.apiVersion))[0]!;
    }
    const stored = this.store.put(target.kind.storage, storeKey(target), object);
    return (await this.converter.convert([stored], target.kind, target.kind.apiVersion))[0]!;
  }
}
