import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { ConnectionError, FLAG, FRAME, FrameSplitter, writeFrameHeader } from "./frames.ts";

function frame(type: number, flags: number, streamId: number, payload: Uint8Array): Buffer {
  const head = Buffer.alloc(9);
  writeFrameHeader(head, 0, payload.length, type, flags, streamId);
  return Buffer.concat([head, payload]);
}

/** What comes out of a splitter, with the parts of each DATA frame's content joined. */
function split(parts: readonly Buffer[]): unknown[] {
  const out: unknown[] = [];
  const content = new Map<number, Buffer[]>();
  const splitter = new FrameSplitter({
    onFrame: (type, flags, streamId, payload) => out.push([type, flags, streamId, payload.toString("hex")]),
    onData: (streamId, bytes, _flowBytes, end) => {
      const known = content.get(streamId) ?? [];
      content.set(streamId, [...known, Buffer.from(bytes)]);
      if (end) out.push(["end", streamId]);
    },
  });
  for (const part of parts) splitter.push(part);
  return [...out, ...[...content].map(([id, chunks]) => [id, Buffer.concat(chunks).toString("hex")])];
}

const arbitraryFrame = fc
  .tuple(
    fc.constantFrom(FRAME.data, FRAME.data, FRAME.headers, FRAME.ping, FRAME.windowUpdate, 77),
    fc.constantFrom(0, FLAG.endStream),
    fc.integer({ min: 0, max: 2 ** 31 - 1 }),
    fc.uint8Array({ maxLength: 60 }),
  )
  .map((fields) => frame(...fields));

test("where bytes are cut does not matter", () => {
  fc.assert(
    fc.property(fc.array(arbitraryFrame, { maxLength: 8 }), fc.array(fc.nat(400)), (frames, cuts) => {
      const bytes = Buffer.concat(frames);
      const at = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((a, b) => a - b), bytes.length];
      const parts = at.slice(1).map((end, index) => bytes.subarray(at[index], end));
      expect(split(parts)).toEqual(split([bytes]));
    }),
    { numRuns: 300 },
  );
});

test("padding is taken off and counts against the windows", () => {
  const seen: unknown[] = [];
  const splitter = new FrameSplitter({
    onFrame: () => undefined,
    onData: (streamId, content, flowBytes, end) => seen.push([streamId, content.toString(), flowBytes, end]),
  });
  splitter.push(frame(FRAME.data, FLAG.padded | FLAG.endStream, 3, Buffer.from([2, 0x68, 0x69, 0, 0])));
  expect(seen).toEqual([[3, "hi", 5, true]]);
});

test.each([
  ["too large", frame(FRAME.headers, 0, 1, Buffer.alloc(16_385))],
  ["padding as long as the frame", frame(FRAME.data, FLAG.padded, 1, Buffer.from([1]))],
  ["padded without a length", frame(FRAME.data, FLAG.padded, 1, Buffer.alloc(0))],
])("damaged: %s", (_name, bytes) => {
  expect(() => split([bytes])).toThrow(ConnectionError);
});
