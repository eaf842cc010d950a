import { loadConfig } from "../../scheduler/config/load.ts";
import { ENGINES } from "../../scheduler/datalayer/engines.ts";
import { readSample } from "../../scheduler/datalayer/sample.ts";
import { decodeProcessingRequest, readAttributes } from "../../scheduler/extproc/decode.ts";
import { createExtProcMethod } from "../../scheduler/extproc/stream.ts";
import { createUsageReader } from "../../scheduler/extproc/usage.ts";
import { WireError } from "../../scheduler/extproc/wire.ts";
import { schedulingMetricsOf } from "../../scheduler/metrics/scheduling-metrics.ts";
import { replaceModel } from "../../scheduler/parsers/json-body.ts";
import { estimateParameters, mediaEstimate } from "../../scheduler/plugins/data-producer/media-estimate.ts";
import { createParsers, PARSER_TYPES } from "../../scheduler/parsers/parsers.ts";
import { API_TRAITS } from "../../scheduler/parsers/traits.ts";
import { RequestError } from "../../scheduler/request/types.ts";
import { createRewriteTable } from "../../scheduler/request/rewrite.ts";
import { GRPC_STATUS } from "../../scheduler/server/transport.ts";
import { createMetricsRegistry } from "../../telemetry/metrics.ts";
import { createTestContext, framesOf } from "../extproc-exchange.ts";
import type { Target } from "./fuzz.ts";
import { below, type Chance, mutate, oneOf } from "./mutate.ts";
import { ANSWERS, BODIES, EXCHANGES } from "./seeds.ts";

/** One stream in so many is read back by a reference decoder, which costs more than all the rest. */
const CHECKED = 64;
const NO_HEADERS: ReadonlyMap<string, string> = new Map();
/** Series of one family that no client may get beyond. */
const MAX_SERIES = 2500;
/** Statuses that a stream may be ended with: UNKNOWN would tell of an error that nobody foresaw. */
const FORESEEN: ReadonlySet<number> = new Set([GRPC_STATUS.ok, GRPC_STATUS.invalidArgument]);

/** Damaged messages, in damaged order, cut off anywhere. */
export function streamTarget(): Target {
  const registry = createMetricsRegistry();
  const rewrites = createRewriteTable([{ name: "r", models: ["m"], targets: [{ model: "lora", weight: 1 }] }]);
  const base = createTestContext({
    registry,
    director: {
      metrics: schedulingMetricsOf(registry),
      policies: { priorityOf: (name) => (name === "batch" ? -1 : undefined), rewrites: () => rewrites },
    },
    context: { parsers: createParsers(PARSER_TYPES), maxBodyBytes: 128 * 1024 },
  });
  let open = 0;
  const { director } = base;
  const handle: typeof director.handle = (request) => {
    request.attributes?.();
    const decision = director.handle(request);
    open++;
    return decision;
  };
  const onComplete: typeof director.onComplete = (ticket, summary) => {
    open--;
    director.onComplete(ticket, summary);
  };
  const method = createExtProcMethod({
    ...base,
    director: Object.assign(Object.create(director), { handle, onComplete }),
  });
  const all = EXCHANGES.flat();
  return {
    name: "stream",
    attempt: (chance) => {
      const sent: Buffer[] = [];
      let status: number | undefined;
      let reason = "";
      const handler = method({
        send: (frames) => {
          if (status === undefined) sent.push(frames);
        },
        end: (code, message = "") => {
          status ??= code;
          reason ||= message;
        },
        hold: () => true,
      });
      for (const message of disordered(oneOf(chance, EXCHANGES), all, chance)) {
        if (status !== undefined) break;
        handler.onMessage(message);
      }
      if (status === undefined && chance() < 0.5) handler.onHalfClose();
      else handler.onCancel();
      if (status !== undefined && !FORESEEN.has(status)) throw new Error(`stream ended with ${status}: ${reason}`);
      if (open !== 0) throw new Error(`${open} decisions were not completed`);
      if (chance() < 1 / CHECKED) framesOf(Buffer.concat(sent));
    },
    verdict: async () => {
      const page = await registry.render();
      if (!/^endpoint_picker_open_streams 0$/m.test(page)) return "streams are counted as open after their end";
      if (/^llm_d_epp_request_running\{.*\} -?[1-9]/m.test(page))
        return "requests are counted as running after their end";
      const largest = Math.max(...["total", "size_bytes_count", "error_total"].map((name) => seriesOf(page, name)));
      return largest > MAX_SERIES ? `a family has ${largest} series` : undefined;
    },
  };
}

const seriesOf = (page: string, name: string): number =>
  page.split("\n").filter((line) => line.startsWith(`llm_d_epp_request_${name}{`)).length;

/** The messages of a stream, some damaged, left out, repeated, or of another stream. */
function disordered(messages: readonly Buffer[], all: readonly Buffer[], chance: Chance): Buffer[] {
  const damage = chance() < 0.8;
  return messages.flatMap((message) => {
    const kind = chance();
    if (kind < 0.05) return [];
    const own = damage && chance() < 0.4 ? mutate(message, chance, all) : message;
    if (kind < 0.1) return [own, own];
    return kind < 0.15 ? [own, mutate(oneOf(chance, all), chance, all)] : [own];
  });
}

/** Damaged bodies in the parsers, and everything that plugins ask of what they find. */
export function bodyTarget(): Target {
  const parsers = createParsers(PARSER_TYPES);
  const bodies = BODIES.map(([, body]) => body);
  return {
    name: "body",
    attempt: (chance) => {
      const [path, body] = oneOf(chance, BODIES);
      const bytes = mutate(body, chance, bodies);
      foreseen(() => {
        const parsed = parsers.parse(path, bytes);
        foreseen(() => parsed.promptBytes(mediaEstimate(estimateParameters.fallback, NO_HEADERS)));
        foreseen(() => parsed.media());
        foreseen(() => parsed.promptTokenIds());
        foreseen(() => parsed.json());
        if (API_TRAITS[parsed.api].canRewriteModel) checkRewritten(bytes);
      });
    },
  };
}

/** A body that is JSON is still, with the new model. */
function checkRewritten(bytes: Buffer): void {
  const rewritten = replaceModel(bytes, "new");
  try {
    JSON.parse(bytes.toString());
  } catch {
    return;
  }
  const { model } = JSON.parse(rewritten.toString()) as { readonly model: unknown };
  if (model !== "new") throw new Error(`the model was not replaced in ${bytes.toString("hex")}`);
}

function foreseen(run: () => unknown): void {
  try {
    run();
  } catch (error) {
    if (!(error instanceof RequestError)) throw error;
  }
}

/** Damaged messages in the decoder. */
export function decodeTarget(): Target {
  const all = EXCHANGES.flat();
  return {
    name: "decode",
    attempt: (chance) => {
      const bytes = mutate(oneOf(chance, all), chance, all);
      try {
        const { attributes } = decodeProcessingRequest(bytes);
        readAttributes(attributes);
      } catch (error) {
        if (!(error instanceof WireError)) throw error;
      }
    },
  };
}

/** Damaged answers in the usage readers, cut anywhere. */
export function usageTarget(): Target {
  const answers = ANSWERS.map(([, body]) => body);
  return {
    name: "usage",
    attempt: (chance) => {
      const bytes = mutate(oneOf(chance, answers), chance, answers);
      const format = oneOf(chance, ["usage", "meta-info", "vllm-grpc", "vllm-grpc-embed"] as const);
      const reader = createUsageReader(format, chance() < 0.1 ? oneOf(chance, ["gzip", "deflate", "br"]) : undefined);
      for (let at = 0; at < bytes.length; ) {
        const end = at + 1 + below(chance, 40);
        reader?.push(bytes.subarray(at, end));
        at = end;
      }
      const { promptTokens = 0, completionTokens = 0 } = reader?.usage ?? {};
      if (!(promptTokens >= 0 && completionTokens >= 0)) throw new Error("a negative count");
    },
  };
}

/** Damaged metric pages of every engine. */
export function metricsTarget(pages: readonly Buffer[]): Target {
  const engines = [...ENGINES.values()];
  const parts = pages.map((page) => page.subarray(0, 4096));
  return {
    name: "metrics",
    attempt: (chance) => {
      const { sample } = readSample(mutate(oneOf(chance, parts), chance, parts), oneOf(chance, engines));
      const values = [sample.waiting, sample.running, sample.kvUsage];
      if (values.some((value) => value !== undefined && Number.isNaN(value))) throw new Error("a value is NaN");
    },
  };
}

/** Damaged configurations. */
export function configTarget(configs: readonly Buffer[]): Target {
  return {
    name: "config",
    attempt: (chance) => {
      const { config, errors } = loadConfig(mutate(oneOf(chance, configs), chance, configs).toString());
      if (config === undefined && errors.length === 0) throw new Error("neither a configuration nor an error");
    },
  };
}
