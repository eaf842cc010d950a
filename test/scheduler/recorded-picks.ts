/** The fleet and the requests of `corpus/golden/epp-picks.jsonl`, and what was recorded with them. */
import { EndpointStore } from "../../scheduler/datalayer/endpoint-store.ts";
import { VLLM } from "../../scheduler/datalayer/engines.ts";
import { readSample } from "../../scheduler/datalayer/sample.ts";
import { readShared } from "../corpus.ts";

/** One recorded request. */
export interface RecordedStep {
  readonly state: StateName;
  readonly request: RequestName;
  readonly headers?: Readonly<Record<string, string>>;
  readonly metadata?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** HTTP status of an immediate answer. */
  readonly immediate?: number;
  readonly body?: string;
  readonly error?: string;
}

/** The requests of one configuration, in order. */
export interface Recording {
  readonly config: string;
  readonly error?: string;
  readonly steps?: readonly RecordedStep[];
}

export type StateName = "varied" | "twoFull" | "equal";
export type RequestName = "prefixA1" | "prefixA2" | "shortB" | "loraC";

/** All recordings. */
export function recordings(): Recording[] {
  const lines = readShared("corpus/golden/epp-picks.jsonl").split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as Recording);
}

const ROLES = ["decode", "prefill", "both", "decode", "prefill", "decode", "encode", "prefill-decode"];

/** Numbers of the recorded pods. */
export const PODS: readonly number[] = ROLES.map((_, index) => index);

/** A store with the eight recorded pods, which arrive in the given order. */
export function recordedFleet(order: readonly number[]): EndpointStore {
  const store = new EndpointStore();
  order.forEach((index) => {
    const role = ROLES[index] ?? "";
    const address = `10.0.0.${index + 1}`;
    const hostPort = `${address}:8000`;
    store.upsert({
      namespace: "default",
      podName: `pod-${index}`,
      name: `pod-${index}`,
      address,
      port: 8000,
      hostPort,
      labels: { "llm-d.ai/role": role, "llm-d.ai/hostname": `h${index % 3}`, app: "vllm" },
      rank: 0,
      metricsHost: hostPort,
      nodeAddress: "",
    });
  });
  return store;
}

interface PodState {
  readonly waiting: number;
  readonly running: number;
  readonly kv: number;
  readonly adapters?: string;
  readonly waitingAdapters?: string;
}

const WAITING = [0, 1, 2, 3, 5, 8, 13, 30];
const KV = [0.05, 0.9, 0.4, 0.1, 0.75, 0.2, 0.5, 0.3];
const ADAPTERS: Readonly<Record<number, string>> = { 2: "adapter-1", 5: "adapter-1,adapter-2" };

const STATES: Readonly<Record<StateName, (pod: number) => PodState>> = {
  varied: (pod) => ({
    waiting: WAITING[pod] ?? 0,
    running: (pod * 3) % 7,
    kv: KV[pod] ?? 0,
    adapters: ADAPTERS[pod] ?? "",
    waitingAdapters: pod === 6 ? "adapter-1" : "",
  }),
  twoFull: (pod) => (pod < 2 ? { waiting: 200, running: 60, kv: 0.97 } : { waiting: 1, running: 2, kv: 0.3 }),
  equal: () => ({ waiting: 0, running: 0, kv: 0 }),
};

function page({ waiting, running, kv, adapters = "", waitingAdapters = "" }: PodState): string {
  const lora = `max_lora="4",running_lora_adapters="${adapters}",waiting_lora_adapters="${waitingAdapters}"`;
  return [
    "# TYPE vllm:num_requests_waiting gauge",
    `vllm:num_requests_waiting{model_name="m"} ${waiting}`,
    "# TYPE vllm:num_requests_running gauge",
    `vllm:num_requests_running{model_name="m"} ${running}`,
    "# TYPE vllm:kv_cache_usage_perc gauge",
    `vllm:kv_cache_usage_perc{model_name="m"} ${kv}`,
    "# TYPE vllm:lora_requests_info gauge",
    `vllm:lora_requests_info{${lora}} 1.7e9`,
    "# TYPE vllm:cache_config_info gauge",
    'vllm:cache_config_info{block_size="16",num_gpu_blocks="28000"} 1',
    "",
  ].join("\n");
}

/** Makes every pod's metrics those of a state, as a scrape would. */
export function scrapeState(store: EndpointStore, state: StateName, nowMs: number): void {
  for (const slot of store.slots()) {
    const pod = Number(store.metadata(slot).podName.slice("pod-".length));
    const { sample } = readSample(Buffer.from(page(STATES[state](pod))), VLLM);
    store.update(slot, store.generation[slot] ?? 0, sample, nowMs);
  }
}

const SENTENCE = "The quick brown fox jumps over the lazy dog near the river bank. ";
const SYSTEM = `You are a careful assistant. ${SENTENCE.repeat(64)}`;

const chat = (model: string, messages: readonly (readonly [role: string, content: string])[], more = {}): unknown => ({
  model,
  messages: messages.map(([role, content]) => ({ role, content })),
  ...more,
});

const BODIES: Readonly<Record<RequestName, unknown>> = {
  prefixA1: chat("m", [
    ["system", SYSTEM],
    ["user", "first question"],
  ]),
  prefixA2: chat("m", [
    ["system", SYSTEM],
    ["user", "second, another question"],
  ]),
  shortB: { model: "m", prompt: "hello world", max_tokens: 16 },
  loraC: chat("adapter-1", [["user", "use the adapter please"]], { stream: true }),
};

/** Path and body of a recorded request. */
export function recordedRequest(name: RequestName): { readonly path: string; readonly body: Buffer } {
  const path = name === "shortB" ? "/v1/completions" : "/v1/chat/completions";
  return { path, body: Buffer.from(JSON.stringify(BODIES[name])) };
}
