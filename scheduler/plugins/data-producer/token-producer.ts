import { TOKENIZED_PROMPT } from "../../framework/data.ts";
import { noParameters } from "../../framework/parameters.ts";
import { definePlugin } from "../../framework/plugin.ts";

const BYTES_PER_TOKEN = 4;

function padded(bytes: Buffer): Uint8Array {
  const rest = bytes.length % BYTES_PER_TOKEN;
  if (rest === 0) return bytes;
  const whole = Buffer.alloc(bytes.length + BYTES_PER_TOKEN - rest);
  bytes.copy(whole);
  return whole;
}

/** Estimates tokens: four bytes of prompt text are one token; ids that the request carries are taken as they are. */
export const tokenProducer = definePlugin({
  type: "token-producer",
  kinds: ["data-producer"],
  stability: "beta",
  description: "Turns prompts into tokens, four bytes of text each.",
  parameters: noParameters(),
  produces: [TOKENIZED_PROMPT],
  create: (_, context) => {
    const handle = context.data(TOKENIZED_PROMPT, context.name);
    return {
      produce: (cycle) => {
        const record = handle.of(cycle);
        const ids = cycle.request.body.promptTokenIds();
        record.prompts =
          ids?.map((prompt) => new Uint8Array(prompt.buffer, prompt.byteOffset, prompt.byteLength)) ??
          cycle.request.body.promptBytes().map(padded);
        record.tokenCount = record.prompts.reduce((sum, prompt) => sum + prompt.length / BYTES_PER_TOKEN, 0);
      },
    };
  },
});
