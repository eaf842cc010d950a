import { createKubeClient, currentNamespace, loadKubeConfig } from "../../kube/http-client.ts";
import type { KubeClient } from "../../kube/client.ts";
import { KINDS } from "../../kube/resources.ts";
import { KubeError, type KubeObject } from "../../kube/types.ts";
import { TOKEN_HEADER } from "../../scheduler/server/metrics-server.ts";
import { describeError } from "../../telemetry/log.ts";
import {
  COMPONENT_LABEL,
  COMPONENTS,
  NAME_LABEL,
  PART_OF,
  PART_OF_LABEL,
  SCHEDULER_POD_COMPONENT,
} from "../../controllers/labels.ts";
import { METRICS_READER } from "../../controllers/operator-role.ts";

/** Which schedulers are asked: what `parseArgs` makes of `QUERY_OPTIONS`. */
export interface SchedulerQuery {
  /** Address of one scheduler's metrics port; wins over everything else. */
  readonly url?: string | undefined;
  /** For `url`: a token for `Authorization: Bearer`. */
  readonly token?: string | undefined;
  /** `namespace/name` of the ServiceAccount whose token schedulers are shown that ask for one. */
  readonly reader: string;
  /** Undefined: that of the context. */
  readonly namespace?: string | undefined;
  readonly "all-namespaces": boolean;
  readonly context?: string | undefined;
}

/** The debug pages of one scheduler process. */
export interface SchedulerPages {
  /** Pod of the scheduler, or the address asked for. */
  readonly name: string;
  readonly service: string;
  /** A page as JSON; undefined: there is nothing of what the query asks for. Rejects with `Error` that says what to do. */
  read(path: string): Promise<unknown>;
}

/** Flags of the query, for `parseArgs`. */
export const QUERY_OPTIONS = {
  url: { type: "string" },
  token: { type: "string" },
  reader: { type: "string", default: `kserve/${METRICS_READER}` },
  namespace: { type: "string", short: "n" },
  "all-namespaces": { type: "boolean", short: "A", default: false },
  context: { type: "string" },
} as const;

/** The lines of a usage text about them. */
export const QUERY_USAGE = `  -n, --namespace NAME       namespace of the service (default: that of the context)
  -A, --all-namespaces       look in all namespaces
  --context NAME             context of the kubeconfig
  --url URL                  metrics port of one scheduler, such as http://127.0.0.1:9090, in place of the cluster
  --token TOKEN              bearer token for --url
  --reader NAMESPACE/NAME    ServiceAccount by whose token schedulers are read that ask for one
                             (default kserve/${METRICS_READER}, which the chart makes)`;

const METRICS_PORT = 9090;

/**
 * Finds the schedulers of the services of those names, of all without names, through the API server's proxy of pods, or the
 * one at `url`. Rejects with `Error` when there is none.
 */
export async function findSchedulers(
  query: SchedulerQuery,
  services: readonly string[],
): Promise<readonly SchedulerPages[]> {
  if (query.url !== undefined) return [pagesAt(query.url, query.token)];
  const config = await loadKubeConfig({ context: query.context });
  const namespace = query["all-namespaces"] ? undefined : (query.namespace ?? currentNamespace(config));
  const client = createKubeClient(config);
  const { items } = await client.list(KINDS.Pod, { namespace, labelSelector: selectorOf(services) });
  const found = schedulersAmong(client, items, query.reader);
  if (found.length > 0) return found;
  const of = services.length === 0 ? "" : ` of ${services.join(", ")}`;
  const where = namespace === undefined ? "any namespace" : `namespace ${namespace}`;
  throw new Error(`no running scheduler${of} in ${where}; name the namespace with -n, or use -A or --url`);
}

/** A running scheduler of the cluster. */
export interface SchedulerPod extends SchedulerPages {
  readonly pod: KubeObject;
}

/** The running schedulers among pods; tokens are made once for all of them, when the first asks for one. */
export function schedulersAmong(
  client: Pick<KubeClient, "getRaw" | "create">,
  pods: readonly KubeObject[],
  reader: string,
): readonly SchedulerPod[] {
  const token = once(async () => await requestToken(client, reader));
  return pods.filter(isScheduler).map((pod) => ({ pod, ...pagesOf(client, pod, token) }));
}

function isScheduler({ status, metadata: { labels = {}, deletionTimestamp } }: KubeObject): boolean {
  const component = labels[COMPONENT_LABEL];
  const isOurs = component === SCHEDULER_POD_COMPONENT || component === COMPONENTS.scheduler;
  return labels[PART_OF_LABEL] === PART_OF && isOurs && isRunning(status) && deletionTimestamp === undefined;
}

function selectorOf(services: readonly string[]): string {
  const components = `${COMPONENT_LABEL} in (${SCHEDULER_POD_COMPONENT},${COMPONENTS.scheduler})`;
  const names = services.length === 0 ? [] : [`${NAME_LABEL} in (${services.join(",")})`];
  return [`${PART_OF_LABEL}=${PART_OF}`, components, ...names].join(",");
}

const isRunning = (status: unknown): boolean =>
  typeof status === "object" && status !== null && "phase" in status && status.phase === "Running";

function pagesAt(url: string, token: string | undefined): SchedulerPages {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  return {
    name: url,
    service: "",
    read: async (path) => {
      const response = await fetch(new URL(path, url), { headers });
      if (response.status === 404) return undefined;
      if (response.ok) return await response.json();
      const remedy =
        response.status === 401 || response.status === 403 ? "; give a token that may read it with --token" : "";
      throw new Error(`${url}${path}: status ${response.status}${remedy}`);
    },
  };
}

function pagesOf(
  client: Pick<KubeClient, "getRaw">,
  { metadata, spec }: KubeObject,
  token: () => Promise<string>,
): SchedulerPages {
  const { namespace = "", name, labels = {} } = metadata;
  const base = `/api/v1/namespaces/${namespace}/pods/${name}:${metricsPortOf(spec)}/proxy`;
  const read = async (path: string): Promise<unknown> => {
    try {
      return await client.getRaw(`${base}${path}`);
    } catch (error) {
      if (!hasCode(error, 401)) throw error;
      const headers = { [TOKEN_HEADER]: await token() };
      return await client.getRaw(`${base}${path}`, { headers });
    }
  };
  return {
    name: `${namespace}/${name}`,
    service: labels[NAME_LABEL] ?? "",
    read: async (path) => {
      try {
        return await read(path);
      } catch (error) {
        if (hasCode(error, 404)) return undefined;
        const isRefused = !(error instanceof KubeError) || error.code === 401 || error.code === 403;
        const hint = isRefused ? `\n${byPortForward(namespace, name)}` : "";
        throw new Error(`scheduler ${namespace}/${name}: ${describeError(error)}${hint}`);
      }
    },
  };
}

const hasCode = (error: unknown, code: number): boolean => error instanceof KubeError && error.code === code;

/** Makes a value when it is first asked for. */
function once<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined;
  return () => (made ??= make());
}

const TOKEN_SECONDS = 600;

/** A short-lived token of the account that may read metrics: never one of the user's own, which may do more. */
async function requestToken(client: Pick<KubeClient, "create">, reader: string): Promise<string> {
  const [namespace, name = ""] = reader.split("/");
  const { apiVersion, kind } = KINDS.TokenRequest;
  const request = { apiVersion, kind, metadata: { namespace, name }, spec: { expirationSeconds: TOKEN_SECONDS } };
  try {
    const { status } = await client.create(request, { subresource: "token" });
    return (status as { readonly token: string }).token;
  } catch (error) {
    // Not a KubeError: whether that account exists says nothing about the page.
    const text = `it asks for a token, and none can be had for ServiceAccount ${reader} (--reader names another)`;
    throw new Error(text, { cause: error });
  }
}

/** Who may not have a token made may still show one of their own. */
function byPortForward(namespace: string, name: string): string {
  return [
    "With a token of your own that may get the URLs /debug/decisions and /debug/endpoints:",
    `  kubectl -n ${namespace} port-forward pod/${name} ${METRICS_PORT} &`,
    `  llmisvc … --url http://127.0.0.1:${METRICS_PORT} --token TOKEN`,
  ].join("\n");
}

function metricsPortOf(spec: unknown): number {
  const containers = (spec as { readonly containers?: readonly { readonly ports?: readonly Port[] }[] } | undefined)
    ?.containers;
  const ports = (containers ?? []).flatMap(({ ports }) => ports ?? []);
  return ports.find(({ name }) => name === "metrics")?.containerPort ?? METRICS_PORT;
}

interface Port {
  readonly name?: string;
  readonly containerPort: number;
}
