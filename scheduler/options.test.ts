import { describe, expect, test } from "@jest/globals";
import { parseSchedulerFlags } from "./options.ts";

const POOL = ["--pool-name", "p"];
const options = (...args: string[]) => parseSchedulerFlags([...POOL, ...args], {}).options;

test("defaults", () => {
  const { options: read, errors, warnings } = parseSchedulerFlags(POOL, { NAMESPACE: "ns" });
  expect([errors, warnings]).toEqual([[], []]);
  expect(read).toMatchObject({
    source: { kind: "pool", name: "p", namespace: "ns", group: "inference.networking.k8s.io" },
    grpcPort: 9002,
    healthPort: 9003,
    metricsPort: 9090,
    secureServing: true,
    metricsAuth: true,
    verbosity: 2,
    maxReceiveBytes: 65 * 1024 * 1024,
    refreshMetricsMs: 50,
    stalenessMs: 2000,
    drainTimeoutMs: 30_000,
  });
});

test.each([
  [["--poolName", "p", "--poolNamespace", "n", "--grpcPort", "9002", "--grpcHealthPort", "9003"]],
  [["-pool-name=p", "-pool-namespace=n", "", "--grpc-port=9002"]],
  [["positional", "--pool-name", "p", "--pool-namespace", "n", "--secure-serving"]],
])("the spellings of all releases: %j", (args) => {
  const { options: read, errors } = parseSchedulerFlags(args, {});
  expect(errors).toEqual([]);
  expect(read.source).toMatchObject({ name: "p", namespace: "n" });
});

describe("values", () => {
  test.each([
    [["--secure-serving=false"], { secureServing: false }],
    [["--secure-serving=0"], { secureServing: false }],
    [["--drain-timeout", "1m30s"], { drainTimeoutMs: 90_000 }],
    [["--refresh-metrics-interval=1.5s"], { refreshMetricsMs: 1500 }],
    [["--grpc-max-recv-msg-size=10MiB"], { maxReceiveBytes: 10_485_760 }],
    [["--grpc-max-recv-msg-size=25MB"], { maxReceiveBytes: 25_000_000 }],
    [["-v=4"], { verbosity: 4 }],
    [["-v", "-1"], { verbosity: 2 }],
    [["--zap-log-level=debug", "-v=1"], { verbosity: 4 }],
    [["--zap-encoder", "console"], { logFormat: "console" }],
    [["--tls-min-version=VersionTLS13"], { tlsMinVersion: "TLSv1.3" }],
  ])("%j", (args, expected) => {
    expect(options(...args)).toMatchObject(expected);
  });

  test("standalone", () => {
    const { options: read, errors } = parseSchedulerFlags(
      ["--endpoint-selector", "app=x,tier in (a)", "--endpoint-target-ports", "8000,8001,8000"],
      {},
    );
    expect(errors).toEqual([]);
    expect(read.source).toEqual({
      kind: "selector",
      selector: "app=x,tier in (a)",
      namespace: "default",
      targetPorts: [8000, 8001],
    });
  });
});

test("deprecated flags work, with a warning", () => {
  const { options: read, warnings } = parseSchedulerFlags(
    [...POOL, "--kvCacheUsagePercentageMetric", "vllm:gpu_cache_usage_perc", "--model-server-metrics-scheme=https"],
    {},
  );
  expect(read.modelServerMetrics).toMatchObject({ kvUsage: "vllm:gpu_cache_usage_perc", scheme: "https" });
  expect(warnings).toHaveLength(2);
});

test("an empty metric name turns the metric off", () => {
  const { modelServerMetrics } = options("--lora-info-metric=", "--cache-info-metric", "");
  expect(modelServerMetrics).toMatchObject({ lora: "", cacheInfo: "", waiting: undefined });
});

test.each([
  [["--lora-info-metric=a{"], "--lora-info-metric: the closing brace is missing"],
  [["--endpoint-selector=a==", "--endpoint-target-ports=1"], undefined],
  [["--endpoint-selector=a in(b,c),!d,e>3,f!=g", "--endpoint-target-ports=1"], undefined],
  [["--endpoint-selector=a b", "--endpoint-target-ports=1"], "--endpoint-selector: invalid endpoint-selector"],
])("%j", (args, message) => {
  const pool = args.some((arg) => arg.startsWith("--endpoint")) ? [] : POOL;
  const { errors } = parseSchedulerFlags([...pool, ...args], {});
  expect(errors).toEqual(message === undefined ? [] : [expect.stringContaining(message)]);
});

test("metrics are read at most every 50 ms", () => {
  const { warnings } = parseSchedulerFlags([...POOL, "--refresh-metrics-interval=10ms"], {});
  expect(warnings).toEqual(["--refresh-metrics-interval of 10ms is too short: 50ms are used"]);
});

test("everything wrong is told at once", () => {
  const { errors } = parseSchedulerFlags(
    [
      "--grpc-prt=1",
      "--grpc-port=70000",
      "--secure-serving=maybe",
      "--grpc-max-recv-msg-size=-1",
      "--config-file=a",
      "--config-text=b",
    ],
    {},
  );
  expect(errors).toEqual([
    "--grpc-prt: unknown flag; did you mean --grpc-port?",
    "--config-file and --config-text cannot be set at the same time; remove one",
    "either --pool-name or --endpoint-selector must be set; set exactly one of them",
    '--grpc-port: invalid value "70000"; write a port from 0 to 65535',
    '--secure-serving: invalid value "maybe"; write true or false',
    '--grpc-max-recv-msg-size: invalid value "-1"; write a non-negative size such as 10MiB',
  ]);
});

test.each([
  [["--endpoint-selector=a=b"], /length from 1 to 8/],
  [["--endpoint-selector=a=b", "--endpoint-target-ports=x"], /invalid port/],
])("%j", (args, problem) => {
  expect(parseSchedulerFlags(args, {}).errors.join("\n")).toMatch(problem);
});
