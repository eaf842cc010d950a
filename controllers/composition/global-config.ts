import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { parseQuantity } from "../../kube/quantity.ts";
import { isObject } from "../../crds/json.ts";

/** Resources as written in the ConfigMap: Kubernetes quantities, already checked. */
export interface ResourceSettings {
  readonly cpuRequest: string;
  readonly cpuLimit: string;
  readonly memoryRequest: string;
  readonly memoryLimit: string;
}

/** How `oci://` models reach the server; undefined: not allowed. */
export type OciModelMode = "modelcar" | "native" | "fetch";

/** Key `ingress` of the global configuration. */
export interface IngressSettings {
  /** Default Gateway; empty name where none is configured. */
  readonly gatewayName: string;
  readonly gatewayNamespace: string;
  readonly urlScheme: string;
  readonly enableTls: boolean;
  readonly modelRoutingHeader: string;
  readonly modelRoutingMode: "enabled" | "forced" | "disabled";
  readonly disableRouteTimeouts: boolean;
}

/** Key `storageInitializer` of the global configuration. */
export interface StorageInitializerSettings {
  readonly image: string;
  readonly resources: ResourceSettings;
  readonly caBundleConfigMapName: string;
  readonly caBundleMountPath: string;
  readonly ociModelMode: OciModelMode | undefined;
  readonly modelcarCpu: string;
  readonly modelcarMemory: string;
  /** User id of `main` and the modelcar container; undefined leaves the image's. */
  readonly modelcarUid: number | undefined;
}

/** Key `credentials` of the global configuration. */
export interface CredentialSettings {
  /** Annotation of a service that names its one storage Secret; empty: not looked for. */
  readonly secretNameAnnotation: string;
  readonly gcsCredentialFileName: string;
  readonly s3AccessKeyIdName: string;
  readonly s3SecretAccessKeyName: string;
  /** The other `s3.*` fields as strings, by their name in the ConfigMap (`s3Endpoint`, `s3Region`, …). */
  readonly s3: Readonly<Record<string, string>>;
}

/** Key `autoscaling-wva-controller-config`, absent where the key is. */
export interface WvaSettings {
  readonly prometheusUrl: string;
  readonly tlsInsecureSkipVerify: boolean;
  readonly authModes: string;
  readonly triggerAuthName: string;
  readonly triggerAuthKind: string;
}

/** Key `optionalObjects`, which KServe does not know: objects that the operator makes only where it is told to. */
export interface OptionalObjects {
  /** PodDisruptionBudgets of model servers and schedulers. */
  readonly disruptionBudgets: boolean;
  /** PodMonitors and ServiceMonitors of the Prometheus operator. */
  readonly monitors: boolean;
}

/** What the operator reads from the ConfigMap `inferenceservice-config`, with every default filled in. */
export interface GlobalConfig {
  readonly ingress: IngressSettings;
  readonly storageInitializer: StorageInitializerSettings;
  readonly credentials: CredentialSettings;
  /** Secret annotations that carry a certificate's expiry: the first is written, all are read. Never empty. */
  readonly expirationAnnotations: readonly string[];
  readonly wva: WvaSettings | undefined;
  readonly localModelEnabled: boolean;
  readonly optionalObjects: OptionalObjects;
}

/** Outcome of `parseGlobalConfig`: on errors the previous configuration stays in force. */
export type GlobalConfigResult =
  | { readonly kind: "parsed"; readonly config: GlobalConfig }
  | { readonly kind: "invalid"; readonly errors: readonly string[] };

/** Name of the ConfigMap in the operator's namespace. */
export const GLOBAL_CONFIG_NAME = "inferenceservice-config";

/** The Gateway of routes where the ConfigMap has no key `ingress`, as KServe's own ConfigMap names it. */
const DEFAULT_GATEWAY = "kserve/kserve-ingress-gateway";

/** One key of the ConfigMap while it is read: collects what is wrong with it. */
class Section {
  readonly #name: string;
  readonly #errors: string[];
  readonly #fields: JsonObject;
  readonly present: boolean;

  constructor(data: Readonly<Record<string, string>>, name: string, errors: string[]) {
    this.#name = name;
    this.#errors = errors;
    this.present = data[name] !== undefined;
    this.#fields = this.#decode(data[name]);
  }

  #decode(text: string | undefined): JsonObject {
    if (text === undefined || text.trim() === "") return {};
    try {
      const value: Json = JSON.parse(text);
      if (isObject(value)) return value;
      this.#errors.push(`key "${this.#name}" must hold a JSON object`);
    } catch (error) {
      this.#errors.push(
        `key "${this.#name}" is not valid JSON: ${error instanceof Error ? error.message : "unreadable"}`,
      );
    }
    return {};
  }

  fail(field: string, value: Json | undefined, expected: string): void {
    this.#errors.push(`key "${this.#name}": ${field}: ${JSON.stringify(value) ?? "missing"} must be ${expected}`);
  }

  raw(field: string): Json | undefined {
    return this.#fields[field];
  }

  string(field: string, fallback: string): string {
    const value = this.#fields[field];
    if (value === undefined || value === null || value === "") return fallback;
    if (typeof value === "string") return value;
    this.fail(field, value, "a string");
    return fallback;
  }

  boolean(field: string, fallback: boolean): boolean {
    const value = this.#fields[field];
    if (value === undefined || value === null) return fallback;
    if (typeof value === "boolean") return value;
    this.fail(field, value, "true or false");
    return fallback;
  }

  integer(field: string): number | undefined {
    const value = this.#fields[field];
    if (value === undefined || value === null) return undefined;
    if (Number.isSafeInteger(value)) return Number(value);
    this.fail(field, value, "an integer");
    return undefined;
  }

  quantity(field: string, fallback: string): string {
    const text = this.string(field, fallback);
    if (parseQuantity(text) === undefined) {
      this.fail(field, text, "a Kubernetes quantity such as 100m or 1Gi");
      return fallback;
    }
    return text;
  }

  object(field: string): JsonObject {
    const value = this.#fields[field];
    if (isObject(value)) return value;
    if (value !== undefined && value !== null) this.fail(field, value, "an object");
    return {};
  }
}

/** `ns/name`, or `name` in the operator's namespace; any other shape is kept whole as the name. */
function gatewayOf(text: string, systemNamespace: string): { gatewayName: string; gatewayNamespace: string } {
  const [namespace, name, ...rest] = text.split("/");
  if (rest.length === 0 && name !== undefined && namespace !== undefined)
    return { gatewayName: name, gatewayNamespace: namespace };
  return { gatewayName: text, gatewayNamespace: systemNamespace };
}

function routingMode(text: string): IngressSettings["modelRoutingMode"] {
  const mode = text.toLowerCase();
  return mode === "forced" || mode === "disabled" ? mode : "enabled";
}

function ingressSettings(section: Section, systemNamespace: string): IngressSettings {
  if (section.present && section.string("ingressGateway", "") === "")
    section.fail(
      "ingressGateway",
      section.raw("ingressGateway"),
      "a non-empty string such as kserve/kserve-ingress-gateway",
    );
  const gateway = section.string("kserveIngressGateway", section.present ? "" : DEFAULT_GATEWAY);
  if (section.boolean("enableGatewayApi", false) && gateway === "")
    section.fail("kserveIngressGateway", gateway, "given when enableGatewayApi is true");
  if (section.string("pathTemplate", "") !== "" && section.string("ingressDomain", "") === "")
    section.fail("ingressDomain", section.raw("ingressDomain"), "given when pathTemplate is");
  return {
    ...gatewayOf(gateway, systemNamespace),
    urlScheme: section.string("urlScheme", "http"),
    enableTls: section.boolean("enableLLMInferenceServiceTLS", false),
    modelRoutingHeader: section.string("modelBasedRoutingHeaderName", "X-Gateway-Model-Name"),
    modelRoutingMode: routingMode(section.string("modelBasedRoutingMode", "enabled")),
    disableRouteTimeouts: section.boolean("disableHTTPRouteTimeout", false),
  };
}

function ociMode(section: Section): OciModelMode | undefined {
  const mode = section.string("ociModelMode", "");
  if (mode === "modelcar" || mode === "native" || mode === "fetch") return mode;
  if (mode !== "") section.fail("ociModelMode", mode, "modelcar, native or fetch");
  const allowed =
    section.boolean("enableModelcar", !section.present) || section.boolean("enableOciModelSupport", false);
  return allowed ? "modelcar" : undefined;
}

function storageSettings(section: Section): StorageInitializerSettings {
  return {
    image: section.string("image", "kserve/storage-initializer:latest"),
    resources: {
      cpuRequest: section.quantity("cpuRequest", "100m"),
      cpuLimit: section.quantity("cpuLimit", "1"),
      memoryRequest: section.quantity("memoryRequest", "100Mi"),
      memoryLimit: section.quantity("memoryLimit", "1Gi"),
    },
    caBundleConfigMapName: section.string("caBundleConfigMapName", ""),
    caBundleMountPath: section.string("caBundleVolumeMountPath", "/etc/ssl/custom-certs"),
    ociModelMode: ociMode(section),
    modelcarCpu: section.quantity("cpuModelcar", "10m"),
    modelcarMemory: section.quantity("memoryModelcar", "15Mi"),
    modelcarUid: section.integer("uidModelcar") ?? (section.present ? undefined : 1010),
  };
}

function credentialSettings(section: Section): CredentialSettings {
  const s3 = Object.entries(section.object("s3")).flatMap(([key, value]) =>
    typeof value === "string" && value !== "" ? [[key, value] as const] : [],
  );
  const { s3AccessKeyIDName, s3SecretAccessKeyName, ...rest } = Object.fromEntries(s3);
  // Without the key everything is as in the ConfigMap that KServe ships.
  const shipped = (text: string, fallback: string): string => (section.present ? fallback : text);
  const gcsFile = section.object("gcs")["gcsCredentialFileName"];
  return {
    secretNameAnnotation: section.string(
      "storageSecretNameAnnotation",
      shipped("serving.kserve.io/storageSecretName", ""),
    ),
    gcsCredentialFileName:
      typeof gcsFile === "string" && gcsFile !== "" ? gcsFile : "gcloud-application-credentials.json",
    s3AccessKeyIdName: s3AccessKeyIDName ?? shipped("AWS_ACCESS_KEY_ID", "awsAccessKeyID"),
    s3SecretAccessKeyName: s3SecretAccessKeyName ?? shipped("AWS_SECRET_ACCESS_KEY", "awsSecretAccessKey"),
    s3: rest,
  };
}

function expirationAnnotations(section: Section): readonly string[] {
  const value = section.raw("expirationAnnotations");
  const names = Array.isArray(value)
    ? value.filter((name): name is string => typeof name === "string" && name !== "")
    : [];
  if (value !== undefined && value !== null && (!Array.isArray(value) || names.length !== value.length))
    section.fail("expirationAnnotations", value, "a list of annotation names");
  return names.length > 0 ? names : ["certificates.kserve.io/expiration"];
}

function wvaSettings(section: Section): WvaSettings | undefined {
  if (!section.present) return undefined;
  const prometheus = section.object("prometheus");
  const text = (field: string): string => {
    const value = prometheus[field];
    return typeof value === "string" ? value : "";
  };
  return {
    prometheusUrl: text("url"),
    tlsInsecureSkipVerify: prometheus["tlsInsecureSkipVerify"] === true,
    authModes: text("authModes"),
    triggerAuthName: text("triggerAuthName"),
    triggerAuthKind: text("triggerAuthKind"),
  };
}

/**
 * Reads the data of the ConfigMap `inferenceservice-config` (KServe v0.20), each key one JSON text; undefined data (no
 * ConfigMap) gives the built-in defaults. Unknown keys and fields are ignored. All errors are reported at once.
 */
export function parseGlobalConfig(
  data: Readonly<Record<string, string>> | undefined,
  systemNamespace: string,
): GlobalConfigResult {
  const errors: string[] = [];
  const section = (name: string): Section => new Section(data ?? {}, name, errors);
  const optional = section("optionalObjects");
  const config: GlobalConfig = {
    ingress: ingressSettings(section("ingress"), systemNamespace),
    storageInitializer: storageSettings(section("storageInitializer")),
    credentials: credentialSettings(section("credentials")),
    expirationAnnotations: expirationAnnotations(section("scheduler")),
    wva: wvaSettings(section("autoscaling-wva-controller-config")),
    localModelEnabled: section("localModel").boolean("enabled", false),
    optionalObjects: {
      disruptionBudgets: optional.boolean("disruptionBudgets", false),
      monitors: optional.boolean("monitors", false),
    },
  };
  if (errors.length === 0) return { kind: "parsed", config };
  return {
    kind: "invalid",
    errors: errors.map((error) => `ConfigMap ${systemNamespace}/${GLOBAL_CONFIG_NAME}: ${error}`),
  };
}

/** The configuration used where the cluster has no ConfigMap `inferenceservice-config`. */
export function defaultGlobalConfig(systemNamespace: string): GlobalConfig {
  const result = parseGlobalConfig(undefined, systemNamespace);
  if (result.kind === "invalid") throw new Error(`built-in global configuration: ${result.errors.join("; ")}`);
  return result.config;
}
