import { writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { bundle } from "../../images/bundle.ts";
import { selfSignedCertificate } from "../../kube/certificates.ts";
import { until } from "../../playground/until.ts";
import { type Child, jsonLine, startNode } from "./child.ts";
import type { Fleet } from "./fleet.ts";

/** A scheduler process on free loopback ports. */
export interface SchedulerProcess {
  readonly child: Child;
  /** `127.0.0.1:port` of the external processor. */
  readonly address: string;
  /** Its certificate; undefined without TLS. */
  readonly certificate: string | undefined;
  /** Value of a metric, summed over its series; 0 where it has none. */
  metric(name: string): Promise<number>;
  /** Resolves when the metrics of that many endpoints were read; rejects after 20 s. */
  hasScraped(endpoints: number): Promise<void>;
}

/** Node.js flags as in the image. */
const NODE_FLAGS = ["--max-semi-space-size=32"];
/** Bundles the scheduler as for the image, with readable text where it is to be profiled. Returns the file. */
export async function bundleScheduler(folder: string, readable: boolean): Promise<string> {
  const target = join(folder, "image");
  await bundle(target, { programs: ["scheduler"], readable });
  return join(target, "app/cmd/scheduler/main.mjs");
}

/** Starts a bundled scheduler on a fleet with its default configuration. `nodeFlags` come on top of the image's. */
export async function startScheduler(
  program: string,
  fleet: Pick<Fleet, "kubeconfig" | "poolName">,
  { tls = false, nodeFlags = [] }: { readonly tls?: boolean; readonly nodeFlags?: readonly string[] } = {},
): Promise<SchedulerProcess> {
  const folder = dirname(program);
  const certificate = tls ? writeCertificate(folder) : undefined;
  const serving = tls ? ["--cert-path", folder] : ["--secure-serving=false"];
  const flags = ["--pool-name", fleet.poolName, "--drain-timeout=0s", ...serving];
  const ports = ["--grpc-port=0", "--grpc-health-port=0", "--metrics-port=0"];
  const child = startNode([...NODE_FLAGS, ...nodeFlags, program, ...flags, ...ports], {
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
    certificate,
    metric: async (name) => sumOf(await page("/metrics"), name),
    hasScraped: async (endpoints) => {
      let scraped = 0;
      const read = async (): Promise<boolean> => {
        const views = JSON.parse(await page("/debug/endpoints")) as readonly { readonly ageMs: number | null }[];
        scraped = views.filter(({ ageMs }) => ageMs !== null).length;
        return scraped === endpoints;
      };
      await until("metrics of all endpoints", read, { pollMs: 100, detail: () => `${scraped} of ${endpoints}` });
    },
  };
}

/** Puts a fresh pair where the scheduler looks for it, and returns the certificate. */
function writeCertificate(folder: string): string {
  const { certificate, privateKey } = selfSignedCertificate(new Date());
  writeFileSync(join(folder, "tls.crt"), certificate);
  writeFileSync(join(folder, "tls.key"), privateKey);
  return certificate;
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
