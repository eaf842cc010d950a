import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { jsonLine, startNode } from "../../bench/support/child.ts";
import { startFleet } from "../../bench/support/fleet.ts";

const MAIN = new URL("../../cmd/scheduler/main.ts", import.meta.url).pathname;
const MODULE = `export default ({ definePlugin, object }) =>
  definePlugin({ type: "own-scorer", kinds: ["scorer"], stability: "beta", description: "x.", parameters: object({}),
    create: () => ({ score: (_cycle, _slots, _count, scores) => void (scores[0] = 1) }) });`;

const config = (type: string): string =>
  JSON.stringify({ apiVersion: "llm-d.ai/v1alpha1", kind: "EndpointPickerConfig", plugins: [{ type }] });

interface Page {
  readonly config: { readonly plugins: readonly { readonly type: string }[] };
  readonly lastLoad: { readonly successful: boolean; readonly errors: readonly string[] };
}

test("a changed configuration is in effect within a second; a bad one is told and changes nothing", async () => {
  const folder = mkdtempSync(join(tmpdir(), "reload-"));
  const file = join(folder, "config.yaml");
  const write = (text: string): void => {
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  };
  write(config("queue-scorer"));
  writeFileSync(join(folder, "own.ts"), MODULE);
  const fleet = await startFleet(2, folder);
  const flags = [`--config-file=${file}`, `--plugin-module=${join(folder, "own.ts")}`, "--pool-name", fleet.poolName];
  const ports = ["--secure-serving=false", "--grpc-port=0", "--grpc-health-port=0", "--metrics-port=0"];
  const child = startNode(["--no-warnings", MAIN, ...flags, ...ports, "--drain-timeout=0s"], {
    KUBECONFIG: fleet.kubeconfig,
    LLMISVC_BIND_ADDRESS: "127.0.0.1",
  });
  try {
    const told = (message: string): Promise<Record<string, unknown>> =>
      child.line((line) => {
        const entry = jsonLine(line);
        return entry?.["msg"] === message ? (entry as Record<string, unknown>) : undefined;
      });
    const { metrics } = await told("listening");
    const get = async (path: string): Promise<Response> => await fetch(`http://127.0.0.1:${String(metrics)}${path}`);
    const page = async (): Promise<Page> => (await (await get("/config")).json()) as Page;
    const first = async (): Promise<string | undefined> => (await page()).config.plugins[0]?.type;
    expect(await first()).toBe("queue-scorer");

    const writtenAtMs = performance.now();
    write(config("own-scorer"));
    await told("configuration reloaded");
    expect(performance.now() - writtenAtMs).toBeLessThan(1000);
    expect(await first()).toBe("own-scorer");

    write(config("own-scorrer"));
    await told("cannot use the changed configuration; the last good one stays in use");
    expect(await first()).toBe("own-scorer");
    expect((await page()).lastLoad).toMatchObject({
      successful: false,
      errors: [expect.stringContaining('did you mean "own-scorer"?')],
    });
    const counted = await (await get("/metrics")).text();
    expect(counted).toContain('endpoint_picker_config_loads_total{outcome="success"} 2');
    expect(counted).toContain('endpoint_picker_config_loads_total{outcome="failure"} 1');
  } finally {
    await child.stop();
    await fleet.close();
    rmSync(folder, { recursive: true });
  }
});
