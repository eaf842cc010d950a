import { ConnectionError, DEFAULT_FRAME_BYTES, DEFAULT_WINDOW, H2_ERROR, MAX_WINDOW, SETTING } from "./frames.ts";
import { TABLE_BYTES } from "./hpack.ts";

const ENTRY_BYTES = 6;
const MAX_FRAME_BYTES = 2 ** 24 - 1;

/** What the peer has told about itself (RFC 9113 §6.5.2), as far as it concerns a sender without a header table. */
export class PeerSettings {
  /** Window of a new stream. */
  initialWindow = DEFAULT_WINDOW;
  /** Largest payload of a frame. */
  frameBytes = DEFAULT_FRAME_BYTES;
  /** Whether the peer's header table was ever smaller than the default, which its sender has to confirm. */
  tableShrunk = false;

  /** Takes a SETTINGS payload over. Throws `ConnectionError`. */
  apply(payload: Buffer): void {
    if (payload.length % ENTRY_BYTES !== 0)
      throw new ConnectionError(H2_ERROR.frameSize, "SETTINGS of a broken length");
    for (let at = 0; at < payload.length; at += ENTRY_BYTES)
      this.#set(payload.readUInt16BE(at), payload.readUInt32BE(at + 2));
  }

  #set(setting: number, value: number): void {
    if (setting === SETTING.enablePush && value > 1) throw invalid(H2_ERROR.protocol, "ENABLE_PUSH", value);
    if (setting === SETTING.headerTableSize && value < TABLE_BYTES) this.tableShrunk = true;
    if (setting === SETTING.initialWindowSize) {
      if (value > MAX_WINDOW) throw invalid(H2_ERROR.flowControl, "INITIAL_WINDOW_SIZE", value);
      this.initialWindow = value;
    }
    if (setting === SETTING.maxFrameSize) {
      if (value < DEFAULT_FRAME_BYTES || value > MAX_FRAME_BYTES)
        throw invalid(H2_ERROR.protocol, "MAX_FRAME_SIZE", value);
      this.frameBytes = value;
    }
  }
}

const invalid = (code: number, name: string, value: number): ConnectionError =>
  new ConnectionError(code, `SETTINGS_${name} cannot be ${value}`);

/** A SETTINGS payload. */
export function encodeSettings(settings: readonly (readonly [setting: number, value: number])[]): Buffer {
  const payload = Buffer.alloc(settings.length * ENTRY_BYTES);
  for (const [index, [setting, value]] of settings.entries()) {
    payload.writeUInt16BE(setting, index * ENTRY_BYTES);
    payload.writeUInt32BE(value, index * ENTRY_BYTES + 2);
  }
  return payload;
}
