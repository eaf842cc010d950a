import { expect, test } from "@jest/globals";
import fc from "fast-check";
import {
  HEAD,
  type Journal,
  type Outcome,
  echoing,
  endings,
  fakeSocket,
  memory,
  parts,
  read,
  request,
  settings,
} from "../../../test/h2-connection.ts";
import { GREETING, frame, framed, uint32 } from "../../../test/h2-frames.ts";
import { Connection } from "./connection.ts";
import { DEFAULT_WINDOW, FLAG, FRAME, FrameSplitter, H2_ERROR, SETTING } from "./frames.ts";
import { encodeLiterals } from "./hpack.ts";
import { encodeSettings } from "./peer-settings.ts";

/** What a client does next; streams are counted from 0. */
type Step =
  | { readonly kind: "open"; readonly cuts: readonly number[]; readonly padding: number; readonly priority: boolean }
  | { readonly kind: "message"; readonly stream: number; readonly bytes: number; readonly cuts: readonly number[] }
  | { readonly kind: "half-close"; readonly stream: number; readonly trailers: boolean }
  | { readonly kind: "window"; readonly stream: number; readonly increment: number }
  | { readonly kind: "settings"; readonly window: number; readonly frame: number; readonly table: number }
  | { readonly kind: "ping" | "unknown" | "priority" };

const cutsOf = fc.array(fc.nat(200), { maxLength: 3 });
const anyStep: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant("open" as const), cuts: cutsOf, padding: fc.nat(20), priority: fc.boolean() }),
  fc.record({ kind: fc.constant("message" as const), stream: fc.nat(5), bytes: fc.nat(300), cuts: cutsOf }),
  fc.record({ kind: fc.constant("half-close" as const), stream: fc.nat(5), trailers: fc.boolean() }),
  fc.record({ kind: fc.constant("window" as const), stream: fc.nat(6), increment: fc.integer({ min: 1, max: 5000 }) }),
  fc.record({
    kind: fc.constant("settings" as const),
    window: fc.constantFrom(0, 1, 100, 65_535, 1_000_000),
    frame: fc.constantFrom(16_384, 20_000),
    table: fc.constantFrom(0, 100, 4096, 10_000),
  }),
  fc.record({ kind: fc.constantFrom("ping" as const, "unknown" as const, "priority" as const) }),
);

/** A client that keeps to the rules: it writes steps as frames, and knows what it allows the server to send. */
class Script {
  readonly frames: Buffer[] = [GREETING];
  /** Bytes that each stream, and the connection (0), may be sent in all. */
  readonly allowed = new Map<number, number>([[0, DEFAULT_WINDOW]]);
  #window = DEFAULT_WINDOW;
  readonly #ended = new Set<number>();
  #opened = 0;

  add(step: Step): void {
    switch (step.kind) {
      case "open":
        return this.#open(step.cuts, step.padding, step.priority);
      case "message":
        return this.#message(step.stream, step.bytes, step.cuts);
      case "half-close":
        return this.#halfClose(step.stream, step.trailers);
      case "window":
        return this.#widen(step.stream === 0 ? 0 : step.stream * 2 - 1, step.increment);
      case "settings":
        return this.#settings(step.window, step.frame, step.table);
      case "ping":
        return void this.frames.push(frame(FRAME.ping, 0, 0, Buffer.alloc(8, 7)));
      case "unknown":
        return void this.frames.push(frame(200, 0xff, 0, Buffer.alloc(3)));
      case "priority":
        return void this.frames.push(frame(FRAME.priority, 0, 99, Buffer.alloc(5)));
    }
  }

  /** Opens all windows and ends all requests, so that nothing waits. */
  finish(): void {
    for (let stream = 0; stream < this.#opened; stream++) this.#halfClose(stream, false);
    for (const id of this.allowed.keys()) this.#widen(id, 10_000_000);
  }

  #open(cuts: readonly number[], padding: number, priority: boolean): void {
    const id = 2 * this.#opened++ + 1;
    const [first = HEAD, ...rest] = parts(HEAD, cuts);
    const priorities = priority ? Buffer.from([0, 0, 0, 0, 16]) : Buffer.alloc(0);
    const payload = Buffer.concat([Buffer.of(padding), priorities, first, Buffer.alloc(padding)]);
    const flags = FLAG.padded | (priority ? FLAG.priority : 0) | (rest.length === 0 ? FLAG.endHeaders : 0);
    const blocks = rest.map((part, index) =>
      frame(FRAME.continuation, index === rest.length - 1 ? FLAG.endHeaders : 0, id, part),
    );
    this.frames.push(Buffer.concat([frame(FRAME.headers, flags, id, payload), ...blocks]));
    this.allowed.set(id, this.#window);
  }

  #message(stream: number, bytes: number, cuts: readonly number[]): void {
    const id = 2 * stream + 1;
    if (stream >= this.#opened || this.#ended.has(id)) return;
    for (const part of parts(framed(Buffer.alloc(bytes, stream + 1)), cuts)) {
      const isPadded = part.length % 2 === 0;
      const payload = isPadded ? Buffer.concat([Buffer.of(4), part, Buffer.alloc(4)]) : part;
      this.frames.push(frame(FRAME.data, isPadded ? FLAG.padded : 0, id, payload));
    }
  }

  #halfClose(stream: number, trailers: boolean): void {
    const id = 2 * stream + 1;
    if (stream >= this.#opened || this.#ended.has(id)) return;
    this.#ended.add(id);
    const block = encodeLiterals([{ name: "x-end", value: "1" }]);
    const ends = FLAG.endHeaders | FLAG.endStream;
    this.frames.push(trailers ? frame(FRAME.headers, ends, id, block) : frame(FRAME.data, FLAG.endStream, id));
  }

  #widen(id: number, increment: number): void {
    const before = this.allowed.get(id);
    if (before === undefined) return;
    this.allowed.set(id, before + increment);
    this.frames.push(frame(FRAME.windowUpdate, 0, id, uint32(increment)));
  }

  #settings(window: number, frameBytes: number, table: number): void {
    for (const [id, before] of this.allowed) if (id !== 0) this.allowed.set(id, before + window - this.#window);
    this.#window = window;
    const settings = [
      [SETTING.initialWindowSize, window],
      [SETTING.maxFrameSize, frameBytes],
      [SETTING.headerTableSize, table],
    ] as const;
    this.frames.push(frame(FRAME.settings, 0, 0, encodeSettings(settings)));
  }
}

function play(chunks: readonly Buffer[]): Outcome {
  const calls: Journal = new Map();
  const { socket, sent, arrive } = fakeSocket();
  const methods = new Map([["/echo", echoing(calls)]]);
  new Connection(socket, { methods, maxMessageBytes: 1_000_000, memory: memory(), now: () => 0 });
  for (const chunk of chunks) arrive(chunk);
  socket.emit("close");
  return { calls, ...read(sent) };
}

const scripts = fc.array(anyStep, { minLength: 1, maxLength: 25 });

test("where the bytes of a connection are cut changes neither what calls see nor what they are sent", () => {
  fc.assert(
    fc.property(scripts, fc.array(fc.nat(6000)), (steps, cuts) => {
      const script = new Script();
      for (const step of steps) script.add(step);
      script.finish();
      const bytes = Buffer.concat(script.frames);
      const whole = play([bytes]);
      expect(play(parts(bytes, cuts))).toEqual(whole);
      expect(play(script.frames)).toEqual(whole);
    }),
    { numRuns: 200 },
  );
});

test("no stream and no connection is sent more than its window at any moment", () => {
  fc.assert(
    fc.property(scripts, (steps) => {
      const script = new Script();
      // A smaller initial window takes back what is not used yet, not what was sent.
      const most = new Map<number, number>();
      for (const step of steps) {
        script.add(step);
        for (const [id, bytes] of script.allowed) most.set(id, Math.max(most.get(id) ?? 0, bytes));
        const { content } = play(script.frames);
        const total = [...content.values()].reduce((sum, bytes) => sum + bytes, 0);
        expect(total).toBeLessThanOrEqual(most.get(0)!);
        for (const [id, bytes] of content) expect(bytes).toBeLessThanOrEqual(most.get(id)!);
      }
    }),
    { numRuns: 60 },
  );
});

test("a smaller header table is confirmed before the first section after it, once", () => {
  const script = new Script();
  const shrink = { kind: "settings", window: 65_535, frame: 16_384, table: 0 } as const;
  for (const step of [shrink, { kind: "open", cuts: [], padding: 0, priority: false } as const, shrink])
    script.add(step);
  script.finish();
  const { socket, sent, arrive } = fakeSocket();
  new Connection(socket, settings(new Map()));
  arrive(Buffer.concat(script.frames));
  const sections: number[] = [];
  const splitter = new FrameSplitter({
    onFrame: (type, _flags, _id, payload) => type === FRAME.headers && sections.push(payload[0]!),
    onData: () => undefined,
  });
  for (const bytes of sent) splitter.push(bytes);
  expect(sections[0]).toBe(0x20);
  expect(sections.slice(1)).not.toContain(0x20);
});

test("a drain serves what is under way, refuses what comes after, and never names a later stream than before", async () => {
  const calls: Journal = new Map();
  const { socket, sent, arrive } = fakeSocket();
  const connection = new Connection(socket, settings(calls));
  arrive(Buffer.concat([GREETING, request(1)]));
  connection.drain();
  arrive(request(3));
  await new Promise((resolve) => setImmediate(resolve));
  arrive(frame(FRAME.ping, FLAG.ack, 0, Buffer.from("draining")));
  arrive(request(5));
  arrive(frame(FRAME.data, FLAG.endStream, 1, framed(Buffer.from("x"))));
  arrive(frame(FRAME.ping, 0, 9, Buffer.alloc(8)));
  expect(endings(sent)).toEqual([
    ["go away", 2 ** 31 - 1, H2_ERROR.none],
    ["go away", 3, H2_ERROR.none],
    ["reset", 5, H2_ERROR.refusedStream],
    ["go away", 3, H2_ERROR.protocol],
  ]);
  expect([...calls.values()]).toEqual([["message 78", "half-close"], ["cancel"]]);
});

test("a greeting that came while this process was stopped counts, a client that has sent none is cut", async () => {
  const [late, silent] = [fakeSocket(), fakeSocket()];
  for (const { socket, timeOut } of [late, silent]) {
    new Connection(socket, settings(new Map()));
    timeOut();
  }
  late.arrive(GREETING);
  await new Promise((resolve) => setImmediate(resolve));
  expect([late.socket.destroyed, silent.socket.destroyed]).toEqual([false, true]);
});

const FLOODS: readonly (readonly [string, (index: number) => Buffer])[] = [
  ["pings", () => frame(FRAME.ping, FLAG.ack, 0, Buffer.alloc(8))],
  ["settings", () => frame(FRAME.settings, 0, 0)],
  [
    "empty contents",
    (index) => (index === 0 ? frame(FRAME.headers, FLAG.endHeaders, 1, HEAD) : frame(FRAME.data, 0, 1)),
  ],
  [
    "streams that are reset at once",
    (index) => {
      const id = 2 * index + 1;
      return Buffer.concat([frame(FRAME.headers, FLAG.endHeaders, id, HEAD), frame(FRAME.rstStream, 0, id, uint32(8))]);
    },
  ],
];

test.each(FLOODS)("%s without end are enough at some point, and no call is left", (_name, make) => {
  const { socket, sent, arrive } = fakeSocket();
  const calls: Journal = new Map();
  const budget = memory();
  new Connection(socket, { ...settings(calls), memory: budget });
  arrive(GREETING);
  for (let index = 0; index < 110_000; index++) arrive(make(index));
  const codes: number[] = [];
  const splitter = new FrameSplitter({
    onFrame: (type, _flags, _id, payload) => type === FRAME.goAway && codes.push(payload.readUInt32BE(4)),
    onData: () => undefined,
  });
  for (const bytes of sent) splitter.push(bytes);
  expect(codes).toEqual([H2_ERROR.enhanceYourCalm]);
  expect(budget.usedBytes).toBe(0);
  expect([...calls.values()].filter((events) => events.join() !== "cancel")).toEqual([]);
});
