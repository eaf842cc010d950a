import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { describeWithKubectl } from "./kubectl.ts";
import { routedService } from "./manifests.ts";
import { type TestPlayground, apply, condition, post, readyUrl, startPlayground } from "./playground.ts";
import { until } from "./process.ts";

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
