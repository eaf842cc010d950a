import { PassThrough } from "node:stream";
import type { Socket } from "node:net";
import { expect } from "@jest/globals";
import { frame, framed } from "./h2-frames.ts";
import { FLAG, FRAME, FrameSplitter } from "../scheduler/server/http2/frames.ts";
import { HpackDecoder, encodeLiterals } from "../scheduler/server/http2/hpack.ts";
import type { ConnectionSettings } from "../scheduler/server/http2/connection.ts";
import { MemoryBudget } from "../scheduler/server/memory-budget.ts";
import { type Call, GRPC_STATUS, type Method } from "../scheduler/server/transport.ts";

/** A socket without a network: what is pushed into `input` arrives, what is sent is collected. */
export function fakeSocket() {
  const sent: Buffer[] = [];
  let timedOut: (() => void) | undefined;
  const input = new PassThrough();
  const socket = Object.assign(input, {
    write: (bytes: Buffer) => sent.push(Buffer.from(bytes)) > 0,
    setNoDelay: () => undefined,
    setKeepAlive: () => undefined,
    setTimeout: (ms: number, callback?: () => void) => {
      timedOut = ms === 0 ? undefined : callback;
    },
  });
  return {
    socket: socket as unknown as Socket,
    sent,
    arrive: (bytes: Buffer) => input.emit("data", bytes),
    timeOut: () => timedOut?.(),
  };
}

/** Events of each call by its number, in their order. */
export type Journal = Map<number, string[]>;

/** Sends messages back, and ends when the client does. */
export function echoing(journal: Journal): Method {
  return (call: Call) => {
    const events: string[] = [];
    journal.set(journal.size, events);
    return {
      onMessage: (message) => {
        events.push(`message ${message.toString("hex")}`);
        call.send(framed(message));
      },
      onHalfClose: () => {
        events.push("half-close");
        call.end(GRPC_STATUS.ok);
      },
      onCancel: () => events.push("cancel"),
    };
  };
}

/** Header section of a call of `/echo`. */
export const HEAD = encodeLiterals([
  { name: ":method", value: "POST" },
  { name: ":scheme", value: "http" },
  { name: ":path", value: "/echo" },
  { name: "content-type", value: "application/grpc" },
]);

/** What a run of a script shows: events by call, and frames by stream as texts. */
export interface Outcome {
  readonly calls: Journal;
  readonly streams: ReadonlyMap<number, readonly string[]>;
  readonly content: ReadonlyMap<number, number>;
}

/** Reads what a server sent, and checks what a client may rely on in the order of a stream's frames. */
export function read(sent: readonly Buffer[]): Omit<Outcome, "calls"> {
  const hpack = new HpackDecoder();
  const streams = new Map<number, string[]>();
  const content = new Map<number, number>();
  const of = (id: number): string[] => streams.get(id) ?? streams.set(id, []).get(id)!;
  const splitter = new FrameSplitter({
    onFrame: (type, flags, id, payload) => {
      const last = of(id).at(-1) ?? "";
      if (type === FRAME.headers) {
        const fields: string[] = [];
        hpack.decode(payload, (name, value) => fields.push(`${name}=${value}`));
        expect(last.startsWith("end")).toBe(false);
        of(id).push(`${(flags & FLAG.endStream) === 0 ? "head" : "end"} ${fields.join(" ")}`);
      } else if (id !== 0 && type === FRAME.windowUpdate) expect(last.startsWith("end")).toBe(false);
      else if (id !== 0) of(id).push(`${type} ${payload.toString("hex")}`);
    },
    onData: (id, bytes) => {
      const last = of(id).at(-1);
      expect(last?.startsWith("head") === true || last === "content").toBe(true);
      if (last !== "content") of(id).push("content");
      content.set(id, (content.get(id) ?? 0) + bytes.length);
    },
  });
  for (const bytes of sent) splitter.push(bytes);
  return { streams, content };
}

/** What GOAWAY and RST_STREAM frames tell: kind, stream, code. */
export function endings(sent: readonly Buffer[]): (readonly [kind: string, streamId: number, code: number])[] {
  const found: (readonly [string, number, number])[] = [];
  const splitter = new FrameSplitter({
    onFrame: (type, _flags, id, payload) => {
      if (type === FRAME.goAway) found.push(["go away", payload.readUInt32BE(0), payload.readUInt32BE(4)]);
      if (type === FRAME.rstStream) found.push(["reset", id, payload.readUInt32BE(0)]);
    },
    onData: () => undefined,
  });
  for (const bytes of sent) splitter.push(bytes);
  return found;
}

/** Room for all that well-behaved clients do. */
export const memory = (): MemoryBudget => new MemoryBudget(100 * 1024 * 1024);

/** HEADERS that open a call of `/echo`. */
export const request = (id: number, flags = FLAG.endHeaders as number): Buffer => frame(FRAME.headers, flags, id, HEAD);

/** Settings of a connection whose method `/echo` sends back what it gets. */
export const settings = (calls: Journal): ConnectionSettings => ({
  methods: new Map([["/echo", echoing(calls)]]),
  maxMessageBytes: 1000,
  memory: memory(),
  now: () => 0,
});

/** Parts of `bytes`, cut at some places. */
export function parts(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b), bytes.length];
  return at.slice(1).map((end, index) => bytes.subarray(at[index], end));
}
