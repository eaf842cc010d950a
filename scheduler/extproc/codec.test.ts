import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { decodeMessage, encodeMessage } from "../../test/extproc-client.ts";
import { decodeProcessingRequest } from "./decode.ts";
import { ANSWER, AnswerWriter } from "./encode.ts";
import { ModelNameRestorer } from "./model-name.ts";
import { UsageScanner } from "./usage.ts";
import { WireError } from "./wire.ts";

const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/);
const text = fc.string({ unit: "grapheme", maxLength: 200 });

describe("requests", () => {
  test("headers decode as a reference encoder wrote them", () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(name, text, fc.boolean())), fc.boolean(), (headers, endOfStream) => {
        const list = headers.map(([key, value, raw]) =>
          raw ? { key, raw_value: Buffer.from(value) } : { key, value },
        );
        const message = decodeProcessingRequest(
          encodeMessage("ProcessingRequest", {
            request_headers: { headers: { headers: list }, end_of_stream: endOfStream },
          }),
        );
        expect(message.kind).toBe("requestHeaders");
        expect(message.endOfStream).toBe(endOfStream);
        expect(message.headers).toEqual(new Map(headers.map(([key, value]) => [key, value])));
      }),
    );
  });

  test("bodies, metadata and modes decode", () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.array(name), fc.integer({ min: 0, max: 5 }), (body, subset, mode) => {
        const message = decodeProcessingRequest(
          encodeMessage("ProcessingRequest", {
            response_body: { body, end_of_stream: true },
            metadata_context: {
              filter_metadata: {
                "envoy.lb.subset_hint": {
                  fields: {
                    "x-gateway-destination-endpoint-subset": {
                      list_value: {
                        values: [...subset.map((value) => ({ string_value: value })), { number_value: 1 }],
                      },
                    },
                  },
                },
                "envoy.lb": { fields: { "x-gateway-destination-endpoint-served": { string_value: "10.0.0.1:1" } } },
                other: { fields: { nested: { struct_value: { fields: { a: { bool_value: true } } } } } },
              },
            },
            protocol_config: { request_body_mode: mode, response_body_mode: 4 },
          }),
        );
        expect(message.body.equals(body)).toBe(true);
        expect(message.metadata).toEqual({ subset, served: "10.0.0.1:1" });
        expect(message.modes).toEqual({ request: mode, response: 4 });
      }),
    );
  });

  test("damaged bytes are refused or decoded, never worse", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        try {
          decodeProcessingRequest(Buffer.from(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(WireError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

function frames(bytes: Buffer): Buffer[] {
  const found: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.readUInt32BE(at + 1);
    found.push(bytes.subarray(at + 5, at + 5 + length));
    at += 5 + length;
  }
  return found;
}

describe("answers", () => {
  test("a reference decoder reads headers, metadata and body", () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(name, text)),
        fc.array(name),
        fc.integer({ min: 0, max: 200_000 }),
        fc.dictionary(name, fc.double({ noNaN: true })),
        (set, remove, size, scores) => {
          const body = Buffer.alloc(size, 7);
          const answers = new AnswerWriter();
          answers.streamedBody(ANSWER.requestBody, body, true);
          answers.headers(
            ANSWER.requestHeaders,
            { set, remove, clearRouteCache: true },
            new Map([["envoy.lb", new Map(Object.entries(scores))]]),
          );
          const [headers, ...chunks] = frames(answers.finish()).map((frame) =>
            decodeMessage("ProcessingResponse", frame),
          );
          const mutation = {
            ...(set.length === 0
              ? {}
              : { set_headers: set.map(([key, value]) => ({ header: { key, raw_value: Buffer.from(value) } })) }),
            ...(remove.length === 0 ? {} : { remove_headers: remove }),
          };
          const expected = encodeMessage("ProcessingResponse", {
            request_headers: {
              response: {
                ...(set.length + remove.length === 0 ? {} : { header_mutation: mutation }),
                clear_route_cache: true,
              },
            },
            dynamic_metadata: {
              fields: {
                "envoy.lb": {
                  struct_value: {
                    fields: Object.fromEntries(
                      Object.entries(scores).map(([key, value]) => [key, { number_value: value }]),
                    ),
                  },
                },
              },
            },
          });
          expect(headers).toEqual(decodeMessage("ProcessingResponse", expected));
          expect(chunks.length).toBe(Math.max(1, Math.ceil(body.length / 62_000)));
        },
      ),
      { numRuns: 50 },
    );
  });
});

/** Cuts a text into chunks at the given places. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const at = [0, ...places.map((place) => place % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return at.slice(1).map((end, index) => bytes.subarray(at[index], end));
}

test("usage is found however the answer is cut", () => {
  const answer = `data: {"choices":[{"text":"\\"usage\\":{\\"prompt_tokens\\":99}"}],"usage":null}\n\ndata: {"choices":[],"usage": {"prompt_tokens":7,"total_tokens":17,"completion_tokens":10,"prompt_tokens_details":{"cached_tokens":3}}}\n\ndata: [DONE]\n\n`;
  fc.assert(
    fc.property(fc.array(fc.nat()), (places) => {
      const scanner = new UsageScanner();
      for (const chunk of cut(Buffer.from(answer), places)) scanner.push(chunk);
      expect(scanner.usage).toEqual({ promptTokens: 7, completionTokens: 10, totalTokens: 17, cachedTokens: 3 });
    }),
  );
});

test("usage of several events is merged", () => {
  const scanner = new UsageScanner();
  scanner.push(Buffer.from('{"message":{"usage":{"input_tokens":25,"cache_read_input_tokens":5,"output_tokens":1}}}'));
  scanner.push(Buffer.from('{"usage":{"output_tokens":15}}'));
  expect(scanner.usage).toEqual({ promptTokens: 25, completionTokens: 15, totalTokens: 40, cachedTokens: 5 });
});

test("the model's name is restored however the answer is cut", () => {
  const answer = 'data: {"model":"lora-7","x":1}\n\ndata: {"model": "lora-7"}\n\ndata: {"model":"lora-77"}\n\n';
  const wanted = 'data: {"model":"base","x":1}\n\ndata: {"model": "base"}\n\ndata: {"model":"lora-77"}\n\n';
  fc.assert(
    fc.property(fc.array(fc.nat()), (places) => {
      const restorer = new ModelNameRestorer("lora-7", "base");
      const chunks = cut(Buffer.from(answer), places);
      const out = chunks.map((chunk, index) => restorer.push(chunk, index === chunks.length - 1));
      expect(Buffer.concat(out).toString()).toBe(wanted);
    }),
  );
});
