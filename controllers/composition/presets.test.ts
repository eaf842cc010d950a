import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { Json } from "../../crds/schema/types.ts";
import { parseYaml } from "../../kube/yaml.ts";
import { composeInput, serviceOf } from "../../test/composition.ts";
import { compose } from "./compose.ts";
import { checkConfig } from "./config-check.ts";
import { type GlobalConfig, defaultGlobalConfig } from "./global-config.ts";
import { at, isObject, listAt } from "../../crds/json.ts";
import { wellKnownConfigs } from "./presets.ts";

const PLAIN = defaultGlobalConfig("kserve");
const TLS: GlobalConfig = { ...PLAIN, ingress: { ...PLAIN.ingress, enableTls: true } };

const specs = wellKnownConfigs().map(({ metadata, spec }) => [metadata.name, spec as Json] as const);

describe("the preset set", () => {
  test("has KServe's eleven names and the three of pipeline parallelism", () => {
    expect(specs.map(([name]) => name.replace("kserve-config-llm-", "")).sort()).toEqual([
      "decode-template",
      "decode-worker-data-parallel",
      "decode-worker-pipeline-parallel",
      "prefill-template",
      "prefill-worker-data-parallel",
      "prefill-worker-pipeline-parallel",
      "router-route",
      "scheduler",
      "scheduler-latency-predictor",
      "template",
      "tokenizer",
      "tracing",
      "worker-data-parallel",
      "worker-pipeline-parallel",
    ]);
  });

  test.each(specs)("%s passes its own admission check", (name, spec) => {
    const errors = isObject(spec) ? checkConfig(spec, "kserve", TLS) : [];
    // The sample has no pipeline parallelism in its decoding part: `<nil>` is not read by any preset of another shape.
    expect([name, errors]).toEqual([name, []]);
  });

  test("runs this version's scheduler, unless told otherwise", () => {
    const version: unknown = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")).version;
    const image = (images: Readonly<Record<string, string>>): Json | undefined => {
      const [scheduler] = wellKnownConfigs({ images, prefix: "p-", namespace: "ops" }).filter(
        ({ metadata }) => metadata.name === "p-config-llm-scheduler" && metadata.namespace === "ops",
      );
      return at(listAt(scheduler?.["spec"] as Json, "router", "scheduler", "template", "containers")[0], "image");
    };
    expect(image({})).toBe(`llmisvc-scheduler:${String(version)}`);
    expect(image({ "llmisvc-scheduler": "registry/own:1" })).toBe("registry/own:1");
  });
});

let folder = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "presets-"));
  const engine = join(folder, "vllm");
  writeFileSync(
    engine,
    '#!/bin/bash\nif [ "$1" = --version ]; then printf "INFO loading\\nvLLM %s\\n" "$FAKE_VERSION"; else printf "%s\\n" "$@"; env >&2; fi\n',
  );
  chmodSync(engine, 0o755);
});

afterAll(() => {
  rmSync(folder, { recursive: true });
});

interface Start {
  readonly spec: string;
  readonly part?: "template" | "worker" | "prefill";
  readonly global?: GlobalConfig;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly edit?: (script: string) => string;
}

function commandOf({ spec, part = "template", global = PLAIN }: Start): readonly string[] {
  const service = serviceOf({ metadata: { name: "demo" }, spec: parseYaml(spec) }, "ns1");
  const result = compose(composeInput(service, { options: { global } }));
  if (result.kind === "failed") throw new Error(result.message);
  const pod = part === "prefill" ? at(result.spec, "prefill", "template") : at(result.spec, part);
  return listAt(listAt(pod, "containers")[0], "command").map(String);
}

/** The engine's arguments, one a line, when the container of that part starts. */
function started(start: Start): readonly string[] {
  const [shell = "", flag = "", script = "", ...rest] = commandOf(start);
  const text = start.edit === undefined ? script : start.edit(script);
  const output = execFileSync(shell, [flag, text, ...rest, ...(start.args ?? [])], {
    env: { PATH: `${folder}:/usr/bin:/bin`, FAKE_VERSION: "0.23.1", ...start.env },
    stdio: ["ignore", "pipe", "ignore"],
    encoding: "utf8",
  });
  return output.trimEnd().split("\n");
}

const MODEL = "model: {uri: 'hf://a/b', name: a/b}";
const words = (text: string): string[] => text.split(" ");
const ACCESS = words("--disable-access-log-for-endpoints /health,/metrics,/ping");

describe("start scripts", () => {
  test("single node", () => {
    expect(started({ spec: `{${MODEL}, parallelism: {tensor: 2}}` })).toEqual([
      ...words("serve /mnt/models --served-model-name a/b publishers/ns1/models/a/b --port 8000"),
      ...words("--tensor-parallel-size 2"),
      ...ACCESS,
      ...words("--shutdown-timeout 40"),
    ]);
  });

  test("a decoding server listens behind the sidecar, a prefill server does not", () => {
    const spec = `{${MODEL}, template: {terminationGracePeriodSeconds: 120}, prefill: {parallelism: {tensor: 4}}}`;
    expect(started({ spec })).toEqual(expect.arrayContaining(["8001", "100"]));
    expect(started({ spec, part: "prefill" })).toEqual(
      expect.arrayContaining(["8000", "40", "--tensor-parallel-size", "4"]),
    );
  });

  test("older engines do not get newer flags", () => {
    const spec = `{${MODEL}, kvCacheOffloading: {cpu: 10Gi}}`;
    expect(started({ spec, env: { FAKE_VERSION: "0.17.2" } }).slice(7)).toEqual(ACCESS);
    expect(started({ spec, env: { FAKE_VERSION: "0.9.1" } }).slice(7)).toEqual(["--disable-uvicorn-access-log"]);
    expect(started({ spec, env: { FAKE_VERSION: "" } }).slice(7)).toEqual(["--disable-uvicorn-access-log"]);
  });

  test("KV cache offloading, unless the user configures the transfer", () => {
    const spec = `{${MODEL}, kvCacheOffloading: {cpu: 10Gi, secondary: [{fileSystem: {emptyDir: {size: 1Gi}}}]}}`;
    const config = started({ spec }).at(-1) ?? "";
    expect(JSON.parse(config)).toEqual({
      kv_connector: "OffloadingConnector",
      kv_connector_extra_config: {
        cpu_bytes_to_use: 10_737_418_240,
        eviction_policy: "lru",
        secondary_tiers: [{ root_dir: "/mnt/kv-cache-0", type: "fs" }],
        spec_name: "TieringOffloadingSpec",
      },
      kv_role: "kv_both",
    });
    const own = started({ spec, args: ["--kv-transfer-config", `'{"kv_connector":"x"}'`] });
    expect(own.slice(-2)).toEqual(["--kv-transfer-config", '{"kv_connector":"x"}']);
    expect(own.filter((word) => word.startsWith("--kv"))).toHaveLength(1);
  });

  test("additional arguments are words of a shell: quotes group, line breaks separate", () => {
    const env = { VLLM_ADDITIONAL_ARGS: `--max-model-len 10\n--kv_transfer_config '{"a": "b c"}'` };
    const given = started({ spec: `{${MODEL}}`, env, args: ["--lora-modules", `'{"name":"x y"}'`, "--seed 1"] });
    expect(given.slice(-8)).toEqual([
      ...words("--max-model-len 10 --kv_transfer_config"),
      '{"a": "b c"}',
      "--lora-modules",
      '{"name":"x y"}',
      ...words("--seed 1"),
    ]);
  });

  test("arguments that no shell can read stop the start with a message", () => {
    expect(() => started({ spec: `{${MODEL}}`, args: ["it's"] })).toThrow();
  });

  test("a model name is never code", () => {
    const name = "a'b$(touch x)`y`\"; exit 9";
    const spec = `{model: {uri: 'hf://a/b', name: ${JSON.stringify(name)}}}`;
    expect(started({ spec })[3]).toBe(name);
    expect(started({ spec })[4]).toBe(`publishers/ns1/models/${name}`);
  });

  test("TLS", () => {
    expect(started({ spec: `{${MODEL}}`, global: TLS })).toEqual(
      expect.arrayContaining([
        "--enable-ssl-refresh",
        "--ssl-certfile",
        "/var/run/kserve/tls/tls.crt",
        "--ssl-keyfile",
      ]),
    );
  });

  test("data parallel groups", () => {
    const spec = `{${MODEL}, parallelism: {data: 8, dataLocal: 4, tensor: 2, expert: true}, worker: {}}`;
    const env = { LWS_LEADER_ADDRESS: "127.0.0.1", LWS_WORKER_INDEX: "1" };
    const common = [
      ...words("--enable-expert-parallel --tensor-parallel-size 2 --data-parallel-size 8"),
      ...words("--data-parallel-size-local 4 --data-parallel-address 127.0.0.1 --data-parallel-rpc-port 5555"),
    ];
    expect(started({ spec, env }).slice(7, -4)).toEqual([
      ...common,
      ...words("--api-server-count 8 --data-parallel-start-rank 0"),
    ]);
    expect(started({ spec, env, part: "worker" }).slice(7, -4)).toEqual([
      ...common,
      ...words("--headless --data-parallel-start-rank 4"),
    ]);
  });

  test("pipeline parallel groups", () => {
    const spec = `{${MODEL}, parallelism: {pipeline: 2, tensor: 8}, worker: {}}`;
    const env = { LWS_LEADER_ADDRESS: "127.0.0.1", LWS_WORKER_INDEX: "1", LWS_GROUP_SIZE: "2" };
    expect(started({ spec, env, part: "worker" }).slice(7, -4)).toEqual([
      ...words("--tensor-parallel-size 8 --pipeline-parallel-size 2 --nnodes 2 --node-rank 1"),
      ...words("--master-addr 127.0.0.1 --headless"),
    ]);
  });

  test("RoCE: active adapters of the wanted type, the most frequent index, 3 in a tie", () => {
    const root = join(folder, "infiniband");
    const adapter = (name: string, state: string, gids: Readonly<Record<string, readonly [string, string]>>): void => {
      mkdirSync(join(root, name, "ports/1/gid_attrs/types"), { recursive: true });
      mkdirSync(join(root, name, "ports/1/gids"), { recursive: true });
      writeFileSync(join(root, name, "ports/1/state"), state);
      for (const [index, [type, gid]] of Object.entries(gids)) {
        writeFileSync(join(root, name, "ports/1/gid_attrs/types", index), type);
        writeFileSync(join(root, name, "ports/1/gids", index), gid);
      }
    };
    adapter("mlx5_0", "4: ACTIVE", { 1: ["RoCE v2", "fe80::1"], 5: ["RoCE v2", "::ffff:0a00:0001"] });
    adapter("mlx5_1", "4: ACTIVE", { 3: ["RoCE v2", "::ffff:0a00:0002"] });
    adapter("mlx5_2", "1: DOWN", { 5: ["RoCE v2", "::ffff:0a00:0003"] });
    adapter("mlx5_3", "4: ACTIVE", { 5: ["IB/RoCE v1", "::ffff:0a00:0004"] });
    const edit = (script: string): string =>
      script.replace("/sys/class/infiniband", root).replace("exec vllm serve", "env; exec vllm serve");
    const settings = started({ spec: `{${MODEL}}`, env: { KSERVE_INFER_ROCE: "true" }, edit });
    expect(settings).toEqual(
      expect.arrayContaining([
        "NCCL_IB_HCA=mlx5_0,mlx5_1",
        "NVSHMEM_HCA_LIST=mlx5_0:1,mlx5_1:1",
        "UCX_NET_DEVICES=mlx5_0:1,mlx5_1:1",
        "NCCL_IB_GID_INDEX=3",
        "UCX_IB_GID_INDEX=3",
      ]),
    );
    const fixed = started({ spec: `{${MODEL}}`, env: { KSERVE_INFER_ROCE: "true", NCCL_IB_GID_INDEX: "7" }, edit });
    expect(fixed).toEqual(expect.arrayContaining(["NCCL_IB_GID_INDEX=7", "NVSHMEM_IB_GID_INDEX=7"]));
  });
});
