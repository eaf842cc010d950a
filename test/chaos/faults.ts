import { setTimeout as pause } from "node:timers/promises";
import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { textAt } from "../../playground/fields.ts";
import { signalPod } from "../envoy/fixture.ts";
import { type Bed, SERVICE, serviceObject } from "./bed.ts";

/** A pod whose process was killed without a warning. */
export interface Kill {
  readonly kind: "model" | "scheduler";
  /** Address of the pod, without a port. */
  readonly ip: string;
  /** Wall clock in ms. */
  readonly at: number;
}

/** What a fault works on, and where it tells what it did. */
export interface FaultContext {
  readonly bed: Bed;
  /** Uniform in [0, 1), for what there is to choose. */
  readonly draw: number;
  readonly kills: Kill[];
}

/** Does harm; resolves when it is done with a word on what it did. */
export type Fault = (context: FaultContext) => Promise<string>;

const WORKLOAD = `app.kubernetes.io/name=${SERVICE},kserve.io/component=workload`;
const SCHEDULERS = `app.kubernetes.io/name=${SERVICE},app.kubernetes.io/component=llminferenceservice-scheduler`;
/** Model servers that are left alone, so that somebody serves. */
const LEAST_ENDPOINTS = 2;
const HOLD_MS = 12_000;
const FREEZE_MS = 4000;
/** Longer than a Lease holds: another operator leads when the frozen one goes on. */
const LEASE_OVER_MS = 20_000;
const HOUR_MS = 3_600_000;
const CLOCK_JUMPS = [HOUR_MS, -HOUR_MS, 40 * 24 * HOUR_MS, -24 * HOUR_MS, 0] as const;
/** Services that come and go during a run. */
export const PASSING_SERVICES = ["passing-0", "passing-1", "passing-2"] as const;
const REPLICAS = [3, 4, 5] as const;

const choose = <T>(items: readonly T[], draw: number): T | undefined => items[Math.floor(draw * items.length)];
const ipOf = (pod: KubeObject): string => textAt(pod, "status", "podIP") ?? "";

/** A model server that can be spared. */
async function victim({ bed, draw }: FaultContext): Promise<KubeObject | undefined> {
  const ready = new Set(bed.discovery.endpoints.map((address) => address.split(":")[0]));
  const pods = (await bed.pods(WORKLOAD)).filter((pod) => ready.has(ipOf(pod)));
  return pods.length > LEAST_ENDPOINTS ? choose(pods, draw) : undefined;
}

/** A scheduler, where another one is left. */
async function spareScheduler({ bed, draw }: FaultContext): Promise<KubeObject | undefined> {
  const ready = new Set(bed.discovery.pickers.map((address) => address.split(":")[0]));
  const pods = (await bed.pods(SCHEDULERS)).filter((pod) => ready.has(ipOf(pod)));
  return pods.length > 1 ? choose(pods, draw) : undefined;
}

function kill(context: FaultContext, kind: Kill["kind"], pods: readonly (KubeObject | undefined)[]): string {
  const ips = pods.filter((pod) => pod !== undefined).map(ipOf);
  for (const ip of ips) {
    signalPod(ip, "SIGKILL");
    context.kills.push({ kind, ip, at: Date.now() });
  }
  return ips.length === 0 ? "none to spare" : `killed ${ips.join(", ")}`;
}

async function remove({ bed }: FaultContext, pod: KubeObject | undefined): Promise<string> {
  if (pod === undefined) return "none to spare";
  await bed.client.delete(KINDS.Pod, pod.metadata);
  return `deleted ${pod.metadata.name} (${ipOf(pod)})`;
}

async function change({ bed }: FaultContext, spec: Record<string, unknown>): Promise<string> {
  const key = { namespace: "default", name: SERVICE };
  await bed.client.patch(KINDS.LLMInferenceService, key, { type: "merge", body: { spec } });
  return JSON.stringify(spec);
}

/** Has the operator issue a new certificate, which schedulers take over while they serve. */
async function rotateCertificate({ bed }: FaultContext): Promise<string> {
  const key = { namespace: "default", name: `${SERVICE}-kserve-self-signed-certs` };
  const annotations = { "certificates.kserve.io/expiration": "2001-01-01T00:00:00Z" };
  await bed.client.patch(KINDS.Secret, key, { type: "merge", body: { metadata: { annotations } } });
  return key.name;
}

/** Creates a service, or deletes it where it is there. */
async function passService({ bed, draw }: FaultContext): Promise<string> {
  const name = choose(PASSING_SERVICES, draw) ?? PASSING_SERVICES[0];
  const key = { namespace: "default", name };
  if ((await bed.client.find(KINDS.LLMInferenceService, key)) === undefined) {
    await bed.client.apply(serviceObject(name, [], 1), { fieldManager: "chaos", force: true });
    return `created ${name}`;
  }
  await bed.client.delete(KINDS.LLMInferenceService, key);
  return `deleted ${name}`;
}

/** Stops the processes of a pod for a time, as a starved machine does. */
async function freeze(pod: KubeObject | undefined, ms: number): Promise<string> {
  if (pod === undefined) return "none to spare";
  signalPod(ipOf(pod), "SIGSTOP");
  await pause(ms);
  signalPod(ipOf(pod), "SIGCONT");
  return `${pod.metadata.name} for ${ms / 1000} s`;
}

async function killLeader({ bed }: FaultContext): Promise<string> {
  const leader = await bed.leader();
  if (leader === undefined) return "nobody leads";
  signalPod(ipOf(leader), "SIGKILL");
  return leader.metadata.name;
}

/** All faults by name. */
export const FAULTS = {
  "API server restarted": async ({ bed }) => {
    await bed.cluster.restart("kube-apiserver");
    return "up again";
  },
  "etcd restarted": async ({ bed }) => {
    await bed.cluster.restart("etcd");
    return "up again";
  },
  "sockets cut": async ({ bed }) => `${bed.proxy.cut()} connections`,
  "sockets held up": async ({ bed }) => {
    bed.proxy.hold();
    await pause(HOLD_MS);
    bed.proxy.release();
    return `for ${HOLD_MS / 1000} s`;
  },
  "leader killed": killLeader,
  "leader frozen": async ({ bed }) => await freeze(await bed.leader(), LEASE_OVER_MS),
  "scheduler frozen": async (context) => await freeze(await spareScheduler(context), FREEZE_MS),
  "clock set": async ({ bed, draw }) => {
    const offsetMs = choose(CLOCK_JUMPS, draw) ?? 0;
    bed.setClock(offsetMs);
    return `${offsetMs / HOUR_MS} h from the true time`;
  },
  "certificate rotated": rotateCertificate,
  "model server killed": async (context) => kill(context, "model", [await victim(context)]),
  "pod deleted": async (context) => await remove(context, await victim(context)),
  "scheduler killed": async (context) => kill(context, "scheduler", [await spareScheduler(context)]),
  "all schedulers killed": async (context) => kill(context, "scheduler", await context.bed.pods(SCHEDULERS)),
  "scheduler deleted": async (context) => await remove(context, await spareScheduler(context)),
  "replicas changed": async (context) => await change(context, { replicas: choose(REPLICAS, context.draw) ?? 4 }),
  "service created or deleted": passService,
  "all pods replaced": async (context) =>
    await change(context, { annotations: { round: String(Math.floor(context.draw * 1e9)) } }),
} as const satisfies Readonly<Record<string, Fault>>;

/** Name of a fault. */
export type FaultName = keyof typeof FAULTS;

/** Deletes what faults have created. */
export async function removeServices(bed: Bed): Promise<void> {
  for (const name of PASSING_SERVICES) {
    const key = { namespace: "default", name };
    if ((await bed.client.find(KINDS.LLMInferenceService, key)) !== undefined)
      await bed.client.delete(KINDS.LLMInferenceService, key);
  }
}
