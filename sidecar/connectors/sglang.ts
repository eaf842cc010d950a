import type { ConcurrentConnector } from "./connector.ts";

/** What the rooms of SGLang are made of. */
export interface RoomSource {
  /** Wall clock, ms. */
  readonly now: () => number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
}

/**
 * SGLang: both engines get the same request and meet in a room of the prefill pod's bootstrap server. A room is a number no
 * other request has: nanoseconds since 1970, and a little chance.
 */
export function createSglang(bootstrapPort: number, { now, random }: RoomSource): ConcurrentConnector {
  return {
    order: "concurrent",
    decodesAlone: false,
    stages: ({ body, prefill }) => {
      const room = BigInt(Math.floor(now() * 1000)) * 1000n + BigInt(Math.floor(random() * 1000));
      const request = {
        body: body.with({
          bootstrap_host: JSON.stringify(prefill.host),
          bootstrap_port: String(bootstrapPort),
          bootstrap_room: String(room),
        }),
      };
      return { prefill: request, decode: request };
    },
  };
}
