import { setTimeout as pause } from "node:timers/promises";
import { parseArgs } from "node:util";
import type { EndpointView } from "../../scheduler/datalayer/fleet-report.ts";
import { findSchedulers, QUERY_OPTIONS, QUERY_USAGE, type SchedulerPages } from "./scheduler-pages.ts";
import { print } from "./output.ts";
import { formatTable } from "./table.ts";

const USAGE = `llmisvc top: shows the endpoints of services with their load and how often they are picked

Usage:
  llmisvc top [SERVICE…] [flags]

Flags:
${QUERY_USAGE}
  --interval SECONDS         time over which picks are counted (default 1)
  -o, --output FORMAT        text or json (default text)
  -h, --help                 show this text
`;

/** An endpoint over all schedulers of its service. */
export interface TopEndpoint {
  readonly service: string;
  readonly namespace: string;
  readonly pod: string;
  readonly address: string;
  readonly waiting: number;
  readonly running: number;
  readonly kvUsage: number;
  readonly activeModels: readonly string[];
  /** Null: never read. */
  readonly ageMs: number | null;
  readonly picks: number;
  readonly picksPerSecond: number;
}

/** Runs the command; resolves to the exit code. Rejects for a wrong call, or a scheduler that cannot be asked. */
export async function top(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      ...QUERY_OPTIONS,
      interval: { type: "string", default: "1" },
      output: { type: "string", short: "o", default: "text" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) {
    await print(USAGE);
    return 0;
  }
  const seconds = Number(values.interval);
  if (!(seconds > 0)) throw new TypeError(`--interval: "${values.interval}" is not a number of seconds above 0`);
  const schedulers = await findSchedulers(values, positionals);
  const before = await readAll(schedulers);
  await pause(seconds * 1000);
  const endpoints = combine(before, await readAll(schedulers), seconds);
  await print(values.output === "json" ? `${JSON.stringify(endpoints, undefined, 2)}\n` : textOf(endpoints));
  return 0;
}

/** What one scheduler shows. */
export interface SchedulerView {
  readonly service: string;
  readonly endpoints: readonly EndpointView[];
}

async function readAll(schedulers: readonly SchedulerPages[]): Promise<readonly SchedulerView[]> {
  return await Promise.all(
    schedulers.map(async ({ service, read }) => ({
      service,
      endpoints: ((await read("/debug/endpoints")) ?? []) as readonly EndpointView[],
    })),
  );
}

/** Sums picks over the schedulers and takes the newest values of each endpoint. Pure. */
export function combine(
  before: readonly SchedulerView[],
  after: readonly SchedulerView[],
  seconds: number,
): readonly TopEndpoint[] {
  const all = new Map<string, TopEndpoint>();
  after.forEach(({ service, endpoints }, index) => {
    for (const endpoint of endpoints) {
      const earlier = before[index]?.endpoints.find(
        ({ name, address }) => name === endpoint.name && address === endpoint.address,
      );
      const rate = Math.max(0, endpoint.picks - (earlier?.picks ?? 0)) / seconds;
      const key = `${service} ${endpoint.namespace}/${endpoint.name}`;
      all.set(key, merged(all.get(key), { ...viewOf(service, endpoint), picksPerSecond: rate }));
    }
  });
  return [...all.values()].sort((a, b) =>
    `${a.service} ${a.pod} ${a.address}` < `${b.service} ${b.pod} ${b.address}` ? -1 : 1,
  );
}

function viewOf(service: string, endpoint: EndpointView): Omit<TopEndpoint, "picksPerSecond"> {
  const { namespace, pod, address, waiting, running, kvUsage, activeModels, ageMs, picks } = endpoint;
  return { service, namespace, pod, address, waiting, running, kvUsage, activeModels, ageMs, picks };
}

function merged(known: TopEndpoint | undefined, next: TopEndpoint): TopEndpoint {
  if (known === undefined) return next;
  const newer = (next.ageMs ?? Infinity) < (known.ageMs ?? Infinity) ? next : known;
  return { ...newer, picks: known.picks + next.picks, picksPerSecond: known.picksPerSecond + next.picksPerSecond };
}

function textOf(endpoints: readonly TopEndpoint[]): string {
  const head = ["SERVICE", "POD", "ADDRESS", "QUEUE", "RUNNING", "KV", "ADAPTERS", "AGE", "PICKS/S", "PICKS"];
  const rows = endpoints.map((endpoint) => [
    endpoint.service,
    endpoint.pod,
    endpoint.address,
    String(endpoint.waiting),
    String(endpoint.running),
    `${Math.round(endpoint.kvUsage * 100)}%`,
    endpoint.activeModels.join(",") || "none",
    endpoint.ageMs === null ? "never" : `${endpoint.ageMs}ms`,
    endpoint.picksPerSecond.toFixed(1),
    String(endpoint.picks),
  ]);
  return formatTable(head, rows);
}
