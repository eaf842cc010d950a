import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { textAt } from "../../crds/json.ts";
import { type Pass, PassError, asJson } from "../llminferenceservice/pass.ts";

/** ConfigMap of every namespace with services into which the operator copies its authorities for downloads (KServe v0.20). */
export const CA_BUNDLE = "global-ca-bundle";

/** Its one key, in the copy and in what is copied. */
const KEY = "cabundle.crt";

/** Reason of the condition when there is nothing to copy. */
export const CA_BUNDLE_ERROR = "CABundleNotFound";

/**
 * The copy of the operator's CA bundle in the service's namespace, where the operator's configuration names one: pods can
 * mount ConfigMaps of their own namespace only. All services of the namespace share it, so that it has no owner.
 */
export function buildCaBundle(pass: Pass): readonly KubeObject[] {
  const { caBundleConfigMapName: name } = pass.global.storageInitializer;
  const { systemNamespace } = pass.settings;
  if (name === "" || pass.namespace === systemNamespace) return [];
  const source = asJson(pass.cluster.find(KINDS.ConfigMap, { namespace: systemNamespace, name }));
  const bundle = textAt(source, "data", KEY) ?? "";
  if (bundle === "")
    throw new PassError(
      CA_BUNDLE_ERROR,
      `ConfigMap ${systemNamespace}/${name}, which caBundleConfigMapName of key storageInitializer in inferenceservice-config names, has no key ${KEY}: create it, or leave the field empty`,
    );
  const { apiVersion, kind } = KINDS.ConfigMap;
  return [{ apiVersion, kind, metadata: { namespace: pass.namespace, name: CA_BUNDLE }, data: { [KEY]: bundle } }];
}
