import http2 from "node:http2";
import net from "node:net";
import tls from "node:tls";
import { gzipSync } from "node:zlib";
import { Client, credentials, status as codes } from "@grpc/grpc-js";
import { afterEach, describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { type EchoServer, startEcho } from "../../test/echo-server.ts";
import { until, untilStill } from "../../playground/until.ts";
import { GREETING, framed, frame, uint32 } from "../../test/h2-frames.ts";
import { selfSignedCertificate } from "../../kube/certificates.ts";
import { FLAG, FRAME } from "./http2/frames.ts";
import { encodeLiterals } from "./http2/hpack.ts";
import type { ServerSettings } from "./transport.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const start = (extra: Partial<ServerSettings> = {}): Promise<EchoServer> => startEcho(closers, extra);

interface Answer {
  readonly messages: readonly Buffer[];
  readonly code: number;
  readonly details: string;
}

const HEAD = encodeLiterals([
  { name: ":method", value: "POST" },
  { name: ":scheme", value: "http" },
  { name: ":path", value: "/test.Echo/Call" },
  { name: "content-type", value: "application/grpc" },
]);
const ENDS = FLAG.endHeaders | FLAG.endStream;
const headers = (id: number, flags = FLAG.endHeaders as number): Buffer => frame(FRAME.headers, flags, id, HEAD);

const same = (bytes: Buffer): Buffer => bytes;

/** Sends messages by a grpc-js client and reads to the call's end. */
async function callWith(client: Client, messages: readonly Buffer[], path = "/test.Echo/Call"): Promise<Answer> {
  const stream = client.makeBidiStreamRequest(path, same, same);
  const received: Buffer[] = [];
  stream.on("data", (message: Buffer) => received.push(message)).on("error", () => undefined);
  for (const message of messages) stream.write(message);
  stream.end();
  const { code, details } = await new Promise<{ code: number; details: string }>(
    (resolve) => void stream.on("status", resolve),
  );
  return { messages: received, code, details };
}

function grpcClient(address: string, ca?: string): Client {
  const options = { "grpc.enable_channelz": 0, "grpc.ssl_target_name_override": "localhost" };
  const secure = ca === undefined ? credentials.createInsecure() : credentials.createSsl(Buffer.from(ca));
  const client = new Client(address, secure, { ...options, "grpc.max_receive_message_length": -1 });
  closers.push(() => client.close());
  return client;
}

describe("grpc-js as client", () => {
  test("many calls at once, messages of many sizes in order", async () => {
    const { address, journal } = await start();
    const client = grpcClient(address);
    const sizes = [0, 1, 5, 1000, 16_384, 70_000, 1_500_000];
    const calls = Array.from({ length: 20 }, (_, index) => sizes.map((size) => Buffer.alloc(size, index)));
    const answers = await Promise.all(calls.map((messages) => callWith(client, messages)));
    for (const [index, answer] of answers.entries()) {
      expect(answer.code).toBe(codes.OK);
      expect(Buffer.concat(answer.messages).equals(Buffer.concat(calls[index]!))).toBe(true);
      expect(answer.messages.map(({ length }) => length)).toEqual(sizes);
    }
    expect(journal).toEqual({ open: 0, ends: Array.from({ length: 20 }, () => "half-close") });
  });

  test("statuses: unknown method, an end of the server's own, a message that is too large", async () => {
    const { address, journal } = await start({ maxMessageBytes: 1000 });
    const client = grpcClient(address);
    expect(await callWith(client, [], "/test.Echo/Other")).toMatchObject({ code: codes.UNIMPLEMENTED });
    const bye = await callWith(client, [Buffer.from("hi"), Buffer.from("bye")]);
    expect(bye).toMatchObject({ code: codes.NOT_FOUND, details: "gone – für immer" });
    expect(bye.messages).toHaveLength(2);
    const large = await callWith(client, [Buffer.alloc(1001)]);
    expect(large).toMatchObject({ code: codes.RESOURCE_EXHAUSTED });
    expect(large.details).toContain("1001 vs. 1000");
    expect(journal).toEqual({ open: 0, ends: ["bye", "cancel"] });
  });

  test("TLS, with a certificate that is replaced while running", async () => {
    const [first, second] = [selfSignedCertificate(new Date()), selfSignedCertificate(new Date())];
    const { address, server } = await start({ tls: first });
    expect((await callWith(grpcClient(address, first.certificate), [Buffer.from("a")])).code).toBe(codes.OK);
    server.setCertificate(second.certificate, second.privateKey);
    expect((await callWith(grpcClient(address, second.certificate), [Buffer.from("a")])).code).toBe(codes.OK);
    expect(() => server.setCertificate(first.certificate, second.privateKey)).toThrow();
  });

  test("a drain lets calls end and takes no new ones", async () => {
    const { address, server, journal } = await start();
    const client = grpcClient(address);
    const stream = client.makeBidiStreamRequest("/test.Echo/Call", same, same);
    const first = new Promise((resolve) => void stream.once("data", resolve));
    stream.write(Buffer.from("a"));
    await first;
    const closed = server.close(10_000);
    const second = new Promise((resolve) => void stream.once("data", resolve));
    stream.write(Buffer.from("b"));
    expect(String(await second)).toBe("b");
    stream.end();
    await closed;
    expect(journal.ends).toEqual(["half-close"]);
    expect((await callWith(client, [])).code).toBe(codes.UNAVAILABLE);
  });
});

describe("node:http2 as client", () => {
  async function session(address: string, options: http2.ClientSessionOptions = {}): Promise<http2.ClientHttp2Session> {
    const made = http2.connect(`http://${address}`, options);
    closers.push(() => made.destroy());
    await new Promise((resolve) => void made.once("remoteSettings", resolve));
    return made;
  }
  const HEADERS = { ":method": "POST", ":path": "/test.Echo/Call", "content-type": "application/grpc", te: "trailers" };

  test("small windows and frames of the client's choice", async () => {
    const { address } = await start();
    const client = await session(address, { settings: { initialWindowSize: 70, maxFrameSize: 20_000 } });
    const stream = client.request(HEADERS);
    const message = framed(Buffer.alloc(40_000, "x"));
    stream.end(message);
    const chunks: Buffer[] = [];
    for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
    expect(Buffer.concat(chunks).equals(message)).toBe(true);
  });

  test("pings, any header values, a compressed message, trailers that end the request", async () => {
    const { address } = await start();
    const client = await session(address);
    await new Promise<void>((resolve, reject) => client.ping((error) => (error === null ? resolve() : reject(error))));
    const extra = {
      "x-a": "!\"#$%&'()*+,-./0-9:;<=>?@A-Z[\\]^_`{|}~",
      "x-b": "y".repeat(9000),
      "grpc-encoding": "gzip",
    };
    const stream = client.request({ ...HEADERS, ...extra }, { endStream: false });
    stream.on("wantTrailers", () => stream.sendTrailers({ "x-end": "1" }));
    const packed = gzipSync(Buffer.from("hello"));
    const bytes = framed(packed);
    bytes[0] = 1;
    stream.end(bytes);
    const chunks: Buffer[] = [];
    for await (const chunk of stream as AsyncIterable<Buffer>) chunks.push(chunk);
    expect(Buffer.concat(chunks).subarray(5).toString()).toBe("hello");
  });

  test("a client without a header table, whose call takes longer than it allows", async () => {
    const { address, journal } = await start();
    const client = await session(address, { settings: { headerTableSize: 0 } });
    const trailers = async (timeout: string): Promise<unknown> => {
      const stream = client.request({ ...HEADERS, "grpc-timeout": timeout }, { endStream: false });
      const last = new Promise((resolve) => {
        stream.once("trailers", resolve).once("response", (head, flags) => flags & FLAG.endStream && resolve(head));
      });
      await last.finally(() => stream.destroy());
      return await last;
    };
    expect(await trailers("20m")).toMatchObject({ "grpc-status": "4", "grpc-message": "deadline exceeded" });
    expect(await trailers("5000u")).toMatchObject({ "grpc-status": "4" });
    expect(journal).toEqual({ open: 0, ends: ["cancel", "cancel"] });
  });

  test("what is no gRPC gets an HTTP status", async () => {
    const { address } = await start();
    const client = await session(address);
    const statusOf = (headers: http2.OutgoingHttpHeaders): Promise<number> =>
      new Promise((resolve, reject) => {
        client
          .request(headers)
          .on("response", (head) => resolve(Number(head[":status"])))
          .on("error", reject)
          .end();
      });
    expect(await statusOf({ ...HEADERS, ":method": "GET" })).toBe(415);
    expect(await statusOf({ ...HEADERS, "content-type": "application/json" })).toBe(415);
  });

  test("a client that does not read does not make the server hold more than it was allowed to send", async () => {
    const { address, journal } = await start();
    const client = await session(address, { settings: { initialWindowSize: 0 } });
    const stream = client.request(HEADERS);
    let accepted = 0;
    const message = framed(Buffer.alloc(100_000));
    const more = (): void => {
      stream.write(message, (error) => {
        if (error !== null && error !== undefined) return;
        accepted += message.length;
        more();
      });
    };
    more();
    await until("accepted bytes", () => accepted > 0);
    await untilStill("accepted bytes", 50, () => accepted, { pollMs: 10 });
    expect(accepted).toBeLessThan(3_000_000);
    stream.close(http2.constants.NGHTTP2_CANCEL);
    await new Promise((resolve) => void stream.once("close", resolve));
    await until("no open call", () => journal.open === 0, { pollMs: 5 });
    expect(journal.ends).toEqual(["cancel"]);
  });
});

test("TLS without ALPN is served, a handshake that never ends does not hold up the end", async () => {
  const pair = selfSignedCertificate(new Date());
  const { server } = await start({ tls: pair });
  const socket = tls.connect({ port: server.port, host: "127.0.0.1", rejectUnauthorized: false });
  const first = new Promise<Buffer>((resolve) => void socket.once("data", resolve));
  socket.write(GREETING);
  expect((await first)[3]).toBe(FRAME.settings);
  const stuck = net.connect(server.port, "127.0.0.1").on("error", () => undefined);
  await new Promise((resolve) => void stuck.once("connect", resolve));
  await server.close(20);
  socket.destroy();
});

test("mutated connections end or go on, leak no call, and leave the server in order", async () => {
  const { address, journal } = await start();
  const [host, port] = address.split(":");
  const valid = Buffer.concat([
    GREETING,
    headers(1),
    frame(FRAME.data, 0, 1, framed(Buffer.from("one"))),
    headers(3, ENDS),
    frame(FRAME.windowUpdate, 0, 1, uint32(1000)),
    frame(FRAME.data, FLAG.endStream, 1, framed(Buffer.from("two"))),
    frame(FRAME.ping, 0, 0, Buffer.alloc(8)),
    headers(5),
    frame(FRAME.rstStream, 0, 5, uint32(8)),
  ]);
  const mutation = fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(mutation, fc.nat(valid.length), async (changes, cut) => {
      const bytes = Buffer.from(valid);
      for (const [at, value] of changes) bytes[at] = value;
      const socket = net.connect(Number(port), host).on("error", () => undefined);
      socket.write(bytes.subarray(0, cut));
      socket.end(bytes.subarray(cut));
      socket.resume();
      await new Promise((resolve) => void socket.once("close", resolve));
    }),
    { numRuns: 400 },
  );
  await until("no open call", () => journal.open === 0, { pollMs: 5 });
  expect((await callWith(grpcClient(address), [Buffer.from("still here")])).code).toBe(codes.OK);
});
