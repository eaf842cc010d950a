import type { KubeObject } from "../../kube/types.ts";
import { type Fields, field, recordAt, recordsAt, textAt, textMapAt } from "../fields.ts";

/** Reads the data of a Secret or ConfigMap as text by key; undefined where the object does not exist. */
export type DataSource = (
  kind: "Secret" | "ConfigMap",
  name: string,
) => Promise<Readonly<Record<string, string>> | undefined>;

/** A container that cannot be created as its spec stands; the kubelet's reason and message. */
export class ContainerConfigError extends Error {
  readonly reason: string;

  constructor(reason: string, message: string) {
    super(message);
    this.name = "ContainerConfigError";
    this.reason = reason;
  }
}

/** Facts about the pod that variables and files can refer to. */
export interface PodFacts {
  readonly pod: KubeObject;
  readonly podIP: string;
  readonly hostIP: string;
}

/**
 * The environment of a container by `envFrom` and `env` with `$(NAME)` expanded, later entries winning (core v1). Throws
 * `ContainerConfigError` for a missing object or key that is not optional.
 */
export async function resolveEnvironment(
  container: Fields,
  facts: PodFacts,
  read: DataSource,
): Promise<Record<string, string>> {
  const environment: Record<string, string> = {};
  for (const source of recordsAt(container, "envFrom")) Object.assign(environment, await readAll(source, read));
  for (const variable of recordsAt(container, "env")) {
    const value = await resolveVariable(variable, container, facts, read, environment);
    if (value !== undefined) environment[textAt(variable, "name") ?? ""] = value;
  }
  return environment;
}

/** Replaces `$(NAME)` by its value; an unknown name stays as it is, and `$$` is a plain `$`. */
export function expandVariables(text: string, environment: Readonly<Record<string, string>>): string {
  return text.replace(/\$\$|\$\(([^)]*)\)/g, (whole: string, name?: string) => {
    if (name === undefined) return "$";
    return Object.hasOwn(environment, name) ? environment[name]! : whole;
  });
}

async function readAll(source: Fields, read: DataSource): Promise<Readonly<Record<string, string>>> {
  const kind = recordAt(source, "secretRef") === undefined ? "ConfigMap" : "Secret";
  const reference = recordAt(source, kind === "Secret" ? "secretRef" : "configMapRef");
  const data = await readObject(kind, reference, read);
  const prefix = textAt(source, "prefix") ?? "";
  return Object.fromEntries(Object.entries(data ?? {}).map(([name, value]) => [prefix + name, value]));
}

async function readObject(kind: "Secret" | "ConfigMap", reference: Fields | undefined, read: DataSource) {
  const name = textAt(reference, "name") ?? "";
  const data = await read(kind, name);
  if (data === undefined && reference?.["optional"] !== true)
    throw new ContainerConfigError("CreateContainerConfigError", `${kind.toLowerCase()} "${name}" not found`);
  return data;
}

async function resolveVariable(
  variable: Fields,
  container: Fields,
  facts: PodFacts,
  read: DataSource,
  environment: Readonly<Record<string, string>>,
): Promise<string | undefined> {
  const from = recordAt(variable, "valueFrom");
  if (from === undefined) return expandVariables(textAt(variable, "value") ?? "", environment);
  const path = textAt(from, "fieldRef", "fieldPath");
  if (path !== undefined) return podField(facts, path);
  if (recordAt(from, "resourceFieldRef") !== undefined) return resourceField(container, from);
  const kind = recordAt(from, "secretKeyRef") === undefined ? "ConfigMap" : "Secret";
  const reference = recordAt(from, kind === "Secret" ? "secretKeyRef" : "configMapKeyRef");
  const value = (await readObject(kind, reference, read))?.[textAt(reference, "key") ?? ""];
  if (value === undefined && reference?.["optional"] !== true)
    throw new ContainerConfigError(
      "CreateContainerConfigError",
      `couldn't find key ${textAt(reference, "key")} in ${kind} ${facts.pod.metadata.namespace}/${textAt(reference, "name")}`,
    );
  return value;
}

/** A downward-API field of the pod as text; an unknown path is the empty string. */
export function podField(facts: PodFacts, path: string): string {
  const keyed = /^metadata\.(labels|annotations)\['(.*)'\]$/.exec(path);
  if (keyed !== null) return textMapAt(facts.pod, "metadata", keyed[1]!)[keyed[2]!] ?? "";
  if (path === "metadata.labels" || path === "metadata.annotations") {
    const pairs = Object.entries(textMapAt(facts.pod, ...path.split(".")));
    return pairs.map(([key, value]) => `${key}=${JSON.stringify(value)}`).join("\n");
  }
  if (path === "status.podIP" || path === "status.podIPs") return facts.podIP;
  if (path === "status.hostIP" || path === "status.hostIPs") return facts.hostIP;
  if (path === "spec.serviceAccountName") return textAt(facts.pod, "spec", "serviceAccountName") ?? "default";
  const value = field(facts.pod, ...path.split("."));
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}

function resourceField(container: Fields, from: Fields): string {
  const [list = "", ...name] = (textAt(from, "resourceFieldRef", "resource") ?? "").split(".");
  const value = field(container, "resources", list, name.join("."));
  return typeof value === "string" || typeof value === "number" ? String(value) : "0";
}
