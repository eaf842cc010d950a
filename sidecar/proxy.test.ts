import { connect } from "node:net";
import { request as httpRequest } from "node:http";
import { afterEach, describe, expect, test } from "@jest/globals";
import {
  answerJson,
  ask,
  type EngineBehaviour,
  type FakeEngine,
  startEngine,
  startSidecar,
} from "../test/sidecar-bed.ts";
import { until } from "../playground/until.ts";
import type { RunningSidecar } from "./run.ts";

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

async function engine(behaviour: EngineBehaviour): Promise<FakeEngine> {
  const made = await startEngine(behaviour);
  closers.push(() => made.close());
  return made;
}

async function sidecar(...args: Parameters<typeof startSidecar>): Promise<RunningSidecar & { readonly port: number }> {
  const made = await startSidecar(...args);
  closers.push(() => made.stop(0));
  return { ...made, port: made.ports[0]! };
}

/** A port that nothing listens on. */
async function closedPort(): Promise<number> {
  const gone = await startEngine(() => {});
  await gone.close();
  return gone.port;
}

const hello: EngineBehaviour = (_seen, response) => answerJson(response, { hello: 1 });
const PREFILL = "x-prefiller-host-port";

describe("what goes to the engine as it is", () => {
  test("method, path, headers, body; and the answer's status, headers, trailers, body", async () => {
    const local = await engine((_seen, response) => {
      response.writeHead(
        207,
        "Many",
        [
          ["Set-Cookie", "a=1"],
          ["Set-Cookie", "b=2"],
          ["Trailer", "X-T"],
          ["Connection", "X-Hop"],
          ["X-Hop", "1"],
        ].flat(),
      );
      response.write("one ");
      response.addTrailers({ "X-T": "t" });
      response.end("two");
    });
    const { port } = await sidecar(local.port);
    const body = Buffer.from([0, 255, 1, 254]);
    const answer = await ask(port, "/any/path?q=%20", {
      method: "PUT",
      headers: {
        "X-One": ["1", "2"],
        [PREFILL]: "10.0.0.1:1",
        "x-data-parallel-host-port": "10.0.0.2:1",
        "X-Gone": "1",
        Connection: "close, X-Gone",
      },
      body,
    });
    expect(answer).toMatchObject({ status: 207, text: "one two", trailers: { "x-t": "t" } });
    expect(answer.headers["set-cookie"]).toEqual(["a=1", "b=2"]);
    expect(answer.headers).not.toHaveProperty("x-hop");
    const [seen] = local.seen;
    expect(seen).toMatchObject({ method: "PUT", url: "/any/path?q=%20" });
    expect(seen?.rawHeaders.filter((_value, index, all) => all[index - 1] === "X-One")).toEqual(["1", "2"]);
    expect(seen?.headers["x-data-parallel-host-port"]).toBe("10.0.0.2:1");
    for (const name of [PREFILL, "x-gone"]) expect(seen?.headers).not.toHaveProperty(name);
  });

  test("requests of the APIs without a prefill pod, though the body is no JSON", async () => {
    const local = await engine(hello);
    const { port } = await sidecar(local.port);
    expect(await ask(port, "/v1/completions", { body: "no json" })).toMatchObject({ status: 200 });
    expect(local.seen[0]?.text).toBe("no json");
  });

  test("chunked bodies of several megabytes", async () => {
    const local = await engine((seen, response) => answerJson(response, { length: seen.text.length }));
    const { port } = await sidecar(local.port);
    const body = Buffer.alloc(6 * 1024 * 1024, "x");
    const answer = await ask(port, "/v1/completions", { headers: { "transfer-encoding": "chunked" }, body });
    expect(JSON.parse(answer.text)).toEqual({ length: body.length });
  });
});

describe("streams", () => {
  test("come event by event, headers first", async () => {
    let go = (): void => {};
    const local = await engine((_seen, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.flushHeaders();
      let count = 0;
      go = () => void (count < 2 ? response.write(`data: ${count++}\n\n`) : response.end());
    });
    const { port } = await sidecar(local.port);
    const request = httpRequest({ host: "127.0.0.1", port, method: "POST", path: "/v1/completions", agent: false });
    const parts: string[] = [];
    const ended = new Promise<void>((resolve) => {
      request.on("response", (answer) => {
        go();
        answer.on("data", (part: Buffer) => {
          parts.push(part.toString());
          go();
        });
        answer.on("end", resolve);
      });
    });
    request.end("{}");
    await ended;
    expect(parts).toEqual(["data: 0\n\n", "data: 1\n\n"]);
  });

  test("a client that goes ends the engine's work at once", async () => {
    let isCancelled = false;
    const local = await engine((_seen, response) => {
      response.once("close", () => (isCancelled = true));
      response.writeHead(200).write("x");
    });
    const { port } = await sidecar(local.port);
    const request = httpRequest({ host: "127.0.0.1", port, method: "POST", path: "/v1/completions", agent: false });
    request.on("error", () => {});
    request.on("response", () => request.destroy());
    request.end("{}");
    await until("the engine sees its client go", () => isCancelled);
  });

  test("an answer that breaks off is not taken for whole", async () => {
    const local = await engine((_seen, response) => {
      response.writeHead(200).write("half");
      setImmediate(() => response.destroy());
    });
    const { port } = await sidecar(local.port);
    await expect(ask(port, "/v1/completions")).rejects.toThrow(/aborted|hang up|reset/i);
  });

  test("a slow client holds the engine back", async () => {
    let written = 0;
    const chunk = Buffer.alloc(256 * 1024);
    const local = await engine((_seen, response) => {
      const more = (): void => {
        while (written < 400 && response.write(chunk)) written++;
        written++;
        response.once("drain", more);
      };
      more();
    });
    const { port } = await sidecar(local.port);
    const socket = connect(port, "127.0.0.1");
    socket.write("GET /x HTTP/1.1\r\nHost: x\r\n\r\n");
    socket.once("data", () => socket.pause());
    let last = -1;
    const rests = (): boolean => {
      const same = written > 0 && written === last;
      last = written;
      return same;
    };
    await until("the engine stops", rests, { pollMs: 100 });
    expect(written).toBeLessThan(300);
    socket.destroy();
  });
});

describe("an engine that is down", () => {
  test("503 as JSON, /health too; a kubelet asks for the sidecar alone", async () => {
    const { port } = await sidecar(await closedPort());
    for (const [path, method] of [
      ["/v1/completions", "POST"],
      ["/health", "GET"],
      ["/v1/models", "GET"],
    ] as const) {
      const answer = await ask(port, path, { method });
      expect([answer.status, answer.headers["content-type"]]).toEqual([503, "application/json"]);
      expect(JSON.parse(answer.text)).toMatchObject({
        object: "error",
        type: "ServiceUnavailable",
        param: null,
        code: 503,
      });
    }
    expect((await ask(port, "/health", { method: "GET", headers: { "user-agent": "kube-probe/1.34" } })).status).toBe(
      200,
    );
  });

  test("/health is the engine's own", async () => {
    const local = await engine((_seen, response) => response.writeHead(418).end());
    const { port } = await sidecar(local.port);
    expect((await ask(port, "/health", { method: "GET" })).status).toBe(418);
  });

  test("a kept connection that the engine closed meanwhile costs no request", async () => {
    const local = await engine((_seen, response, request) => {
      response.end("ok");
      // The next request finds the connection dead: it is cut as soon as bytes arrive.
      response.once("finish", () => request.socket.once("data", () => request.socket.destroy()));
    });
    const { port } = await sidecar(local.port);
    for (const path of ["/v1/completions", "/v1/completions", "/v1/completions"])
      expect((await ask(port, path, { body: "{}" })).status).toBe(200);
  });
});

const prefilled: EngineBehaviour = (_seen, response) => answerJson(response, { kv_transfer_params: { id: 1 } });
const failing =
  (status: number): EngineBehaviour =>
  (_seen, response) =>
    answerJson(response, { no: status }, status);

describe("when prefill fails", () => {
  test.each([
    ["500", failing(500)],
    ["503", failing(503)],
    ["no JSON", ((_seen, response) => response.end("what?")) as EngineBehaviour],
    ["a cut connection", ((_seen, _response, request) => request.socket.destroy()) as EngineBehaviour],
  ])("by %s, the decode pod does it alone", async (_what, behaviour) => {
    const [prefill, local] = [await engine(behaviour), await engine(hello)];
    const { port } = await sidecar(local.port);
    const answer = await ask(port, "/v1/completions", { headers: { [PREFILL]: prefill.hostPort }, body: '{"a":1.0}' });
    expect(answer).toMatchObject({ status: 200, text: '{"hello":1}' });
    expect(local.seen[0]?.text).toBe('{"a":1.0}');
  });

  test("by a pod that is gone too", async () => {
    const local = await engine(hello);
    const { port } = await sidecar(local.port);
    const headers = { [PREFILL]: `127.0.0.1:${await closedPort()}` };
    expect((await ask(port, "/v1/completions", { headers, body: "{}" })).status).toBe(200);
    const strict = await sidecar(local.port, ["--prefill-fallback=none"]);
    const refused = await ask(strict.port, "/v1/completions", { headers, body: "{}" });
    expect([refused.status, JSON.parse(refused.text)]).toMatchObject([502, { type: "BadGateway" }]);
  });

  test("the client gets a refusal of its request, and every answer where it asked for no fallback", async () => {
    const [bad, broken, local] = [await engine(failing(422)), await engine(failing(500)), await engine(hello)];
    const { port } = await sidecar(local.port);
    const refused = await ask(port, "/v1/completions", { headers: { [PREFILL]: bad.hostPort }, body: "{}" });
    expect(refused).toMatchObject({ status: 422, text: '{"no":422}' });
    const strict = await sidecar(local.port, ["--prefill-fallback=none"]);
    const failed = await ask(strict.port, "/v1/completions", { headers: { [PREFILL]: broken.hostPort }, body: "{}" });
    expect(failed).toMatchObject({ status: 500, text: '{"no":500}' });
    expect(local.seen).toEqual([]);
  });

  test("transiently, it is tried again", async () => {
    let count = 0;
    const prefill = await engine((seen, response, request) =>
      (++count < 3 ? failing(503) : prefilled)(seen, response, request),
    );
    const local = await engine(hello);
    const { port } = await sidecar(local.port, ["--prefill-max-retries=2", "--prefill-retry-backoff=1ms"]);
    await ask(port, "/v1/completions", { headers: { [PREFILL]: prefill.hostPort }, body: "{}" });
    expect([count, local.seen[0]?.json]).toEqual([3, { kv_transfer_params: { id: 1 } }]);
  });
});

describe("bodies that cannot be divided", () => {
  test.each([
    ["no JSON", "{", 400],
    ["no object", "[]", 400],
    ["too large", `{"a":"${"x".repeat(2000)}"}`, 413],
  ])("%s", async (_what, body, status) => {
    const local = await engine(hello);
    const { port } = await sidecar(local.port, ["--max-request-body-size=1k"]);
    const answer = await ask(port, "/v1/chat/completions", { headers: { [PREFILL]: "127.0.0.1:1" }, body });
    expect([answer.status, JSON.parse(answer.text)]).toMatchObject([status, { object: "error", code: status }]);
    expect(local.seen).toEqual([]);
  });
});

test("cached tokens are prefill's, in every event", async () => {
  const prefill = await engine((_seen, response) =>
    answerJson(response, { kv_transfer_params: {}, usage: { prompt_tokens_details: { cached_tokens: 3 } } }),
  );
  const local = await engine((_seen, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write('data: {"choices":[1]}\n\ndata: {"usage":{"prompt_to');
    setImmediate(() => response.end('kens_details":{"cached_tokens":90}}}\n\ndata: [DONE]\n\n'));
  });
  const { port } = await sidecar(local.port);
  const answer = await ask(port, "/v1/completions", {
    headers: { [PREFILL]: prefill.hostPort },
    body: '{"stream":true}',
  });
  expect(answer.text).toBe(
    'data: {"choices":[1]}\n\ndata: {"usage":{"prompt_tokens_details":{"cached_tokens":3}}}\n\ndata: [DONE]\n\n',
  );
});

describe("other connectors", () => {
  test("SGLang: at once, and prefill's failure is told in place of a hanging decode", async () => {
    const [prefill, local] = [await engine(prefilled), await engine(hello)];
    const { port } = await sidecar(local.port, ["--kv-connector=sglang"]);
    const answer = await ask(port, "/v1/completions", { headers: { [PREFILL]: prefill.hostPort }, body: "{}" });
    expect(answer.text).toBe('{"hello":1}');
    await until("prefill is asked", () => prefill.seen.length === 1);
    expect(prefill.seen[0]?.json).toMatchObject({ bootstrap_host: "127.0.0.1", bootstrap_port: 8998 });
    expect(local.seen[0]?.text).toBe(prefill.seen[0]?.text);
    const [bad, hanging] = [await engine(failing(500)), await engine(() => {})];
    const stuck = await sidecar(hanging.port, ["--kv-connector=sglang"]);
    expect(
      await ask(stuck.port, "/v1/completions", { headers: { [PREFILL]: bad.hostPort }, body: "{}" }),
    ).toMatchObject({
      status: 500,
      text: '{"no":500}',
    });
  });

  test("shared storage: decode first, and prefill where it holds too little", async () => {
    const prefill = await engine(prefilled);
    const local = await engine((seen, response) =>
      answerJson(response, {
        choices: [{ finish_reason: seen.json["cache_hit_threshold"] === 0 ? "stop" : "cache_threshold" }],
      }),
    );
    const { port } = await sidecar(local.port, ["--kv-connector=shared-storage"]);
    const headers = { [PREFILL]: prefill.hostPort };
    const answer = await ask(port, "/v1/completions", { headers, body: '{"cache_hit_threshold":0.9}' });
    expect(answer.text).toBe('{"choices":[{"finish_reason":"stop"}]}');
    expect([prefill.seen.length, local.seen.map(({ json }) => json)]).toEqual([
      1,
      [{ cache_hit_threshold: 0.9 }, { cache_hit_threshold: 0 }],
    ]);
  });

  test("shared storage: an answer that holds enough is the client's", async () => {
    const prefill = await engine(prefilled);
    const local = await engine((_seen, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write('data: {"choices":[{"finish_reason":null}]}\n\n');
      setImmediate(() => response.end("data: [DONE]\n\n"));
    });
    const { port } = await sidecar(local.port, ["--kv-connector=shared-storage"]);
    const answer = await ask(port, "/v1/completions", {
      headers: { [PREFILL]: prefill.hostPort },
      body: '{"cache_hit_threshold":0.9}',
    });
    expect(answer.text).toBe('data: {"choices":[{"finish_reason":null}]}\n\ndata: [DONE]\n\n');
    expect(prefill.seen).toEqual([]);
  });

  test("Mooncake: asks the bootstrap server once, and again after a failure", async () => {
    let queries = 0;
    let isGood = true;
    const prefill = await engine((seen, response, request) => {
      if (seen.url === "/query") return answerJson(response, { 0: { engine_id: `e${++queries}` } });
      (isGood ? prefilled : failing(500))(seen, response, request);
    });
    const local = await engine((seen, response) => {
      if (isGood || seen.json["kv_transfer_params"] === undefined) answerJson(response, seen.json);
    });
    const { port } = await sidecar(local.port, [
      "--kv-connector=mooncake",
      `--mooncake-bootstrap-port=${prefill.port}`,
    ]);
    const send = async (): Promise<unknown> =>
      JSON.parse((await ask(port, "/v1/completions", { headers: { [PREFILL]: prefill.hostPort }, body: "{}" })).text);
    expect(await send()).toMatchObject({ kv_transfer_params: { do_remote_prefill: true, remote_engine_id: "e1" } });
    expect(await send()).toMatchObject({ kv_transfer_params: { remote_engine_id: "e1" } });
    isGood = false;
    expect(await send()).toEqual({});
    isGood = true;
    expect(await send()).toMatchObject({ kv_transfer_params: { remote_engine_id: "e2" } });
  });
});

describe("cached blocks from elsewhere", () => {
  test("without a prefill pod the engine is told where", async () => {
    const local = await engine(hello);
    const { port } = await sidecar(local.port, ["--enable-p2p-pull"]);
    await ask(port, "/v1/completions", {
      headers: { "x-kv-cache-source-host-port": "10.0.0.7:8000" },
      body: '{"kv_transfer_params":{"x":1}}',
    });
    expect(local.seen[0]?.json).toEqual({
      kv_transfer_params: {
        remote_kv_source: { kv_request_id: expect.any(String), remote_host: "10.0.0.7", remote_port: 7777 },
      },
    });
  });

  test("a pod does not pull from itself, and none without being told to", async () => {
    const [prefill, local] = [await engine(prefilled), await engine(hello)];
    const pulling = await sidecar(local.port, ["--enable-p2p-pull"]);
    const off = await sidecar(local.port);
    const source = { "x-kv-cache-source-host-port": prefill.hostPort };
    await ask(pulling.port, "/v1/completions", { headers: { ...source, [PREFILL]: prefill.hostPort }, body: "{}" });
    await ask(off.port, "/v1/completions", { headers: source, body: '{"a":1}' });
    expect(prefill.seen[0]?.json["kv_transfer_params"]).not.toHaveProperty("remote_kv_source");
    expect(local.seen[1]?.text).toBe('{"a":1}');
  });
});

describe("encoders", () => {
  const image = { type: "image_url", image_url: { url: "http://i/1.png" } };
  const sound = { type: "input_audio", input_audio: { data: "AA==" } };
  const body = JSON.stringify({
    model: "m",
    stream: true,
    messages: [{ role: "user", content: [{ type: "text", text: "t" }, image, image, sound] }],
  });

  test("work on each item, and the engine is told where the embeddings are", async () => {
    const encoder = await engine((seen, response) =>
      answerJson(response, { ec_transfer_params: { [String(seen.headers["x-request-id"]).slice(-1)]: 1 } }),
    );
    const local = await engine(hello);
    const { port } = await sidecar(local.port, ["--ec-connector=ec-nixl"]);
    await ask(port, "/v1/chat/completions", {
      headers: { "x-encoder-hosts-ports": encoder.hostPort, authorization: "Bearer t" },
      body,
    });
    expect(encoder.seen.map(({ json }) => json)).toEqual(
      [image, sound].map((item) => ({
        model: "m",
        stream: false,
        max_tokens: 1,
        messages: [{ role: "user", content: [item] }],
      })),
    );
    expect(encoder.seen[0]?.headers.authorization).toBe("Bearer t");
    expect(local.seen[0]?.json).toEqual({
      ...JSON.parse(body),
      ec_transfer_params: { 0: 1, 1: 1 },
      cache_hit_threshold: 0,
    });
  });

  test("that fail cost the request", async () => {
    const [encoder, local] = [await engine(failing(500)), await engine(hello)];
    const { port } = await sidecar(local.port, ["--ec-connector=ec-example"]);
    const answer = await ask(port, "/v1/chat/completions", {
      headers: { "x-encoder-hosts-ports": encoder.hostPort },
      body,
    });
    expect([answer.status, local.seen.length]).toEqual([502, 0]);
  });
});

describe("decode in chunks", () => {
  const WORDS = "one two three four five".split(" ");
  const writer: EngineBehaviour = (seen, response) => {
    const messages = seen.json["messages"] as { role: string; content: string }[];
    const said = messages.at(-1)!.role === "assistant" ? messages.at(-1)!.content.trim().split(" ").length : 0;
    const words = WORDS.slice(said, said + Number(seen.json["max_tokens"]));
    const isLast = said + words.length === WORDS.length;
    answerJson(response, {
      id: "c",
      model: "m",
      created: 1,
      choices: [
        {
          index: 0,
          message: { role: "assistant", content: words.map((word) => `${word} `).join("") },
          finish_reason: isLast ? "stop" : "length",
        },
      ],
      usage: { prompt_tokens: 4 + said, completion_tokens: words.length },
    });
  };
  const messages = [{ role: "user", content: "count" }];

  test("the client gets one answer", async () => {
    const local = await engine(writer);
    const { port } = await sidecar(local.port, ["--decode-chunk-size=2"]);
    const answer = await ask(port, "/v1/chat/completions", { body: JSON.stringify({ messages }) });
    expect(JSON.parse(answer.text)).toMatchObject({
      choices: [{ message: { role: "assistant", content: "one two three four five " }, finish_reason: "stop" }],
      usage: { prompt_tokens: 4, completion_tokens: 5, total_tokens: 9 },
    });
    expect(
      local.seen.map(({ json }) => [
        json["max_tokens"],
        json["continue_final_message"],
        (json["messages"] as unknown[]).length,
      ]),
    ).toEqual([
      [2, undefined, 1],
      [2, true, 2],
      [2, true, 2],
    ]);
  });

  test("within its budget, as a stream, and with a usage only where it is asked for", async () => {
    const local = await engine(writer);
    const { port } = await sidecar(local.port, ["--decode-chunk-size=2"]);
    const body = { messages, stream: true, max_tokens: 3 };
    const answer = await ask(port, "/v1/chat/completions", { body: JSON.stringify(body) });
    const events = answer.text.split("\n\n").filter((event) => event !== "");
    expect(events.at(-1)).toBe("data: [DONE]");
    expect(events.slice(0, -1).map((event) => JSON.parse(event.slice(6)).choices[0])).toEqual([
      { index: 0, delta: { role: "assistant", content: "one two " }, finish_reason: null },
      { index: 0, delta: { content: "three " }, finish_reason: "length" },
    ]);
    const withUsage = await ask(port, "/v1/chat/completions", {
      body: JSON.stringify({ ...body, stream_options: { include_usage: true } }),
    });
    expect(withUsage.text).toContain('"usage":{"prompt_tokens":4,"completion_tokens":3,"total_tokens":7}');
  });

  test("not where the answer is short, or has tools", async () => {
    const local = await engine(writer);
    const { port } = await sidecar(local.port, ["--decode-chunk-size=4"]);
    for (const body of [
      { messages, max_tokens: 3 },
      { messages, max_tokens: 9, tools: [{}] },
    ])
      await ask(port, "/v1/chat/completions", { body: JSON.stringify(body) });
    expect(local.seen.map(({ json }) => json["max_tokens"])).toEqual([3, 9]);
  });
});

test("metrics count requests by API and outcome", async () => {
  const [prefill, local] = [await engine(prefilled), await engine(hello)];
  const free = await closedPort();
  const { port, metricsPort } = await sidecar(local.port, [`--metrics-port=${free}`]);
  await ask(port, "/v1/completions", { headers: { [PREFILL]: prefill.hostPort }, body: "{}" });
  const page = await ask(metricsPort!, "/metrics", { method: "GET" });
  expect(page.text).toContain('routing_sidecar_requests_total{api="completions",outcome="prefill-decode"} 1');
  expect(page.text).toContain('routing_sidecar_stage_duration_seconds_count{stage="prefill"} 1');
});

test("an end lets running answers finish", async () => {
  let finish = (): void => {};
  const local = await engine((_seen, response) => {
    response.writeHead(200).write("a");
    finish = () => void response.end("b");
  });
  const running = await startSidecar(local.port);
  const answer = ask(running.ports[0]!, "/x", { method: "GET" });
  await until("the engine is asked", () => local.seen.length === 1);
  const stopped = running.stop(20_000);
  finish();
  expect((await answer).text).toBe("ab");
  await stopped;
  await expect(ask(running.ports[0]!, "/x")).rejects.toThrow();
});

const KV = { do_remote_prefill: true, remote_engine_id: "e1", remote_block_ids: [1, 2], remote_port: 5600 };
const prefilledFully: EngineBehaviour = (_seen, response) =>
  answerJson(response, {
    choices: [{ text: "x" }],
    kv_transfer_params: KV,
    usage: { prompt_tokens: 9, prompt_tokens_details: { cached_tokens: 4 } },
  });
const decoded: EngineBehaviour = (_seen, response) =>
  answerJson(response, { choices: [{ text: "hello" }], usage: { prompt_tokens: 9, completion_tokens: 5 } });

const BODY = { model: "m", prompt: 'a "quoted" prompt', max_tokens: 50, stream: false, temperature: 0.5 };
const text = JSON.stringify(BODY);

test("nixlv2: prefill computes one token, decode goes on from its blocks", async () => {
  const [prefill, local] = [await engine(prefilledFully), await engine(decoded)];
  const { port } = await sidecar(local.port);
  const answer = await ask(port, "/v1/completions?x=1", {
    headers: { "x-prefiller-host-port": prefill.hostPort, "x-request-id": "mine", authorization: "Bearer t" },
    body: text,
  });
  expect(answer.status).toBe(200);
  expect(JSON.parse(answer.text)).toEqual({
    choices: [{ text: "hello" }],
    usage: { prompt_tokens: 9, completion_tokens: 5, prompt_tokens_details: { cached_tokens: 4 } },
  });
  const [first] = prefill.seen;
  const [second] = local.seen;
  expect(first?.json).toEqual({
    ...BODY,
    max_tokens: 1,
    max_completion_tokens: 1,
    min_tokens: 1,
    stream: false,
    kv_transfer_params: {
      do_remote_decode: true,
      do_remote_prefill: false,
      remote_engine_id: null,
      remote_block_ids: null,
      remote_host: null,
      remote_port: null,
    },
  });
  expect(second?.json).toEqual({ ...BODY, kv_transfer_params: KV });
  for (const seen of [first, second]) {
    expect(seen?.url).toBe("/v1/completions?x=1");
    expect(seen?.headers).toMatchObject({ authorization: "Bearer t", "x-client-request-id": "mine" });
    expect(seen?.headers).not.toHaveProperty("x-prefiller-host-port");
    expect(seen?.rawHeaders.filter((name) => name.toLowerCase() === "x-request-id")).toHaveLength(1);
  }
  expect(first?.headers["x-request-id"]).toBe(second?.headers["x-request-id"]);
  expect(first?.headers["x-request-id"]).not.toBe("mine");
});
