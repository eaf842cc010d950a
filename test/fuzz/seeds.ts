import { gzipSync } from "node:zlib";
import { encodeMessage, headerMap, type Message } from "../extproc-client.ts";
import { modes, requestHeaders, subsetList } from "../extproc-messages.ts";

/** Request bodies by path. */
export const BODIES: readonly (readonly [path: string, body: Buffer])[] = (
  [
    ["/v1/completions", '{"model":"m","prompt":["a\\"b","\\u00e9\\ud83d\\ude00"],"max_tokens":3,"stream":true}'],
    ["/v1/completions", '{"prompt":[1,2,4294967295],"model":"m","n":12345678901234567890}'],
    [
      "/v1/chat/completions",
      '{"model":"m","messages":[{"role":"system","content":"be brief"},{"role":"user","content":[{"type":"text","text":"hi"},{"type":"image_url","image_url":{"url":"data:x"}}]}],"tools":[{"type":"function"}],"max_completion_tokens":9}',
    ],
    ["/v1/embeddings", '{"input":["a","b"],"model":"e","cache_salt":"s"}'],
    ["/v1/responses", '{"model":"m","input":[{"role":"user","content":"x"}],"instructions":"y","max_output_tokens":4}'],
    ["/v1/conversations", '{"items":[{"type":"message","role":"user","content":"x"}],"metadata":{}}'],
    ["/v1/images/generations", '{"prompt":"cat","n":1,"size":"1x1"}'],
    [
      "/v1/messages",
      '{"model":"m","max_tokens":5,"system":[{"type":"text","text":"s"}],"messages":[{"role":"user","content":"x"}]}',
    ],
    [
      "/v1/messages",
      '{"model":"m","messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"iVBORw0KGgoAAAANSUhEUgAABAAAAAIACAYAAAA="}},{"type":"tool_use","id":"i","name":"n","input":{"a":1}},{"type":"tool_result","content":[{"type":"text","text":"one"}]}]}]}',
    ],
    [
      "/v1/chat/completions",
      '{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/jpeg;base64,/9j/4AAGqrvM3f/AAAsIAgAEAAEBEQA="}},{"type":"image_url","image_url":{"url":"data:image/webp;base64,UklGRgAAAABXRUJQVlA4WAoAAAAAAAAA/wMA/wEA"}},{"type":"input_audio","input_audio":{"data":"QUJD","format":"wav"}},{"type":"video_url","video_url":{"url":"v"}}]}]}',
    ],
    ["/v1/messages/count_tokens", '{"model":"m","messages":[{"role":"user","content":"x"}]}'],
    ["/inference/v1/generate", '{"token_ids":[1,2,3],"sampling_params":{"max_tokens":2},"features":{}}'],
    ["/generate", '{"input_ids":[1,2,3],"extra_key":"k","sampling_params":{"max_new_tokens":2}}'],
    ["/vllm.grpc.engine.VllmEngine/Generate", "\0\0\0\0\x0b\x12\x05\x12\x03\x05\x06\x07\x22\x02\x40\x07"],
    ["/vllm.grpc.engine.VllmEngine/Embed", "\0\0\0\0\x05\x12\x03\x12\x01\x05"],
    ["/PredictionService/ChatCompletions", "\0\0\0\0\x22\x12\x20\x12\x1e" + '{"messages":[{"content":"x"}]}'],
    ["/tokenize", "anything"],
  ] as const
).map(([path, body]) => [path, Buffer.from(body)]);

/** Answers of model servers, with the headers that tell how to read them. */
export const ANSWERS: readonly (readonly [headers: Readonly<Record<string, string>>, body: Buffer])[] = [
  [
    { ":status": "200" },
    Buffer.from('{"model":"m","choices":[],"usage":{"prompt_tokens":4,"completion_tokens":2,"total_tokens":6}}'),
  ],
  [
    { ":status": "200", "content-type": "text/event-stream" },
    Buffer.from(
      'data: {"model":"lora","choices":[]}\n\ndata: {"model": "lora","usage":{"prompt_tokens":4}}\n\ndata: [DONE]\n\n',
    ),
  ],
  [{ ":status": "500", "content-encoding": "gzip" }, gzipSync('{"usage":{"prompt_tokens":4}}')],
  [{ ":status": "200", "content-encoding": "br" }, Buffer.from("no brotli")],
  [{ status: "abc" }, Buffer.from('{"meta_info":{"prompt_tokens":4,"completion_tokens":2}}')],
  [{ ":status": "200" }, Buffer.from("\0\0\0\0\x08\x12\x06\x18\x04\x20\x02\x28\x03")],
];

const HEADERS: Readonly<Record<string, string>> = {
  ":method": "POST",
  "x-request-id": "r1",
  traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
  "x-llm-d-inference-objective": "batch",
  "x-gateway-inference-fairness-id": "tenant",
  prefer: "if-available",
  cookie: "a=b",
};

const trailers = (kind: string): Message => ({ [kind]: { trailers: headerMap({ "grpc-status": "0" }) } });

/** Encoded messages of whole exchanges: each list is one stream, in order. */
export const EXCHANGES: readonly (readonly Buffer[])[] = BODIES.flatMap(([path, body], index) => {
  const [headers, answer] = ANSWERS[index % ANSWERS.length]!;
  const mode = index % 6;
  const rewrite: Readonly<Record<string, string>> = index % 2 === 0 ? { "x-llm-d-model-name-rewrite": "lora" } : {};
  const half = body.length >> 1;
  const answerHalf = answer.length >> 1;
  const hint = index % 3 === 0 ? subsetList("10.0.0.1:8000", "10.0.0.3") : {};
  const whole: Message[] = [
    requestHeaders({ ...HEADERS, ...rewrite, ":path": path }, mode === 5 ? {} : modes(mode, mode)),
    { request_body: { body: body.subarray(0, half) }, ...hint },
    { request_body: { body: body.subarray(half), end_of_stream: true }, ...hint },
    trailers("request_trailers"),
    { response_headers: { headers: headerMap(headers) } },
    { response_body: { body: answer.subarray(0, answerHalf) } },
    { response_body: { body: answer.subarray(answerHalf), end_of_stream: true } },
    trailers("response_trailers"),
  ];
  const get = requestHeaders({ ":method": "GET", ":path": path }, { end_of_stream: true });
  const shown = requestHeaders(
    { ...HEADERS, ":path": path },
    { observability_mode: true, attributes: { a: { fields: {} } } },
  );
  return [whole, [get, ...whole.slice(4)], [shown, ...whole.slice(1)]].map((messages) =>
    messages.map((message) => encodeMessage("ProcessingRequest", message)),
  );
});
