import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { describeWithKubectl } from "./kubectl.ts";
import { routedService } from "./manifests.ts";
import { type TestPlayground, apply, condition, post, readyUrl, startPlayground } from "./playground.ts";
import { type Finished, ROOT, run } from "./process.ts";
import { until } from "../../playground/until.ts";

const NAME = "steady";

/** One wrong change to a service that runs, and what its author is told at once. */
const REFUSED: readonly { readonly what: string; readonly spec: unknown; readonly says: readonly RegExp[] }[] = [
  { what: "an unknown field", spec: { replica: 2 }, says: [/unknown field "spec\.replica"/] },
  { what: "a wrong type", spec: { replicas: "two" }, says: [/spec\.replicas/, /integer/] },
  {
    what: "a bad quantity",
    spec: { template: { containers: [{ name: "main", resources: { limits: { cpu: "one" } } }] } },
    says: [/spec\.template\.containers\[0\]\.resources\.limits/, /one|quantit/i],
  },
  { what: "no model URI", spec: { model: { uri: null } }, says: [/spec\.model\.uri/, /[Rr]equired/] },
  { what: "a negative replica count", spec: { replicas: -1 }, says: [/spec\.replicas/] },
  {
    what: "a scheduler configuration with an unknown plugin",
    spec: {
      router: {
        scheduler: {
          config: {
            inline: {
              apiVersion: "inference.networking.x-k8s.io/v1alpha1",
              kind: "EndpointPickerConfig",
              plugins: [{ type: "queue-scorrer" }],
            },
          },
        },
      },
    },
    says: [/queue-scorrer/, /did you mean "queue-scorer"/],
  },
  {
    what: "managed and referenced routes at once",
    spec: { router: { route: { http: { refs: [{ name: "mine" }], spec: { rules: [] } } } } },
    says: [/spec\.router\.route/],
  },
];

describeWithKubectl("manifests that are wrong", () => {
  let playground: TestPlayground;
  let url = "";
  let generation: number | undefined;

  beforeAll(async () => {
    playground = await startPlayground();
    await apply(playground, routedService(NAME));
    url = await readyUrl(playground, NAME);
    generation = (await playground.get("deployment", `${NAME}-kserve`)).metadata.generation;
  }, 120_000);
  afterAll(async () => await playground?.stop(), 60_000);

  const untouched = async (): Promise<void> => {
    const deployment = await playground.get("deployment", `${NAME}-kserve`);
    expect(deployment.metadata.generation).toBe(generation);
    expect((await post(`${url}/v1/completions`, { model: NAME, prompt: "x", max_tokens: 1 })).status).toBe(200);
  };
  const changed = (spec: unknown): string => {
    const manifest = JSON.parse(routedService(NAME)) as { spec: Record<string, unknown> };
    return JSON.stringify({ ...manifest, spec: merge(manifest.spec, spec) });
  };

  test.each(REFUSED)("$what is refused at kubectl apply", async ({ spec, says }) => {
    const { code, stderr } = await playground.tryKubectl(["apply", "-f", "-"], changed(spec));
    expect(code).not.toBe(0);
    for (const pattern of says) expect(stderr).toMatch(pattern);
    await untouched();
  });

  test("twelve mistakes are told at once, each with its field and what to do", async () => {
    const { code, stderr } = await playground.tryKubectl(["apply", "-f", "-"], TWELVE);
    expect(code).not.toBe(0);
    for (const field of MISTAKES) expect(stderr).toContain(`\n* ${field}: `);
    expect(stderr.match(/^\* /gm)).toHaveLength(MISTAKES.length);
    expect(stderr).toMatch(/queue-scorrer.*did you mean "queue-scorer"/);
    expect(stderr).toMatch(/worker.*set parallelism/);
  });

  test("explain reads well, and an object is served in either version", async () => {
    const text = await playground.kubectl("explain", "llminferenceservice.spec.router.scheduler");
    expect(text).toMatch(/DESCRIPTION:\s+The endpoint picker, which chooses the pod for every request/);
    for (const field of ["config", "pool", "replicas", "scorerPlugins", "template"])
      expect(text).toMatch(new RegExp(`^ {2}${field}\\t<.*>\n {4}[A-Z].*\\.`, "m"));
    await apply(playground, TWO_PORTS);
    const old = await playground.kubectl("get", OLD_KIND, "two-ports", "-o", "yaml");
    expect(old).toContain("apiVersion: serving.kserve.io/v1alpha1\n");
    expect(old).toMatch(/pool:\n\s+spec:\n\s+selector:\n\s+app: x\n\s+targetPortNumber: 8000\n/);
    expect(old).not.toMatch(/\n {2}kvCacheOffloading:/);
    // What goes through the old version and back is what it was.
    const change = JSON.stringify({ spec: { labels: { touched: "yes-it-is" } } });
    await playground.kubectl("patch", OLD_KIND, "two-ports", "--type=merge", "-p", change);
    expect(await playground.get("llmisvc", "two-ports")).toMatchObject({
      apiVersion: "serving.kserve.io/v1alpha2",
      spec: {
        labels: { touched: "yes-it-is" },
        kvCacheOffloading: { cpu: "1Gi" },
        router: { scheduler: { pool: { spec: { targetPorts: [{ number: 8000 }, { number: 8001 }] } } } },
      },
    });
    await playground.kubectl("delete", "llmisvc", "two-ports", "--timeout=60s");
  });

  test("a config in use is kept until its services are gone", async () => {
    await apply(playground, BASED);
    const used = await until("the config is in use", async () => {
      const config = await playground.get("llminferenceserviceconfig", "shared");
      return condition(config, "ConfigInUse")?.["status"] === "True" ? config : undefined;
    });
    expect(used["status"]).toMatchObject({ referencedBy: [{ name: "based", namespace: "default" }] });
    const deleted = await playground.tryKubectl(["delete", "llminferenceserviceconfig", "shared", "--wait=false"]);
    expect(deleted.stderr).toContain("Warning: shared stays until no service is built on it: default/based");
    expect((await playground.get("llminferenceserviceconfig", "shared")).metadata.name).toBe("shared");
    await playground.kubectl("delete", "llmisvc", "based", "--timeout=60s");
    await playground.kubectl("wait", "--for=delete", "llminferenceserviceconfig/shared", "--timeout=30s");
  });

  test("lint says the same without a cluster, and asks the cluster where it is told to", async () => {
    const offline = await run(join(ROOT, "bin/llmisvc"), ["lint", "-"], { env: {}, input: TWELVE });
    expect(offline.code).toBe(1);
    for (const field of MISTAKES)
      expect(offline.stdout).toMatch(new RegExp(`^<stdin>:\\d+: error: .*${escaped(field)}`, "m"));
    const kubeconfig = join(playground.folder, "kubeconfig");
    const live = (manifest: string): Promise<Finished> =>
      run(join(ROOT, "bin/llmisvc"), ["lint", `--kubeconfig=${kubeconfig}`, "-"], { env: {}, input: manifest });
    const good = await live(routedService("unborn"));
    expect([good.code, good.stdout]).toEqual([0, "1 checked: 0 errors, 0 warnings\n"]);
    const missing = await live(BASED.split("---")[1]!);
    expect(missing.code).toBe(1);
    expect(missing.stdout).toMatch(/error: .*"shared" not found/);
  }, 60_000);

  test("YAML that cannot be read names the line", async () => {
    const { code, stderr } = await playground.tryKubectl(["apply", "-f", "-"], "apiVersion: v1\nkind: [\n");
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/line \d/);
  });

  test("an unknown baseRef and a malformed template become conditions, and the service goes on", async () => {
    await apply(playground, changed({ baseRefs: [{ name: "nowhere" }] }));
    const told = async (pattern: RegExp) =>
      await until(`PresetsCombined says ${pattern}`, async () => {
        const state = condition(await playground.get("llmisvc", NAME), "PresetsCombined");
        return state?.["status"] === "False" && pattern.test(String(state["message"])) ? state : undefined;
      });
    expect((await told(/nowhere/))["reason"]).toBe("ConfigNotFound");
    await untouched();
    const config = JSON.stringify({
      apiVersion: "serving.kserve.io/v1alpha2",
      kind: "LLMInferenceServiceConfig",
      metadata: { name: "broken", namespace: "default" },
      spec: { template: { containers: [{ name: "main", args: ["{{ .Spec.Nothing"] }] } },
    });
    const { code, stderr } = await playground.tryKubectl(["apply", "-f", "-"], config);
    expect(code).not.toBe(0);
    expect(stderr).toMatch(/template/i);
    await untouched();
    await apply(playground, changed({}));
    await readyUrl(playground, NAME);
  });
});

const TWELVE = `apiVersion: serving.kserve.io/v1alpha2
kind: LLMInferenceService
metadata: {name: twelve}
spec:
  replicas: -1
  model: {uri: 5, lora: {maxRank: 0}}
  worker: {}
  parallelism: {tensor: 0}
  template:
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
          plugins: [{type: queue-scorrer}]
  tracing: {sampler: 7}
`;
const MISTAKES = [
  "spec.replicas",
  "spec.model.uri",
  "spec.model.lora.maxRank",
  "spec.worker",
  "spec.parallelism.tensor",
  "spec.template.containers[0].image",
  "spec.template.containers[0].env[1]",
  "spec.template.containers[0].resources.limits.cpu",
  "spec.router.route.group",
  "spec.router.scheduler.replicas",
  "spec.router.scheduler.config.inline.plugins[0].type",
  "spec.tracing.sampler",
];
/** By its full name: kubectl takes a short name for the preferred version, whatever version follows. */
const OLD_KIND = "llminferenceservices.v1alpha1.serving.kserve.io";
const TWO_PORTS = `apiVersion: serving.kserve.io/v1alpha2
kind: LLMInferenceService
metadata: {name: two-ports}
spec:
  model: {uri: "hf://a/b"}
  replicas: 0
  kvCacheOffloading: {cpu: 1Gi}
  router:
    scheduler:
      pool:
        spec:
          selector: {matchLabels: {app: x}}
          targetPorts: [{number: 8000}, {number: 8001}]
`;
const BASED = `apiVersion: serving.kserve.io/v1alpha2
kind: LLMInferenceServiceConfig
metadata: {name: shared}
spec: {model: {uri: "hf://a/b"}, replicas: 0}
---
apiVersion: serving.kserve.io/v1alpha2
kind: LLMInferenceService
metadata: {name: based}
spec: {baseRefs: [{name: shared}]}
`;

const escaped = (text: string): string => text.replaceAll(/[.[\]]/g, "\\$&");

/** JSON merge patch (RFC 7386). */
function merge(base: unknown, patch: unknown): unknown {
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch;
  const target: Record<string, unknown> = typeof base === "object" && base !== null ? { ...base } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete target[key];
    else target[key] = merge(target[key], value);
  }
  return target;
}
