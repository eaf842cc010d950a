import { createHash } from "node:crypto";
import { DOWNLOADED_SCHEMES, MODEL_SCHEMES } from "../../crds/model-schemes.ts";
import type { StringMap } from "../labels.ts";
import { PassError } from "../llminferenceservice/pass.ts";

/** Where a model comes from. */
export type ModelSource =
  | { readonly kind: "pvc"; readonly claim: string; readonly path: string }
  | { readonly kind: "image"; readonly reference: string; readonly native: boolean }
  | { readonly kind: "download"; readonly scheme: string; readonly uri: string };

const LOCAL_MODEL = "internal.serving.kserve.io/localmodel";

const invalid = (reason: string, field: string, uri: string, remedy: string): PassError =>
  new PassError(reason, `${field}: invalid model URI: ${uri}: ${remedy}`);

function volumeSource(rest: string): ModelSource {
  const slash = rest.indexOf("/");
  return slash < 0
    ? { kind: "pvc", claim: rest, path: "" }
    : { kind: "pvc", claim: rest.slice(0, slash), path: rest.slice(slash + 1) };
}

/** Reads a model or adapter URI. Throws `PassError` for a malformed one or an unknown scheme; `field` says where it stands. */
export function parseModelUri(uri: string, field: string, reason: string): ModelSource {
  const split = uri.indexOf("://");
  if (split < 0) throw invalid(reason, field, uri, "a scheme such as hf:// or pvc:// must come first");
  const [scheme, rest] = [uri.slice(0, split), uri.slice(split + 3)];
  if (scheme === "pvc" && /^(\/|$)/.test(rest))
    throw invalid(reason, field, uri, "a PersistentVolumeClaim must be named, as in pvc://claim/path");
  if (rest === "") throw invalid(reason, field, uri, `say what to load, as in ${scheme}://place/model`);
  if (scheme === "pvc") return volumeSource(rest);
  if (scheme === "oci") return { kind: "image", reference: rest, native: false };
  if (scheme === "oci+native") return { kind: "image", reference: rest, native: true };
  if (DOWNLOADED_SCHEMES.includes(scheme)) return { kind: "download", scheme, uri };
  const known = MODEL_SCHEMES.map((name) => `${name}://`).join(", ");
  throw new PassError(reason, `${field}: unsupported schema in model URI: ${uri}: use one of ${known}`);
}

/**
 * The URI to load from: the claim of a local model cache where the admission webhook has marked the service with one, else
 * the URI itself. The folder in the claim is named by the first 16 hex digits of the SHA-256 of the cached source.
 */
export function cachedModelUri(uri: string, labels: StringMap, annotations: StringMap, reason: string): string {
  if (labels[LOCAL_MODEL] === undefined) return uri;
  const [source, claim] = [annotations[`${LOCAL_MODEL}-sourceuri`], annotations[`${LOCAL_MODEL}-pvc-name`]];
  if (source === undefined || claim === undefined)
    throw new PassError(
      reason,
      `metadata.annotations: label ${LOCAL_MODEL} needs the annotations ${LOCAL_MODEL}-sourceuri and ${LOCAL_MODEL}-pvc-name`,
    );
  const folder = createHash("sha256").update(source).digest("hex").slice(0, 16);
  const rest = uri.startsWith(source) ? uri.slice(source.length) : uri;
  return `pvc://${claim}/models/${folder}/${rest.replace(/^\//, "")}`;
}
