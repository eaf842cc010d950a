/** Tokens of prompts: what `token-producer` and its former name share. */
import { MULTIMODAL_PARTS, TOKENIZED_PROMPT } from "../../framework/data.ts";
import { anything, durationMs, object, optional, retired, text } from "../../framework/parameters.ts";
import { type AnyPluginDefinition, definePlugin } from "../../framework/plugin.ts";
import { estimateParameters, mediaEstimate, optionalEstimate } from "./media-estimate.ts";
import { multimodalParts } from "./multimodal-parts.ts";
import { type RenderedPrompt, renderPrompt } from "./vllm-render.ts";

const BYTES_PER_TOKEN = 4;
const DEFAULT_URL = "http://localhost:8000";

const parameters = object(
  {
    modelName: text({ doc: "Model whose tokenizer a vLLM server runs.", default: "" }),
    vllm: optional(
      object({
        url: text({ doc: "vLLM server that renders prompts.", default: DEFAULT_URL }),
        http: retired("now called url"),
        timeout: durationMs({ doc: "Longest wait for text.", default: 5000, above: 0 }),
        mmTimeout: durationMs({ doc: "Longest wait for images, video and audio.", default: 30_000, above: 0 }),
      }),
    ),
    estimate: optionalEstimate,
    udsTokenizerConfig: optional(anything("Tokenizer behind a unix socket.")),
  },
  {
    check: ({ modelName, vllm, estimate: estimated, udsTokenizerConfig: uds }, path, report) => {
      const served = vllm !== undefined || (modelName !== "" && uds === undefined);
      const backends = [served, estimated !== undefined, uds !== undefined].filter(Boolean);
      if (backends.length > 1) {
        const cause = "has more than one of estimate, vllm and udsTokenizerConfig";
        report.error({ path, value: undefined, cause, remedy: "keep one" });
      } else if ((vllm !== undefined || uds !== undefined) && modelName === "")
        report.warn(`${path}.modelName: missing; the model of each request is asked for`);
      if (uds !== undefined) report.warn(`${path}.udsTokenizerConfig: not supported; four bytes count as a token`);
    },
  },
);

function padded(bytes: Buffer): Uint8Array {
  const rest = bytes.length % BYTES_PER_TOKEN;
  if (rest === 0) return bytes;
  const whole = Buffer.alloc(bytes.length + BYTES_PER_TOKEN - rest);
  bytes.copy(whole);
  return whole;
}

const bytesOf = (ids: Uint32Array): Uint8Array => new Uint8Array(ids.buffer, ids.byteOffset, ids.byteLength);

/** A producer of tokens: estimated as four bytes each, or asked from a vLLM server. Ids in the request are taken as they are. */
export function tokenProducerType(type: string, deprecated?: string): AnyPluginDefinition {
  return definePlugin({
    type,
    kinds: ["data-producer"],
    stability: "beta",
    ...(deprecated === undefined ? {} : { deprecated }),
    description: "Turns prompts into tokens: four bytes of text each, or as a vLLM server renders them.",
    parameters,
    migrate: (given) => {
      const { vllm } = given;
      if (typeof vllm !== "object" || vllm === null || !("http" in vllm) || "url" in vllm) return given;
      return { ...given, vllm: { ...vllm, url: vllm.http } };
    },
    produces: [TOKENIZED_PROMPT, MULTIMODAL_PARTS],
    create: ({ modelName, vllm, estimate: estimated, udsTokenizerConfig: uds }, context) => {
      const handle = context.data(TOKENIZED_PROMPT, context.name);
      const media = context.data(MULTIMODAL_PARTS, context.name);
      const wantsMedia = context.isConsumed(MULTIMODAL_PARTS, context.name);
      const isServed = estimated === undefined && uds === undefined && (vllm !== undefined || modelName !== "");
      const shape = estimated ?? estimateParameters.fallback;
      const { url = DEFAULT_URL, timeout = 5000, mmTimeout = 30_000 } = vllm ?? {};
      const server = { url: url.replace(/\/$/, ""), timeoutMs: timeout, mediaTimeoutMs: mmTimeout, modelName };
      return {
        ...(isServed
          ? {
              prepare: ({ request: { body } }, signal) =>
                body.promptTokenIds() === undefined ? renderPrompt(server, body, signal, context.fetch) : undefined,
            }
          : {}),
        produce: (cycle) => {
          const record = handle.of(cycle);
          const { body } = cycle.request;
          if (wantsMedia) media.of(cycle).parts = multimodalParts(body);
          // `prepare` of this instance made it.
          const rendered = cycle.prepared[context.index] as RenderedPrompt | undefined;
          const ids = body.promptTokenIds() ?? (isServed ? (rendered?.prompts ?? []) : undefined);
          record.prompts =
            ids?.map(bytesOf) ?? body.promptBytes(mediaEstimate(shape, cycle.request.headers)).map(padded);
          record.tokenCount = record.prompts.reduce((sum, prompt) => sum + prompt.length / BYTES_PER_TOKEN, 0);
        },
      };
    },
  });
}
