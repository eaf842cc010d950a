import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "@jest/globals";
import { until } from "../playground/until.ts";
import { silentLogger } from "../telemetry/log.ts";
import { createMetricsRegistry } from "../telemetry/metrics.ts";
import { listenOnLoopback } from "../test/loopback.ts";
import { parseSchedulerFlags } from "./options.ts";
import type { EndpointView } from "./datalayer/fleet-report.ts";
import { PLUGINS } from "./plugins/registry.ts";
import { createScheduler } from "./scheduler.ts";

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A scheduler over endpoints of a file, without any cluster. */
async function schedulerOver(pages: readonly string[], args: readonly string[], plugins: readonly object[]) {
  const folder = mkdtempSync(join(tmpdir(), "scheduler-"));
  closers.push(() => rmSync(folder, { recursive: true }));
  const servers = await Promise.all(pages.map((page) => listenOnLoopback((_, response) => response.end(page))));
  closers.push(async () => {
    for (const server of servers) await server.close();
  });
  const endpoints = servers.map(({ url }, index) => {
    const { hostname: address, port } = new URL(url);
    return { name: `pod-${index}`, address, port, labels: { "llm-d.ai/engine-type": "mine" } };
  });
  const path = join(folder, "endpoints.json");
  writeFileSync(path, JSON.stringify({ endpoints }));
  const config = {
    apiVersion: "llm-d.ai/v1alpha1",
    kind: "EndpointPickerConfig",
    plugins: [{ type: "file-discovery", parameters: { path } }, { type: "queue-scorer" }, ...plugins],
    schedulingProfiles: [{ name: "default", plugins: [{ pluginRef: "queue-scorer" }] }],
    dataLayer: { discovery: { pluginRef: "file-discovery" } },
  };
  const { options, errors } = parseSchedulerFlags(["--pool-name=p", ...args], {});
  expect(errors).toEqual([]);
  const metrics = createMetricsRegistry();
  const core = await createScheduler({
    options,
    configText: JSON.stringify(config),
    registry: PLUGINS,
    connect: () => Promise.reject(new Error("there is no cluster")),
    metrics,
    logger: silentLogger,
  });
  closers.push(() => core.close());
  const view = (): readonly EndpointView[] =>
    core.pages.get("/debug/endpoints")?.render(new URLSearchParams()) as readonly EndpointView[];
  await until("all metrics read", () => view().every(({ ageMs }) => ageMs !== null), { pollMs: 10 });
  return { core, metrics, view };
}

test("endpoints of a file, metrics by the flags of old releases", async () => {
  const page = (kv: number): string => `my_queue{kind="a"} 3\nmy_queue{kind="b"} 9\nmy_kv ${kv}\n`;
  const flags = ["--total-queued-requests-metric=my_queue{kind=b}", "--kvCacheUsagePercentageMetric", "my_kv"];
  const { core, metrics, view } = await schedulerOver([page(0.25), page(0.5)], flags, []);
  expect(core.ready()).toBe(true);
  expect(view().map(({ pod, waiting, kvUsage }) => [pod, waiting, kvUsage])).toEqual([
    ["pod-0", 9, 0.25],
    ["pod-1", 9, 0.5],
  ]);
  expect(await metrics.render()).toContain('llm_d_epp_average_queue_size{name="p"} 9');
});

test("engines and custom metrics of the configuration", async () => {
  const extractor = {
    type: "core-metrics-extractor",
    parameters: {
      engineConfigs: [
        {
          name: "mine",
          queuedRequestsSpec: "q",
          customMetrics: [{ attributeKey: "Depth", metricSpec: "depth{x=1}" }],
        },
      ],
    },
  };
  const page = 'q 4\ndepth{x="1"} 7\ndepth{x="2"} 8\n';
  const { view } = await schedulerOver([page], [], [extractor]);
  expect(view()[0]).toMatchObject({ waiting: 4, attributes: { Depth: 7 } });
});
