import { describe, expect, test } from "@jest/globals";
import { at, objectAt } from "../../crds/json.ts";
import { composed, config, demo, failed } from "../../test/composition.ts";
import { checkConfig } from "./config-check.ts";
import { defaultGlobalConfig } from "./global-config.ts";

describe("templates", () => {
  test("see the merged spec, metadata and the operator", () => {
    const configs = [config("a", "{parallelism: {tensor: 8}}")];
    const text =
      "{{ .Name }} {{ .ObjectMeta.Namespace }} {{ .Spec.Parallelism.Tensor }} {{ .Labels.x }} {{ .GlobalConfig.EnableTLS }} {{ .GlobalConfig.InferencePoolNamespacedName }}";
    const manifest = { ...objectAt(demo("{}")), metadata: { name: "demo", labels: { x: "{{ raw" } } };
    const spec = { baseRefs: [{ name: "a" }], model: { uri: "u" }, annotations: { text } };
    const result = composed({ ...manifest, spec }, { configs });
    expect(at(result.spec, "annotations", "text")).toBe("demo ns1 8 {{ raw false ns1/demo-inference-pool");
  });

  test.each([
    ['{{ index .Labels "none" }}|{{ index .Spec.Labels "none" }}', "|"],
    [
      "{{ len .Spec.Router.Gateway.Refs }}{{ range .Spec.Model.LoRA.Adapters }}{{ .Name }}={{ .URI }};{{ end }}",
      "0a=hf://x;",
    ],
    ["{{ range .Spec.Template.Containers }}{{ .Name }}/{{ .Image }}/{{ .Resources.Limits }}{{ end }}", "main/i/map[]"],
    ["{{ .Spec.Template.ServiceAccountName }}.{{ .Spec.Replicas }}.{{ len .Spec.Template.Volumes }}", ".<nil>.0"],
    ["{{ .Spec.Router.Route.Group }}{{ if .Spec.Model.Confidential }}x{{ end }}", "g"],
    ['{{ index .Spec.Template.NodeSelector "none" }}{{ if .Spec.Template.HostNetwork }}x{{ end }}', ""],
  ])("what is not set is Go's zero value: %s", (text, expected) => {
    const preset = config("kserve-config-llm-template", "{template: {containers: [{name: main, image: i}]}}");
    const manifest = demo(`{annotations: {text: ${JSON.stringify(text)}}, router: {gateway: {}, route: {group: g}},
      model: {uri: u, lora: {adapters: [{name: a, uri: 'hf://x'}]}}}`);
    expect(at(composed(manifest, { configs: [preset] }).spec, "annotations", "text")).toBe(expected);
  });

  test("values need no escaping", () => {
    const name = 'say "hi" \\ {{ `{{` }}';
    const { spec } = composed(
      demo(`{model: {uri: u, name: ${JSON.stringify(name)}}, annotations: {n: "{{ .Spec.Model.URI }}"}}`),
    );
    expect(at(spec, "model", "name")).toBe('say "hi" \\ {{');
  });

  test.each([
    ["{{ x }}", 'function "x" not defined'],
    ["{{ .Spec.Nope }}", "can't evaluate field Nope"],
    ["{{ .Spec.Tracing.Sampler }}", "nil pointer evaluating *Tracing.Sampler"],
    ["{{ .Labels.none }}", 'map has no entry for key "none"'],
    ["{{ if }}", "missing value for if"],
    ["{{ .Spec.Model.Name", "unclosed action"],
  ])("%s is an error with its field and its origin", (text, cause) => {
    const { reason, errors } = failed(demo(`{labels: {bad: ${JSON.stringify(text)}, ok: "{{ .Name }}"}}`));
    expect(reason).toBe("CombineBaseError");
    expect(errors).toHaveLength(1);
    expect(errors[0]?.path).toBe("spec.labels.bad");
    expect(errors[0]?.message).toContain(cause);
    expect(errors[0]?.message).toContain("(from LLMInferenceService ns1/demo)");
  });

  test("all errors are reported at once", () => {
    expect(failed(demo('{labels: {a: "{{ x }}", b: "{{ y }}"}}')).errors.map(({ path }) => path)).toEqual([
      "spec.labels.a",
      "spec.labels.b",
    ]);
  });

  test("configs are checked without a service", () => {
    const check = (spec: string): readonly string[] =>
      checkConfig(config("c", spec).spec, "kserve", defaultGlobalConfig("kserve")).map(({ path }) => path);
    expect(check("{template: {containers: [{name: main, image: '{{ .Spec.Model.Name }}'}]}}")).toEqual([]);
    expect(check("{template: {containers: [{name: main, image: '{{ .Spec.X }}'}]}}")).toEqual([
      "spec.template.containers[0].image",
    ]);
    expect(check("{labels: {a: '{{ .Spec.Tracing.Sampler }}', b: '{{ if .Spec.Tracing }}x{{ end }}'}}")).toEqual([
      "spec.labels.a",
    ]);
    expect(check("{template: {containers: [{image: x}]}}")).toEqual(["spec.template.containers[0]"]);
  });
});
