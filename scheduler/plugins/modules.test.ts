import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { silentLogger } from "../../telemetry/log.ts";
import { createMetricsRegistry } from "../../telemetry/metrics.ts";
import { loadConfig } from "../config/load.ts";
import { EndpointStore } from "../datalayer/endpoint-store.ts";
import type { AnyPluginDefinition, PluginRegistry } from "../framework/plugin.ts";
import { formatConfigError } from "../framework/problem.ts";
import { createPipeline } from "../scheduling/pipeline.ts";
import { withModules } from "./modules.ts";
import { PLUGINS } from "./registry.ts";

const ROOT = new URL("../..", import.meta.url);
const GUIDE = readFileSync(new URL("docs/write-a-plugin.md", ROOT), "utf8");
const MAX_LINES = 40;

/** Code blocks of the guide in a language. */
const blocks = (language: string): string[] =>
  [...GUIDE.matchAll(new RegExp(`\`\`\`${language}\n(.*?)\`\`\``, "gs"))].map(([, code = ""]) => code);

let folder = "";
beforeAll(() => void (folder = mkdtempSync(join(tmpdir(), "plugins-"))));
afterAll(() => rmSync(folder, { recursive: true }));

/** Writes a module into a folder of its own; imports of the framework lead to this one. */
function moduleOf(name: string, code: string): string {
  const path = join(folder, name);
  writeFileSync(
    path,
    code.replaceAll('"../../framework/', `"${pathToFileURL(ROOT.pathname).href}scheduler/framework/`),
  );
  return path;
}

function fleetWithSpeeds(...speeds: readonly (string | undefined)[]): EndpointStore {
  const store = new EndpointStore();
  speeds.forEach((speed, index) => {
    const hostPort = `10.0.0.${index + 1}:8000`;
    const labels: Record<string, string> = speed === undefined ? {} : { "example.com/speed": speed };
    const place = { address: `10.0.0.${index + 1}`, port: 8000, hostPort, metricsHost: hostPort, nodeAddress: "" };
    store.upsert({ namespace: "default", podName: `p${index}`, name: `p${index}`, rank: 0, labels, ...place });
  });
  return store;
}

describe("the guide's scorer", () => {
  const [scorer = "", outside = ""] = blocks("ts");
  const [yaml = ""] = blocks("yaml");

  test("is short enough to be an example", () => {
    expect(scorer.trimEnd().split("\n").length).toBeLessThanOrEqual(MAX_LINES);
  });

  test("works as the guide says", async () => {
    const path = moduleOf("label-weight-scorer.ts", scorer);
    const { labelWeightScorer } = (await import(pathToFileURL(path).href)) as Record<string, AnyPluginDefinition>;
    const registry: PluginRegistry = new Map([...PLUGINS, ["label-weight-scorer", labelWeightScorer!]]);
    const { config, errors } = loadConfig(yaml, { registry });
    expect(errors).toEqual([]);
    const endpoints = fleetWithSpeeds("2", "4", undefined);
    const common = { endpoints, random: { next: () => 0 }, logger: silentLogger, metrics: createMetricsRegistry() };
    const { plugins, cycle } = createPipeline({ config: config!, ...common });
    const scores = new Float64Array(3);
    plugins[0]?.score?.(cycle, Int32Array.of(0, 1, 2), 3, scores);
    expect([...scores]).toEqual([0.5, 1, 0]);
    const wrong = loadConfig(yaml.replace("max: 4", "max: 0"), { registry });
    expect(blocks("text").map((text) => text.trim())).toContain(wrong.errors.map(formatConfigError).join("\n"));
  });

  test("a module from outside needs no import", async () => {
    const registry = await withModules(PLUGINS, [moduleOf("first-scorer.ts", outside)]);
    expect(registry.size).toBe(PLUGINS.size + 1);
    const text = yaml.replaceAll("label-weight-scorer", "first-scorer").replace(/ {4}parameters:\n(?: {6}.*\n)+/, "");
    expect(loadConfig(text, { registry }).errors).toEqual([]);
  });
});

test.each([
  ["absent.ts", undefined, "cannot be loaded"],
  ["empty.ts", "export default undefined;", "is no plugin definition"],
  ["nameless.ts", "export default { kinds: [] };", "has no type"],
  ["kindless.ts", 'export default { type: "x" };', "has no list of kinds"],
  [
    "known.ts",
    'export default ({ definePlugin, object }) => definePlugin({ type: "queue-scorer", kinds: ["scorer"], parameters: object({}) });',
    "exists already",
  ],
])("a module that cannot be used is told: %s", async (name, code, cause) => {
  const path = code === undefined ? join(folder, name) : moduleOf(name, code);
  await expect(withModules(PLUGINS, [path])).rejects.toThrow(cause);
});
