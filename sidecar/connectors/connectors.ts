import type { SidecarOptions } from "../config/options.ts";
import type { Upstreams } from "../http/upstream.ts";
import type { ConcurrentConnector, SequentialConnector } from "./connector.ts";
import { createMooncake } from "./mooncake.ts";
import { createMooncakeEngines } from "./mooncake-engines.ts";
import { nixlv2 } from "./nixlv2.ts";
import { createOffloading } from "./p2p.ts";
import { createSglang } from "./sglang.ts";
import { lmcache, sharedStorage } from "./shared-storage.ts";

/** The connector that the options name. */
export function createConnector(
  options: SidecarOptions,
  upstreams: Upstreams,
): SequentialConnector | ConcurrentConnector {
  const { kvConnector, mooncakeBootstrapPort, sglangBootstrapPort } = options;
  switch (kvConnector) {
    case "nixlv2":
      return nixlv2;
    case "shared-storage":
      return sharedStorage;
    case "lmcache":
      return lmcache;
    case "sglang":
      return createSglang(sglangBootstrapPort, { now: Date.now, random: Math.random });
    case "mooncake": {
      const engines = createMooncakeEngines(upstreams, mooncakeBootstrapPort);
      return createMooncake(engines, mooncakeBootstrapPort, Math.random);
    }
    case "offloading":
      return createOffloading(options);
  }
}
