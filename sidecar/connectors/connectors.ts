import type { SidecarOptions } from "../config/options.ts";
import type { ConcurrentConnector, SequentialConnector } from "./connector.ts";
import { nixlv2 } from "./nixlv2.ts";
import { createSglang } from "./sglang.ts";
import { lmcache, sharedStorage } from "./shared-storage.ts";

/** How this process has blocks exchanged. */
export interface Connectors {
  readonly connector: SequentialConnector | ConcurrentConnector;
}

/** The connector that the options name. */
export function createConnectors(options: SidecarOptions): Connectors {
  return { connector: connectorOf(options) };
}

function connectorOf({ kvConnector, sglangBootstrapPort }: SidecarOptions): SequentialConnector | ConcurrentConnector {
  switch (kvConnector) {
    case "nixlv2":
      return nixlv2;
    case "shared-storage":
      return sharedStorage;
    case "lmcache":
      return lmcache;
    case "sglang":
      return createSglang(sglangBootstrapPort, { now: Date.now, random: Math.random });
    default:
      return nixlv2;
  }
}
