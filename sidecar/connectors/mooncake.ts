import { singleToken } from "../body/api.ts";
import { jsonObject } from "../body/document.ts";
import { type HostPort, hostPortText } from "../wire.ts";
import type { ConcurrentConnector, Division, Stages } from "./connector.ts";

/** One data-parallel rank of a prefill pod, as its bootstrap server lists it. */
export interface MooncakeEngine {
  readonly rank: string;
  readonly id: string;
}

/** Finds the engines of prefill pods. */
export interface MooncakeEngines {
  /** Never none; rejects with `RequestError` where the pod's bootstrap server cannot be asked. */
  of(prefill: HostPort, signal: AbortSignal): Promise<readonly MooncakeEngine[]>;
  forget(prefill: HostPort): void;
}

/** Reads what a bootstrap server answers: `{"<rank>": {"engine_id": "…"}}`. Ranks without an id are left out. */
export function readEngines(answer: unknown): MooncakeEngine[] {
  if (typeof answer !== "object" || answer === null) return [];
  return Object.entries(answer).flatMap(([rank, entry]: [string, unknown]) => {
    const id = typeof entry === "object" && entry !== null && "engine_id" in entry ? entry.engine_id : undefined;
    return typeof id === "string" ? [{ rank, id }] : [];
  });
}

/** Both requests, for this engine of the prefill pod. */
export function mooncakeStages(division: Division, engine: MooncakeEngine, bootstrapPort: number): Stages {
  const { api, body, requestId, prefill } = division;
  const transfer = JSON.stringify(`xfer-${requestId}`);
  const bootstrap = `http://${hostPortText({ host: prefill.host, port: bootstrapPort })}`;
  const prefillBody = body.with({
    ...singleToken(body, api, "one"),
    kv_transfer_params: jsonObject({ do_remote_prefill: "false", do_remote_decode: "true", transfer_id: transfer }),
  });
  const decodeBody = body.with({
    kv_transfer_params: jsonObject({
      do_remote_prefill: "true",
      do_remote_decode: "false",
      transfer_id: transfer,
      remote_bootstrap_addr: JSON.stringify(bootstrap),
      remote_engine_id: JSON.stringify(engine.id),
    }),
  });
  return {
    prefill: { body: prefillBody, headers: { "x-data-parallel-rank": engine.rank } },
    decode: { body: decodeBody },
  };
}

/** vLLM's MooncakeConnector: both pods work at once, and decode fetches from the engine that it was told. */
export function createMooncake(
  engines: MooncakeEngines,
  bootstrapPort: number,
  random: () => number,
): ConcurrentConnector {
  return {
    order: "concurrent",
    decodesAlone: true,
    stages: async (division, signal) => {
      const known = await engines.of(division.prefill, signal);
      return mooncakeStages(division, known[Math.floor(random() * known.length)]!, bootstrapPort);
    },
    failed: (prefill) => engines.forget(prefill),
  };
}
