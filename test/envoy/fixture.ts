import { routedService } from "../e2e/manifests.ts";
import { type Answer, type TestPlayground, apply, at, post, readyUrl, startPlayground } from "../e2e/playground.ts";
import { processesWith } from "../e2e/process.ts";
import { type PoolRoute, envoyConfig } from "./config.ts";
import { type Envoy, startEnvoy } from "./envoy.ts";

const SCHEDULER = "app.kubernetes.io/component=llminferenceservice-scheduler";
const MODEL_PORT = 8000;

/** A service of a playground with a real Envoy in front of its scheduler and its pods. */
export interface ProxiedService {
  readonly playground: TestPlayground;
  readonly envoy: Envoy;
  /** Names and `ip:port` of the model servers, in the same order. */
  readonly pods: readonly string[];
  readonly addresses: readonly string[];
  readonly schedulerIp: string;
  complete(listener: string, prompt: string, maxTokens?: number): Promise<Answer>;
  /** A chat answer of that many tokens as server-sent events. */
  stream(listener: string, maxTokens: number, prompt?: string): Promise<Answer>;
  /** The scheduler's own counter of what it picked; sums over labels. */
  schedulerMetric(name: string): Promise<number>;
  close(): Promise<void>;
}

/** What a service is started with. */
export interface ProxiedOptions {
  readonly name: string;
  readonly replicas: number;
  readonly engineArgs?: readonly string[];
  /** Whether Envoy asks the scheduler for its health, on the ext_proc port. */
  readonly healthChecks?: boolean;
  readonly routes: (addresses: readonly string[]) => readonly PoolRoute[];
}

/** Starts a playground, a routed service in it, and Envoy with the routes. */
export async function startProxied(options: ProxiedOptions): Promise<ProxiedService> {
  const playground = await startPlayground();
  try {
    return await front(playground, options);
  } catch (error) {
    await playground.stop();
    throw error;
  }
}

async function front(playground: TestPlayground, options: ProxiedOptions): Promise<ProxiedService> {
  const { name, routes, healthChecks = false, ...rest } = options;
  const schedulerArgs = ["--v=4", ...(healthChecks ? ["--health-checking"] : [])];
  await apply(playground, routedService(name, { ...rest, schedulerArgs }));
  await readyUrl(playground, name);
  const workload = await playground.list(
    "pods",
    "default",
    `app.kubernetes.io/name=${name},kserve.io/component=workload`,
  );
  const [scheduler] = await playground.list("pods", "default", SCHEDULER);
  const schedulerIp = String(at(scheduler, "status.podIP"));
  const addresses = workload.map((pod) => `${String(at(pod, "status.podIP"))}:${MODEL_PORT}`);
  const upstreams = { picker: `${schedulerIp}:9002`, healthChecks, endpoints: addresses };
  const envoy = await startEnvoy(envoyConfig(upstreams, routes(addresses)));
  const send = (listener: string, path: string, body: object) =>
    post(`${envoy.url(listener)}${path}`, { model: name, ...body });
  return {
    playground,
    envoy,
    pods: workload.map((pod) => pod.metadata.name),
    addresses,
    schedulerIp,
    complete: (listener, prompt, maxTokens = 3) => send(listener, "/v1/completions", { prompt, max_tokens: maxTokens }),
    stream: (listener, maxTokens, prompt = "Hello") =>
      send(listener, "/v1/chat/completions", {
        messages: [{ role: "user", content: prompt }],
        stream: true,
        max_tokens: maxTokens,
        ignore_eos: true,
      }),
    schedulerMetric: async (metric) => sumOf(await playground.metrics(schedulerIp), metric),
    close: async () => {
      await envoy.close();
      await playground.stop();
    },
  };
}

/** Sum of the samples of a metric. */
function sumOf(page: string, metric: string): number {
  const lines = page.split("\n").filter((line) => line.startsWith(`${metric}{`) || line.startsWith(`${metric} `));
  return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(" ") + 1)), 0);
}

/** Sends a signal to all processes of the pod at an address. */
export function signalPod(podIp: string, signal: NodeJS.Signals): void {
  for (const pid of processesWith(`POD_IP=${podIp}\0`)) process.kill(pid, signal);
}

/** Whether an answer is that of a model server, whole. */
export function isServed({ status, text }: Answer): boolean {
  return status === 200 && (text.includes('"usage"') || /data: \[DONE\]\s*$/.test(text));
}

/** The answers that are not a model server's, in short. */
export function lost(answers: readonly Answer[]): string[] {
  return answers.filter((answer) => !isServed(answer)).map(({ status, text }) => `${status} ${text.slice(0, 200)}`);
}
