import { describe, expect, test } from "@jest/globals";
import {
  endings,
  fakeSocket,
  type Journal,
  memory,
  parts,
  read,
  request,
  settings,
} from "../../../test/h2-connection.ts";
import { GREETING, frame, framed } from "../../../test/h2-frames.ts";
import { MemoryBudget } from "../memory-budget.ts";
import { GRPC_STATUS, type Method } from "../transport.ts";
import { Connection } from "./connection.ts";
import { FLAG, FRAME, H2_ERROR, PREFACE, SETTING } from "./frames.ts";
import { encodeSettings } from "./peer-settings.ts";

const MIB = 1024 * 1024;

describe("what clients make the server hold", () => {
  /** Frames of a part of a message's content. */
  const contents = (id: number, bytes: Buffer): Buffer =>
    Buffer.concat(
      Array.from({ length: Math.ceil(bytes.length / 16_384) }, (_, index) =>
        frame(FRAME.data, 0, id, bytes.subarray(index * 16_384, (index + 1) * 16_384)),
      ),
    );
  /** The first half of a message of one MiB. */
  const half = framed(Buffer.alloc(MIB)).subarray(0, MIB / 2);
  const statuses = (sent: readonly Buffer[]): string[] =>
    [...read(sent).streams.values()].flat().flatMap((text) => /^end .*?grpc-status=(\d+)/.exec(text)?.[1] ?? []);

  test("incomplete messages of many streams end in refusals, not in memory; the others go on and all is free in the end", () => {
    const { socket, sent, arrive } = fakeSocket();
    const calls: Journal = new Map();
    const budget = new MemoryBudget(8 * MIB);
    new Connection(socket, { ...settings(calls), maxMessageBytes: 2 * MIB, memory: budget.half() });
    arrive(GREETING);
    for (let index = 0; index < 30; index++)
      arrive(Buffer.concat([request(2 * index + 1), contents(2 * index + 1, half)]));
    expect(budget.usedBytes).toBeLessThanOrEqual(4 * MIB);
    expect(budget.usedBytes).toBeGreaterThan(3 * MIB);
    expect(statuses(sent)).toEqual(Array.from({ length: 23 }, () => String(GRPC_STATUS.resourceExhausted)));
    expect(budget.refusals).toBe(23);
    arrive(contents(1, framed(Buffer.alloc(MIB)).subarray(MIB / 2)));
    expect([...calls.values()][0]).toHaveLength(1);
    socket.emit("close");
    expect(budget.usedBytes).toBe(0);
  });

  test("a few bytes of each read do not keep what came with them", () => {
    const { socket, arrive } = fakeSocket();
    const budget = memory();
    new Connection(socket, { ...settings(new Map()), maxMessageBytes: MIB, memory: budget });
    const [slow, other] = [1, 3];
    arrive(Buffer.concat([GREETING, request(slow), request(other)]));
    const message = framed(Buffer.alloc(10_000));
    for (let at = 0; at < 2000; at++)
      arrive(
        Buffer.concat([
          frame(FRAME.data, 0, slow, message.subarray(at, at + 1)),
          contents(other, framed(Buffer.alloc(60_000))),
        ]),
      );
    expect(budget.usedBytes).toBeLessThan(600_000);
  });

  test("answers that nobody reads count, too", () => {
    const { socket, sent, arrive } = fakeSocket();
    const budget = memory();
    const memoryOfConnection = new MemoryBudget(MIB, budget);
    new Connection(socket, { ...settings(new Map()), maxMessageBytes: MIB, memory: memoryOfConnection });
    arrive(Buffer.concat([PREFACE, frame(FRAME.settings, 0, 0, encodeSettings([[SETTING.initialWindowSize, 0]]))]));
    for (let index = 0; index < 20; index++)
      arrive(Buffer.concat([request(2 * index + 1), contents(2 * index + 1, framed(Buffer.alloc(100_000)))]));
    expect(budget.usedBytes).toBeLessThanOrEqual(MIB);
    expect(statuses(sent)).toHaveLength(10);
  });

  test("a client that allows much and reads slowly gets it as it reads, the rest waits and counts", () => {
    const { socket, sent, arrive } = fakeSocket();
    let unread = 0;
    Object.defineProperties(socket, {
      writableLength: { get: () => unread },
      writableNeedDrain: { get: () => unread > 0 },
      write: { value: (bytes: Buffer) => (unread += sent[sent.push(Buffer.from(bytes)) - 1]!.length) < 0 },
    });
    const budget = memory();
    new Connection(socket, { ...settings(new Map()), maxMessageBytes: 2 * MIB, memory: budget });
    const window = encodeSettings([[SETTING.initialWindowSize, 10 * MIB]]);
    const wide = Buffer.alloc(4);
    wide.writeUInt32BE(10 * MIB);
    arrive(Buffer.concat([PREFACE, frame(FRAME.settings, 0, 0, window), frame(FRAME.windowUpdate, 0, 0, wide)]));
    unread = 0;
    arrive(Buffer.concat([request(1), contents(1, framed(Buffer.alloc(MIB)))]));
    expect(unread).toBeLessThan(5 * socket.writableHighWaterMark);
    expect(budget.usedBytes).toBeGreaterThan(MIB / 2);
    for (let turn = 0; turn < 10; turn++) {
      unread = 0;
      socket.emit("drain");
      arrive(frame(FRAME.ping, 0, 0, Buffer.alloc(8)));
    }
    expect(read(sent).content.get(1)).toBe(MIB + 5);
    expect(budget.usedBytes).toBe(4096);
  });

  test("streams that say nothing have their price: beyond it new ones are refused as if they had not begun", () => {
    const { socket, sent, arrive } = fakeSocket();
    new Connection(socket, { ...settings(new Map()), memory: new MemoryBudget(10 * 4096) });
    arrive(Buffer.concat([GREETING, ...Array.from({ length: 12 }, (_, index) => request(2 * index + 1))]));
    expect(endings(sent)).toEqual([
      ["reset", 21, H2_ERROR.refusedStream],
      ["reset", 23, H2_ERROR.refusedStream],
    ]);
  });

  test("what a handler holds is free when its call ends, and a message counts once: in parts, or as the handler holds it", () => {
    const { socket, sent, arrive } = fakeSocket();
    const held: boolean[] = [];
    const holding: Method = (call) => ({
      onMessage: (message) => {
        held.push(call.hold(message.length), call.hold(message.length));
      },
      onHalfClose: () => call.end(GRPC_STATUS.ok),
      onCancel: () => undefined,
    });
    const budget = new MemoryBudget(MIB);
    const methods = new Map([["/echo", holding]]);
    new Connection(socket, { methods, maxMessageBytes: MIB, memory: budget, now: () => 0 });
    const message = framed(Buffer.alloc(600_000));
    for (const part of [Buffer.concat([GREETING, request(1)]), ...parts(contents(1, message), [300_000, 500_000])])
      arrive(part);
    expect(held).toEqual([true, false]);
    expect(budget.usedBytes).toBe(4096 + 600_000);
    arrive(frame(FRAME.data, FLAG.endStream, 1));
    expect(statuses(sent)).toEqual(["0"]);
    expect(budget.usedBytes).toBe(0);
  });
});
