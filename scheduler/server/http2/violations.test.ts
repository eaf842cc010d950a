import net from "node:net";
import { afterEach, describe, expect, test } from "@jest/globals";
import { type EchoServer, startEcho } from "../../../test/echo-server.ts";
import { until } from "../../../playground/until.ts";
import { GREETING, framed, frame, uint32 } from "../../../test/h2-frames.ts";
import type { ServerSettings } from "../transport.ts";
import { FLAG, FRAME, FrameSplitter, H2_ERROR, PREFACE } from "./frames.ts";
import { HpackDecoder, encodeLiterals } from "./hpack.ts";
import { encodeSettings } from "./peer-settings.ts";

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

const start = (extra: Partial<ServerSettings> = {}): Promise<EchoServer> => startEcho(closers, extra);

const REQUEST = [
  [":method", "POST"],
  [":scheme", "http"],
  [":path", "/test.Echo/Call"],
  ["content-type", "application/grpc"],
] as const;
const block = (fields: readonly (readonly [string, string])[]): Buffer =>
  encodeLiterals(fields.map(([name, value]) => ({ name, value })));
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
    await until("no open call", () => journal.open === 0, { pollMs: 5 });
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
