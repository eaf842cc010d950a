import type { Json, JsonObject } from "../crds/schema/types.ts";
import { textAt } from "../crds/json.ts";
import { type Condition, parseConditions } from "../controllers/status/conditions.ts";
import { FAULTS } from "../controllers/status/faults.ts";
import type { HttpKubeClient } from "../kube/http-client.ts";
import { KINDS, type Resource, resourceOf } from "../kube/resources.ts";
import { KubeError, type KubeObject } from "../kube/types.ts";
import { NAME, NAMESPACE } from "./fault-objects.ts";
import { PLAIN, type Scenario } from "./fault-scenarios.ts";
import { until } from "../playground/until.ts";

/** What the status of a service came to say of a fault. */
export interface Told {
  /** From the moment at which the fault is there. */
  readonly ms: number;
  readonly conditions: readonly Condition[];
  readonly named: boolean;
  /** Why the fault could not be brought about. */
  readonly error?: unknown;
}

const LIMIT_MS = 5_000;
const USER = { fieldManager: "user" };
const SERVICE = KINDS.LLMInferenceService;

/** Whether a False condition has a reason of the fault and all the words. */
export function tells(conditions: readonly Condition[], { fault, words }: Pick<Scenario, "fault" | "words">): boolean {
  const reasons: readonly string[] = FAULTS[fault].reasons;
  return conditions.some(
    ({ status, reason = "", message = "" }) =>
      status === "False" && reasons.includes(reason) && words.every((word) => message.includes(word)),
  );
}

/** Kinds whose status others write into objects that the operator makes. */
const REPORTED: ReadonlySet<string> = new Set(["Deployment", "HTTPRoute", "InferencePool", "HorizontalPodAutoscaler"]);

/** For an object that the operator makes. */
const PATIENCE = { timeoutMs: 10_000, pollMs: 20 };

/** A condition as APIs want it whole. */
function whole(value: Json): Json {
  if (Array.isArray(value)) return value.map(whole);
  if (typeof value !== "object" || value === null) return value;
  const object = Object.fromEntries(Object.entries(value).map(([key, item]) => [key, whole(item)]));
  if (typeof object["type"] === "string" && typeof object["status"] === "string")
    return { lastTransitionTime: "2026-01-01T00:00:00Z", reason: "Unset", message: "", ...object };
  return object["parentRef"] === undefined ? object : { controllerName: "example.com/gateway", ...object };
}

/** Brings the fault of a scenario about in a namespace of its own, as those would who cause it or report it. */
export class SeededFault {
  readonly #client: HttpKubeClient;
  readonly #namespace: string;
  readonly #scenario: Scenario;

  constructor(client: HttpKubeClient, namespace: string, scenario: Scenario) {
    this.#client = client;
    this.#namespace = namespace;
    const words = scenario.words.map((word) => word.replace(`${NAMESPACE}/`, `${namespace}/`));
    this.#scenario = { ...scenario, words };
  }

  /** Creates the service, brings the fault about, and waits for what the status says: `named` is false after 5 s. */
  async tell(): Promise<Told> {
    const objects = this.#scenario.objects ?? [];
    const isForeign = ({ kind }: KubeObject): boolean => kind === KINDS.Service.kind;
    for (const object of objects.filter(isForeign)) await this.#create(object);
    const { apiVersion, kind } = SERVICE;
    const metadata = { name: NAME, namespace: this.#namespace };
    let startedAt = performance.now();
    try {
      await this.#client.create({ apiVersion, kind, metadata, spec: this.#scenario.spec ?? PLAIN }, USER);
    } catch (error) {
      return this.#refused(error, performance.now() - startedAt);
    }
    for (const object of objects.filter((candidate) => !isForeign(candidate))) {
      if (REPORTED.has(object.kind)) await this.#report(object, () => (startedAt = performance.now()));
      else if (object.kind === KINDS.Pod.kind) {
        startedAt = performance.now();
        await this.#run(object);
      } else if (object.kind === KINDS.Gateway.kind) await this.#gateway(object);
    }
    return await this.#listen(startedAt);
  }

  /** Some faults do not get as far as an object: the answer to `kubectl apply` names them. */
  #refused(error: unknown, ms: number): Told {
    if (!(error instanceof KubeError)) throw error;
    return { ms, conditions: [], named: this.#scenario.words.every((word) => error.message.includes(word)) };
  }

  async #listen(startedAt: number): Promise<Told> {
    return await until(
      "an answer to the fault",
      async () => {
        const service = await this.#client.get(SERVICE, { namespace: this.#namespace, name: NAME });
        const conditions = parseConditions((service["status"] as JsonObject | undefined)?.["conditions"]);
        const ready = conditions.filter(({ type }) => type === "Ready");
        const named =
          tells(conditions, this.#scenario) && this.#scenario.words.every((word) => ready[0]?.message?.includes(word));
        const ms = performance.now() - startedAt;
        return (named || ms > LIMIT_MS) && { ms, conditions, named };
      },
      PATIENCE,
    );
  }

  async #create(object: KubeObject): Promise<KubeObject> {
    const { ownerReferences: _, generation: __, ...metadata } = object.metadata;
    const { status: ___, ...rest } = object;
    const spec = object.kind === KINDS.Service.kind ? { ports: [{ port: 80 }] } : rest["spec"];
    return await this.#client.create({ ...rest, spec, metadata: { ...metadata, namespace: this.#namespace } }, USER);
  }

  /** The status of an object that the operator makes, as its controller would write it. */
  async #report(object: KubeObject, onWrite: () => void): Promise<void> {
    const resource = resourceOf(object);
    const key = { namespace: this.#namespace, name: object.metadata.name };
    const live = await until(`${object.kind} ${key.name}`, () => this.#client.find(resource, key), PATIENCE);
    const status = whole(object["status"] as Json) as JsonObject;
    const observed = "observedGeneration" in status ? { observedGeneration: live.metadata.generation ?? 1 } : {};
    onWrite();
    await this.#setStatus(resource, key, { ...status, ...observed });
  }

  /** A pod with a status, and the Events that a kubelet publishes. */
  async #run(object: KubeObject): Promise<void> {
    const spec = object["spec"] as JsonObject;
    const containers = (spec["containers"] ?? [{ name: "main" }]) as JsonObject[];
    const created = await this.#create({
      ...object,
      spec: { ...spec, containers: containers.map((container) => ({ image: "vllm:v9", ...container })) },
    });
    const { name, uid } = created.metadata;
    for (const warning of this.#scenario.extras?.warnings?.[name] ?? [])
      await this.#client.create({
        apiVersion: KINDS.Event.apiVersion,
        kind: KINDS.Event.kind,
        metadata: { name: `${name}.1`, namespace: this.#namespace },
        involvedObject: { apiVersion: "v1", kind: "Pod", namespace: this.#namespace, name, uid },
        type: "Warning",
        ...warning,
        lastTimestamp: "2026-01-01T00:00:00Z",
      });
    const status = { conditions: [{ type: "PodScheduled", status: "True" }], ...(object["status"] as JsonObject) };
    await this.#setStatus(KINDS.Pod, created.metadata, whole(status) as JsonObject);
  }

  /** The bed's Gateway is well until a scenario says otherwise. */
  async #gateway(object: KubeObject): Promise<void> {
    const status = whole(object["status"] as Json) as JsonObject;
    const isWell = (status["conditions"] as JsonObject[]).every((entry) => textAt(entry, "status") !== "False");
    if (!isWell) await this.#setStatus(KINDS.Gateway, object.metadata, status);
  }

  async #setStatus(resource: Resource, key: { namespace?: string | undefined; name: string }, status: JsonObject) {
    await this.#client.patch(resource, key, { type: "merge", body: { status } }, { subresource: "status" });
  }
}
