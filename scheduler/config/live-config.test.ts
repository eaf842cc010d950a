import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { createLogger, silentLogger } from "../../telemetry/log.ts";
import { createMetricsRegistry } from "../../telemetry/metrics.ts";
import { watchFile } from "./file-watch.ts";
import { LiveConfig } from "./live-config.ts";
import { redacted } from "./page.ts";
import type { SchedulerConfig } from "./types.ts";

const config = (scorer: string): string => `
apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins: [{type: ${scorer}}]
`;

test("a bad configuration is told, and the last good one stays in effect", async () => {
  const metrics = createMetricsRegistry();
  const lines: string[] = [];
  const logger = createLogger({ write: (text) => void lines.push(text) });
  const live = new LiveConfig({ load: {}, logger, metrics, now: () => 1_700_000_000_000 });
  const used: SchedulerConfig[] = [];
  const use = (next: SchedulerConfig): void => void used.push(next);
  live.load(config("queue-scorer"), use);
  expect(() => live.load(config("queue-scorrer"), use)).toThrow('did you mean "queue-scorer"?');
  expect(used).toHaveLength(1);
  expect(live.page()).toMatchObject({
    config: { plugins: expect.arrayContaining([expect.objectContaining({ type: "queue-scorer" })]) },
    loadedAt: "2023-11-14T22:13:20.000Z",
    lastLoad: { successful: false, errors: [expect.stringContaining("plugins[0].type")] },
  });
  const page = await metrics.render();
  expect(page).toContain('endpoint_picker_config_loads_total{outcome="failure"} 1');
  expect(page).toContain("endpoint_picker_config_last_load_successful 0");
  expect(page).toContain("endpoint_picker_config_loaded_timestamp_seconds 1700000000");
  logger.flush();
  expect(lines.join("")).toContain("effective configuration");
});

test("one that its user cannot take over changes nothing either", () => {
  const live = new LiveConfig({ load: {}, logger: silentLogger, metrics: createMetricsRegistry(), now: () => 0 });
  live.load(config("queue-scorer"), () => undefined);
  const refuse = (): void => {
    throw new Error("no");
  };
  expect(() => live.load(config("load-aware-scorer"), refuse)).toThrow("no");
  expect(JSON.stringify(live.page())).not.toContain("load-aware-scorer");
});

test("secrets are not shown", () => {
  const given = { huggingFaceToken: "hf_x", redis: [{ password: "p", address: "a" }], blockSizeTokens: 16, secret: "" };
  expect(redacted(given)).toEqual({
    huggingFaceToken: "(hidden)",
    redis: [{ password: "(hidden)", address: "a" }],
    blockSizeTokens: 16,
    secret: "",
  });
});

test("a mounted ConfigMap is followed within a second, by its swapped link", async () => {
  const folder = mkdtempSync(join(tmpdir(), "config-"));
  const version = (name: string, text: string): void => {
    mkdirSync(join(folder, name));
    writeFileSync(join(folder, name, "config.yaml"), text);
    symlinkSync(name, join(folder, "..tmp"));
    renameSync(join(folder, "..tmp"), join(folder, "..data"));
  };
  version("..1", "one");
  symlinkSync("..data/config.yaml", join(folder, "config.yaml"));
  const { promise, resolve } = Promise.withResolvers<string>();
  const stop = watchFile(join(folder, "config.yaml"), resolve, silentLogger);
  const startedAtMs = performance.now();
  version("..2", "two");
  expect(await promise).toBe("two");
  expect(performance.now() - startedAtMs).toBeLessThan(1000);
  stop();
  rmSync(folder, { recursive: true });
});
