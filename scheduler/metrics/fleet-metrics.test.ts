import { expect, test } from "@jest/globals";
import { createMetricsRegistry } from "../../telemetry/metrics.ts";
import { EndpointStore } from "../datalayer/endpoint-store.ts";
import { registerFleetMetrics } from "./fleet-metrics.ts";

function fleet(values: readonly (readonly [waiting: number, kvUsage: number, updatedAtMs: number])[]) {
  const store = new EndpointStore();
  for (const [index, [waiting, kvUsage, at]] of values.entries()) {
    const podName = `pod-${index}`;
    const hostPort = `10.0.0.${index}:8000`;
    const place = { address: `10.0.0.${index}`, port: 8000, hostPort, metricsHost: hostPort, nodeAddress: "", rank: 0 };
    const slot = store.upsert({ namespace: "ns", podName, name: `${podName}-rank-0`, labels: {}, ...place });
    if (at > 0) store.update(slot, store.generation[slot]!, { waiting, running: waiting * 2, kvUsage }, at);
  }
  const registry = createMetricsRegistry();
  registerFleetMetrics({ registry, store, poolName: "p", stalenessMs: 2000, now: () => 10_000 });
  return { store, lines: async () => (await registry.render()).split("\n") };
}

test("pool and endpoints under all their names", async () => {
  const { lines } = fleet([
    [1, 0.1, 9000],
    [4, 0.3, 9500],
    [100, 1, 1000],
    [0, 0, 0],
  ]);
  expect(await lines()).toEqual(
    expect.arrayContaining([
      'llm_d_epp_ready_endpoints{name="p"} 2',
      'inference_pool_ready_pods{name="p"} 2',
      'endpoint_picker_stale_endpoints{name="p"} 2',
      'llm_d_epp_average_queue_size{name="p"} 2.5',
      'inference_pool_average_queue_size{name="p"} 2.5',
      'llm_d_epp_average_kv_cache_utilization{name="p"} 0.2',
      'inference_pool_average_kv_cache_utilization{name="p"} 0.2',
      'llm_d_epp_average_running_requests{name="p"} 5',
      'llm_d_epp_std_dev_queue_size{name="p"} 2.12',
      'llm_d_epp_std_dev_kv_cache_utilization{name="p"} 0.14',
      'llm_d_epp_std_dev_running_requests{name="p"} 4.24',
      'llm_d_epp_per_endpoint_queue_size{name="p",model_server_endpoint="pod-2-rank-0"} 100',
      'inference_pool_per_pod_queue_size{name="p",model_server_pod="pod-2-rank-0"} 100',
      'endpoint_picker_endpoint_waiting_requests{name="p",namespace="ns",pod="pod-1",port="8000"} 4',
      'endpoint_picker_endpoint_running_requests{name="p",namespace="ns",pod="pod-1",port="8000"} 8',
      'endpoint_picker_endpoint_kv_cache_usage{name="p",namespace="ns",pod="pod-1",port="8000"} 0.3',
      'endpoint_picker_endpoint_metrics_age_seconds{name="p",namespace="ns",pod="pod-1",port="8000"} 0.5',
      'endpoint_picker_endpoint_metrics_age_seconds{name="p",namespace="ns",pod="pod-3",port="8000"} -1',
    ]),
  );
});

test("an endpoint that is gone loses its series; an empty pool is shown as such", async () => {
  const { store, lines } = fleet([[3, 0.5, 9900]]);
  await lines();
  store.remove("ns/pod-0-rank-0");
  const text = await lines();
  expect(text).toContain('llm_d_epp_ready_endpoints{name="p"} 0');
  expect(text).toContain('llm_d_epp_average_queue_size{name="p"} 3');
  expect(text.filter((line) => line.includes("pod-0"))).toEqual([]);
});
