import { COMPONENT_LABEL } from "../controllers/labels.ts";
import { KINDS } from "../kube/resources.ts";
import { KubeError, isNotFound } from "../kube/types.ts";
import type { BedOperator, OperatorBed } from "./operator-bed.ts";
import { ownedObjects } from "./owned-objects.ts";
import { SHAPES } from "./service-shapes.ts";
import { until } from "../playground/until.ts";
import { createRandom } from "../simulator/engine/random.ts";

const NAMES = ["a", "b", "c"];
const STOP = "serving.kserve.io/stop";
const USER = { fieldManager: "user" };

/** What a sequence of operations came to. */
export interface LivesOutcome {
  /** The operations that were done, for a report of a failure. */
  readonly trace: readonly string[];
  /** Owned objects in the end, and what a fresh operator makes of the same services in an empty namespace. */
  readonly lived: Record<string, unknown>;
  readonly fresh: Record<string, unknown>;
  /** Writes of the operator after all was settled, and of one that was started anew. */
  readonly writesAtRest: readonly string[];
}

/**
 * Does random things to services while an operator reconciles them, ending and restarting it at random; then compares what is
 * there with what a fresh start makes of the same services.
 */
export async function runLives(
  bed: OperatorBed,
  options: { readonly namespace: string; readonly seed: number; readonly operations: number },
): Promise<LivesOutcome> {
  const life = new Life(bed, options.namespace, createRandom(options.seed));
  for (let operation = 0; operation < options.operations; operation++) await life.step();
  return life.conclude();
}

const isWrite = ({ method, path }: { method: string; path: string }): boolean =>
  method !== "GET" && !path.includes("/leases/");

class Life {
  readonly #bed: OperatorBed;
  readonly #namespace: string;
  readonly #random: () => number;
  readonly #trace: string[] = [];
  #operator: BedOperator | undefined;

  constructor(bed: OperatorBed, namespace: string, random: () => number) {
    this.#bed = bed;
    this.#namespace = namespace;
    this.#random = random;
  }

  #pick<T>(items: readonly T[]): T {
    return items[Math.floor(this.#random() * items.length)]!;
  }

  async step(): Promise<void> {
    this.#operator ??= await this.#bed.start();
    const operations: readonly (readonly [weight: number, run: () => Promise<string>])[] = [
      [6, () => this.#put()],
      [3, () => this.#edit()],
      [2, () => this.#stopOrStart()],
      [2, () => this.#delete()],
      [2, () => this.#meddle()],
      [1, () => this.#restart()],
      [1, () => this.#kill()],
      [3, () => this.#wait()],
    ];
    const total = operations.reduce((sum, [weight]) => sum + weight, 0);
    let left = this.#random() * total;
    const [, run] = operations.find(([weight]) => (left -= weight) < 0) ?? operations[0]!;
    this.#trace.push(await run());
  }

  #key(): { namespace: string; name: string } {
    return { namespace: this.#namespace, name: this.#pick(NAMES) };
  }

  /** Creates the service with a random topology, or switches it to one. */
  async #put(): Promise<string> {
    const key = this.#key();
    const shape = this.#pick(Object.keys(SHAPES));
    const { apiVersion, kind } = KINDS.LLMInferenceService;
    const live = await this.#bed.client.find(KINDS.LLMInferenceService, key);
    const what = `${key.name} becomes ${shape}`;
    if (live?.metadata.deletionTimestamp !== undefined) return `${what}: terminating`;
    try {
      if (live === undefined)
        await this.#bed.client.create({ apiVersion, kind, metadata: key, spec: SHAPES[shape] }, USER);
      else await this.#bed.client.update({ ...live, spec: SHAPES[shape] }, USER);
      return what;
    } catch (error) {
      return `${what}: ${this.#tolerate(error)}`;
    }
  }

  async #edit(): Promise<string> {
    const replicas = Math.floor(this.#random() * 4);
    const bodies = [
      { spec: { labels: { team: `t${replicas}` } } },
      { spec: { replicas } },
      { metadata: { labels: { colour: `c${replicas}` } } },
      { spec: { template: { containers: [{ name: "main", image: `vllm:${replicas}` }] } } },
      { spec: { template: null } },
    ];
    return this.#patch(this.#key(), this.#pick(bodies));
  }

  #stopOrStart(): Promise<string> {
    return this.#patch(this.#key(), { metadata: { annotations: { [STOP]: this.#random() < 0.5 ? "true" : null } } });
  }

  async #patch(key: { namespace: string; name: string }, body: Record<string, unknown>): Promise<string> {
    const what = `${key.name} ${JSON.stringify(body)}`;
    try {
      await this.#bed.client.patch(KINDS.LLMInferenceService, key, { type: "merge", body }, USER);
      return what;
    } catch (error) {
      return `${what}: ${this.#tolerate(error)}`;
    }
  }

  async #delete(): Promise<string> {
    const key = this.#key();
    await this.#bed.client.delete(KINDS.LLMInferenceService, key).catch((error: unknown) => this.#tolerate(error));
    return `delete ${key.name}`;
  }

  /** Somebody deletes a child, or changes a label that it has of us. */
  async #meddle(): Promise<string> {
    const kind = this.#pick([KINDS.Deployment, KINDS.Service, KINDS.Secret, KINDS.HTTPRoute, KINDS.Role]);
    const labelSelector = "app.kubernetes.io/part-of=llminferenceservice";
    const { items } = await this.#bed.client.list(kind, { namespace: this.#namespace, labelSelector });
    if (items.length === 0) return "nothing to meddle with";
    const { metadata } = this.#pick(items);
    const key = { namespace: metadata.namespace, name: metadata.name };
    const body = { metadata: { labels: { [COMPONENT_LABEL]: "meddled" } } };
    const deletes = this.#random() < 0.6 || metadata.labels?.[COMPONENT_LABEL] === undefined;
    await (deletes
      ? this.#bed.client.delete(kind, key)
      : this.#bed.client.patch(kind, key, { type: "merge", body })
    ).catch((error: unknown) => this.#tolerate(error));
    return `${deletes ? "delete" : "change"} ${kind.kind} ${key.name}`;
  }

  async #restart(): Promise<string> {
    await this.#operator?.close();
    this.#operator = await this.#bed.start();
    return "operator restarted";
  }

  /** In the midst of what it does, or else at rest. */
  async #kill(): Promise<string> {
    const answers = 1 + Math.floor(this.#random() * 20);
    this.#operator?.dieAfter(answers);
    await Promise.race([this.#operator?.died, this.#bed.rest()]);
    await this.#operator?.die();
    this.#operator = await this.#bed.start();
    return `operator killed after ${answers} answers`;
  }

  async #wait(): Promise<string> {
    await this.#bed.rest();
    return "waited";
  }

  /** What a user runs into: conflicts, refusals by the webhook, objects that are gone, and an operator that is away. */
  #tolerate(error: unknown): string {
    if (error instanceof KubeError && [400, 403, 404, 409, 422, 500].includes(error.code)) return error.reason;
    throw error;
  }

  async conclude(): Promise<LivesOutcome> {
    this.#operator ??= await this.#bed.start();
    await this.#bed.rest();
    const settledAt = this.#bed.answered.length;
    await this.#operator.close();
    this.#operator = await this.#bed.start();
    await this.#bed.rest();
    const writesAtRest = this.#bed.answered
      .slice(settledAt)
      .filter(isWrite)
      .map(({ method, path }) => `${method} ${path}`);
    const lived = await ownedObjects(this.#bed.client, this.#namespace);
    const fresh = await this.#afresh();
    await this.#operator.close();
    return { trace: this.#trace, lived, fresh, writesAtRest };
  }

  /** Deletes everything, then creates the same services again. */
  async #afresh(): Promise<Record<string, unknown>> {
    const { client } = this.#bed;
    const { items } = await client.list(KINDS.LLMInferenceService, { namespace: this.#namespace });
    const left = items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
    for (const { metadata } of items) await client.delete(KINDS.LLMInferenceService, metadata);
    await this.#empty();
    for (const { apiVersion, kind, metadata, spec } of left) {
      const { namespace, name, labels, annotations } = metadata;
      await client.create({ apiVersion, kind, metadata: { namespace, name, labels, annotations }, spec }, USER);
    }
    await this.#bed.rest();
    return ownedObjects(client, this.#namespace);
  }

  async #empty(): Promise<void> {
    const left = async (): Promise<string[]> => {
      const owned = ownedObjects(this.#bed.client, this.#namespace);
      return Object.keys(
        await owned.catch((error: unknown) => {
          if (isNotFound(error)) return {};
          throw error;
        }),
      );
    };
    let orphans: readonly string[] = [];
    const none = async (): Promise<boolean> => (orphans = await left()).length === 0;
    await until("no orphan", none, { timeoutMs: 10_000, pollMs: 20, detail: () => orphans.join(", ") });
  }
}
