import type { JsonObject } from "../../crds/schema/types.ts";
import { type Resource, KINDS, resourceOf } from "../../kube/resources.ts";
import type { KubeObject, ObjectKey } from "../../kube/types.ts";
import { objectAt } from "../composition/json.ts";
import type { GlobalConfig } from "../composition/global-config.ts";
import type { Composition } from "../composition/types.ts";
import { sameJson } from "../json-edit.ts";
import { childNames } from "../names.ts";
import type { RouteView } from "../router/gateway.ts";
import { managedRouteSpec } from "../router/http-route.ts";
import { invalidReferences, referencedRoutes } from "../router/references.ts";
import { type ServiceUrl, ROUTE_ERROR, discoverUrls } from "../router/urls.ts";
import { scalingMarks } from "../scaling/readiness.ts";
import { type Condition, type Marks, TRUE, notReady, parseConditions, settleConditions } from "../status/conditions.ts";
import { routerMarks } from "../status/router-readiness.ts";
import { assembleStatus, earlierStatus, reachedStatus, workloadsStatus } from "../status/status.ts";
import { workloadMarks } from "../status/workload-readiness.ts";
import { claimsSameDevices } from "../workload/claim-template.ts";
import { ROUTER_STEPS, type Step, WORKLOAD_STEPS } from "./children.ts";
import {
  type CertificateBundle,
  type CertificateRequest,
  type ClusterView,
  type OperatorSettings,
  type Pass,
  PassError,
  asJson,
  isControlledBy,
} from "./pass.ts";
import { isStopped, stoppedMarks } from "./stop.ts";
import { obsoleteChildren } from "./sweep.ts";

/** Everything a plan is made from. The service is as stored, in `serving.kserve.io/v1alpha2`. */
export interface PlanInput {
  readonly service: KubeObject;
  readonly composition: Composition;
  readonly global: GlobalConfig;
  readonly settings: OperatorSettings;
  readonly cluster: ClusterView;
  readonly nowMs: number;
  readonly issueCertificate: (request: CertificateRequest) => CertificateBundle;
}

/** An Event to publish on the service. */
export interface PlannedEvent {
  readonly type: "Normal" | "Warning";
  readonly reason: string;
  readonly message: string;
}

/** A live object. */
export interface LiveRef {
  readonly resource: Resource;
  readonly key: ObjectKey;
}

/** What has to be done for one service. */
export interface Plan {
  /** Live objects to delete before their successors are applied: an immutable field has to change. */
  readonly replacements: readonly LiveRef[];
  /** Objects that should exist, in the order of their application. */
  readonly children: readonly KubeObject[];
  /** Live objects of the service that should not exist. */
  readonly deletions: readonly LiveRef[];
  /** The complete status. */
  readonly status: JsonObject;
  readonly events: readonly PlannedEvent[];
}

/** What the building of children came to. */
interface Outcome {
  readonly children: readonly KubeObject[];
  /** Failures, by the condition they make False. */
  readonly failures: Marks;
  readonly complete: boolean;
}

const NOTHING: Outcome = { children: [], failures: {}, complete: true };

function foreignObject(pass: Pass, object: KubeObject): string | undefined {
  const { namespace, name } = object.metadata;
  if (namespace === undefined) return undefined;
  const live = pass.cluster.find(resourceOf(object), { namespace, name });
  if (live === undefined || isControlledBy(live, pass.owner.uid)) return undefined;
  return `${object.kind} ${namespace}/${name} exists and is not controlled by this service: delete it, or rename the service`;
}

function runStep(pass: Pass, step: Step): Outcome {
  const failed = (reason: string, message: string): Outcome => ({
    children: [],
    failures: { [step.condition]: notReady(reason, message) },
    complete: false,
  });
  try {
    const children = step.builders.flatMap((build) => build(pass));
    const foreign = children.flatMap((object) => foreignObject(pass, object) ?? []);
    return foreign.length > 0 ? failed(step.reason, foreign.join("; ")) : { ...NOTHING, children };
  } catch (error) {
    if (error instanceof PassError) return failed(error.reason, error.message);
    throw error;
  }
}

/** The first failing step ends the walk: what comes after it depends on it, and stays as it is. */
function runSteps(pass: Pass, steps: readonly Step[]): Outcome {
  return steps.reduce<Outcome>((outcome, step) => {
    if (!outcome.complete) return outcome;
    const next = runStep(pass, step);
    return { ...next, children: [...outcome.children, ...next.children] };
  }, NOTHING);
}

interface Routing {
  readonly routes: readonly RouteView[];
  readonly managed: boolean;
}

function routingOf(pass: Pass): Routing {
  const spec = managedRouteSpec(pass);
  const own = spec === undefined ? [] : [{ namespace: pass.namespace, name: pass.names.route, spec }];
  return { routes: [...referencedRoutes(pass).found, ...own], managed: own.length > 0 };
}

function buildChildren(pass: Pass, routing: Routing): Outcome {
  const workload = runSteps(pass, WORKLOAD_STEPS);
  if (!workload.complete) return workload;
  const invalid = invalidReferences(pass, routing.managed ? routing.routes.at(-1) : undefined);
  if (Object.keys(invalid).length > 0) return { ...workload, failures: invalid, complete: false };
  const router = runSteps(pass, ROUTER_STEPS);
  return { ...router, children: [...workload.children, ...router.children] };
}

/** Whether a live child can become the wanted one: selectors and device claims are immutable. */
function canBecome(live: JsonObject, wanted: JsonObject): boolean {
  if (wanted["kind"] === KINDS.ResourceClaimTemplate.kind) return claimsSameDevices(live, wanted);
  if (wanted["kind"] !== KINDS.Deployment.kind) return true;
  return sameJson(objectAt(live, "spec", "selector"), objectAt(wanted, "spec", "selector"));
}

/** Live children that have to be deleted before their successors are applied. */
function replacementsOf(pass: Pass, children: readonly KubeObject[]): readonly LiveRef[] {
  return children.flatMap((object) => {
    const resource = resourceOf(object);
    const key = { namespace: pass.namespace, name: object.metadata.name };
    const [live, wanted] = [asJson(pass.cluster.find(resource, key)), asJson(object)];
    const fits = live === undefined || wanted === undefined || canBecome(live, wanted);
    return fits ? [] : [{ resource, key }];
  });
}

/** The addresses of a service with a route, or why they cannot be found out. */
function discovered(pass: Pass, routes: readonly RouteView[]): { urls?: readonly ServiceUrl[]; failures: Marks } {
  if (objectAt(pass.spec, "router", "route") === undefined) return { failures: {} };
  try {
    return { urls: discoverUrls(pass, routes), failures: {} };
  } catch (error) {
    if (!(error instanceof PassError)) throw error;
    return { failures: { HTTPRoutesReady: notReady(ROUTE_ERROR, error.message) } };
  }
}

function passOf(input: PlanInput, spec: JsonObject): Pass {
  const { metadata } = input.service;
  const namespace = metadata.namespace ?? "";
  return {
    name: metadata.name,
    namespace,
    names: childNames(namespace, metadata.name),
    owner: {
      apiVersion: KINDS.LLMInferenceService.apiVersion,
      kind: KINDS.LLMInferenceService.kind,
      name: metadata.name,
      uid: metadata.uid ?? "",
      controller: true,
      blockOwnerDeletion: true,
    },
    labels: metadata.labels ?? {},
    annotations: metadata.annotations ?? {},
    spec,
    global: input.global,
    settings: input.settings,
    cluster: input.cluster,
    nowMs: input.nowMs,
    issueCertificate: input.issueCertificate,
  };
}

/** RFC 3339 in whole seconds, as conditions hold times. */
const timestamp = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, "Z");

interface Settled {
  readonly marks: Marks;
  readonly found: JsonObject;
  /** Whether the pass came as far as the children. */
  readonly reached: boolean;
}

/** Failures become Events when they appear or change, not in every pass. */
function failureEvents(before: readonly Condition[], after: readonly Condition[], failures: Marks): PlannedEvent[] {
  return Object.keys(failures).flatMap((type) => {
    const [old, now] = [before, after].map((list) => list.find((condition) => condition.type === type));
    if (now?.status !== "False" || (old?.reason === now.reason && old?.message === now.message)) return [];
    return [
      { type: "Warning", reason: "Error", message: `Reconciliation failed: ${now.message ?? now.reason ?? type}` },
    ];
  });
}

function readinessEvents(name: string, before: readonly Condition[], after: readonly Condition[]): PlannedEvent[] {
  const [old, now] = [before, after].map((list) => list.find((condition) => condition.type === "Ready")?.status);
  if (now === "True" && old !== "True")
    return [{ type: "Normal", reason: "LLMInferenceServiceReady", message: `LLMInferenceService [${name}] is Ready` }];
  if (now !== "False" || old !== "True") return [];
  const failing = after.filter((condition) => condition.status === "False" && condition.type !== "Ready");
  const types = failing.map((condition) => condition.type).join(", ");
  const message = `LLMInferenceService [${name}] is no longer Ready because of: ${types}`;
  return [{ type: "Warning", reason: "LLMInferenceServiceNotReady", message }];
}

function finish(
  input: PlanInput,
  settled: Settled,
  work: Pick<Plan, "children" | "deletions" | "replacements"> & { failures: Marks },
): Plan {
  const { service, composition } = input;
  const previous = parseConditions(objectAt(asJson(service), "status")?.["conditions"]);
  const options = { now: timestamp(input.nowMs), reached: settled.reached };
  const conditions = settleConditions(previous, settled.marks, options);
  const replaced = work.replacements.map(
    ({ resource, key }): PlannedEvent => ({
      type: "Warning",
      reason: "Recreated",
      message: `${resource.kind} ${key.namespace}/${key.name} is deleted and created anew: a field has to change that cannot`,
    }),
  );
  return {
    replacements: work.replacements,
    children: work.children,
    deletions: work.deletions,
    status: assembleStatus(
      {
        generation: service.metadata.generation,
        annotations: composition.statusAnnotations,
        appliedConfigs: composition.appliedConfigs,
        conditions,
      },
      settled.found,
    ),
    events: [
      ...compositionEvents(input),
      ...replaced,
      ...failureEvents(previous, conditions, work.failures),
      ...readinessEvents(service.metadata.name, previous, conditions),
    ],
  };
}

/** Warnings of the composition are told once for each generation of the service, not in every pass. */
function compositionEvents({ service, composition }: PlanInput): readonly PlannedEvent[] {
  const seen = objectAt(asJson(service), "status")?.["observedGeneration"];
  if (seen !== undefined && seen === service.metadata.generation) return [];
  return composition.warnings.map((warning): PlannedEvent => ({ type: "Warning", ...warning }));
}

const UNTOUCHED = { children: [], deletions: [], replacements: [] };

function planStopped(input: PlanInput): Plan {
  const { composition, service } = input;
  const spec = composition.kind === "composed" ? composition.spec : (objectAt(asJson(service), "spec") ?? {});
  const pass = passOf(input, spec);
  const combined =
    composition.kind === "composed"
      ? TRUE
      : notReady("Stopped", `Service is stopped with warning: ${composition.message}`);
  const marks = { ...stoppedMarks(spec), PresetsCombined: combined };
  const deletions = obsoleteChildren(pass, []);
  return finish(input, { marks, found: {}, reached: true }, { ...UNTOUCHED, deletions, failures: {} });
}

function planFailed(input: PlanInput, reason: string, message: string): Plan {
  const marks: Marks = { PresetsCombined: notReady(reason, message) };
  const found = earlierStatus(objectAt(asJson(input.service), "status"));
  return finish(input, { marks, found, reached: false }, { ...UNTOUCHED, failures: marks });
}

function planComposed(input: PlanInput, spec: JsonObject): Plan {
  const pass = passOf(input, spec);
  const routing = routingOf(pass);
  const outcome = buildChildren(pass, routing);
  const { urls, failures: addressFailures } = outcome.complete
    ? discovered(pass, routing.routes)
    : { failures: {} as Marks };
  const failures = { ...addressFailures, ...outcome.failures };
  const marks: Marks = {
    ...workloadMarks(pass),
    ...scalingMarks(pass),
    ...routerMarks(pass, routing.routes, routing.managed),
    ...failures,
    PresetsCombined: TRUE,
  };
  const known = outcome.complete && Object.keys(addressFailures).length === 0;
  const found = known
    ? reachedStatus(pass, { routes: routing.routes, urls })
    : { ...earlierStatus(objectAt(asJson(input.service), "status")), workloads: workloadsStatus(pass) };
  return finish(
    input,
    { marks, found, reached: true },
    {
      children: outcome.children,
      replacements: replacementsOf(pass, outcome.children),
      deletions: outcome.complete ? obsoleteChildren(pass, outcome.children) : [],
      failures,
    },
  );
}

/**
 * Decides what one service needs: its children, what has to go, its status and Events. Pure: the cluster is as the view shows
 * it, the clock and the certificates are given. Where the composition failed the children stay untouched.
 */
export function plan(input: PlanInput): Plan {
  if (isStopped(input.service)) return planStopped(input);
  const { composition } = input;
  return composition.kind === "composed"
    ? planComposed(input, composition.spec)
    : planFailed(input, composition.reason, composition.message);
}
