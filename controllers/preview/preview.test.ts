import { describe, expect, test } from "@jest/globals";
import { SYSTEM_NAMESPACE } from "../../test/composition.ts";
import { recordings, replay } from "../../test/recording.ts";
import type { JsonObject } from "../../crds/schema/types.ts";
import { KINDS, type Resource } from "../../kube/resources.ts";
import { type KubeObject, type ObjectKey, KubeError } from "../../kube/types.ts";
import { whenKnown } from "../cluster/references.ts";
import { textAt } from "../../crds/json.ts";
import { wellKnownConfigs } from "../composition/presets.ts";
import { changeText, changesBetween } from "./changes.ts";
import { ObjectView } from "./object-view.ts";
import { asObject, previewService } from "./preview.ts";
import { stored } from "./stored-form.ts";
import { LiveView, OfflineView } from "./views.ts";

const OPTIONS = {
  presets: { prefix: "kserve-", pinned: true },
  settings: { systemNamespace: SYSTEM_NAMESPACE, clusterDomain: "cluster.local", wildcardHostname: "inference" },
};
const PRESETS = wellKnownConfigs({ namespace: SYSTEM_NAMESPACE });

/** Where the published manifests that scale by KEDA look for their metric. */
const WVA = {
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { namespace: SYSTEM_NAMESPACE, name: "inferenceservice-config" },
  data: { "autoscaling-wva-controller-config": '{"prometheus": {"url": "http://p"}}' },
} as unknown as KubeObject;

const service = (name: string, spec: JsonObject): KubeObject =>
  asObject(
    { apiVersion: KINDS.LLMInferenceService.apiVersion, kind: "LLMInferenceService", metadata: { name }, spec },
    "ns",
  );
const SPEC = { model: { uri: "hf://a/b" }, router: { route: {}, scheduler: {}, gateway: {} } };
const titles = (objects: readonly JsonObject[]): string[] =>
  objects.map((object) => `${textAt(object, "kind")} ${textAt(object, "metadata", "name")}`).sort();

describe("what the operator would make", () => {
  // Those of one release: the others differ in what the comparison with the recordings looks at.
  const of = recordings().filter(({ path }) => path.includes("/main/") || path.startsWith("kserve-website/"));
  const rendered = of.flatMap((recording) => replay(recording).map((settled) => [recording, settled] as const));

  test("is what it makes, for published manifests whose references exist", () => {
    const different = rendered.flatMap(([recording, settled]) => {
      if (settled.plan.children.length === 0 || JSON.stringify(settled.service).includes("RefsInvalid")) return [];
      const inPlace = (document: JsonObject): KubeObject => {
        const { metadata, ...object } = asObject(stored(document).object, "NS");
        return { ...object, metadata: { ...metadata, namespace: "NS" } } as KubeObject;
      };
      const view = new OfflineView([...PRESETS, WVA, ...recording.accepted.map(inPlace)]);
      const manifest = recording.accepted.map(inPlace).find(({ metadata }) => metadata.name === settled.name);
      const found = titles(previewService(manifest ?? WVA, view, OPTIONS).children).join();
      const made = settled.plan.children.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
      const wanted = made.sort().join();
      return found === wanted ? [] : [`${recording.path}: ${found} / ${wanted}`];
    });
    expect(different).toEqual([]);
  });

  test("is the same each time, and shows no secret", () => {
    const render = (): string => JSON.stringify(previewService(service("s", SPEC), new OfflineView(PRESETS), OPTIONS));
    expect(render()).toBe(render());
    const { children } = previewService(service("s", SPEC), new OfflineView(PRESETS), OPTIONS);
    const secret = children.find(({ kind }) => kind === "Secret");
    expect(secret).toMatchObject({ kind: "Secret", data: { "ca.crt": "", "tls.crt": "", "tls.key": "" } });
  });

  test("names what is wrong, and what was ignored", () => {
    const preview = previewService(
      service("s", { ...SPEC, replicas: "two", foo: 1, baseRefs: [{ name: "gone" }] }),
      new OfflineView(PRESETS),
      OPTIONS,
    );
    expect(preview.effective).toBeUndefined();
    expect(preview.warnings).toEqual(["spec.foo: unknown field, ignored"]);
    expect(preview.problems.join("\n")).toMatch(
      /spec.replicas[^\n]*\n[^]*"gone" not found in namespaces \[ns kserve\]/,
    );
  });
});

/** A cluster behind a client; counts what is asked. */
class Remote {
  readonly asked: string[] = [];
  readonly #view: ObjectView;

  constructor(objects: readonly KubeObject[]) {
    this.#view = new ObjectView(objects);
  }

  async find(resource: Resource, key: ObjectKey): Promise<KubeObject | undefined> {
    this.asked.push(`${resource.apiVersion} ${resource.kind} ${key.namespace}/${key.name}`);
    return this.#view.find(resource, key);
  }

  async list(resource: Resource, options: { namespace?: string | undefined } = {}) {
    this.asked.push(`list ${resource.apiVersion} ${resource.kind} ${options.namespace}`);
    if (resource === KINDS.Secret)
      throw new KubeError({ code: 403, reason: "Forbidden", message: "no", method: "GET", path: "/" } as never);
    return { items: [...this.#view.list(resource, options.namespace)], resourceVersion: "1" };
  }

  async serves(): Promise<boolean> {
    return true;
  }
}

describe("a preview in a live cluster", () => {
  test("reads what it needs once, keeps the identity of the service, and tells what changes", async () => {
    const live: KubeObject = {
      ...service("s", SPEC),
      metadata: { name: "s", namespace: "ns", uid: "u1" },
      status: { annotations: { "serving.kserve.io/config-llm-template": "old-config-llm-template" } },
    };
    const old = PRESETS.find(({ metadata }) => metadata.name === "kserve-config-llm-template");
    const pinned = { ...old, metadata: { name: "old-config-llm-template", namespace: "kserve" } } as KubeObject;
    const remote = new Remote([...PRESETS, pinned, live]);
    const view = new LiveView(remote as never, new ObjectView([service("s", SPEC)]));
    const preview = await whenKnown(() => previewService(service("s", SPEC), view, OPTIONS));
    expect(preview.appliedConfigs.map(({ name }) => name)).toContain("old-config-llm-template");
    expect(preview.problems.join()).toContain("Gateway kserve/kserve-ingress-gateway");
    expect(new Set(remote.asked).size).toBe(remote.asked.length);
  });
});

describe("changes between renderings", () => {
  const object = (name: string, spec: JsonObject): JsonObject => ({
    apiVersion: "v1",
    kind: "K",
    metadata: { name, namespace: "n" },
    spec,
  });
  const texts = (before: readonly JsonObject[], after: readonly JsonObject[]): string[] =>
    changesBetween(before, after).map(changeText);

  test("none between equals", () => expect(texts([object("a", { b: 1 })], [object("a", { b: 1 })])).toEqual([]));

  test("fields, list elements by name, objects that come and go", () => {
    const before = [object("a", { n: 1, list: [{ name: "x", v: 1 }, { name: "y" }], gone: true }), object("old", {})];
    const after = [object("a", { n: 2, list: [{ name: "y" }, { name: "x", v: 2 }], tags: ["t"] }), object("new", {})];
    expect(texts(before, after)).toEqual([
      "~ K n/a spec.n: 1 → 2",
      "~ K n/a spec.list[x].v: 1 → 2",
      "~ K n/a spec.gone: true → nothing",
      '~ K n/a spec.tags: nothing → ["t"]',
      "- K n/old",
      "+ K n/new",
    ]);
  });

  test("texts by line", () => {
    expect(texts([object("a", { t: "one\ntwo\n" })], [object("a", { t: "one\nthree\n" })])).toEqual([
      "~ K n/a spec.t:\n    - two\n    + three",
    ]);
  });
});
