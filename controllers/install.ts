import type { Json, JsonObject } from "../crds/schema/types.ts";
import { VERSIONS } from "../crds/definitions.ts";
import { FIELD_MANAGER, applyIfChanged } from "../kube/apply.ts";
import type { KubeClient } from "../kube/client.ts";
import { KINDS, resourceOf } from "../kube/resources.ts";
import type { KubeObject } from "../kube/types.ts";
import { objectAt, sameJson } from "../crds/json.ts";
import { asJson } from "./llminferenceservice/pass.ts";
import { WEBHOOK_SERVICE } from "./webhooks/certificate.ts";
import { CONVERSION_PATH, webhookPath } from "./webhooks/server.ts";

const OURS = ["llminferenceservices.serving.kserve.io", "llminferenceserviceconfigs.serving.kserve.io"] as const;
const SERVICE_WEBHOOKS = "llminferenceservice.serving.kserve.io";
const CONFIG_WEBHOOKS = "llminferenceserviceconfig.serving.kserve.io";
const TIMEOUT_SECONDS = 10;

/** ClusterRole of the operator (KServe's name), which its installation makes and takes away. */
export const MANAGER_ROLE = "kserve-llmisvc-manager-role";

/** What the operator sets up for itself. */
export interface Installation {
  readonly systemNamespace: string;
  /** PEM of the authority that signed the webhook certificate. */
  readonly authority: string;
  /** Only those that are missing are made. */
  readonly presets: readonly KubeObject[];
}

/**
 * Installs what the API server has to know of this operator: webhook configurations, presets, and the conversion stanza of
 * our definitions. Webhooks come first: those that KServe left refuse every preset, since nobody answers them. Nothing is
 * written that is there already; a preset that exists is left alone whatever it says, since editing it is how it is
 * overridden. Errors: those of the client, of the first write that fails.
 */
export async function install(client: KubeClient, installation: Installation): Promise<void> {
  const role = await client.find(KINDS.ClusterRole, { name: MANAGER_ROLE });
  for (const object of webhookConfigurations(installation)) {
    const live = await client.find(resourceOf(object), { name: object.metadata.name });
    await applyIfChanged(client, live, ownedBy(role, object), { fieldManager: FIELD_MANAGER, force: true });
  }
  for (const preset of installation.presets) {
    const { namespace, name } = preset.metadata;
    if ((await client.find(resourceOf(preset), { namespace, name })) === undefined)
      await client.apply(preset, { fieldManager: FIELD_MANAGER, force: true });
  }
  for (const name of OURS) await installConversion(client, name, installation);
}

/**
 * Webhooks go with the operator's ClusterRole when it is uninstalled: left behind they would refuse every change of a service,
 * even the end of its deletion.
 */
function ownedBy(role: KubeObject | undefined, object: KubeObject): KubeObject {
  if (role === undefined) return object;
  const { apiVersion, kind, metadata } = role;
  const owner = { apiVersion, kind, name: metadata.name, uid: metadata.uid ?? "" };
  return { ...object, metadata: { ...object.metadata, ownerReferences: [owner] } };
}

async function installConversion(client: KubeClient, name: string, installation: Installation): Promise<void> {
  const definition = await client.get(KINDS.CustomResourceDefinition, { name });
  const wanted: JsonObject = {
    strategy: "Webhook",
    webhook: { conversionReviewVersions: ["v1"], clientConfig: clientConfig(installation, CONVERSION_PATH) },
  };
  if (sameJson(objectAt(asJson(definition), "spec", "conversion"), wanted)) return;
  const patch = { type: "merge", body: { spec: { conversion: wanted } } } as const;
  await client.patch(KINDS.CustomResourceDefinition, { name }, patch, { fieldManager: FIELD_MANAGER });
}

function clientConfig({ systemNamespace, authority }: Installation, path: string): JsonObject {
  return {
    service: { namespace: systemNamespace, name: WEBHOOK_SERVICE, path, port: 443 },
    caBundle: Buffer.from(authority).toString("base64"),
  };
}

/** The webhook configurations, under KServe's names and paths. */
export function webhookConfigurations(installation: Installation): KubeObject[] {
  const webhooks = (kind: "service" | "config", verb: "mutate" | "validate", operations: readonly string[]): Json[] =>
    VERSIONS.map((version) => webhook(installation, { kind, verb, version, operations }));
  return [
    configuration(
      "MutatingWebhookConfiguration",
      SERVICE_WEBHOOKS,
      webhooks("service", "mutate", ["CREATE", "UPDATE"]),
    ),
    configuration(
      "ValidatingWebhookConfiguration",
      SERVICE_WEBHOOKS,
      webhooks("service", "validate", ["CREATE", "UPDATE"]),
    ),
    configuration(
      "ValidatingWebhookConfiguration",
      CONFIG_WEBHOOKS,
      webhooks("config", "validate", ["CREATE", "UPDATE", "DELETE"]),
    ),
  ];
}

function configuration(kind: string, name: string, webhooks: readonly Json[]): KubeObject {
  return { apiVersion: "admissionregistration.k8s.io/v1", kind, metadata: { name }, webhooks };
}

interface WebhookSpec {
  readonly kind: "service" | "config";
  readonly verb: "mutate" | "validate";
  readonly version: string;
  readonly operations: readonly string[];
}

/**
 * Objects that are leaving, and writes that leave what is checked as it was (finalizers, owners), do not ask the webhook.
 * Deletions of configs always do.
 */
const MATCH_CONDITIONS: Json = [
  {
    name: "not-leaving",
    expression: "request.operation == 'DELETE' || !has(object.metadata.deletionTimestamp)",
  },
  {
    name: "changed",
    expression:
      "request.operation != 'UPDATE' || object.?spec != oldObject.?spec || object.metadata.?labels != oldObject.metadata.?labels || object.metadata.?annotations != oldObject.metadata.?annotations",
  },
];

/**
 * A webhook that does not answer blocks nothing: the schema holds most rules, and the reconciler fills in the same defaults
 * and checks the same rules again before it makes anything of an object.
 */
function webhook(installation: Installation, { kind, verb, version, operations }: WebhookSpec): Json {
  const singular = kind === "service" ? "llminferenceservice" : "llminferenceserviceconfig";
  const role = verb === "mutate" ? "defaulter" : "validator";
  return {
    name: `${singular}.kserve-webhook-server.${version}.${role}`,
    clientConfig: clientConfig(installation, webhookPath(verb, version, kind)),
    rules: [
      {
        apiGroups: ["serving.kserve.io"],
        apiVersions: [version],
        operations: [...operations],
        resources: [`${singular}s`],
        scope: "Namespaced",
      },
    ],
    failurePolicy: "Ignore",
    matchPolicy: "Exact",
    matchConditions: MATCH_CONDITIONS,
    sideEffects: "None",
    admissionReviewVersions: ["v1"],
    timeoutSeconds: TIMEOUT_SECONDS,
  };
}
