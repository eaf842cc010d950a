import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { until } from "../../playground/until.ts";
import { createLogger, silentLogger } from "../../telemetry/log.ts";
import { readEndpointFile } from "./endpoint-file.ts";
import { EndpointStore } from "./endpoint-store.ts";
import { startFileDiscovery } from "./file-discovery.ts";

const entry = (name: string, address: string, port: unknown = "8000"): object => ({ name, address, port });
const file = (...endpoints: readonly object[]): string => JSON.stringify({ endpoints });

describe("reading", () => {
  test("YAML with labels; the last of one name counts", () => {
    const text = `endpoints:
- {name: a, address: 10.0.0.1, port: "8000", labels: {app: x}}
- {name: a, namespace: other, address: 10.0.0.2, port: "8000"}
- {name: a, address: 10.0.0.3, port: "8001"}`;
    const { endpoints, problems } = readEndpointFile(text, "cluster");
    expect(problems).toEqual([]);
    expect(endpoints.map(({ namespace, hostPort }) => `${namespace} ${hostPort}`)).toEqual([
      "default 10.0.0.3:8001",
      "other 10.0.0.2:8000",
    ]);
  });

  test.each([
    [{ address: "10.0.0.1", port: "1" }, ".name"],
    [entry("a", "fd00::1"), ".address"],
    [entry("a", "host.example"), ".address"],
    [entry("a", "10.0.0.1", "0"), ".port"],
    [entry("a", "10.0.0.1", "65536"), ".port"],
    [entry("a", "10.0.0.1", "0x10"), ".port"],
    [{ ...entry("a", "10.0.0.1"), labels: { x: 1 } }, ".labels"],
  ])("%j is refused, the good one beside it is kept", (bad, field) => {
    const { endpoints, problems } = readEndpointFile(file(entry("good", "10.0.0.9"), bad), "cluster");
    expect(endpoints.map(({ name }) => name)).toEqual(["good"]);
    expect(problems).toEqual([expect.stringContaining(`endpoints[1]${field}`)]);
  });

  test("host names, IPv6 and a place of metrics across clusters", () => {
    const labels = { metricsAddress: "metrics.example", metricsPort: "9090" };
    const text = file(entry("a", "fd00::1"), { ...entry("b", "epp.example"), labels });
    const { endpoints, problems } = readEndpointFile(text, "multicluster");
    expect(problems).toEqual([]);
    expect(endpoints.map(({ hostPort, metricsHost }) => [hostPort, metricsHost])).toEqual([
      ["[fd00::1]:8000", "[fd00::1]:8000"],
      ["epp.example:8000", "metrics.example:9090"],
    ]);
  });

  test.each([["{{"], ["[]"], ['{"endpoints": 1}'], ["x".repeat(1024 * 1024 + 1)]])(
    "%.10s is no endpoint file",
    (text) => {
      expect(readEndpointFile(text, "cluster").problems).toHaveLength(1);
    },
  );
});

describe("following", () => {
  let folder = "";
  const closers: (() => Promise<void>)[] = [];
  beforeEach(() => void (folder = mkdtempSync(join(tmpdir(), "endpoints-"))));
  afterEach(async () => {
    for (const close of closers.splice(0)) await close();
    rmSync(folder, { recursive: true });
  });

  const names = (store: EndpointStore): string[] => Array.from(store.slots(), (slot) => store.metadata(slot).name);

  test("a bad first file is an error", () => {
    writeFileSync(join(folder, "f"), file(entry("a", "nowhere")));
    const source = { path: join(folder, "f"), watchFile: false, kind: "cluster" } as const;
    expect(() => startFileDiscovery(source, new EndpointStore(), silentLogger)).toThrow(".address");
  });

  test("replacing by rename and by swapped link; a bad file changes nothing", async () => {
    const path = join(folder, "current");
    writeFileSync(join(folder, "1"), file(entry("a", "10.0.0.1")));
    symlinkSync("1", path);
    const store = new EndpointStore();
    const lines: string[] = [];
    const logger = createLogger({ write: (text) => void lines.push(text) });
    const seen = (text: string): Promise<true> => until(text, () => lines.join("").includes(text), { pollMs: 10 });
    const discovery = startFileDiscovery({ path, watchFile: true, kind: "cluster" }, store, logger);
    closers.push(() => discovery.close());
    expect(names(store)).toEqual(["a"]);
    writeFileSync(join(folder, "2"), file(entry("b", "10.0.0.2"), entry("c", "10.0.0.3")));
    symlinkSync("2", join(folder, "next"));
    renameSync(join(folder, "next"), path);
    await seen("endpoints of the file changed");
    expect(names(store)).toEqual(["b", "c"]);
    writeFileSync(join(folder, "3"), "endpoints: [{}]");
    renameSync(join(folder, "3"), path);
    await seen("the last good one stays in use");
    expect(names(store)).toEqual(["b", "c"]);
  });
});
