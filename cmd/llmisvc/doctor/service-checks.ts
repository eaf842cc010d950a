import { configTextOf } from "../../../controllers/scheduler/config.ts";
import { FAULTS, type Fault } from "../../../controllers/status/faults.ts";
import { childNames } from "../../../controllers/names.ts";
import { matchesLabels } from "../../../controllers/labels.ts";
import { stringMapOf } from "../../../controllers/json-edit.ts";
import { asJson } from "../../../controllers/llminferenceservice/pass.ts";
import { at, listAt, numberAt, objectAt, textAt } from "../../../crds/json.ts";
import type { Json, JsonObject } from "../../../crds/schema/types.ts";
import { KINDS } from "../../../kube/resources.ts";
import type { KubeObject } from "../../../kube/types.ts";
import { validateEndpointPickerConfig } from "../../../scheduler/config/validate.ts";
import { canRead, hasCondition, readyAddresses } from "./cluster-checks.ts";
import { type Finding, Subject } from "./findings.ts";
import { checkMetrics } from "./metrics-checks.ts";
import type { Snapshot } from "./snapshot.ts";

/** Port of a pool's endpoint picker where the pool names none (Gateway API inference extension v1). */
const PICKER_PORT = 9002;

/** What is wrong with one service, from its conditions and from the objects that carry its requests. */
export function checkService(snapshot: Snapshot, service: KubeObject): Finding[] {
  const { namespace = "", name } = service.metadata;
  const subject = new Subject(`LLMInferenceService ${namespace}/${name}`);
  const json = asJson(service) ?? {};
  if (stringMapOf(at(json, "metadata", "annotations"))["serving.kserve.io/stop"] === "true") {
    subject.warn("stopped", "remove the annotation serving.kserve.io/stop to start it");
    return subject.findings;
  }
  checkObserved(subject, json);
  checkConditions(subject, json);
  checkScheduler(subject, snapshot, namespace, name);
  checkMetrics(subject, snapshot, namespace, name);
  checkPool(subject, snapshot, namespace, name);
  return subject.findings;
}

function checkObserved(subject: Subject, service: JsonObject): void {
  const [wanted, seen] = [
    numberAt(service, "metadata", "generation"),
    numberAt(service, "status", "observedGeneration"),
  ];
  if (wanted !== undefined && (seen ?? 0) < wanted)
    subject.fail(
      `the operator has not looked at generation ${wanted} (it saw ${seen ?? "none"}): the status below is old`,
      "bring the operator up",
    );
}

const ALL_FAULTS: readonly Fault[] = Object.values(FAULTS);
/** Summaries repeat what their parts say. */
const SUMMARIES = new Set(["Ready", "WorkloadsReady", "RouterReady"]);

function checkConditions(subject: Subject, service: JsonObject): void {
  const conditions = listAt(service, "status", "conditions");
  const failing = conditions.filter((condition) => at(condition, "status") !== "True");
  const parts = failing.filter((condition) => !SUMMARIES.has(textAt(condition, "type") ?? ""));
  for (const condition of parts.length > 0 ? parts : failing) tellCondition(subject, condition);
  if (failing.length === 0 && conditions.length > 0)
    subject.ok(`Ready at ${textAt(service, "status", "url") ?? "no URL"}`);
  if (conditions.length === 0) subject.fail("has no status yet", "bring the operator up");
}

/** The operator's messages end in the remedy of their fault; others are explained by their reason, where that is one fault's. */
function tellCondition(subject: Subject, condition: Json): void {
  const [type = "", reason = "", message = ""] = ["type", "reason", "message"].map((key) => textAt(condition, key));
  const told = ALL_FAULTS.find(({ remedy }) => message.endsWith(`: ${remedy}`));
  const cause = told === undefined ? message : message.slice(0, -told.remedy.length - 2);
  const meant = ALL_FAULTS.filter(({ reasons }) => reasons.includes(reason));
  const remedy = told ?? (meant.length === 1 ? meant[0] : undefined);
  subject.fail(`${type} is not True (${reason}): ${cause}`, remedy?.remedy ?? "do what the message says");
}

function checkScheduler(subject: Subject, snapshot: Snapshot, namespace: string, name: string): void {
  const deployment = asJson(snapshot.find(KINDS.Deployment, namespace, childNames(namespace, name).scheduler));
  if (deployment === undefined) return;
  const text = configTextOf(at(deployment, "spec", "template", "spec"));
  if (text === undefined) return;
  const { errors, warnings } = validateEndpointPickerConfig(text);
  for (const error of errors) subject.fail(`scheduler configuration: ${error.path}: ${error.cause}`, error.remedy);
  for (const warning of warnings) subject.warn(`scheduler configuration: ${warning}`, "use the current spelling");
  if (errors.length === 0) subject.ok("scheduler configuration is valid");
}

function checkPool(subject: Subject, snapshot: Snapshot, namespace: string, name: string): void {
  const pool = asJson(snapshot.find(KINDS.InferencePool, namespace, childNames(namespace, name).pool));
  if (pool === undefined) return;
  const title = `InferencePool ${textAt(pool, "metadata", "name")}`;
  if (canRead(snapshot, KINDS.Pod)) checkPoolPods(subject, snapshot, pool, namespace, title);
  if (canRead(snapshot, KINDS.Service, KINDS.EndpointSlice)) checkPicker(subject, snapshot, pool, namespace, title);
}

/** Pods that a pool selects. */
function podsOf(snapshot: Snapshot, pool: JsonObject, namespace: string): readonly JsonObject[] {
  const selector = stringMapOf(at(pool, "spec", "selector", "matchLabels"));
  return snapshot
    .list(KINDS.Pod, namespace)
    .filter(({ metadata }) => matchesLabels(metadata.labels, selector))
    .map((pod) => asJson(pod) ?? {});
}

function checkPoolPods(subject: Subject, snapshot: Snapshot, pool: JsonObject, namespace: string, title: string): void {
  const pods = podsOf(snapshot, pool, namespace);
  const ready = pods.filter((pod) => hasCondition(pod, "Ready"));
  if (pods.length === 0)
    return subject.fail(
      `${title} is blind: its selector matches no pod`,
      "compare spec.selector of the pool with the labels of the model-server pods",
    );
  if (ready.length === 0)
    return subject.fail(`${title} has no ready pod among ${pods.length}`, "see the conditions of the workload above");
  subject.ok(`${title} has ${ready.length} ready pods of ${pods.length}`);
  const ports = listAt(pool, "spec", "targetPorts").flatMap((port) => numberAt(port, "number") ?? []);
  const unserved = ports.filter((port) => !ready.some((pod) => declares(pod, port)));
  if (unserved.length > 0)
    subject.warn(
      `${title} sends to port ${unserved.join(", ")}, which no container of its pods declares`,
      "make spec.targetPorts of the pool and the containers' ports agree",
    );
}

const declares = (pod: JsonObject, port: number): boolean =>
  listAt(pod, "spec", "containers")
    .flatMap((container) => listAt(container, "ports"))
    .some((entry) => numberAt(entry, "containerPort") === port);

function checkPicker(subject: Subject, snapshot: Snapshot, pool: JsonObject, namespace: string, title: string): void {
  const picker = objectAt(pool, "spec", "endpointPickerRef");
  const [service, port] = [textAt(picker, "name") ?? "", numberAt(picker, "port", "number") ?? PICKER_PORT];
  const found = asJson(snapshot.find(KINDS.Service, namespace, service));
  if (found === undefined)
    return subject.fail(
      `${title} names the endpoint picker ${service}, which does not exist`,
      "correct endpointPickerRef",
    );
  if (!listAt(found, "spec", "ports").some((entry) => numberAt(entry, "port") === port))
    return subject.fail(`Service ${service} has no port ${port}, which ${title} names`, "make both ports agree");
  const ready = readyAddresses(snapshot, namespace, service);
  const open = textAt(picker, "failureMode") === "FailOpen";
  if (ready > 0)
    subject.ok(
      `endpoint picker ${service}:${port} has ${ready} ready endpoints, ${open ? "fails open" : "fails closed"}`,
    );
  else
    subject.fail(
      `endpoint picker ${service} has no ready endpoint: ${open ? "pods are picked at random" : "requests fail"}`,
      `kubectl -n ${namespace} describe pods -l app.kubernetes.io/component=llminferenceservice-scheduler`,
    );
}
