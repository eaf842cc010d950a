import type { JsonObject } from "../../crds/schema/types.ts";
import { ApiError } from "./errors.ts";
import type { ServedKind } from "./kinds.ts";
import { at, ensureObject, objectOf, textOf } from "./objects.ts";
import type { Store } from "./store.ts";

const SERVICES = "/services";
/** Addresses of 10.96.0.0/16 that are given. */
const CAPACITY = 65_000;

/** Gives Services their addresses in the cluster's service network. */
export class ServiceAddresses {
  /** Services by address. */
  readonly #users = new Map<string, number>();
  #last = 0;

  constructor(store: Store) {
    for (const { object } of store.list(SERVICES)) this.#count(object, 1);
    store.subscribe(({ resource, type, object, previous }) => {
      if (resource !== SERVICES) return;
      if (previous !== undefined) this.#count(previous, -1);
      if (type !== "DELETED") this.#count(object, 1);
    });
  }

  /** Sets `spec.clusterIP` and `clusterIPs` of a new Service. Errors: 500 when the network is full. */
  allocate(kind: ServedKind, object: JsonObject): void {
    if (kind.storage !== SERVICES || at(object, "spec", "type") === "ExternalName") return;
    const spec = ensureObject(object, "spec");
    if (textOf(spec["clusterIP"]) === "") spec["clusterIP"] = this.#free();
    spec["clusterIPs"] = [spec["clusterIP"]!];
    spec["ipFamilyPolicy"] ??= "SingleStack";
    spec["ipFamilies"] ??= ["IPv4"];
  }

  #free(): string {
    for (let tried = 0; tried < CAPACITY; tried++) {
      this.#last = (this.#last % CAPACITY) + 1;
      const address = `10.96.${this.#last >> 8}.${this.#last & 255}`;
      if (!this.#users.has(address)) return address;
    }
    throw new ApiError(
      500,
      "InternalError",
      "the service network 10.96.0.0/16 is full; delete services that are not used",
    );
  }

  #count(object: JsonObject | undefined, by: number): void {
    const address = textOf(at(object, "spec", "clusterIP"));
    const users = (this.#users.get(address) ?? 0) + by;
    if (users > 0) this.#users.set(address, users);
    else this.#users.delete(address);
  }
}

/** Fields of specs that the server gave, and that a replacement without them keeps. */
const KEPT: Readonly<Record<string, readonly string[]>> = {
  [SERVICES]: ["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy"],
  "/pods": ["serviceAccountName", "serviceAccount", "priority", "preemptionPolicy", "tolerations"],
};

/** A Service that does not name its address keeps it, as a pod keeps what admission gave it. */
export function keepAllocated(kind: ServedKind, current: JsonObject, next: JsonObject): void {
  const fields = KEPT[kind.storage];
  if (fields === undefined) return;
  const [from, to] = [objectOf(current["spec"]), ensureObject(next, "spec")];
  for (const field of fields) if (from[field] !== undefined) to[field] ??= structuredClone(from[field]);
}
