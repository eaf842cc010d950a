import { posix } from "node:path";
import type { JsonObject } from "../../crds/schema/types.ts";
import { KINDS } from "../../kube/resources.ts";
import { textAt } from "../../crds/json.ts";
import { named, objectsOf, putNamed, stringMapOf, stringsOf } from "../json-edit.ts";
import type { StringMap } from "../labels.ts";
import { type Pass, PassError, asJson } from "../llminferenceservice/pass.ts";
import { CA_BUNDLE } from "./ca-bundle.ts";
import { env, mount, secretEnv, withEnv, withMount, withVolume } from "./pod.ts";

/** Whose credentials a download uses. */
export interface CredentialSource {
  /** The ServiceAccount of the pods, or `default` of the namespace; undefined: none is readable. */
  readonly serviceAccount: JsonObject | undefined;
  /** Reason of the condition when a Secret is missing. */
  readonly reason: string;
}

/** The init container under construction and the pod it goes into. */
export interface Initializer {
  readonly pod: JsonObject;
  readonly container: JsonObject;
}

const ROLE_ARN = "eks.amazonaws.com/role-arn";
const S3_ANNOTATION = "serving.kserve.io/s3-";

/** S3 settings in the order of the environment: variable, annotation suffix, field of the global configuration. */
const S3_SETTINGS: readonly (readonly [variable: string, annotation: string, field: string])[] = [
  ["S3_USE_HTTPS", "usehttps", "s3UseHttps"],
  ["S3_ENDPOINT", "endpoint", "s3Endpoint"],
  ["AWS_ENDPOINT_URL", "", ""],
  ["S3_VERIFY_SSL", "verifyssl", "s3VerifySSL"],
  ["awsAnonymousCredential", "useanoncredential", "s3UseAnonymousCredential"],
  ["AWS_DEFAULT_REGION", "region", "s3Region"],
  ["S3_USER_VIRTUAL_BUCKET", "usevirtualbucket", "s3UseVirtualBucket"],
  ["S3_USE_ACCELERATE", "useaccelerate", "s3UseAccelerate"],
  ["AWS_CA_BUNDLE", "cabundle", "s3CABundle"],
  ["AWS_CA_BUNDLE_CONFIGMAP", "cabundle-configmap", "s3CABundleConfigMap"],
];

const AZURE_KEYS = [
  "AZURE_SUBSCRIPTION_ID",
  "AZURE_TENANT_ID",
  "AZURE_CLIENT_ID",
  "AZURE_CLIENT_SECRET",
  "AZURE_STORAGE_ACCESS_KEY",
  "AZURE_ACCESS_TOKEN",
  "AZURE_ACCESS_EXPIRES_ON_SECONDS",
  "AZURE_ACCOUNT_NAME",
  "AZURE_SERVICE_URL",
] as const;

function decoded(secret: JsonObject | undefined, key: string): string {
  const encoded = textAt(secret, "data", key);
  return encoded === undefined ? "" : Buffer.from(encoded, "base64").toString("utf8");
}

function scheme(endpoint: string): "1" | "0" | undefined {
  if (endpoint.startsWith("https://")) return "1";
  return endpoint.startsWith("http://") ? "0" : undefined;
}

/** Plain S3 settings: annotation first, then the Secret's data, then the global configuration; empty ones are left out. */
function s3Env(pass: Pass, annotations: StringMap, secret: JsonObject | undefined): JsonObject[] {
  const value = new Map<string, string>();
  for (const [variable, annotation, field] of S3_SETTINGS)
    value.set(
      variable,
      (annotations[`${S3_ANNOTATION}${annotation}`] ?? "") ||
        decoded(secret, variable) ||
        (pass.global.credentials.s3[field] ?? ""),
    );
  const endpoint = value.get("S3_ENDPOINT") ?? "";
  const useHttps = endpoint === "" ? "" : (scheme(endpoint) ?? value.get("S3_USE_HTTPS") ?? "");
  const host = endpoint.replace(/^https?:\/\//, "");
  value.set("S3_USE_HTTPS", useHttps);
  value.set("S3_ENDPOINT", host);
  value.set("AWS_ENDPOINT_URL", host === "" ? "" : `${useHttps === "0" ? "http" : "https"}://${host}`);
  return [...value].flatMap(([name, text]) => (text === "" ? [] : [env(name, text)]));
}

const replaceEnv = (container: JsonObject, variables: readonly JsonObject[]): JsonObject => ({
  ...container,
  env: variables.reduce<JsonObject[]>((list, variable) => putNamed(list, variable), [...objectsOf(container["env"])]),
});

function s3Credentials(pass: Pass, started: Initializer, secret: JsonObject): Initializer {
  const { s3AccessKeyIdName, s3SecretAccessKeyName } = pass.global.credentials;
  const name = textAt(secret, "metadata", "name") ?? "";
  const keys = [
    secretEnv("AWS_ACCESS_KEY_ID", name, s3AccessKeyIdName),
    secretEnv("AWS_SECRET_ACCESS_KEY", name, s3SecretAccessKeyName),
  ];
  const annotations = stringMapOf(secretAnnotations(secret));
  return { ...started, container: replaceEnv(started.container, [...keys, ...s3Env(pass, annotations, secret)]) };
}

function secretAnnotations(object: JsonObject | undefined): JsonObject[string] {
  const metadata = object?.["metadata"];
  return typeof metadata === "object" && metadata !== null && !Array.isArray(metadata)
    ? (metadata["annotations"] ?? {})
    : {};
}

function fileCredentials(started: Initializer, secret: string, volume: string, path: string): Initializer {
  return {
    pod: withVolume(started.pod, { name: volume, secret: { secretName: secret } }),
    container: withMount(started.container, mount(volume, path, { readOnly: true })),
  };
}

function gcsCredentials(pass: Pass, started: Initializer, secret: string): Initializer {
  const mounted = fileCredentials(started, secret, "user-gcp-sa", "/var/secrets/");
  const file = posix.join("/var/secrets", pass.global.credentials.gcsCredentialFileName);
  return { ...mounted, container: withEnv(mounted.container, [env("GOOGLE_APPLICATION_CREDENTIALS", file)]) };
}

function azureCredentials(started: Initializer, name: string, keys: ReadonlySet<string>): Initializer {
  const legacy = (key: string): string => key.replace("AZURE_", "AZ_");
  const variables = AZURE_KEYS.flatMap((key) => {
    if (keys.has(key)) return [secretEnv(key, name, key)];
    if (keys.has(legacy(key))) return [secretEnv(key, name, legacy(key))];
    return key === "AZURE_TENANT_ID" && keys.has("AZURE_CLIENT_ID") ? [secretEnv(key, name, key)] : [];
  });
  return { ...started, container: withEnv(started.container, variables) };
}

/** The first data key that is there tells what kind of Secret it is; a Secret of another kind is ignored. */
function secretApplied(pass: Pass, started: Initializer, secret: JsonObject): Initializer {
  const name = textAt(secret, "metadata", "name") ?? "";
  const data = secret["data"];
  const keys = new Set(typeof data === "object" && data !== null ? Object.keys(data) : []);
  const { s3SecretAccessKeyName, gcsCredentialFileName } = pass.global.credentials;
  if (keys.has(s3SecretAccessKeyName)) return s3Credentials(pass, started, secret);
  if (keys.has(gcsCredentialFileName)) return gcsCredentials(pass, started, name);
  if (
    ["AZ_CLIENT_ID", "AZURE_CLIENT_ID", "AZURE_ACCESS_TOKEN", "AZURE_STORAGE_ACCESS_KEY"].some((key) => keys.has(key))
  )
    return azureCredentials(started, name, keys);
  if (keys.has("https-host")) {
    const headers = env(`${decoded(secret, "https-host")}-headers`, decoded(secret, "headers"));
    return { ...started, container: withEnv(started.container, [headers]) };
  }
  if (keys.has("HDFS_NAMENODE")) return fileCredentials(started, name, "hdfs-secrets", "/var/secrets/kserve-hdfscreds");
  const token = ["HF_TOKEN", "MODELSCOPE_API_TOKEN"].find((key) => keys.has(key));
  if (token === undefined) return started;
  return { ...started, container: withEnv(started.container, [secretEnv(token, name, token)]) };
}

function secretNames(pass: Pass, source: CredentialSource): readonly string[] {
  const annotation = pass.global.credentials.secretNameAnnotation;
  const chosen = annotation === "" ? undefined : pass.annotations[annotation];
  if (chosen !== undefined) return [chosen];
  return objectsOf(source.serviceAccount?.["secrets"]).flatMap((secret) => textAt(secret, "name") ?? []);
}

function secretOf(pass: Pass, name: string, reason: string): JsonObject {
  const secret = asJson(pass.cluster.find(KINDS.Secret, { namespace: pass.namespace, name }));
  if (secret === undefined)
    throw new PassError(
      reason,
      `storage Secret ${pass.namespace}/${name} does not exist: create it or take it off the ServiceAccount`,
    );
  return secret;
}

/** Downloads from S3, and of several things at once, may need authorities of one's own. */
function mayNeedBundle(container: JsonObject): boolean {
  const uris = stringsOf(container["args"]).filter((arg) => arg.includes("://"));
  return uris.length > 1 || uris.some((uri) => uri.startsWith("s3://"));
}

function caBundle(pass: Pass, started: Initializer): Initializer {
  const configured = pass.global.storageInitializer.caBundleConfigMapName;
  const own = textAt(named(started.container["env"], "AWS_CA_BUNDLE_CONFIGMAP"), "value");
  if (!mayNeedBundle(started.container) || (configured === "" && own === undefined)) return started;
  const configMap = own ?? (pass.namespace === pass.settings.systemNamespace ? configured : CA_BUNDLE);
  const bundle = textAt(named(started.container["env"], "AWS_CA_BUNDLE"), "value");
  const path = bundle === undefined ? pass.global.storageInitializer.caBundleMountPath : posix.dirname(bundle);
  const variables = [env("CA_BUNDLE_CONFIGMAP_NAME", configMap), env("CA_BUNDLE_VOLUME_MOUNT_POINT", path)];
  return {
    pod: withVolume(started.pod, { name: "cabundle-cert", configMap: { name: configMap } }),
    container: withMount(withEnv(started.container, variables), mount("cabundle-cert", path, { readOnly: true })),
  };
}

/**
 * The initializer with the credentials of its ServiceAccount: environment from Secrets, files from volumes, the CA bundle for
 * S3. All Secrets apply whatever the URI's scheme. Throws `PassError` for a Secret that does not exist.
 */
export function withCredentials(
  pass: Pass,
  started: Initializer,
  options: { readonly credentials: CredentialSource },
): Initializer {
  const { serviceAccount, reason } = options.credentials;
  const annotations = stringMapOf(secretAnnotations(serviceAccount));
  const role =
    annotations[ROLE_ARN] === undefined
      ? started
      : { ...started, container: withEnv(started.container, s3Env(pass, annotations, undefined)) };
  const credentialed = secretNames(pass, options.credentials).reduce(
    (result, name) => secretApplied(pass, result, secretOf(pass, name, reason)),
    role,
  );
  return caBundle(pass, credentialed);
}
