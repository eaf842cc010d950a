import type { KubeClient } from "../../kube/client.ts";
import { type ObjectChange, type Reflector, startReflector, withoutManagedFields } from "../../kube/reflector.ts";
import { KINDS, type Resource } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { RequestPolicies } from "../request/policies.ts";
import { createRewriteTable, NO_REWRITES, type RewriteTable } from "../request/rewrite.ts";
import { appliesTo, isLegacy, type PolicyPool, priorityOf, rulesOf } from "./policy.ts";

/** Objectives and rewrites of a pool that are followed. */
export interface PolicyWatch extends RequestPolicies {
  /** Whether everything has been listed once. */
  synced(): boolean;
  close(): Promise<void>;
}

/**
 * Follows the InferenceObjectives and InferenceModelRewrites of the pool's namespace. Where the kinds of `llm-d.ai` are
 * installed those count alone, else those of `inference.networking.x-k8s.io`; where neither is, nothing is in force.
 */
export function startPolicyWatch(
  client: Pick<KubeClient, "list" | "watch">,
  pool: PolicyPool,
  logger: Logger,
): PolicyWatch {
  const objectives = new KindPair(client, pool, logger, [KINDS.InferenceObjective, KINDS.InferenceObjectiveV1Alpha2]);
  const rewrites = new KindPair(client, pool, logger, [
    KINDS.InferenceModelRewrite,
    KINDS.InferenceModelRewriteV1Alpha2,
  ]);
  let priorities: ReadonlyMap<string, number> = new Map();
  let table: RewriteTable = NO_REWRITES;
  return {
    priorityOf: (objective) => {
      if (objectives.takeChanged())
        priorities = new Map(objectives.inForce().map((object) => [object.metadata.name, priorityOf(object)]));
      return priorities.get(objective);
    },
    rewrites: () => {
      if (rewrites.takeChanged()) {
        const rules = rulesOf(rewrites.inForce());
        warnUnreachable(rules, logger);
        table = createRewriteTable(rules);
      }
      return table;
    },
    synced: () => objectives.synced && rewrites.synced,
    close: async () => void (await Promise.all([objectives.close(), rewrites.close()])),
  };
}

function warnUnreachable(rules: ReturnType<typeof rulesOf>, logger: Logger): void {
  for (const { name, targets } of rules) {
    const weighted = targets.filter(({ weight }) => weight !== undefined);
    if (weighted.length > 0 && weighted.length < targets.length)
      logger.warn("targets without a weight beside others that have one get no requests", {
        inferenceModelRewrite: name,
        models: targets.filter(({ weight }) => weight === undefined).map(({ model }) => model),
      });
  }
}

/** One kind in its two groups. */
class KindPair {
  readonly #current: Reflector;
  readonly #legacy: Reflector;
  readonly #pool: PolicyPool;
  readonly #logger: Logger;
  #changed = true;
  #usedCurrent: boolean | undefined;

  constructor(
    client: Pick<KubeClient, "list" | "watch">,
    pool: PolicyPool,
    logger: Logger,
    [current, legacy]: readonly [Resource, Resource],
  ) {
    this.#pool = pool;
    this.#logger = logger;
    const { namespace } = pool;
    const follow = (resource: Resource): Reflector =>
      startReflector({
        client,
        resource,
        selection: { namespace },
        transform: withoutManagedFields,
        optional: true,
        logger,
      });
    this.#current = follow(current);
    this.#legacy = follow(legacy);
    for (const reflector of [this.#current, this.#legacy]) reflector.subscribe((change) => this.#note(change));
  }

  get synced(): boolean {
    return this.#current.synced && this.#legacy.synced;
  }

  /** Whether what is in force may differ from the last time of asking. */
  takeChanged(): boolean {
    const usesCurrent = this.#current.isServed;
    const changed = this.#changed || usesCurrent !== this.#usedCurrent;
    if (usesCurrent !== this.#usedCurrent && usesCurrent && this.#legacy.cache.size > 0)
      this.#logger.warn("legacy objects are ignored since the kinds of llm-d.ai are installed: move them there", {
        objects: this.#legacy.cache.list().map(({ kind, metadata }) => `${kind} ${metadata.name}`),
      });
    this.#usedCurrent = usesCurrent;
    this.#changed = false;
    return changed;
  }

  inForce(): readonly KubeObject[] {
    const source = this.#current.isServed ? this.#current : this.#legacy;
    return source.cache.list().filter((object) => appliesTo(object, this.#pool));
  }

  close(): Promise<unknown> {
    return Promise.all([this.#current.close(), this.#legacy.close()]);
  }

  #note({ type, object }: ObjectChange): void {
    this.#changed = true;
    const { kind, metadata } = object;
    if (isLegacy(object) && type === "added")
      this.#logger.warn(`DEPRECATION: ${kind} of inference.networking.x-k8s.io; use llm-d.ai/v1alpha2`, {
        name: metadata.name,
      });
    const inForce = type !== "deleted" && appliesTo(object, this.#pool);
    this.#logger.info(inForce ? `Added/Updated ${kind}` : `${kind} is not in force`, { name: metadata.name, type });
  }
}
