import type { JsonObject } from "../../crds/schema/types.ts";
import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { objectAt, textAt } from "../../crds/json.ts";
import { asJson } from "./pass.ts";

const DEFAULT_ACCOUNT = "default";

/**
 * A Deployment that names its ServiceAccount where the live one has ever named one. The API server keeps the deprecated
 * `serviceAccount` beside `serviceAccountName`, and takes the name from it again when an apply removes the latter: pods would
 * go on running as an account that is gone.
 */
export function withAccountNamed(live: JsonObject | undefined, wanted: KubeObject): KubeObject {
  if (wanted.kind !== KINDS.Deployment.kind) return wanted;
  const [template, liveTemplate] = [objectAt(asJson(wanted), "spec", "template"), objectAt(live, "spec", "template")];
  const pod = objectAt(template, "spec");
  const named = textAt(pod, "serviceAccountName") ?? "";
  const before = textAt(liveTemplate, "spec", "serviceAccount") ?? textAt(liveTemplate, "spec", "serviceAccountName");
  if (named !== "" || (before ?? "") === "") return wanted;
  const spec = { ...pod, serviceAccountName: DEFAULT_ACCOUNT, serviceAccount: DEFAULT_ACCOUNT };
  return { ...wanted, spec: { ...objectAt(asJson(wanted), "spec"), template: { ...template, spec } } };
}
