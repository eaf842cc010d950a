import type { EndpointStore } from "../datalayer/endpoint-store.ts";
import type { Pipeline } from "../scheduling/pipeline.ts";

const ROLE = "llm-d.ai/role";
/** Roles that take each stage; a pod without a role decodes. */
const PREFILL = new Set(["prefill", "encode-prefill", "prefill-decode", "both", "encode-prefill-decode"]);
const DECODE = new Set(["decode", "prefill-decode", "both", "encode-prefill-decode"]);

/** Saturation of the stages; undefined where no endpoint takes a stage. */
export interface StageSaturation {
  readonly prefill: number | undefined;
  readonly decode: number | undefined;
  /** The fuller stage counts. */
  readonly effective: number;
}

/** Measures how full the pool is with the detector of the configuration in effect. `now` is in monotonic ms. */
export function createSaturation(
  store: EndpointStore,
  pipeline: () => Pipeline,
  now: () => number,
): () => StageSaturation {
  let all = new Int32Array(0);
  let prefill = all;
  let decode = all;
  return () => {
    const { cycle, detector } = pipeline();
    if (all.length < store.capacity)
      [all, prefill, decode] = [0, 1, 2].map(() => new Int32Array(store.capacity)) as [
        Int32Array<ArrayBuffer>,
        Int32Array<ArrayBuffer>,
        Int32Array<ArrayBuffer>,
      ];
    const counts = { all: 0, prefill: 0, decode: 0 };
    for (const slot of store.slots()) {
      const role = store.metadata(slot).labels[ROLE];
      all[counts.all++] = slot;
      if (role !== undefined && PREFILL.has(role)) prefill[counts.prefill++] = slot;
      if (role === undefined || DECODE.has(role)) decode[counts.decode++] = slot;
    }
    cycle.nowMs = now();
    const of = (slots: Int32Array, count: number): number => detector.saturation?.(cycle, slots, count) ?? 0;
    const stages = {
      prefill: counts.prefill === 0 ? undefined : of(prefill, counts.prefill),
      decode: counts.decode === 0 ? undefined : of(decode, counts.decode),
    };
    const known = [stages.prefill, stages.decode].filter((value) => value !== undefined);
    return { ...stages, effective: known.length === 0 ? of(all, counts.all) : Math.max(...known) };
  };
}
