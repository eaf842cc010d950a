import { describe, expect, test } from "@jest/globals";
import type { KubeObject } from "../../kube/types.ts";
import { choosePresetSet, isPresetName } from "./preset-set.ts";

const SUFFIXES = ["config-llm-a", "config-llm-b"];

/** A release whose presets say so. */
const release =
  (text: string) =>
  (prefix: string): readonly KubeObject[] =>
    SUFFIXES.map((suffix) => ({
      apiVersion: "serving.kserve.io/v1alpha2",
      kind: "LLMInferenceServiceConfig",
      metadata: { name: `${prefix}${suffix}`, namespace: "kserve" },
      spec: { labels: { release: text, suffix } },
    }));

/** Presets by name, as an operator of that release installs them. */
class Installed {
  readonly objects = new Map<string, KubeObject>();

  find = (name: string): KubeObject | undefined => this.objects.get(name);

  start(text: string, prefix = "kserve-"): string {
    const set = choosePresetSet(release(text), this.find, prefix);
    for (const preset of set.presets)
      if (!this.objects.has(preset.metadata.name)) this.objects.set(preset.metadata.name, preset);
    return set.prefix;
  }

  edit(name: string): void {
    const live = this.objects.get(name);
    if (live === undefined) throw new Error(`no ${name}`);
    this.objects.set(name, { ...live, spec: { labels: { edited: "yes" } } });
  }
}

describe("presets of a release", () => {
  test("a fresh cluster gets them under KServe's names", () => {
    const cluster = new Installed();
    expect(cluster.start("1")).toBe("kserve-");
    expect([...cluster.objects.keys()]).toEqual(["kserve-config-llm-a", "kserve-config-llm-b"]);
    expect(cluster.start("1")).toBe("kserve-");
  });

  test("another release goes beside them, always under the same name, and back again", () => {
    const cluster = new Installed();
    cluster.start("1");
    const second = cluster.start("2");
    expect(second).toMatch(/^[0-9a-f]{8}-kserve-$/);
    expect(cluster.start("2")).toBe(second);
    expect(cluster.objects.size).toBe(4);
    expect(cluster.find("kserve-config-llm-a")).toMatchObject({ spec: { labels: { release: "1" } } });
    expect(cluster.find(`${second}config-llm-a`)).toMatchObject({ spec: { labels: { release: "2" } } });
    expect(cluster.start("1")).toBe("kserve-");
  });

  test("an edited preset is an override: it stays, and so do the names", () => {
    const cluster = new Installed();
    cluster.start("1");
    cluster.edit("kserve-config-llm-a");
    expect(cluster.start("1")).toBe("kserve-");
    expect(cluster.find("kserve-config-llm-a")).toMatchObject({ spec: { labels: { edited: "yes" } } });
  });

  test("KServe's own presets stay for the services that run on them", () => {
    const cluster = new Installed();
    const [theirs] = release("kserve")("kserve-");
    if (theirs !== undefined) cluster.objects.set(theirs.metadata.name, theirs);
    expect(cluster.start("1")).not.toBe("kserve-");
    expect(cluster.find("kserve-config-llm-a")).toBe(theirs);
  });

  test("equal content under the name is taken as ours", () => {
    const cluster = new Installed();
    for (const preset of release("1")("kserve-")) cluster.objects.set(preset.metadata.name, preset);
    expect(cluster.start("1")).toBe("kserve-");
  });

  test("a prefix of the administrator's is kept", () => {
    const cluster = new Installed();
    cluster.start("1", "v1-");
    expect(cluster.start("2", "v1-")).toBe("v1-");
    expect(cluster.find("v1-config-llm-a")).toMatchObject({ spec: { labels: { release: "1" } } });
  });

  test.each([
    ["kserve-config-llm-a", true],
    ["0123abcd-kserve-config-llm-b", true],
    ["my-kserve-config-llm-a", false],
    ["kserve-config-llm-c", false],
  ])("%s is a preset: %s", (name, expected) => expect(isPresetName(name, SUFFIXES, "kserve-")).toBe(expected));
});
