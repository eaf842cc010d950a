import { describe, expect, test } from "@jest/globals";
import { defaultGlobalConfig } from "../composition/global-config.ts";
import { listShared, readShared } from "../../test/corpus.ts";
import { type LintContext, type LintFinding, lint } from "./lint.ts";

const context: LintContext = {
  namespace: "default",
  systemNamespace: "kserve",
  global: () => defaultGlobalConfig("kserve"),
  live: undefined,
};

const find = (text: string, over: Partial<LintContext> = {}): readonly LintFinding[] =>
  lint([{ name: "f.yaml", text }], { ...context, ...over }).findings;
const short = (findings: readonly LintFinding[]): string[] =>
  findings.map(({ line, severity, field }) => `${line} ${severity} ${field}`);

const TWELVE = `apiVersion: serving.kserve.io/v1alpha2
kind: LLMInferenceService
metadata: {name: s}
spec:
  replicas: -1
  replica: 2
  model: {uri: 5}
  worker: {}
  template:
    spec:
      containers: []
    containers:
    - name: main
      image: [x]
      env: [{name: A, value: "1"}, {name: A}]
      resources: {limits: {cpu: one}}
  router:
    route: {weight: 3}
    scheduler:
      replicas: 0
      config:
        inline:
          apiVersion: llm-d.ai/v1alpha1
          kind: EndpointPickerConfig
          plugins:
          - type: queue-scorrer
          - {type: max-score-picker}
`;

describe("lint", () => {
  test("tells all mistakes of a manifest at once, each with its line", () => {
    expect(short(find(TWELVE)).filter((text) => text.includes("error"))).toEqual([
      "5 error spec.replicas",
      "6 error spec.replica",
      "7 error spec.model.uri",
      "8 error spec.worker",
      "10 error spec.template.spec",
      "14 error spec.template.containers[0].image",
      "15 error spec.template.containers[0].env[1]",
      "16 error spec.template.containers[0].resources.limits.cpu",
      "18 error spec.router.route.group",
      "20 error spec.router.scheduler.replicas",
      "26 error spec.router.scheduler.config.inline.plugins[0].type",
    ]);
  });

  test("says what was probably meant", () => {
    const messages = find(TWELVE).map(({ message }) => message);
    expect(messages).toEqual(
      expect.arrayContaining([
        'unknown field "spec.replica"; did you mean "spec.replicas"?',
        'unknown field "spec.template.spec"; its fields (containers) belong into spec.template itself',
      ]),
    );
    const workload = find(`apiVersion: serving.kserve.io/v1alpha2
kind: LLMInferenceService
metadata: {name: s}
spec: {model: {uri: "hf://a/b"}, workload: {kvCacheOffloading: {cpu: 1Gi}}}`);
    expect(workload[0]!.message).toContain("its fields (kvCacheOffloading) belong into spec itself");
  });

  test("reads streams, lists and JSON, and leaves other kinds alone", () => {
    const service = { apiVersion: "serving.kserve.io/v1alpha2", kind: "LLMInferenceService", metadata: { name: "s" } };
    const list = {
      apiVersion: "v1",
      kind: "List",
      items: [{ ...service, spec: { replicas: "x" } }, { kind: "Secret" }],
    };
    const text = `apiVersion: v1\nkind: Secret\n---\n${JSON.stringify(list, null, 1)}`;
    const report = lint([{ name: "f", text }], context);
    expect(report).toMatchObject({ checked: 1, skipped: 2 });
    expect(short(report.findings)).toEqual(["15 error spec.replicas"]);
  });

  test("what cannot be read costs no other file", () => {
    const report = lint(
      [
        { name: "broken", text: "a: [1\n" },
        { name: "list", text: "- 1\n" },
        { name: "good", text: TWELVE },
      ],
      context,
    );
    expect(report.findings.filter(({ source }) => source !== "good").map(({ source, line }) => [source, line])).toEqual(
      [
        ["broken", 2],
        ["list", 1],
      ],
    );
    expect(report.checked).toBe(1);
  });

  test("an unknown version of our group is an error", () => {
    expect(
      find("apiVersion: serving.kserve.io/v1\nkind: LLMInferenceService\nmetadata: {name: s}")[0]!.message,
    ).toContain("known: serving.kserve.io/v1alpha2");
  });

  test("bases are looked up in the files, then in the cluster", () => {
    const service = `apiVersion: serving.kserve.io/v1alpha2
kind: LLMInferenceService
metadata: {name: s}
spec: {baseRefs: [{name: base}]}
`;
    const base = `---
apiVersion: serving.kserve.io/v1alpha1
kind: LLMInferenceServiceConfig
metadata: {name: base}
spec: {model: {uri: hf://a/b}}
`;
    expect(short(find(service))).toEqual(["4 warning spec.baseRefs"]);
    expect(find(service + base)).toEqual([]);
    const live = { configs: new Map(), configMaps: new Map() };
    expect(short(find(service, { live }))).toEqual(["4 error spec.baseRefs"]);
  });

  test("published manifests have errors exactly where a recorded KServe refused them for what is in the file", () => {
    const recorded = (path: string): string => readShared(path.replace("manifests", "golden"));
    const files = listShared("corpus/manifests", ".yaml").filter((path) => !recorded(path).includes("  from: "));
    // What ours takes by design, or what the recording itself got wrong: see the golden test of admission.
    const refused = /unknown field|criticality: Unsupported/;
    const report = lint(
      files.map((path) => ({ name: path, text: readShared(path) })),
      context,
    );
    const errors = report.findings.filter(
      ({ severity, field }) => severity === "error" && !field.startsWith("spec.router.scheduler.config.inline"),
    );
    const wrong = new Set(errors.map(({ source }) => source));
    expect([...wrong].sort()).toEqual(files.filter((path) => refused.test(recorded(path))).sort());
    expect(report.checked).toBeGreaterThan(400);
  });
});
