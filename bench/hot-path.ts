/** Each piece of the request path and of a scrape by itself, in microseconds of CPU time. */
import { readSample } from "../scheduler/datalayer/sample.ts";
import { DEFAULT_ENGINES, engineOf } from "../scheduler/datalayer/engines.ts";
import { PageResponse } from "../scheduler/datalayer/page-response.ts";
import { decodeProcessingRequest } from "../scheduler/extproc/decode.ts";
import { ANSWER, AnswerWriter } from "../scheduler/extproc/encode.ts";
import { createParsers } from "../scheduler/parsers/parsers.ts";
import { blockKeys, chainSeed } from "../scheduler/prefix/hash-chain.ts";
import { PrefixIndex } from "../scheduler/prefix/prefix-index.ts";
import { FLAG, FRAME, FrameSplitter, writeFrameHeader } from "../scheduler/server/http2/frames.ts";
import { HpackDecoder, encodeLiterals } from "../scheduler/server/http2/hpack.ts";
import { MessageReader } from "../scheduler/server/http2/message-reader.ts";
import { encodeMessage } from "../test/extproc-client.ts";
import { readShared } from "../test/corpus.ts";
import { type Bench, cpuMs, printTable, readOptions } from "./support/bench.ts";
import { framedRequest, requestMessages } from "./support/ext-proc.ts";
import { chatPrompts } from "./support/prompts.ts";

const DEFAULTS = {
  /** Prompt sizes in KB. */
  sizes: "2,40,220",
  /** Milliseconds of each round. */
  round: "150",
};

const ROUNDS = 5;
const MODEL = "meta-llama/Llama-3.1-8B-Instruct";
const BLOCK_TOKENS = 64;
const MANY = 1_000_000;

export default {
  description: "pieces of the request path and of a scrape: µs of CPU time for one operation, best of 5 rounds",
  smallest: ["--sizes=2", "--round=2"],
  run: (args) => {
    const options = readOptions(args, DEFAULTS);
    const roundMs = Number(options.round);
    const sizes = options.sizes.split(",").map(Number);
    const columns = sizes.map((size) => piecesOf(size * 1000));
    const names = Object.keys(columns[0] ?? {});
    const rows = names.map((name) => [name, ...columns.map((pieces) => format(microseconds(pieces[name]!, roundMs)))]);
    printTable([["request", ...sizes.map((size) => `${size} KB`)], ...rows]);
    const scrape = Object.entries(scrapePieces()).map(([name, run]) => [name, format(microseconds(run, roundMs))]);
    printTable([["scrape (vLLM page of the corpus)", "µs"], ...scrape]);
    return Promise.resolve();
  },
} satisfies Bench;

type Piece = () => unknown;

const format = (value: number): string => value.toFixed(value < 10 ? 2 : 1);

/** CPU time of one call: the best round counts, since others are disturbed by neighbours. */
function microseconds(run: Piece, roundMs: number): number {
  let best = Infinity;
  for (let round = 0; round <= ROUNDS; round++) {
    let calls = 0;
    const spent = cpuMs(() => {
      const end = performance.now() + roundMs;
      while (performance.now() < end) for (let i = 0; i < 16; i++, calls++) run();
    });
    // The first round warms up.
    if (round > 0) best = Math.min(best, (spent * 1000) / calls);
  }
  return best;
}

function piecesOf(size: number): Record<string, Piece> {
  const body = chatPrompts(size, 1, MODEL).bodies[0]!;
  const messages = requestMessages("bench", body).map((message) => encodeMessage("ProcessingRequest", message));
  const stream = framedRequest("bench", body);
  const wire = http2Bytes(stream);
  const parsers = createParsers();
  const prompt = parsers.parse("/v1/chat/completions", body).promptBytes()[0]!;
  const keys = blockKeys(prompt, chainSeed(MODEL, ""), BLOCK_TOKENS, MANY);
  const index = new PrefixIndex();
  for (let slot = 0; slot < 100; slot += 10) index.add(slot, keys, 31_250);
  return {
    "split HTTP/2 frames, decode header block": () => readHttp2(wire),
    "cut gRPC messages": () => new MessageReader(MANY * 4, false).push(stream, () => undefined),
    "decode ext_proc messages": () => messages.map(decodeProcessingRequest),
    "parse the body, prompt bytes": () => parsers.parse("/v1/chat/completions", body).promptBytes(),
    "hash the prompt": () => blockKeys(prompt, chainSeed(MODEL, ""), BLOCK_TOKENS, MANY),
    "match 100 endpoints, 10 of them warm": () => {
      let sum = 0;
      for (let slot = 0; slot < 100; slot++) sum += index.match(slot, keys);
      return sum;
    },
    "remember the prompt": () => index.add(0, keys, 31_250),
    "encode the answers": () => encodeAnswers(body),
  };
}

/** A request on the wire: HEADERS, and DATA of the usual size. */
function http2Bytes(content: Buffer): Buffer {
  const fields = [
    [":method", "POST"],
    [":scheme", "http"],
    [":path", "/envoy.service.ext_proc.v3.ExternalProcessor/Process"],
    [":authority", "scheduler:9002"],
    ["te", "trailers"],
    ["content-type", "application/grpc"],
  ].map(([name = "", value = ""]) => ({ name, value }));
  const parts = [frame(FRAME.headers, FLAG.endHeaders, encodeLiterals(fields))];
  for (let at = 0; at < content.length; at += 16_384)
    parts.push(frame(FRAME.data, 0, content.subarray(at, at + 16_384)));
  return Buffer.concat(parts);
}

function frame(type: number, flags: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9);
  writeFrameHeader(head, 0, payload.length, type, flags, 1);
  return Buffer.concat([head, payload]);
}

function readHttp2(wire: Buffer): number {
  let bytes = 0;
  const hpack = new HpackDecoder();
  const splitter = new FrameSplitter({
    onFrame: (_type, _flags, _id, payload) => hpack.decode(payload, (name) => void (bytes += name.length)),
    onData: (_id, content) => void (bytes += content.length),
  });
  for (let at = 0; at < wire.length; at += 65_536) splitter.push(wire.subarray(at, at + 65_536));
  return bytes;
}

function encodeAnswers(body: Buffer): Buffer {
  const answers = new AnswerWriter(body.length);
  const destination = "10.0.0.1:8000";
  answers.streamedBody(ANSWER.requestBody, body, true);
  const set = [["x-gateway-destination-endpoint", destination]] as const;
  const metadata = new Map([["envoy.lb", new Map([["x-gateway-destination-endpoint", destination]])]]);
  answers.headers(ANSWER.requestHeaders, { set, remove: [], clearRouteCache: true }, metadata);
  return answers.finish();
}

function scrapePieces(): Record<string, Piece> {
  const page = Buffer.from(readShared("corpus/metrics/vllm-current.txt"));
  const answer = Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\ncontent-length: ${page.length}\r\n\r\n`), page]);
  const response = new PageResponse(MANY * 8);
  const engine = engineOf({}, DEFAULT_ENGINES);
  return {
    "read the answer": () => {
      response.reset();
      return response.push(answer);
    },
    "find the values": () => readSample(page, engine),
  };
}
