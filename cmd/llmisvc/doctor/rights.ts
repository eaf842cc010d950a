import { type PolicyRule, operatorNamespaceRules, operatorRules } from "../../../controllers/operator-role.ts";
import type { KubeClient } from "../../../kube/client.ts";
import { KINDS } from "../../../kube/resources.ts";
import { KubeError, type ObjectKey } from "../../../kube/types.ts";

/** Something that an account may or may not do. */
export interface Right {
  readonly verb: string;
  readonly group: string;
  /** With its sub-resource, if any: `pods/log`. */
  readonly resource: string;
  /** Undefined: in the whole cluster. */
  readonly namespace: string | undefined;
  /** Undefined: whatever its name. */
  readonly name: string | undefined;
}

/** What the operator's account needs. */
export function neededRights(systemNamespace: string): readonly Right[] {
  return [
    ...operatorRules().flatMap((rule) => rightsOf(rule, undefined)),
    ...operatorNamespaceRules().flatMap((rule) => rightsOf(rule, systemNamespace)),
  ];
}

function rightsOf({ apiGroups, resources, verbs, resourceNames }: PolicyRule, namespace: string | undefined): Right[] {
  return apiGroups.flatMap((group) =>
    resources.flatMap((resource) =>
      verbs.flatMap((verb) =>
        (resourceNames ?? [undefined]).map((name) => ({ verb, group, resource, namespace, name })),
      ),
    ),
  );
}

/** Questions that are under way at a time. */
const PARALLEL = 16;

/** Those of the rights that the cluster denies to a ServiceAccount; undefined where we may not ask (SubjectAccessReview). */
export async function deniedRights(
  client: Pick<KubeClient, "create">,
  account: ObjectKey,
  rights: readonly Right[],
): Promise<readonly Right[] | undefined> {
  const denied: Right[] = [];
  const waiting = [...rights];
  const work = async (): Promise<void> => {
    for (let right = waiting.shift(); right !== undefined; right = waiting.shift())
      if (!(await isAllowed(client, account, right))) denied.push(right);
  };
  try {
    await Promise.all(Array.from({ length: PARALLEL }, work));
  } catch (error) {
    if (error instanceof KubeError && error.code === 403) return undefined;
    throw error;
  }
  return denied;
}

async function isAllowed(client: Pick<KubeClient, "create">, account: ObjectKey, right: Right): Promise<boolean> {
  const { apiVersion, kind } = KINDS.SubjectAccessReview;
  const { verb, group, namespace, name } = right;
  const [resource, subresource] = right.resource.split("/");
  const home = account.namespace ?? "";
  const spec = {
    user: `system:serviceaccount:${home}:${account.name}`,
    groups: ["system:serviceaccounts", `system:serviceaccounts:${home}`, "system:authenticated"],
    resourceAttributes: { verb, group, resource, subresource, namespace, name },
  };
  const { status } = await client.create({ apiVersion, kind, metadata: { name: "" }, spec });
  return (status as { readonly allowed?: boolean } | undefined)?.allowed === true;
}
