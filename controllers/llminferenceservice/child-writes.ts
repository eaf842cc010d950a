import { FIELD_MANAGER, needsApply } from "../../kube/apply.ts";
import type { KubeClient } from "../../kube/client.ts";
import { describeObject, resourceOf } from "../../kube/resources.ts";
import { KubeError, type KubeObject, isNotFound, keyOf } from "../../kube/types.ts";
import type { Cluster } from "../cluster/cluster.ts";
import { type Mark, type Marks, notReady } from "../status/conditions.ts";
import { childRefused } from "../status/refusals.ts";
import type { Step } from "./children.ts";
import type { LiveRef, Plan } from "./plan.ts";

/** Where children are written, and the caches that learn of it. */
export interface Writer {
  readonly client: KubeClient;
  readonly cluster: Cluster;
}

/** One write that changed something; `object` is kind and name. */
export interface ChildWrite {
  readonly verb: "Created" | "Updated" | "Deleted";
  readonly object: string;
}

/** What came of the writes of a pass. */
export interface ChildWrites {
  readonly done: readonly ChildWrite[];
  /** Marks of the conditions that suffer, where the cause of a refusal is known. */
  readonly refused: Marks;
  readonly errors: readonly unknown[];
}

/**
 * Makes the cluster what the plan wants. A refused child costs those after it in its step, and what is obsolete goes only
 * once all that takes its place is there. Never throws.
 */
export async function writeChildren(writer: Writer, plan: Plan): Promise<ChildWrites> {
  const writes = new Writes(writer, plan);
  for (const reference of plan.replacements) await writes.attempt(undefined, () => deleteObject(writer, reference));
  for (const object of plan.children) await writes.apply(object);
  if (writes.errors.length === 0) for (const reference of plan.deletions) await writes.delete(reference);
  return writes;
}

class Writes implements ChildWrites {
  readonly done: ChildWrite[] = [];
  readonly refused: Record<string, Mark> = {};
  readonly errors: unknown[] = [];
  readonly #writer: Writer;
  readonly #plan: Plan;
  readonly #failed = new Set<Step | undefined>();

  constructor(writer: Writer, plan: Plan) {
    this.#writer = writer;
    this.#plan = plan;
  }

  async apply(child: KubeObject): Promise<void> {
    const step = this.#plan.stepOf.get(child);
    if (this.#failed.has(step)) return;
    await this.attempt({ step, kind: child.kind }, async () => {
      const desired = this.#plan.current(child);
      const live = this.#writer.cluster.find(resourceOf(desired), desired.metadata);
      // A new object is not forced: somebody else's of the same name that no cache shows stays as it is.
      const options = { fieldManager: FIELD_MANAGER, force: live !== undefined };
      if (live !== undefined && !needsApply(live, desired, options)) return;
      const { client, cluster } = this.#writer;
      await cluster.write(desired, () => client.apply(desired, options));
      this.done.push({ verb: live === undefined ? "Created" : "Updated", object: describeObject(desired) });
    });
  }

  async delete(reference: LiveRef): Promise<void> {
    await this.attempt(undefined, async () => {
      await deleteObject(this.#writer, reference);
      this.done.push({ verb: "Deleted", object: `${reference.resource.kind} ${keyOf(reference.key)}` });
    });
  }

  async attempt(
    origin: { readonly step: Step | undefined; readonly kind: string } | undefined,
    work: () => Promise<void>,
  ): Promise<void> {
    try {
      await work();
    } catch (error) {
      this.errors.push(error);
      this.#failed.add(origin?.step);
      if (!(error instanceof KubeError) || origin?.step === undefined) return;
      const cause = childRefused(origin.kind, error, origin.step.reason);
      if (cause !== undefined) this.refused[origin.step.condition] = notReady(cause.reason, cause.message);
    }
  }
}

/** Deletes an object; one that is gone already is none the less deleted. Errors: those of the client. */
export async function deleteObject({ client, cluster }: Writer, { resource, key }: LiveRef): Promise<void> {
  try {
    await client.delete(resource, key, { propagationPolicy: "Background" });
  } catch (error) {
    if (!isNotFound(error)) throw error;
  }
  cluster.forget(resource, key);
}
