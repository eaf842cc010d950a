import { describe, expect, test } from "@jest/globals";
import { parseSidecarFlags } from "./options.ts";

const noFile = (): string => {
  throw new Error("no such file");
};
const parse = (args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
  parseSidecarFlags(args, env, noFile);

test("defaults", () => {
  const { options, errors, warnings } = parse([]);
  expect([errors, warnings]).toEqual([[], []]);
  expect(options).toMatchObject({
    port: 8000,
    modelServerPort: 8200,
    dataParallelSize: 1,
    kvConnector: "nixlv2",
    ecConnector: "",
    mooncakeBootstrapPort: 8998,
    sglangBootstrapPort: 8998,
    p2pConnectorPort: 7777,
    secureProxy: true,
    ssrfProtection: false,
    maxIdlePerHost: 1024,
    prefillRetries: 0,
    prefillBackoffMs: 200,
    prefillFallback: "local",
    metricsPort: 0,
    tracing: false,
  });
});

test("the arguments of the presets, empty ones included", () => {
  const args = [
    "--port=8000",
    "--vllm-port=8001",
    "--kv-connector=nixlv2",
    "--enable-ssrf-protection=true",
    "--pool-group=inference.networking.x-k8s.io",
    "--inference-pool=ns1/llama-inference-pool",
    "--secure-proxy=true",
    "--cert-path=/var/run/kserve/tls",
    "--enable-tls=decoder",
    "--enable-tls=prefiller",
    "",
  ];
  const { options, errors, warnings } = parse(args, { INFERENCE_POOL_NAMESPACE: "ns1", INFERENCE_POOL_NAME: "other" });
  expect(errors).toEqual([]);
  expect(warnings).toEqual(["--vllm-port is deprecated: use --model-server-port"]);
  expect(options).toMatchObject({
    modelServerPort: 8001,
    ssrfProtection: true,
    pool: { namespace: "ns1", name: "llama-inference-pool", group: "inference.networking.x-k8s.io" },
    certPath: "/var/run/kserve/tls",
    tlsStages: new Set(["decoder", "prefiller"]),
    unverifiedStages: new Set(),
  });
});

test("the spellings of the first releases", () => {
  const { options, errors, warnings } = parse(
    [
      "--connector=lmcache",
      "--prefiller-use-tls",
      "--decoder-use-tls=true",
      "--prefiller-tls-insecure-skip-verify=true",
      "--decoder-tls-insecure-skip-verify",
      "--inference-pool-name=p",
      "--inference-pool-namespace=n",
    ],
    {},
  );
  expect(errors).toEqual([]);
  expect(warnings).toHaveLength(7);
  expect(options).toMatchObject({
    kvConnector: "lmcache",
    tlsStages: new Set(["prefiller", "decoder"]),
    unverifiedStages: new Set(["prefiller", "decoder"]),
    pool: { namespace: "n", name: "p" },
  });
});

describe("environment", () => {
  test.each([
    [{ MOONCAKE_BOOTSTRAP_PORT: "1" }, { mooncakeBootstrapPort: 1 }],
    [{ SGLANG_BOOTSTRAP_PORT: "2" }, { sglangBootstrapPort: 2 }],
    [{ P2P_CONNECTOR_PORT: "3" }, { p2pConnectorPort: 3 }],
    [{ ENABLE_PREFILLER_SAMPLING: "true" }, { prefillerSampling: true }],
    [{ INFERENCE_POOL: "n/p" }, { pool: { namespace: "n", name: "p", group: "inference.networking.k8s.io" } }],
    [{ INFERENCE_POOL: "p" }, { pool: { namespace: "default", name: "p", group: "inference.networking.k8s.io" } }],
    [{ INFERENCE_POOL_NAME: "p", INFERENCE_POOL_NAMESPACE: "n" }, { pool: { namespace: "n", name: "p" } }],
    [{ POD_IP: "10.0.0.1" }, { podIp: "10.0.0.1" }],
  ])("%j", (env, expected) => {
    const { options, errors } = parse([], env as Record<string, string>);
    expect(errors).toEqual([]);
    expect(options).toMatchObject(expected);
  });

  test("a flag wins", () => {
    expect(parse(["--p2p-connector-port=9"], { P2P_CONNECTOR_PORT: "3" }).options.p2pConnectorPort).toBe(9);
  });
});

describe("configuration", () => {
  const yaml = "port: 9000\nkv-connector: sglang\nenable-tls: [prefiller, decoder]\nsecure-proxy: false\n";

  test("as text, beneath the flags", () => {
    const { options, errors } = parse(["--configuration", yaml, "--port=9001"]);
    expect(errors).toEqual([]);
    expect(options).toMatchObject({
      port: 9001,
      kvConnector: "sglang",
      secureProxy: false,
      tlsStages: new Set(["prefiller", "decoder"]),
    });
  });

  test("as a file", () => {
    const { options, errors } = parseSidecarFlags(["--configuration-file=/c"], {}, (path) =>
      path === "/c" ? yaml : "",
    );
    expect([errors, options.port]).toEqual([[], 9000]);
  });

  test.each([
    ["prot: 1", /--configuration: prot: unknown flag/],
    ["configuration-file: x", /configuration-file: cannot be set here/],
    ["port: {a: 1}", /port: invalid value/],
    ["- a", /is no mapping/],
    ["a: [", /mend the YAML/],
  ])("%j is refused", (text, message) => {
    expect(parse(["--configuration", text]).errors.join("\n")).toMatch(message);
  });

  test("a file that cannot be read is told", () => {
    expect(parse(["--configuration-file=/c"]).errors).toEqual([
      "--configuration-file: no such file; name a file that can be read",
    ]);
  });
});

describe("errors", () => {
  test.each([
    [["--kv-connector=nixl"], /--kv-connector: invalid value "nixl"; write one of nixlv2, /],
    [["--ec-connector=x"], /--ec-connector: invalid value "x"; write one of "", ec-example, ec-nixl/],
    [["--enable-tls=prefill"], /--enable-tls: invalid value "prefill"; write one of prefiller, decoder, encoder/],
    [["--enable-ssrf-protection"], /needs a pool/],
    [["--inference-pool=a/b/c"], /--inference-pool: invalid value "a\/b\/c"/],
    [["--pool-group=x"], /--pool-group: invalid value/],
    [["--port=0"], /--port: invalid value 0/],
    [["--port=x"], /--port: invalid value "x"/],
    [["--data-parallel-size=0"], /--data-parallel-size: invalid value 0/],
    [["--port=8000", "--model-server-port=8001", "--data-parallel-size=2"], /--model-server-port: 8001/],
    [["--moriio-write-mode"], /MoRI-IO is not supported/],
    [["--enable-p2p-pull", "--kv-connector=sglang"], /--enable-p2p-pull works with nixlv2/],
    [["--prefill-fallback=maybe"], /write one of local, none/],
  ])("%j", (args, message) => {
    expect(parse(args).errors.join("\n")).toMatch(message);
  });

  test("all at once", () => {
    expect(parse(["--port=x", "--kv-connector=y", "--nope"]).errors).toHaveLength(3);
  });
});

test("letters of a short flag that changed places are a slip", () => {
  expect(parseSidecarFlags(["--prot=8000"], {}, () => "").errors).toEqual([
    "--prot: unknown flag; did you mean --port?",
  ]);
});
