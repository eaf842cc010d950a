import { existsSync, readFileSync } from "node:fs";
import type { HttpKubeClient } from "../../kube/http-client.ts";
import type { Resource } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { listAll } from "../../kube/client.ts";
import { at } from "../e2e/playground.ts";
import type { FailureLine } from "../envoy/config.ts";
import type { Kill } from "./faults.ts";
import type { Failure } from "./load.ts";

/** Failures by whose fault they are. */
export interface Verdict {
  /** On a model server that was killed while it answered, or whose death nobody could know of yet. */
  readonly onKilledPods: readonly Failure[];
  /**
   * Whose stream to a killed scheduler was open in duplex mode: the proxy has given the body away and cannot send it to
   * anybody else.
   */
  readonly onKilledSchedulers: readonly Failure[];
  /** All others. */
  readonly lost: readonly (Failure & { readonly proxy?: FailureLine })[];
}

/** Time that a death takes to be noticed, ms. */
const NOTICE_MS = 2000;

/** Reads JSON lines. */
export function readLines<T>(path: string): T[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, "utf8").split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as T);
}

/** Tells failures that a kill explains from those that nothing does. */
export function judge(failures: readonly Failure[], lines: readonly FailureLine[], kills: readonly Kill[]): Verdict {
  const byId = new Map(lines.map((line) => [line.id, line]));
  const explains = (kill: Kill, { startedAt, endedAt }: Failure): boolean =>
    kill.at <= endedAt && kill.at >= startedAt - NOTICE_MS;
  const onKilledPods: Failure[] = [];
  const onKilledSchedulers: Failure[] = [];
  const lost: (Failure & { proxy?: FailureLine })[] = [];
  for (const failure of failures) {
    const line = byId.get(failure.id);
    const ip = line?.host?.split(":")[0];
    const during = kills.filter((kill) => explains(kill, failure));
    if (during.some((kill) => kill.kind === "model" && kill.ip === ip)) onKilledPods.push(failure);
    else if (isBroken(failure, line) && during.some(({ kind }) => kind === "scheduler"))
      onKilledSchedulers.push(failure);
    else lost.push(line === undefined ? failure : { ...failure, proxy: line });
  }
  return { onKilledPods, onKilledSchedulers, lost };
}

/** Whether the stream to the scheduler was the trouble of a request whose body, or whose answer, went through it. */
const isBroken = ({ route }: Failure, line: FailureLine | undefined): boolean =>
  route === "duplex" && line?.details.startsWith("ext_proc_error") === true;

/** A write in the API server's audit log. */
export interface Write {
  readonly verb: string;
  readonly requestURI: string;
  readonly userAgent?: string;
  readonly stageTimestamp: string;
  readonly responseStatus?: { readonly code?: number };
}

/** Writes between two moments of the wall clock, each as a line. */
export function writesBetween(audit: string, fromMs: number, toMs: number): string[] {
  return readLines<Write>(audit)
    .filter(({ stageTimestamp }) => Date.parse(stageTimestamp) >= fromMs && Date.parse(stageTimestamp) <= toMs)
    .map(
      ({ verb, requestURI, userAgent, responseStatus }) => `${verb} ${requestURI} ${userAgent} ${responseStatus?.code}`,
    );
}

/** Objects of any kind whose owner is no more. */
export async function orphans(client: HttpKubeClient): Promise<string[]> {
  const objects: KubeObject[] = [];
  for (const resource of await listable(client)) objects.push(...(await listAll(client, resource)).items);
  const known = new Set(objects.map(({ metadata }) => metadata.uid));
  return objects
    .filter(({ metadata }) => (metadata.ownerReferences ?? []).some(({ uid }) => !known.has(uid)))
    .map(({ kind, metadata }) => `${kind} ${metadata.namespace ?? ""}/${metadata.name}`);
}

/** Kinds that hold no state of their own, or repeat that of others under another version. */
const LEFT_OUT = /^(events|componentstatuses|bindings)$/;

async function listable(client: HttpKubeClient): Promise<Resource[]> {
  const groups = ((await client.getRaw("/apis")) as { groups: { preferredVersion: { groupVersion: string } }[] })
    .groups;
  const versions = ["v1", ...groups.map(({ preferredVersion }) => preferredVersion.groupVersion)];
  const found = await Promise.all(versions.map((version) => resourcesOf(client, version)));
  return found.flat();
}

async function resourcesOf(client: HttpKubeClient, apiVersion: string): Promise<Resource[]> {
  const path = apiVersion === "v1" ? "/api/v1" : `/apis/${apiVersion}`;
  const resources = at(await client.getRaw(path), "resources") as {
    name: string;
    kind: string;
    namespaced: boolean;
    verbs: string[];
  }[];
  return resources
    .filter(({ name, verbs }) => verbs.includes("list") && !name.includes("/") && !LEFT_OUT.test(name))
    .map(({ name, kind, namespaced }) => ({ apiVersion, kind, plural: name, namespaced }));
}

/** Objects in `namespace` that still carry the name of a service which was deleted. */
export async function leftovers(
  client: HttpKubeClient,
  namespace: string,
  names: readonly string[],
): Promise<string[]> {
  const left: string[] = [];
  for (const resource of (await listable(client)).filter(({ namespaced }) => namespaced))
    for (const { kind, metadata } of (await listAll(client, resource, { namespace })).items)
      if (names.some((name) => metadata.name === name || metadata.name.startsWith(`${name}-`)))
        left.push(`${kind} ${namespace}/${metadata.name}`);
  return left;
}
