import { type RequestListener, type Server, createServer, request as httpRequest } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, test } from "@jest/globals";
import type { Resource } from "../../kube/resources.ts";
import { KINDS } from "../../kube/resources.ts";
import { type KubeObject, keyOf } from "../../kube/types.ts";
import { EXT_PROC_METHOD, createExtProcMethod } from "../../scheduler/extproc/stream.ts";
import { createRequestMetrics } from "../../scheduler/metrics/request-metrics.ts";
import { createParsers } from "../../scheduler/parsers/parsers.ts";
import { type Director, RequestError, type ResponseSummary } from "../../scheduler/request/types.ts";
import { selfSignedCertificate } from "../../kube/certificates.ts";
import { startGrpcServer } from "../../scheduler/server/grpc-server.ts";
import type { Call, Method } from "../../scheduler/server/transport.ts";
import { silentLogger } from "../../telemetry/log.ts";
import { createMetricsRegistry } from "../../telemetry/metrics.ts";
import { SERVICE_NAME } from "../controllers/endpoint-slice.ts";
import type { Mirror } from "../mirror.ts";
import { until } from "../until.ts";
import { createListeners } from "./listeners.ts";
import { createPickerClients } from "./picker-client.ts";
import { proxyRequest } from "./proxy.ts";
import { createUpstreams } from "./upstream.ts";

const HOST = "127.0.0.1";
const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function mirrorOf(resource: Resource, objects: readonly KubeObject[]): Mirror {
  const find = (key: string) => objects.find((object) => keyOf(object.metadata) === key);
  return {
    resource,
    list: () => objects,
    get: (key) => find(keyOf(key)),
    synced: Promise.resolve(),
    close: () => Promise.resolve(),
  };
}

function object(resource: Resource, name: string, fields: Readonly<Record<string, unknown>>): KubeObject {
  const { metadata, ...rest } = fields as { metadata?: object };
  const { apiVersion, kind } = resource;
  return { apiVersion, kind, metadata: { namespace: "ns", name, ...metadata }, ...rest };
}

async function startUpstream(listener: RequestListener): Promise<Server & { port: number }> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, HOST, resolve));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return Object.assign(server, { port: (server.address() as AddressInfo).port });
}

interface Picker {
  readonly port: number;
  readonly completions: ResponseSummary[];
  /** Cuts the stream of the exchange that started last. */
  cut(): void;
  /** Messages that came so far. */
  messages(): number;
}

interface PickerSettings {
  readonly destination: string;
  readonly secure?: boolean;
  readonly refuse?: RequestError;
  /** Never answers. */
  readonly silent?: boolean;
}

async function startPicker(settings: PickerSettings): Promise<Picker> {
  const completions: ResponseSummary[] = [];
  const [address = ""] = settings.destination.split(",");
  const endpoint = { podName: "p", namespace: "ns", address, port: Number(address.split(":")[1]) };
  const director: Director = {
    wantsResponseBody: false,
    handleBodyless: () => endpoint,
    onResponseHeaders: () => undefined,
    onResponseBody: () => undefined,
    onComplete: (_ticket, summary) => void completions.push(summary),
    handle: ({ body }) => {
      if (settings.refuse !== undefined) throw settings.refuse;
      if (settings.silent === true) return new Promise(() => undefined);
      const model = { incomingModel: body.model, targetModel: body.model, fairnessId: "f", priority: 0 };
      const { destination } = settings;
      return { ticket: {}, endpoint, destination, setHeaders: [["x-picked", "yes"]], scores: undefined, ...model };
    },
  };
  const method = createExtProcMethod({
    director,
    parsers: createParsers(),
    metrics: createRequestMetrics(createMetricsRegistry()),
    logger: silentLogger,
    now: () => performance.now(),
    newId: () => "id",
    maxBodyBytes: 64 * 1024 * 1024,
    ignoreSubset: false,
  });
  let last: Call | undefined;
  let messages = 0;
  const watched: Method = (call) => {
    last = call;
    const handler = method(call);
    const onMessage = (message: Buffer): void => {
      messages++;
      handler.onMessage(message);
    };
    return { onMessage, onHalfClose: () => handler.onHalfClose(), onCancel: () => handler.onCancel() };
  };
  const tls = settings.secure === true ? selfSignedCertificate(new Date()) : undefined;
  const methods = new Map([[EXT_PROC_METHOD, watched]]);
  const limits = { maxMessageBytes: 4 * 1024 * 1024, maxHeldBytes: 256 * 1024 * 1024 };
  const server = await startGrpcServer({ host: HOST, port: 0, methods, tls, ...limits });
  closers.push(() => server.close(0));
  return { port: server.port, completions, messages: () => messages, cut: () => last?.end(14, "cut") };
}

/** A gateway with one route: `/pool` to a pool of these ports behind this picker, `/svc` to a Service of them. */
async function startGateway(ports: readonly number[], pickerPort: number, failureMode = "FailOpen"): Promise<string> {
  const ready = { ready: true, serving: true };
  const slice = (service: string, port: number) =>
    object(KINDS.EndpointSlice, `${service}-${port}`, {
      metadata: { labels: { [SERVICE_NAME]: service } },
      ports: [{ name: "", port }],
      endpoints: [{ addresses: [HOST], conditions: ready }],
    });
  const conditions = [{ type: "Ready", status: "True" }];
  const pod = object(KINDS.Pod, "p", { metadata: { labels: { app: "m" } }, status: { podIP: HOST, conditions } });
  const pool = object(KINDS.InferencePool, "pool", {
    spec: {
      selector: { matchLabels: { app: "m" } },
      targetPorts: ports.map((number) => ({ number })),
      endpointPickerRef: { name: "epp", port: { number: 9002 }, failureMode },
    },
  });
  const service = (name: string, port: number) => object(KINDS.Service, name, { spec: { ports: [{ port }] } });
  const rule = (path: string, backend: object) => ({
    matches: [{ path: { type: "PathPrefix", value: path } }],
    filters: [{ type: "URLRewrite", urlRewrite: { path: { type: "ReplacePrefixMatch", replacePrefixMatch: "/" } } }],
    backendRefs: [backend],
  });
  const rules = [
    rule("/pool", { group: "inference.networking.k8s.io", kind: "InferencePool", name: "pool" }),
    rule("/svc", { name: "web", port: 80 }),
    rule("/none", { name: "missing", port: 80 }),
  ];
  const upstreams = createUpstreams();
  const pickers = createPickerClients();
  const context = {
    upstreams,
    pickers,
    logger: silentLogger,
    random: () => 0,
    routes: () =>
      rules.map((one, index) => ({ hostnames: [], namespace: "ns", name: "r", created: "", index, rule: one })),
    sources: {
      services: mirrorOf(KINDS.Service, [service("web", 80), service("epp", 9002)]),
      slices: mirrorOf(KINDS.EndpointSlice, [...ports.map((port) => slice("web", port)), slice("epp", pickerPort)]),
      pods: mirrorOf(KINDS.Pod, [pod]),
      pools: [mirrorOf(KINDS.InferencePool, [pool])],
      grants: mirrorOf(KINDS.ReferenceGrant, []),
    },
  };
  const listeners = createListeners(HOST, (port, request, response) => {
    void proxyRequest(context, port, request, response);
  });
  const port = await listeners.open(0);
  closers.push(async () => {
    await listeners.close();
    pickers.close();
    upstreams.close();
  });
  return `http://${HOST}:${port}`;
}

const echo: RequestListener = (request, response) => {
  const chunks: Buffer[] = [];
  request.on("data", (chunk: Buffer) => chunks.push(chunk));
  request.on("end", () => {
    const { method, url, headers } = request;
    const bytes = Buffer.concat(chunks).length;
    response.writeHead(200, { "content-type": "application/json", "x-up": "1" });
    response.end(JSON.stringify({ method, url, picked: headers["x-picked"], bytes }));
  });
};
const completion = (prompt = "hi") => JSON.stringify({ model: "m", prompt });
const post = (url: string, body: string) => fetch(url, { method: "POST", body });

describe("requests through the picker", () => {
  test("go where it says, with its headers and their bytes untouched, and it hears how they ended", async () => {
    const [wrong, right] = [await startUpstream(() => undefined), await startUpstream(echo)];
    const picker = await startPicker({ destination: `${HOST}:${right.port}` });
    const url = await startGateway([wrong.port, right.port], picker.port);
    const answer = await post(`${url}/pool/v1/completions?a=b`, completion());
    expect(answer.status).toBe(200);
    expect(answer.headers.get("x-up")).toBe("1");
    await expect(answer.json()).resolves.toEqual({
      method: "POST",
      url: "/v1/completions?a=b",
      picked: "yes",
      bytes: completion().length,
    });
    expect(picker.completions.map(({ termination, status }) => [termination, status])).toEqual([["natural", 200]]);
  });

  test("of 5 MB arrive whole", async () => {
    const upstream = await startUpstream(echo);
    const picker = await startPicker({ destination: `${HOST}:${upstream.port}` });
    const url = await startGateway([upstream.port], picker.port);
    const body = completion("word ".repeat(1024 * 1024));
    const answer = (await (await post(`${url}/pool/v1/completions`, body)).json()) as { bytes: number };
    expect(answer.bytes).toBe(body.length);
  });

  test("without a body get an endpoint too, and TLS pickers are found out", async () => {
    const upstream = await startUpstream(echo);
    const picker = await startPicker({ destination: `${HOST}:${upstream.port}`, secure: true });
    const url = await startGateway([upstream.port], picker.port);
    const answer = await fetch(`${url}/pool/v1/models`);
    await expect(answer.json()).resolves.toMatchObject({ method: "GET", url: "/v1/models", bytes: 0 });
  });

  test("try the next endpoint of the list when nothing listens on the first", async () => {
    const upstream = await startUpstream(echo);
    const gone = await startUpstream(echo);
    await new Promise((resolve) => gone.close(resolve));
    const picker = await startPicker({ destination: `${HOST}:${gone.port},${HOST}:${upstream.port}` });
    const url = await startGateway([upstream.port], picker.port);
    expect((await post(`${url}/pool/v1/completions`, completion())).status).toBe(200);
  });

  test("that it refuses get its answer and reach nobody", async () => {
    let reached = 0;
    const upstream = await startUpstream(() => reached++);
    const refuse = new RequestError("ResourceExhausted", "too much", "rejected-saturated");
    const picker = await startPicker({ destination: `${HOST}:${upstream.port}`, refuse });
    const url = await startGateway([upstream.port], picker.port);
    const answer = await post(`${url}/pool/v1/completions`, completion());
    expect(answer.status).toBe(429);
    expect(answer.headers.get("x-llm-d-request-dropped-reason")).toBe("rejected-saturated");
    await expect(answer.text()).resolves.toContain("too much");
    expect((await post(`${url}/pool/v1/completions`, "{nope")).status).toBe(400);
    expect(reached).toBe(0);
  });

  test("stream: each event passes before the next is made", async () => {
    const next: (() => void)[] = [];
    const upstream = await startUpstream((request, response) => {
      request.resume();
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write("data: 1\n\n");
      next.push(() => response.write("data: 2\n\n"));
      next.push(() => response.end("data: [DONE]\n\n"));
    });
    const picker = await startPicker({ destination: `${HOST}:${upstream.port}` });
    const url = await startGateway([upstream.port], picker.port);
    const answer = await post(`${url}/pool/v1/completions`, completion());
    const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
    for (const wanted of ["data: 1\n\n", "data: 2\n\n", "data: [DONE]\n\n"]) {
      expect((await reader.read()).value).toBe(wanted);
      next.shift()?.();
    }
    expect((await reader.read()).done).toBe(true);
  });

  test("end with an error when the server behind dies in the middle of its answer", async () => {
    const die = Promise.withResolvers<void>();
    const upstream = await startUpstream((request, response) => {
      request.resume();
      response.writeHead(200, { "content-type": "text/event-stream" }).write("data: 1\n\n");
      void die.promise.then(() => response.destroy());
    });
    const picker = await startPicker({ destination: `${HOST}:${upstream.port}` });
    const url = await startGateway([upstream.port], picker.port);
    const answer = await post(`${url}/pool/v1/completions`, completion());
    const reader = answer.body!.getReader();
    await reader.read();
    die.resolve();
    await expect(reader.read()).rejects.toThrow();
  });

  test("of clients that leave are given up on all sides", async () => {
    const closed = Promise.withResolvers<void>();
    const upstream = await startUpstream((request, response) => {
      request.resume();
      response.on("close", () => closed.resolve());
      response.writeHead(200, { "content-type": "text/event-stream" }).write("data: 1\n\n");
    });
    const picker = await startPicker({ destination: `${HOST}:${upstream.port}` });
    const url = await startGateway([upstream.port], picker.port);
    const leave = new AbortController();
    const answer = await fetch(`${url}/pool/v1/completions`, {
      method: "POST",
      body: completion(),
      signal: leave.signal,
    });
    expect(answer.status).toBe(200);
    leave.abort();
    await closed.promise;
    while (picker.completions.length === 0) await new Promise(setImmediate);
    expect(picker.completions[0]?.termination).not.toBe("natural");
  });
});

describe("without a picker that answers", () => {
  test("a pool that fails open goes on with a ready endpoint, and one that fails closed does not", async () => {
    const upstream = await startUpstream(echo);
    const gone = await startUpstream(echo);
    await new Promise((resolve) => gone.close(resolve));
    const open = await startGateway([upstream.port], gone.port, "FailOpen");
    expect((await post(`${open}/pool/v1/completions`, completion())).status).toBe(200);
    const closed = await startGateway([upstream.port], gone.port, "FailClose");
    expect((await post(`${closed}/pool/v1/completions`, completion())).status).toBe(500);
  });

  test("a request that waits for its decision when the picker dies goes on with its body", async () => {
    const upstream = await startUpstream(echo);
    const picker = await startPicker({ destination: `${HOST}:${upstream.port}`, silent: true });
    const url = await startGateway([upstream.port], picker.port);
    const sent = httpRequest(`${url}/pool/v1/completions`, { method: "POST" });
    const answered = new Promise<number>((resolve) => sent.once("response", (answer) => resolve(answer.statusCode!)));
    sent.write(completion());
    await until("headers and a part of the body at the picker", () => picker.messages() >= 2, { pollMs: 1 });
    picker.cut();
    sent.end();
    await expect(answered).resolves.toBe(200);
  });

  test("an answer that is on its way when the picker dies arrives whole", async () => {
    const finish = Promise.withResolvers<void>();
    const upstream = await startUpstream((request, response) => {
      request.resume();
      response.writeHead(200, { "content-type": "text/event-stream" }).write("data: 1\n\n");
      void finish.promise.then(() => response.end("data: 2\n\n"));
    });
    const picker = await startPicker({ destination: `${HOST}:${upstream.port}` });
    const url = await startGateway([upstream.port], picker.port);
    const answer = await post(`${url}/pool/v1/completions`, completion());
    const reader = answer.body!.pipeThrough(new TextDecoderStream()).getReader();
    expect((await reader.read()).value).toBe("data: 1\n\n");
    picker.cut();
    finish.resolve();
    expect((await reader.read()).value).toBe("data: 2\n\n");
    expect((await reader.read()).done).toBe(true);
  });
});

describe("requests without a pool", () => {
  test("reach the Service, and those that lead nowhere are told so", async () => {
    const upstream = await startUpstream(echo);
    const url = await startGateway([upstream.port], 1);
    await expect((await fetch(`${url}/svc/health`)).json()).resolves.toMatchObject({ url: "/health" });
    expect((await fetch(`${url}/none`)).status).toBe(500);
    expect((await fetch(`${url}/other`)).status).toBe(404);
    const empty = await startGateway([], 1);
    expect((await fetch(`${empty}/svc`)).status).toBe(503);
  });
});
