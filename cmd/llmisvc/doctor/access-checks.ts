import { KINDS } from "../../../kube/resources.ts";
import { type Finding, Subject } from "./findings.ts";
import type { Right } from "./rights.ts";
import type { Snapshot } from "./snapshot.ts";

/** Rights that are named one by one. */
const MAX_NAMED = 12;

/** Whether we may look, and whether the operator may do its work. */
export function checkAccess(snapshot: Snapshot): Finding[] {
  return [...checkOwnRights(snapshot), ...checkOperatorRights(snapshot)];
}

function checkOwnRights(snapshot: Snapshot): Finding[] {
  const subject = new Subject("your rights");
  const unreadable = Object.values(KINDS).flatMap((resource) => {
    const problem = snapshot.unreadable(resource);
    return problem === undefined || problem === "missing" ? [] : [[resource.plural, problem] as const];
  });
  for (const [plural, problem] of unreadable)
    subject.warn(
      `${plural} cannot be listed, so nothing is said about them: ${problem}`,
      "run with the rights to list them, or name a namespace that you may read with -n",
    );
  return subject.findings;
}

function checkOperatorRights({ operatorAccount, denied }: Snapshot): Finding[] {
  if (operatorAccount === undefined) return [];
  const subject = new Subject("operator's rights");
  const account = `ServiceAccount ${operatorAccount.namespace}/${operatorAccount.name}`;
  if (denied === undefined)
    subject.warn(
      `it cannot be asked what ${account} may do`,
      "run with the right to create subjectaccessreviews.authorization.k8s.io",
    );
  else if (denied.rights.length === 0) subject.ok(`${account} may do all ${denied.asked} things that it has to`);
  else if (denied.rights.length === denied.asked)
    subject.fail(
      `${account} may do nothing of what it has to`,
      "bind it to the ClusterRole kserve-llmisvc-manager-role: helm upgrade writes the ClusterRoleBinding",
    );
  else
    subject.fail(
      `${account} may not ${listed(denied.rights)}`,
      "helm upgrade writes the ClusterRole kserve-llmisvc-manager-role and the Role of this release",
    );
  return subject.findings;
}

function listed(rights: readonly Right[]): string {
  const byResource = new Map<string, string[]>();
  for (const { verb, group, resource, namespace } of rights) {
    const where = namespace === undefined ? "" : ` in ${namespace}`;
    const what = `${resource}${group === "" ? "" : `.${group}`}${where}`;
    byResource.set(what, [...(byResource.get(what) ?? []), verb]);
  }
  const all = [...byResource].map(([what, verbs]) => `${[...new Set(verbs)].join("/")} ${what}`);
  const more = all.length > MAX_NAMED ? `, and ${all.length - MAX_NAMED} more` : "";
  return `${all.slice(0, MAX_NAMED).join(", ")}${more}`;
}
