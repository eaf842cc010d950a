import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { at, textAt } from "../../crds/json.ts";
import type { AppliedConfig } from "../composition/types.ts";
import { type CompositionOptions, compositionOf } from "../llminferenceservice/composition-of.ts";
import { type ClusterView, type OperatorSettings, asJson } from "../llminferenceservice/pass.ts";
import { plan } from "../llminferenceservice/plan.ts";
import { stored } from "./stored-form.ts";
import { UNBORN } from "./views.ts";

/** What the operator would make of one service. */
export interface Preview {
  readonly namespace: string;
  readonly name: string;
  /** The service with its effective spec; undefined where it cannot be composed. */
  readonly effective: JsonObject | undefined;
  readonly appliedConfigs: readonly AppliedConfig[];
  /** In the order of their creation. */
  readonly children: readonly JsonObject[];
  readonly warnings: readonly string[];
  /** Why not everything could be made. */
  readonly problems: readonly string[];
}

/** What a preview is made under. */
export interface PreviewOptions extends Pick<CompositionOptions, "presets"> {
  readonly settings: OperatorSettings;
}

/** Stands in for what is made at random when the service is created. */
const NO_CERTIFICATE = { certificate: "", privateKey: "", authority: "" };

/** A Secret shows which keys it has: their content would differ each time. */
function withoutContent(child: JsonObject): JsonObject {
  if (child["kind"] !== KINDS.Secret.kind) return child;
  const keys = Object.keys((child["data"] ?? {}) as JsonObject);
  return { ...child, data: Object.fromEntries(keys.map((key) => [key, ""])) };
}

/** The owner's uid is not known before the service exists. */
function withoutUid(child: JsonObject): JsonObject {
  const owners = at(child, "metadata", "ownerReferences");
  if (!Array.isArray(owners)) return child;
  const edited = owners.map((owner): Json => {
    const { uid: _uid, ...rest } = owner as JsonObject;
    return rest;
  });
  return { ...child, metadata: { ...(child["metadata"] as JsonObject), ownerReferences: edited } };
}

/** A manifest as the object that a cluster shows: with a namespace, and a uid that tells it from others. */
export function asObject(manifest: JsonObject, namespace: string): KubeObject {
  const metadata = (manifest["metadata"] ?? {}) as JsonObject;
  const name = textAt(metadata, "name") ?? "";
  const own = textAt(metadata, "namespace") ?? namespace;
  return { ...manifest, metadata: { ...metadata, name, namespace: own } } as unknown as KubeObject;
}

/**
 * What the operator would make of a service, given as a manifest in the form in which it was written. Pure over the view;
 * with one of a live cluster `NotYetKnown` may come out of it.
 */
export function previewService(manifest: KubeObject, cluster: ClusterView, options: PreviewOptions): Preview {
  const { object, unknown, errors } = stored(asJson(manifest) ?? {});
  const { settings, presets } = options;
  const service = asObject(object, manifest.metadata.namespace ?? "");
  const known = cluster.find(KINDS.LLMInferenceService, service.metadata);
  const uid = known?.metadata.uid ?? UNBORN;
  const status = asJson(known)?.["status"];
  const placed: KubeObject = {
    ...service,
    metadata: { ...service.metadata, uid, generation: 1 },
    ...(status === undefined ? {} : { status }),
  };
  const { systemNamespace } = settings;
  const { composition, global } = compositionOf(placed, cluster, { systemNamespace, presets });
  const planned = plan({
    service: placed,
    composition,
    global,
    settings,
    cluster,
    nowMs: 0,
    issueCertificate: () => NO_CERTIFICATE,
  });
  const { events } = planned.conclude({});
  const failures = events.flatMap(({ reason, message }) => (reason === "Error" ? [message] : []));
  return {
    namespace: service.metadata.namespace ?? "",
    name: service.metadata.name,
    effective: composition.kind === "composed" ? { ...object, spec: composition.spec } : undefined,
    appliedConfigs: composition.appliedConfigs,
    children: planned.children.map((child) => withoutUid(withoutContent(asJson(child) ?? {}))),
    warnings: [
      ...unknown.map((path) => `${path}: unknown field, ignored`),
      ...composition.warnings.map(({ reason, message }) => `${reason}: ${message}`),
    ],
    problems: [...errors, ...failures.map((message) => message.replace(/^Reconciliation failed: /, ""))],
  };
}
