import http2 from "node:http2";
import net from "node:net";
import tls from "node:tls";
import { gzipSync } from "node:zlib";
import { Client, credentials, status as codes } from "@grpc/grpc-js";
import { afterEach, describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { selfSignedCertificate } from "./certificates.ts";
import { startGrpcServer } from "./grpc-server.ts";
import { FLAG, FRAME, FrameSplitter, H2_ERROR, PREFACE, writeFrameHeader } from "./http2/frames.ts";
import { HpackDecoder, encodeLiterals } from "./http2/hpack.ts";
import { encodeSettings } from "./http2/peer-settings.ts";
import { type Call, GRPC_STATUS, type GrpcServer, type Method, type ServerSettings } from "./transport.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

function framed(message: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** Calls that are open, and how those that ended did. */
interface Journal {
  open: number;
  readonly ends: string[];
}

/** Sends every message back; `bye` ends the call at once. */
function echo(journal: Journal): Method {
  return (call: Call) => {
    journal.open++;
    const over = (how: string): void => {
      journal.open--;
      journal.ends.push(how);
    };
    return {
      onMessage: (message) => {
        call.send(framed(message));
        if (message.toString() !== "bye") return;
        call.end(GRPC_STATUS.notFound, "gone – für immer");
        over("bye");
      },
      onHalfClose: () => {
        call.end(GRPC_STATUS.ok);
        over("half-close");
      },
      onCancel: () => over("cancel"),
    };
  };
}

interface Started {
  readonly server: GrpcServer;
  readonly journal: Journal;
  readonly address: string;
}

async function start(extra: Partial<ServerSettings> = {}): Promise<Started> {
  const journal: Journal = { open: 0, ends: [] };
  const methods = new Map([["/test.Echo/Call", echo(journal)]]);
  const server = await startGrpcServer({ host: "127.0.0.1", port: 0, methods, maxMessageBytes: 4_000_000, ...extra });
  closers.push(() => server.close(0));
  return { server, journal, address: `127.0.0.1:${server.port}` };
}

interface Answer {
  readonly messages: readonly Buffer[];
  readonly code: number;
  readonly details: string;
}

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
    let before = -1;
    while (before !== accepted || accepted === 0) {
      before = accepted;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    expect(accepted).toBeLessThan(3_000_000);
    stream.close(http2.constants.NGHTTP2_CANCEL);
    await new Promise((resolve) => void stream.once("close", resolve));
    await until(() => journal.open === 0);
    expect(journal.ends).toEqual(["cancel"]);
  });
});

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setTimeout(resolve, 5));
}

/** Bytes of a frame. */
function frame(type: number, flags: number, streamId: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  writeFrameHeader(head, 0, payload.length, type, flags, streamId);
  return Buffer.concat([head, payload]);
}

const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

const REQUEST = [
  [":method", "POST"],
  [":scheme", "http"],
  [":path", "/test.Echo/Call"],
  ["content-type", "application/grpc"],
] as const;
const block = (fields: readonly (readonly [string, string])[]): Buffer =>
  encodeLiterals(fields.map(([name, value]) => ({ name, value })));
const GREETING = Buffer.concat([PREFACE, frame(FRAME.settings, 0, 0)]);
const headers = (
  id: number,
  flags = FLAG.endHeaders as number,
  fields: readonly (readonly [string, string])[] = REQUEST,
) => frame(FRAME.headers, flags, id, block(fields));
const ENDS = FLAG.endHeaders | FLAG.endStream;

/** Sends bytes and returns the first error that comes back: of which kind, on which stream, with which code. */
async function errorOf(
  address: string,
  bytes: Buffer,
): Promise<readonly [type: number, streamId: number, code: number]> {
  const [host, port] = address.split(":");
  const socket = net.connect(Number(port), host);
  closers.push(() => socket.destroy());
  return await new Promise((resolve) => {
    const splitter = new FrameSplitter({
      onFrame: (type, _flags, streamId, payload) => {
        if (type === FRAME.goAway) resolve([type, streamId, payload.readUInt32BE(4)]);
        if (type === FRAME.rstStream) resolve([type, streamId, payload.readUInt32BE(0)]);
      },
      onData: () => undefined,
    });
    socket.on("data", (chunk: Buffer) => splitter.push(chunk)).on("error", () => undefined);
    socket.write(bytes);
  });
}

const onStream = (id: number, code: number) => [FRAME.rstStream, id, code] as const;
const onConnection = (code: number) => [FRAME.goAway, 0, code] as const;
const with_ = (...extra: readonly (readonly [string, string])[]) => [...REQUEST, ...extra];

describe("violations", () => {
  const { protocol, flowControl, streamClosed, frameSize, compression, enhanceYourCalm } = H2_ERROR;
  test.each([
    ["another protocol", onConnection(protocol), Buffer.from("GET / HTTP/1.1\r\nhost: example.com\r\n\r\n")],
    ["no SETTINGS at first", onConnection(protocol), Buffer.concat([PREFACE, headers(1)])],
    ["an even stream", onConnection(protocol), Buffer.concat([GREETING, headers(2)])],
    ["HEADERS on stream 0", onConnection(protocol), Buffer.concat([GREETING, headers(0)])],
    [
      "a stream that goes backwards",
      onConnection(streamClosed),
      Buffer.concat([GREETING, headers(5, ENDS), headers(3)]),
    ],
    ["DATA before its stream", onConnection(protocol), Buffer.concat([GREETING, frame(FRAME.data, 0, 1, uint32(0))])],
    ["DATA on stream 0", onConnection(protocol), Buffer.concat([GREETING, frame(FRAME.data, 0, 0, uint32(0))])],
    [
      "DATA after the end",
      onStream(1, streamClosed),
      Buffer.concat([GREETING, headers(1, ENDS), frame(FRAME.data, 0, 1, uint32(0))]),
    ],
    [
      "HEADERS after the end",
      onStream(1, streamClosed),
      Buffer.concat([GREETING, headers(1, ENDS), headers(3, ENDS), headers(1, ENDS)]),
    ],
    ["HEADERS within the content", onStream(1, protocol), Buffer.concat([GREETING, headers(1), headers(1)])],
    [
      "RST_STREAM before its stream",
      onConnection(protocol),
      Buffer.concat([GREETING, frame(FRAME.rstStream, 0, 1, uint32(8))]),
    ],
    [
      "RST_STREAM of 3 bytes",
      onConnection(frameSize),
      Buffer.concat([GREETING, headers(1), frame(FRAME.rstStream, 0, 1, Buffer.alloc(3))]),
    ],
    [
      "WINDOW_UPDATE by nothing",
      onStream(1, protocol),
      Buffer.concat([GREETING, headers(1), frame(FRAME.windowUpdate, 0, 1, uint32(0))]),
    ],
    [
      "WINDOW_UPDATE by nothing on the connection",
      onConnection(protocol),
      Buffer.concat([GREETING, frame(FRAME.windowUpdate, 0, 0, uint32(0))]),
    ],
    [
      "a window beyond 2^31",
      onStream(1, flowControl),
      Buffer.concat([GREETING, headers(1), frame(FRAME.windowUpdate, 0, 1, uint32(2 ** 31 - 1))]),
    ],
    [
      "the same on the connection",
      onConnection(flowControl),
      Buffer.concat([GREETING, frame(FRAME.windowUpdate, 0, 0, uint32(2 ** 31 - 1))]),
    ],
    [
      "an initial window beyond 2^31",
      onConnection(flowControl),
      Buffer.concat([PREFACE, frame(FRAME.settings, 0, 0, encodeSettings([[4, 2 ** 31]]))]),
    ],
    [
      "a frame size below the least",
      onConnection(protocol),
      Buffer.concat([PREFACE, frame(FRAME.settings, 0, 0, encodeSettings([[5, 100]]))]),
    ],
    [
      "ENABLE_PUSH of 2",
      onConnection(protocol),
      Buffer.concat([PREFACE, frame(FRAME.settings, 0, 0, encodeSettings([[2, 2]]))]),
    ],
    [
      "SETTINGS of 5 bytes",
      onConnection(frameSize),
      Buffer.concat([PREFACE, frame(FRAME.settings, 0, 0, Buffer.alloc(5))]),
    ],
    ["PING of 7 bytes", onConnection(frameSize), Buffer.concat([GREETING, frame(FRAME.ping, 0, 0, Buffer.alloc(7))])],
    ["PING on a stream", onConnection(protocol), Buffer.concat([GREETING, frame(FRAME.ping, 0, 1, Buffer.alloc(8))])],
    [
      "PRIORITY of 4 bytes",
      onStream(1, frameSize),
      Buffer.concat([GREETING, frame(FRAME.priority, 0, 1, Buffer.alloc(4))]),
    ],
    [
      "PUSH_PROMISE",
      onConnection(protocol),
      Buffer.concat([GREETING, headers(1), frame(FRAME.pushPromise, FLAG.endHeaders, 1, uint32(2))]),
    ],
    [
      "CONTINUATION alone",
      onConnection(protocol),
      Buffer.concat([GREETING, frame(FRAME.continuation, FLAG.endHeaders, 1)]),
    ],
    [
      "a frame within a header block",
      onConnection(protocol),
      Buffer.concat([GREETING, headers(1, 0), frame(FRAME.ping, 0, 0, Buffer.alloc(8))]),
    ],
    [
      "DATA within a header block",
      onConnection(protocol),
      Buffer.concat([GREETING, headers(1, 0), frame(FRAME.data, 0, 1, uint32(0))]),
    ],
    [
      "CONTINUATION without end",
      onConnection(enhanceYourCalm),
      Buffer.concat([GREETING, headers(1, 0), ...Array.from({ length: 70 }, () => frame(FRAME.continuation, 0, 1))]),
    ],
    [
      "a damaged header block",
      onConnection(compression),
      Buffer.concat([GREETING, frame(FRAME.headers, FLAG.endHeaders, 1, Buffer.from([0x80]))]),
    ],
    ["an upper-case field", onStream(1, protocol), Buffer.concat([GREETING, headers(1, ENDS, with_(["X-A", "1"]))])],
    [
      "a connection field",
      onStream(1, protocol),
      Buffer.concat([GREETING, headers(1, ENDS, with_(["connection", "close"]))]),
    ],
    [
      "te other than trailers",
      onStream(1, protocol),
      Buffer.concat([GREETING, headers(1, ENDS, with_(["te", "gzip"]))]),
    ],
    [
      "a pseudo-header of answers",
      onStream(1, protocol),
      Buffer.concat([GREETING, headers(1, ENDS, with_([":status", "200"]))]),
    ],
    [
      "a pseudo-header behind others",
      onStream(1, protocol),
      Buffer.concat([GREETING, headers(1, ENDS, with_([":authority", "a"]))]),
    ],
    [
      "no path",
      onStream(1, protocol),
      Buffer.concat([
        GREETING,
        headers(
          1,
          ENDS,
          REQUEST.filter(([name]) => name !== ":path"),
        ),
      ]),
    ],
    [
      "a line break in a value",
      onStream(1, protocol),
      Buffer.concat([GREETING, headers(1, ENDS, with_(["x", "a\nb"]))]),
    ],
    [
      "less content than announced",
      onStream(1, protocol),
      Buffer.concat([
        GREETING,
        headers(1, FLAG.endHeaders, with_(["content-length", "9"])),
        frame(FRAME.data, FLAG.endStream, 1, framed(Buffer.from("a"))),
      ]),
    ],
  ] as const)("%s", async (_name, expected, bytes) => {
    const { address, journal } = await start();
    expect(await errorOf(address, bytes)).toEqual(expected);
    for (const close of closers.splice(1).reverse()) await close();
    await until(() => journal.open === 0);
  });

  test("more content than the window allows", async () => {
    const { address } = await start({ maxMessageBytes: 2 ** 30 });
    const start_ = framed(Buffer.alloc(0));
    start_.writeUInt32BE(2 ** 29, 1);
    // What the server has read it allows again; a stream whose answers wait gets nothing.
    const blocked = frame(FRAME.settings, 0, 0, encodeSettings([[4, 0]]));
    const waiting = frame(FRAME.data, 0, 1, framed(Buffer.from("x")));
    const data = Array.from({ length: 70 }, () => frame(FRAME.data, 0, 1, Buffer.alloc(16_384)));
    const bytes = Buffer.concat([PREFACE, blocked, headers(1), waiting, frame(FRAME.data, 0, 1, start_), ...data]);
    expect(await errorOf(address, bytes)).toEqual(onStream(1, flowControl));
  });
});

test("a violation cancels calls under way, and is told although more of the client's bytes are on their way", async () => {
  const { address, journal } = await start();
  const [host, port] = address.split(":");
  const socket = net.connect(Number(port), host);
  closers.push(() => socket.destroy());
  const ping = frame(FRAME.ping, 0, 1, Buffer.alloc(8));
  socket.write(Buffer.concat([GREETING, headers(1), headers(3, ENDS), ping]));
  const seen: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => {
    seen.push(chunk);
    socket.write(Buffer.alloc(100_000));
  });
  await new Promise((resolve) => void socket.once("end", resolve));
  const goAways: number[] = [];
  const splitter = new FrameSplitter({
    onFrame: (type, _flags, _id, payload) => type === FRAME.goAway && goAways.push(payload.readUInt32BE(4)),
    onData: () => undefined,
  });
  for (const chunk of seen) splitter.push(chunk);
  expect(goAways).toEqual([H2_ERROR.protocol]);
  expect(journal).toEqual({ open: 0, ends: ["cancel", "cancel"] });
});

test("a header section that is too large when decoded", async () => {
  const { address } = await start();
  const large = Buffer.concat([Buffer.from([0x40, 1, 0x78, 0x7f, 0xb9, 0x1d]), Buffer.alloc(3896, "y")]);
  const fields = Buffer.concat([block(REQUEST), large, Buffer.alloc(20, 0xbe)]);
  const answer = await answersTo(
    address,
    Buffer.concat([GREETING, frame(FRAME.headers, ENDS, 1, fields)]),
    1,
    ":status",
  );
  expect(answer).toEqual([[1, "431"]]);
});

test("header blocks may be cut into frames, padded and prioritized", async () => {
  const { address, journal } = await start();
  const whole = block(REQUEST);
  const padded = Buffer.concat([Buffer.of(3), Buffer.alloc(5), whole.subarray(0, 9), Buffer.alloc(3)]);
  const parts = [whole.subarray(9, 9), whole.subarray(9, 20), whole.subarray(20)];
  const bytes = Buffer.concat([
    GREETING,
    frame(FRAME.headers, FLAG.endStream | FLAG.padded | FLAG.priority, 1, padded),
    ...parts.map((part, index) => frame(FRAME.continuation, index === 2 ? FLAG.endHeaders : 0, 1, part)),
  ]);
  expect(await answersTo(address, bytes, 1)).toEqual([[1, "0"]]);
  expect(journal.ends).toEqual(["half-close"]);
});

/** Sends bytes and reads a field of the answers until `count` of them have come: pairs of stream and value. */
async function answersTo(
  address: string,
  bytes: Buffer,
  count: number,
  field = "grpc-status",
): Promise<(readonly [number, string])[]> {
  const [host, port] = address.split(":");
  const socket = net.connect(Number(port), host);
  closers.push(() => socket.destroy());
  const hpack = new HpackDecoder();
  const found: (readonly [number, string])[] = [];
  await new Promise<void>((resolve) => {
    const splitter = new FrameSplitter({
      onFrame: (type, _flags, streamId, payload) => {
        if (type !== FRAME.headers) return;
        hpack.decode(payload, (name, value) => {
          if (name === field) found.push([streamId, value]);
        });
        if (found.length === count) resolve();
      },
      onData: () => undefined,
    });
    socket.on("data", (chunk: Buffer) => splitter.push(chunk));
    socket.write(bytes);
  });
  return found;
}

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
  await until(() => journal.open === 0);
  expect((await callWith(grpcClient(address), [Buffer.from("still here")])).code).toBe(codes.OK);
});
