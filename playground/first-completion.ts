import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import type { KubeClient } from "../kube/client.ts";
import { KINDS, findResource, resourceOf } from "../kube/resources.ts";
import { type KubeObject, isNotFound } from "../kube/types.ts";
import { parseYamlDocuments } from "../kube/yaml.ts";
import { type Fields, field, recordAt, recordsAt, textAt } from "./fields.ts";
import { type Playground, type StartProgress, readyPods } from "./playground.ts";
import { until } from "./until.ts";

const READY_MS = 60_000;
const DECISION_MS = 5_000;
const LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration";
const PROMPT = "Kubernetes schedules pods; who schedules tokens?";

/** A completion and how it came about. */
export interface FirstCompletion {
  readonly url: string;
  readonly requestBody: string;
  readonly status: number;
  readonly elapsedMs: number;
  /** Text of the first choice. */
  readonly text: string;
  /** The pod that answered. */
  readonly pod: string;
  /** Why the scheduler picked it, as its log says. */
  readonly reason: string;
}

/**
 * Applies a manifest, waits until its LLMInferenceService is Ready, and sends one completion to the URL in its status.
 * Rejects with the cause: an unreadable file, a refused object, conditions that stay False, an answer other than 200.
 */
export async function firstCompletion(
  playground: Playground,
  sample: string,
  progress: StartProgress,
): Promise<FirstCompletion> {
  const objects = parseYamlDocuments(readFileSync(sample, "utf8")) as unknown as KubeObject[];
  const service = objects.find((object) => object.kind === KINDS.LLMInferenceService.kind);
  if (service === undefined) throw new Error(`${sample} holds no LLMInferenceService`);
  for (const object of objects) await applyAsKubectl(playground.client, inDefault(object));
  const ready = await whenReady(playground, inDefault(service), progress);
  return await complete(playground, ready);
}

const inDefault = (object: KubeObject): KubeObject => ({
  ...object,
  metadata: { ...object.metadata, namespace: object.metadata.namespace ?? "default" },
});

/** Writes an object as `kubectl apply` would, so that a later `kubectl apply` of the file goes on from it. */
async function applyAsKubectl(client: KubeClient, object: KubeObject): Promise<void> {
  const annotations = { ...object.metadata.annotations, [LAST_APPLIED]: `${JSON.stringify(object)}\n` };
  const applied = { ...object, metadata: { ...object.metadata, annotations } };
  const resource = findResource(object) ?? resourceOf(object);
  const options = { fieldManager: "kubectl-client-side-apply" };
  try {
    await client.patch(resource, object.metadata, { type: "merge", body: applied }, options);
  } catch (error) {
    if (!isNotFound(error)) throw error;
    await client.create(applied, options);
  }
}

async function whenReady(playground: Playground, service: KubeObject, progress: StartProgress): Promise<KubeObject> {
  const { client } = playground;
  const { namespace = "default", name } = service.metadata;
  let last = "";
  const found = await until(
    `LLMInferenceService ${namespace}/${name} Ready`,
    async () => {
      const current = await client.get(KINDS.LLMInferenceService, { namespace, name });
      const conditions = recordsAt(current, "status", "conditions");
      const ready = conditions.find((condition) => condition["type"] === "Ready");
      const observed = field(current, "status", "observedGeneration") === current.metadata.generation;
      if (ready?.["status"] === "True" && observed && isCurrent(current, playground.gatewayPort)) return current;
      last = `${textAt(ready, "reason") ?? "not yet reconciled"} ${textAt(ready, "message") ?? ""}`.trim();
      const pods = await readyPods(client, namespace, `app.kubernetes.io/name=${name}`);
      progress.running(name, `${pods} pods ready; ${last}`);
      return undefined;
    },
    { timeoutMs: READY_MS },
  ).catch((error: unknown) => {
    throw new Error(`${name} did not become Ready; its last state: ${last}`, { cause: error });
  });
  progress.done(name, `Ready at ${textAt(found, "status", "url") ?? "no URL"}`);
  return found;
}

/** Whether the URL leads to this run's gateway: a status kept from an earlier run names that run's. */
function isCurrent(service: KubeObject, gatewayPort: number): boolean {
  const url = textAt(service, "status", "url");
  return url === undefined || Number(new URL(url).port || 80) === gatewayPort;
}

async function complete(playground: Playground, service: KubeObject): Promise<FirstCompletion> {
  const url = `${textAt(service, "status", "url") ?? ""}/v1/completions`;
  const model = textAt(service, "spec", "model", "name") ?? service.metadata.name;
  const requestBody = JSON.stringify({ model, prompt: PROMPT, max_tokens: 16 });
  const id = randomUUID();
  const startedAt = performance.now();
  const response = await fetch(url, {
    method: "POST",
    headers: { "content-type": "application/json", "x-request-id": id },
    body: requestBody,
  });
  const body = await response.text();
  if (response.status !== 200) throw new Error(`POST ${url} answered ${response.status}: ${body.slice(0, 500)}`);
  const elapsedMs = performance.now() - startedAt;
  const answer: unknown = JSON.parse(body);
  const pod = response.headers.get("x-inference-pod") ?? "unknown";
  const text = textAt(answer, "choices", 0, "text") ?? "";
  return { url, requestBody, status: 200, elapsedMs, text, pod, reason: await decisionOf(playground, service, id) };
}

/** The scheduler's own words about a request, from the log of its pod. */
async function decisionOf(playground: Playground, service: KubeObject, requestId: string): Promise<string> {
  const { namespace = "default", name } = service.metadata;
  const labelSelector = `app.kubernetes.io/name=${name},app.kubernetes.io/component=llminferenceservice-scheduler`;
  const { items } = await playground.client.list(KINDS.Pod, { namespace, labelSelector });
  if (items.length === 0) return "no scheduler: the Service chose";
  const line = await until(
    "the decision in the scheduler's log",
    async () => {
      for (const pod of items) {
        const found = await logLine(playground, namespace, pod.metadata.name, requestId);
        if (found !== undefined) return found;
      }
      return undefined;
    },
    { timeoutMs: DECISION_MS },
  ).catch(() => undefined);
  return line === undefined ? "the scheduler logged no decision (verbosity below 4)" : explain(line);
}

async function logLine(
  playground: Playground,
  namespace: string,
  pod: string,
  id: string,
): Promise<string | undefined> {
  const response = await fetch(`${playground.url}/api/v1/namespaces/${namespace}/pods/${pod}/log?tailLines=200`);
  const text = await response.text();
  return text.split("\n").find((line) => line.includes(id) && line.includes("scores"));
}

/** `scorer 0.50 + …` of a decision line; the line itself where it has another shape. */
function explain(line: string): string {
  let decision: unknown;
  try {
    decision = JSON.parse(line);
  } catch {
    return line;
  }
  const scores: Fields = recordAt(decision, "scores") ?? {};
  const parts = Object.entries(scores).map(([scorer, score]) => `${scorer} ${Number(score).toFixed(2)}`);
  const candidates = field(decision, "candidates");
  const among = typeof candidates === "number" ? ` among ${candidates} pods` : "";
  return `highest weighted score${among}: ${parts.join(" + ")}`;
}
