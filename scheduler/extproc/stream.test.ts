import { afterEach, describe, expect, test } from "@jest/globals";
import {
  createExtProcClient,
  type ExtProcClient,
  type ExtProcStream,
  type Message,
  at,
  headerMap,
  setHeaders,
} from "../../test/extproc-client.ts";
import { createSelfSigned } from "../../kube/x509.ts";
import { silentLogger } from "../../telemetry/log.ts";
import { createMetricsRegistry } from "../../telemetry/metrics.ts";
import { createRequestMetrics } from "../metrics/request-metrics.ts";
import { createParsers } from "../parsers/parsers.ts";
import {
  type Director,
  type IncomingRequest,
  RequestError,
  type ResponseSummary,
  type RoutingDecision,
} from "../request/types.ts";
import { startGrpcServer } from "../server/grpc-server.ts";
import type { GrpcServer, TlsSettings } from "../server/transport.ts";
import { createHealthMethods } from "../server/health.ts";
import { EXT_PROC_METHOD, createExtProcMethod } from "./stream.ts";

const ENDPOINT = { podName: "pod-0", namespace: "default", address: "10.0.0.1:8000", port: 8000 };

interface Fake extends Director {
  readonly requests: IncomingRequest[];
  readonly completed: ResponseSummary[];
}

function fakeDirector(decide: (request: IncomingRequest) => Partial<RoutingDecision> = () => ({})): Fake {
  const requests: IncomingRequest[] = [];
  const completed: ResponseSummary[] = [];
  return {
    requests,
    completed,
    handle: (request) => {
      requests.push(request);
      return {
        ticket: request.id,
        endpoint: ENDPOINT,
        destination: ENDPOINT.address,
        incomingModel: request.body.model,
        targetModel: request.body.model,
        fairnessId: "default-flow",
        priority: 0,
        setHeaders: [],
        scores: undefined,
        ...decide(request),
      };
    },
    handleBodyless: ({ subset }) => {
      if (subset?.length === 0) throw new RequestError("ServiceUnavailable", "none", "rejected-no-endpoints");
      return ENDPOINT;
    },
    wantsResponseBody: false,
    onResponseHeaders: () => undefined,
    onResponseBody: () => undefined,
    onComplete: (_ticket, summary) => void completed.push(summary),
  };
}

const cleanups: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

interface Setup {
  readonly client: ExtProcClient;
  readonly page: () => Promise<string>;
  readonly server: GrpcServer;
}

async function start(director: Director, options: { tls?: TlsSettings; maxBodyBytes?: number } = {}): Promise<Setup> {
  const registry = createMetricsRegistry();
  let time = 0;
  const method = createExtProcMethod({
    director,
    parsers: createParsers(),
    metrics: createRequestMetrics(registry),
    logger: silentLogger,
    now: () => (time += 5),
    newId: () => "generated-id",
    maxBodyBytes: options.maxBodyBytes ?? 64 * 1024 * 1024,
    ignoreSubset: false,
  });
  const health = createHealthMethods(() => ({ live: true, ready: false, draining: false }), silentLogger);
  const server = await startGrpcServer({
    host: "127.0.0.1",
    port: 0,
    methods: new Map([[EXT_PROC_METHOD, method], ...health]),
    tls: options.tls,
    maxMessageBytes: 4 * 1024 * 1024,
    maxHeldBytes: 256 * 1024 * 1024,
  });
  cleanups.push(() => server.close(0));
  const client = createExtProcClient(`127.0.0.1:${server.port}`, options.tls?.certificate);
  cleanups.push(() => client.close());
  return { client, server, page: () => registry.render() };
}

const POST = { ":method": "POST", ":path": "/v1/completions", "x-request-id": "r1" };
const BODY = JSON.stringify({ model: "m", prompt: "hello", max_tokens: 5 });

function sendRequest(
  stream: ExtProcStream,
  body: string | Buffer = BODY,
  headers: Record<string, string> = POST,
): void {
  stream.send({ request_headers: { headers: headerMap(headers) } });
  const bytes = Buffer.from(body);
  const half = bytes.length >> 1;
  stream.send({ request_body: { body: bytes.subarray(0, half) } });
  stream.send({ request_body: { body: bytes.subarray(half), end_of_stream: true } });
}

async function bodyOf(stream: ExtProcStream, field: "request_body" | "response_body"): Promise<Buffer> {
  const parts: Buffer[] = [];
  for (;;) {
    const answer = await stream.next();
    const streamed = at(answer, `${field}.response.body_mutation.streamed_response`);
    parts.push(Buffer.from((at(streamed, "body") as Buffer | undefined) ?? []));
    if (at(streamed, "end_of_stream") === true) return Buffer.concat(parts);
  }
}

const lbValue = (answer: Message): unknown => {
  const lb = (at(answer, "dynamic_metadata.fields") as Record<string, unknown> | undefined)?.["envoy.lb"];
  const fields = at(lb, "struct_value.fields") as Record<string, unknown> | undefined;
  return at(fields?.["x-gateway-destination-endpoint"], "string_value");
};

describe("an inference request", () => {
  test("is answered with destination, metadata and its own body", async () => {
    const director = fakeDirector();
    const { client } = await start(director);
    const stream = client.open();
    sendRequest(stream, BODY, { ...POST, "x-llm-d-inference-objective": "batch" });
    const answer = await stream.next();
    expect(setHeaders(answer, "request_headers.response.header_mutation")).toEqual({
      "x-gateway-destination-endpoint": "10.0.0.1:8000",
      "Content-Length": String(BODY.length),
    });
    expect(at(answer, "request_headers.response.header_mutation.remove_headers")).toEqual([
      "x-llm-d-inference-objective",
    ]);
    expect(at(answer, "request_headers.response.clear_route_cache")).toBe(true);
    expect(lbValue(answer)).toBe("10.0.0.1:8000");
    expect((await bodyOf(stream, "request_body")).toString()).toBe(BODY);
    expect(director.requests[0]).toMatchObject({ id: "r1", path: "/v1/completions" });
    expect(director.requests[0]?.body).toMatchObject({ api: "completions", model: "m", maxOutputTokens: 5 });
  });

  test.each([1_000, 62_000, 62_001, 5_000_000])("of %d bytes comes back whole in chunks of 62,000", async (size) => {
    const { client } = await start(fakeDirector());
    const stream = client.open();
    const head = '{"model":"m","prompt":"';
    const body = Buffer.from(`${head}${"x".repeat(size - head.length - 2)}"}`);
    stream.send({ request_headers: { headers: headerMap(POST) } });
    for (let from = 0; from < size; from += 60_000)
      stream.send({ request_body: { body: body.subarray(from, from + 60_000), end_of_stream: from + 60_000 >= size } });
    await stream.next();
    const parts: Buffer[] = [];
    let chunks = 0;
    for (let ended = false; !ended; chunks++) {
      const streamed = at(await stream.next(), "request_body.response.body_mutation.streamed_response");
      parts.push(at(streamed, "body") as Buffer);
      ended = at(streamed, "end_of_stream") === true;
    }
    expect(chunks).toBe(Math.ceil(size / 62_000));
    expect(Buffer.concat(parts).equals(body)).toBe(true);
  });

  test("gets its model rewritten, and its answer the old name", async () => {
    const director = fakeDirector(() => ({ targetModel: "lora-7" }));
    const { client } = await start(director);
    const stream = client.open();
    sendRequest(stream);
    await stream.next();
    expect(JSON.parse((await bodyOf(stream, "request_body")).toString())).toMatchObject({
      model: "lora-7",
      prompt: "hello",
    });
    stream.send({ response_headers: { headers: headerMap({ ":status": "200", "content-type": "application/json" }) } });
    stream.send({ response_body: { body: Buffer.from('{"id":1,"mod') } });
    stream.send({
      response_body: {
        body: Buffer.from('el":"lora-7","usage":{"prompt_tokens":4,"completion_tokens":2,"total_tokens":6}}'),
        end_of_stream: true,
      },
    });
    const marker = setHeaders(await stream.next(), "response_headers.response.header_mutation");
    expect(marker).toEqual({ "x-went-into-resp-headers": "true" });
    const answer = JSON.parse((await bodyOf(stream, "response_body")).toString()) as Message;
    expect(answer.model).toBe("m");
    expect(director.completed).toMatchObject([
      { termination: "natural", status: 200, usage: { promptTokens: 4, completionTokens: 2, totalTokens: 6 } },
    ]);
    stream.halfClose();
    expect(await stream.status).toBe(0);
  });

  test("may wait for its decision", async () => {
    const director = fakeDirector();
    const { client } = await start({
      ...director,
      handle: async (request) => await Promise.resolve(director.handle(request)),
    });
    const stream = client.open();
    sendRequest(stream);
    expect(lbValue(await stream.next())).toBe("10.0.0.1:8000");
  });

  test("that ends with trailers is answered with a body that does not end, and trailers", async () => {
    const { client } = await start(fakeDirector());
    const stream = client.open();
    stream.send({ request_headers: { headers: headerMap(POST) } });
    stream.send({ request_body: { body: Buffer.from(BODY) } });
    stream.send({ request_trailers: { trailers: headerMap({}) } });
    expect(at(await stream.next(), "request_headers")).toBeDefined();
    const streamed = at(await stream.next(), "request_body.response.body_mutation.streamed_response");
    expect(at(streamed, "end_of_stream")).toBeUndefined();
    expect(at(await stream.next(), "request_trailers")).toBeDefined();
  });

  test("in buffered mode gets its destination with the body", async () => {
    const { client } = await start(fakeDirector());
    const stream = client.open();
    stream.send({ request_headers: { headers: headerMap(POST) }, protocol_config: { request_body_mode: 2 } });
    expect(setHeaders(await stream.next(), "request_headers.response.header_mutation")).toEqual({});
    stream.send({ request_body: { body: Buffer.from(BODY), end_of_stream: true } });
    const answer = await stream.next();
    expect(setHeaders(answer, "request_body.response.header_mutation")).toMatchObject({
      "x-gateway-destination-endpoint": "10.0.0.1:8000",
    });
    expect(at(answer, "request_body.response.body_mutation")).toBeUndefined();
  });
});

describe("a request without a body", () => {
  test("is answered at once", async () => {
    const { client } = await start(fakeDirector());
    const stream = client.open();
    stream.send({
      request_headers: { headers: headerMap({ ":method": "GET", ":path": "/v1/models" }), end_of_stream: true },
    });
    const answer = await stream.next();
    expect(setHeaders(answer, "request_headers.response.header_mutation")).toEqual({
      "x-gateway-destination-endpoint": "10.0.0.1:8000",
      "x-request-id": "generated-id",
    });
  });

  test("with an empty subset is refused", async () => {
    const { client } = await start(fakeDirector());
    const stream = client.open();
    stream.send({
      request_headers: { headers: headerMap({ ":method": "GET", ":path": "/v1/models" }), end_of_stream: true },
      metadata_context: {
        filter_metadata: {
          "envoy.lb.subset_hint": {
            fields: { "x-gateway-destination-endpoint-subset": { list_value: { values: [] } } },
          },
        },
      },
    });
    const answer = await stream.next();
    expect(at(answer, "immediate_response.status.code")).toBe(503);
    expect(setHeaders(answer, "immediate_response.headers")).toEqual({
      "x-llm-d-request-dropped-reason": "rejected-no-endpoints",
    });
    expect(await stream.status).toBe(0);
  });
});

describe("what goes wrong", () => {
  test.each([
    ["no JSON", "no healthy upstream", 400, /^inference error: BadRequest - error unmarshaling request bodyMap: /],
    [
      "no prompt",
      '{"hello":"world"}',
      400,
      /^inference error: BadRequest - invalid completions request: must have prompt field$/,
    ],
    ["cut JSON", '{"model":"m","prompt":"x', 400, /unexpected end of JSON input/],
    ["too large", JSON.stringify({ model: "m", prompt: "x".repeat(2000) }), 413, /exceeds the limit of 1000 bytes/],
  ])("%s is refused", async (_name, body, status, text) => {
    const { client, page } = await start(fakeDirector(), { maxBodyBytes: 1000 });
    const stream = client.open();
    sendRequest(stream, body);
    const answer = await stream.next();
    expect(at(answer, "immediate_response.status.code")).toBe(status);
    expect(String(at(answer, "immediate_response.body"))).toMatch(text);
    expect(await stream.status).toBe(0);
    expect(await page()).toMatch(/^endpoint_picker_open_streams 0$/m);
    expect(await page()).toMatch(/^llm_d_epp_request_error_total\{.*\} 1$/m);
  });

  test("an unexpected error leaves the choice to the proxy", async () => {
    const { client } = await start({
      ...fakeDirector(),
      handle: () => {
        throw new Error("boom");
      },
    });
    const stream = client.open();
    sendRequest(stream);
    await expect(stream.next()).rejects.toThrow("boom");
    expect(await stream.status).toBe(2);
  });

  test("a message above the limit ends its stream alone", async () => {
    const { client } = await start(fakeDirector());
    const stream = client.open();
    stream.send({ request_body: { body: Buffer.alloc(5_000_000) } });
    expect(await stream.status).toBe(8);
    const other = client.open();
    sendRequest(other);
    expect(lbValue(await other.next())).toBe("10.0.0.1:8000");
  });

  test("a client that leaves in the middle is told to the hooks, and leaks no stream", async () => {
    const director = fakeDirector();
    const completed = new Promise<ResponseSummary>((resolve) => {
      Object.assign(director, { onComplete: (_ticket: unknown, summary: ResponseSummary) => resolve(summary) });
    });
    const { client, page } = await start(director);
    const stream = client.open();
    stream.status.catch(() => undefined);
    sendRequest(stream);
    await stream.next();
    expect(await page()).toMatch(/^endpoint_picker_open_streams 1$/m);
    stream.cancel();
    expect((await completed).termination).toBe("client-disconnect");
    expect(await page()).toMatch(/^endpoint_picker_open_streams 0$/m);
    expect(await page()).toMatch(/^llm_d_epp_request_running\{.*\} 0$/m);
  });

  test("answers may come without a request", async () => {
    const { client } = await start(fakeDirector());
    const stream = client.open();
    stream.send({
      response_headers: { headers: headerMap({ ":status": "200", "content-type": "text/event-stream" }) },
    });
    await stream.next();
    stream.send({ response_body: { body: Buffer.from("data: {}\n\n") } });
    stream.send({ response_body: { end_of_stream: true } });
    expect((await bodyOf(stream, "response_body")).toString()).toBe("data: {}\n\n");
  });
});

test("over TLS, with another certificate for later connections", async () => {
  const pair = (name: string) =>
    createSelfSigned({
      organization: name,
      dnsNames: ["localhost"],
      ipAddresses: ["127.0.0.1"],
      notBefore: new Date(Date.now() - 60_000),
      notAfter: new Date(Date.now() + 3_600_000),
    });
  const [first, second] = [pair("first"), pair("second")];
  const { client, server } = await start(fakeDirector(), { tls: first });
  const stream = client.open();
  sendRequest(stream);
  expect(lbValue(await stream.next())).toBe("10.0.0.1:8000");
  server.setCertificate(second.certificate, second.privateKey);
  const later = createExtProcClient(`127.0.0.1:${server.port}`, second.certificate);
  cleanups.push(() => later.close());
  expect(await later.health("liveness")).toBe(1);
  expect(() => server.setCertificate(first.certificate, second.privateKey)).toThrow();
});

test("health tells liveness and readiness apart", async () => {
  const { client } = await start(fakeDirector());
  expect(await client.health("liveness")).toBe(1);
  expect(await client.health("readiness")).toBe(2);
  expect(await client.health("")).toBe(2);
  expect(await client.health("inference-extension")).toBe(1);
});

test("picks and requests are counted under all names", async () => {
  const { client, page } = await start(fakeDirector());
  const stream = client.open();
  sendRequest(stream);
  await stream.next();
  const text = await page();
  expect(text).toContain(
    'endpoint_picker_picks_total{target_model_name="m",namespace="default",pod="pod-0",port="8000"} 1',
  );
  for (const name of ["llm_d_epp_request_total", "inference_objective_request_total", "endpoint_picker_requests_total"])
    expect(text).toMatch(new RegExp(`^${name}\\{.*\\} 1$`, "m"));
});
