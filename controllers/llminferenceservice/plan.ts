import type { JsonObject } from "../../crds/schema/types.ts";
import { type Resource, KINDS, resourceOf } from "../../kube/resources.ts";
import type { KubeObject, ObjectKey } from "../../kube/types.ts";
import { objectAt, sameJson } from "../../crds/json.ts";
import type { GlobalConfig } from "../composition/global-config.ts";
import type { Composition, CompositionFailure, CompositionFailureReason } from "../composition/types.ts";
import { childNames } from "../names.ts";
import type { RouteView } from "../router/gateway.ts";
import { groupMarks } from "../router/group-readiness.ts";
import { managedRouteSpec } from "../router/http-route.ts";
import { invalidReferences, referencedRoutes } from "../router/references.ts";
import { type ServiceUrl, ROUTE_ERROR, discoverUrls } from "../router/urls.ts";
import { scalingMarks } from "../scaling/readiness.ts";
import { zeroMarks } from "../scaling/zero.ts";
import { type Marks, TRUE, notReady } from "../status/conditions.ts";
import { type FaultId, explain } from "../status/faults.ts";
import { routerMarks } from "../status/router-readiness.ts";
import { earlierStatus, reachedStatus, workloadsStatus } from "../status/status.ts";
import { workloadMarks } from "../status/workload-readiness.ts";
import { claimsSameDevices } from "../workload/claim-template.ts";
import { buildTlsSecret } from "../workload/tls.ts";
import { ROUTER_STEPS, type Step, WORKLOAD_STEPS } from "./children.ts";
import { type Conclusion, conclude } from "./conclusion.ts";
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
import { withAccountNamed } from "./pod-account.ts";
import { isStopped, stoppedMarks } from "./stop.ts";
import { retainedServers } from "./succession.ts";
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
  /** The step that makes a child, for naming the condition that suffers when it cannot be written. */
  readonly stepOf: ReadonlyMap<KubeObject, Step>;
  /** A child as it has to be written now: the certificate names the address of a Service that the same plan may make. */
  current(child: KubeObject): KubeObject;
  /** When to look again although nothing changes; undefined: never. */
  readonly lookAgainMs: number | undefined;
  /** Whether a written Secret calls for another pass: gateways are told the authority of a certificate once it is live. */
  readonly tellsAuthority: boolean;
  /**
   * Status and Events by what the cluster shows when it is called: after the writes, so that a child just changed counts as
   * not yet observed. `refused` are the marks of children that could not be written.
   */
  conclude(refused: Marks): Conclusion;
}

/** What the building of children came to. */
interface Outcome {
  readonly children: readonly (readonly [KubeObject, Step])[];
  /** Failures, by the condition they make False. */
  readonly failures: Marks;
  readonly complete: boolean;
}

const COMPOSITION_FAULTS: Readonly<Record<CompositionFailureReason, FaultId>> = {
  ConfigNotFound: "config-missing",
  CombineBaseError: "config-broken",
  InvalidRenderedConfig: "spec-invalid",
};

const NOTHING: Outcome = { children: [], failures: {}, complete: true };

function foreignObject(pass: Pass, object: KubeObject): string | undefined {
  const { namespace, name, ownerReferences } = object.metadata;
  // What has no owner belongs to the namespace or to the cluster, and so to every service of it.
  if (namespace === undefined || ownerReferences === undefined) return undefined;
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
    if (foreign.length > 0) return failed(step.reason, foreign.join("; "));
    const named = (object: KubeObject): KubeObject =>
      withAccountNamed(asJson(pass.cluster.find(resourceOf(object), object.metadata)), object);
    return { ...NOTHING, children: children.map((object) => [named(object), step] as const) };
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

const UNTOUCHED = {
  children: [],
  deletions: [],
  replacements: [],
  stepOf: new Map<KubeObject, Step>(),
  current: (child: KubeObject): KubeObject => child,
  lookAgainMs: undefined,
  tellsAuthority: false,
};

function planStopped(input: PlanInput): Plan {
  const { composition, service } = input;
  const spec = composition.kind === "composed" ? composition.spec : (objectAt(asJson(service), "spec") ?? {});
  const combined =
    composition.kind === "composed"
      ? TRUE
      : notReady("Stopped", `Service is stopped with warning: ${composition.message}`);
  const marks = { ...stoppedMarks(spec), PresetsCombined: combined };
  return {
    ...UNTOUCHED,
    deletions: obsoleteChildren(passOf(input, spec), []),
    conclude: (refused) => conclude(input, { marks: { ...marks, ...refused }, found: {}, reached: true, failures: {} }),
  };
}

function planFailed(input: PlanInput, failure: CompositionFailure): Plan {
  const fault = COMPOSITION_FAULTS[failure.reason];
  const marks: Marks = { PresetsCombined: notReady(failure.reason, explain(fault, failure.message)) };
  const found = earlierStatus(objectAt(asJson(input.service), "status"));
  return { ...UNTOUCHED, conclude: () => conclude(input, { marks, found, reached: false, failures: marks }) };
}

/** What the cluster shows of a service whose children were built. */
function observed(pass: Pass, routing: Routing, outcome: Outcome, earlier: JsonObject | undefined) {
  const { urls, failures: addressFailures } = outcome.complete ? discovered(pass, routing.routes) : { failures: {} };
  const failures: Marks = { ...addressFailures, ...outcome.failures };
  const known = outcome.complete && Object.keys(addressFailures).length === 0;
  return {
    failures,
    marks: {
      ...workloadMarks(pass),
      ...scalingMarks(pass),
      ...zeroMarks(pass),
      ...groupMarks(pass),
      ...routerMarks(pass, routing.routes, routing.managed),
    },
    found: known
      ? reachedStatus(pass, { routes: routing.routes, urls })
      : { ...earlierStatus(earlier), workloads: workloadsStatus(pass) },
  };
}

/** The order of writing: first the Service whose address the certificate names. */
function inOrder(pass: Pass, children: readonly KubeObject[]): readonly KubeObject[] {
  const isFirst = ({ kind, metadata }: KubeObject): boolean =>
    kind === KINDS.Service.kind && metadata.name === pass.names.workloadService;
  return [...children.filter(isFirst), ...children.filter((object) => !isFirst(object))];
}

/** In place of a certificate that is issued when it can name the address of its Service. */
const UNISSUED: CertificateBundle = { certificate: "", privateKey: "", authority: "" };

function planComposed(input: PlanInput, spec: JsonObject): Plan {
  const whole = passOf(input, spec);
  const service = { namespace: whole.namespace, name: whole.names.workloadService };
  const addressed = whole.cluster.find(KINDS.Service, service) !== undefined;
  const pass = addressed ? whole : { ...whole, issueCertificate: () => UNISSUED };
  const routing = routingOf(pass);
  const outcome = buildChildren(pass, routing);
  const children = inOrder(
    pass,
    outcome.children.map(([object]) => object),
  );
  const replacements = replacementsOf(pass, children);
  const retained = outcome.complete ? retainedServers(pass) : [];
  const goes = ({ resource, key }: LiveRef): boolean =>
    !retained.some((kept) => kept.resource === resource && kept.name === key.name);
  return {
    children,
    replacements,
    current: (object) => {
      const named = addressed || object.metadata.name !== pass.names.tlsSecret || object.kind !== KINDS.Secret.kind;
      return named ? object : (buildTlsSecret(whole)[0] ?? object);
    },
    tellsAuthority: pass.global.ingress.enableTls && pass.cluster.serves(KINDS.BackendTLSPolicy),
    deletions: outcome.complete ? obsoleteChildren(pass, children).filter(goes) : [],
    lookAgainMs: retained.length === 0 ? undefined : Math.min(...retained.map((kept) => kept.leftMs)),
    stepOf: new Map(outcome.children),
    conclude: (refused) => {
      const seen = observed(pass, routing, outcome, objectAt(asJson(input.service), "status"));
      const failures = { ...seen.failures, ...refused };
      const marks: Marks = { ...seen.marks, ...failures, PresetsCombined: TRUE };
      return conclude(input, { marks, found: seen.found, reached: true, failures, replaced: replacements });
    },
  };
}

/**
 * Decides what one service needs: its children, what has to go, its status and Events. Pure: the cluster is as the view shows
 * it, the clock and the certificates are given. Where the composition failed the children stay untouched.
 */
export function plan(input: PlanInput): Plan {
  if (isStopped(input.service)) return planStopped(input);
  const { composition } = input;
  return composition.kind === "composed" ? planComposed(input, composition.spec) : planFailed(input, composition);
}
