import { describe, expect, test } from "@jest/globals";
import { createMetricsRegistry, formatBound } from "./metrics.ts";

describe("formatBound", () => {
  test.each([
    [0.0001, "0.0001"],
    [0.00005, "5e-05"],
    [0.5, "0.5"],
    [1, "1"],
    [524288, "524288"],
    [1048576, "1.048576e+06"],
    [1073741824, "1.073741824e+09"],
  ])("%d is shown as %s", (value, text) => expect(formatBound(value)).toBe(text));
});

describe("registry", () => {
  test("a counter counts for each set of label values and is shown under its aliases with the kept labels", async () => {
    const registry = createMetricsRegistry();
    const requests = registry.counter({
      name: "requests_total",
      help: "Requests.",
      labels: ["model", "priority"],
      aliases: [{ name: "old_requests_total", labels: [{ from: "model", to: "model_name" }] }],
    });
    requests.labels("m", "0").inc();
    requests.labels("m", "1").inc(2);
    const page = await registry.render();
    expect(page).toContain('requests_total{model="m",priority="0"} 1\n');
    expect(page).toContain('requests_total{model="m",priority="1"} 2\n');
    expect(page).toContain('old_requests_total{model_name="m"} 3\n');
    expect(page).toContain("# HELP old_requests_total [Deprecated: Use requests_total] Requests.");
  });

  test("a histogram shows cumulative buckets, sum and count", async () => {
    const registry = createMetricsRegistry();
    const durations = registry.histogram({ name: "d", help: "D.", buckets: [0.1, 1] }).labels();
    for (const value of [0.05, 0.1, 0.5, 2, Number.NaN]) durations.observe(value);
    const page = await registry.render();
    expect(page).toContain('d_bucket{le="0.1"} 2\n');
    expect(page).toContain('d_bucket{le="1"} 3\n');
    expect(page).toContain('d_bucket{le="+Inf"} 4\n');
    expect(page).toContain("d_sum 2.65\n");
    expect(page).toContain("d_count 4\n");
  });

  test("label sets are bounded: those beyond the bound share one series", async () => {
    const registry = createMetricsRegistry();
    const family = registry.gauge({ name: "g", help: "G.", labels: ["id"], maxSeries: 2 });
    for (const id of ["a", "b", "c", "d"]) family.labels(id).inc();
    const page = await registry.render();
    expect(page.match(/^g\{/gm)).toHaveLength(3);
    expect(page).toContain('g{id="other"} 2\n');
  });

  test("a removed series is shown no more", async () => {
    const registry = createMetricsRegistry();
    const family = registry.gauge({ name: "g", help: "G.", labels: ["id"] });
    family.labels("a").set(1);
    family.remove("a");
    expect(await registry.render()).not.toContain('id="a"');
  });

  test("a metric without labels is shown as zero before its first use", async () => {
    const registry = createMetricsRegistry();
    registry.counter({ name: "c", help: "C." });
    expect(await registry.render()).toContain("c 0\n");
  });

  test("collectors run before each exposition", async () => {
    const registry = createMetricsRegistry();
    const gauge = registry.gauge({ name: "g", help: "G." }).labels();
    registry.onCollect(() => gauge.inc());
    await registry.render();
    expect(await registry.render()).toContain("g 2\n");
  });

  test("values that no label can have are one series, which can be dropped", async () => {
    const registry = createMetricsRegistry();
    const family = registry.gauge({ name: "g", help: "G.", labels: ["a", "b"] });
    family.labels("x".repeat(256), "1").set(1);
    family.labels("x".repeat(257), "1").set(2);
    family.labels("x\ny", "1").inc();
    expect(await registry.render()).toContain('g{a="other",b="1"} 3\n');
    expect((await registry.render()).split("\n").filter((line) => line.startsWith("g{"))).toHaveLength(2);
    family.remove("z".repeat(300), "1");
    expect(await registry.render()).not.toContain("other");
  });

  test("a wrong number of label values is refused", () => {
    const family = createMetricsRegistry().counter({ name: "c", help: "C.", labels: ["a", "b"] });
    expect(() => family.labels("x")).toThrow("got 1 label values, want 2");
  });
});
