import { FRAME, PREFACE, writeFrameHeader } from "../scheduler/server/http2/frames.ts";

/** A gRPC message with its header, not compressed. */
export function framed(message: Buffer): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** Bytes of a frame. */
export function frame(type: number, flags: number, streamId: number, payload: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  writeFrameHeader(head, 0, payload.length, type, flags, streamId);
  return Buffer.concat([head, payload]);
}

/** Four bytes, the highest first. */
export const uint32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
};

/** What a client begins a connection with. */
export const GREETING: Buffer = Buffer.concat([PREFACE, frame(FRAME.settings, 0, 0)]);
