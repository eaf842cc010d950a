import { join } from "node:path";
import { build } from "esbuild";
import { type Child, jsonLine, startNode } from "./child.ts";
import type { Fleet } from "./fleet.ts";

/** A scheduler process on free loopback ports. */
export interface SchedulerProcess {
  readonly child: Child;
  /** `127.0.0.1:port` of the external processor, without TLS. */
  readonly address: string;
  /** Value of a metric, summed over its series; 0 where it has none. */
  metric(name: string): Promise<number>;
  /** Endpoints whose metrics were read at least once. */
  scraped(): Promise<number>;
}

/** Node.js flags as in the image. */
const NODE_FLAGS = ["--max-semi-space-size=32"];
/** Dependencies in CommonJS ask for `require`, which an ES module does not have. */
const BANNER =
  'import { createRequire as __createRequire } from "node:module"; const require = __createRequire(import.meta.url);';

/** Bundles `cmd/scheduler` as for the image, with readable names where they are to be profiled. Returns the file. */
export async function bundleScheduler(folder: string, readable: boolean): Promise<string> {
  const outfile = join(folder, "scheduler.mjs");
  await build({
    entryPoints: [new URL("../../cmd/scheduler/main.ts", import.meta.url).pathname],
    bundle: true,
    platform: "node",
    format: "esm",
    target: "node24",
    minify: !readable,
    banner: { js: BANNER },
    external: ["zeromq"],
    outfile,
    logLevel: "error",
  });
  return outfile;
}

/** Starts the scheduler on a fleet with its default configuration. `nodeFlags` come on top of the image's. */
export async function startScheduler(
  bundle: string,
  fleet: Pick<Fleet, "kubeconfig" | "poolName">,
  nodeFlags: readonly string[] = [],
): Promise<SchedulerProcess> {
  const flags = ["--pool-name", fleet.poolName, "--secure-serving=false", "--drain-timeout=0s"];
  const ports = ["--grpc-port=0", "--grpc-health-port=0", "--metrics-port=0"];
  const child = startNode([...NODE_FLAGS, ...nodeFlags, bundle, ...flags, ...ports], {
    KUBECONFIG: fleet.kubeconfig,
    LLMISVC_BIND_ADDRESS: "127.0.0.1",
  });
  const { grpc, metrics } = await child.line((line) => {
    const entry = jsonLine(line);
    return entry?.["msg"] === "listening" ? (entry as unknown as Ports) : undefined;
  });
  const page = async (path: string): Promise<string> =>
    await (await fetch(`http://127.0.0.1:${metrics}${path}`)).text();
  return {
    child,
    address: `127.0.0.1:${grpc}`,
    metric: async (name) => sumOf(await page("/metrics"), name),
    scraped: async () => {
      const endpoints = JSON.parse(await page("/debug/endpoints")) as readonly { readonly ageMs: number | null }[];
      return endpoints.filter(({ ageMs }) => ageMs !== null).length;
    },
  };
}

/** Of the line that tells where the scheduler listens. */
interface Ports {
  readonly grpc: number;
  readonly metrics: number;
}

function sumOf(page: string, name: string): number {
  const values = page.matchAll(new RegExp(`^${name}(?:\\{.*\\})? (\\S+)$`, "gm"));
  return [...values].reduce((sum, [, value]) => sum + Number(value), 0);
}
