import type { FlagNotes, FlagTable } from "../../flags/flags.ts";
import { LOG_FLAGS } from "../../flags/verbosity.ts";

/** Flags of MoRI-IO's write mode, which only say that it is wanted. */
export const MORIIO_FLAGS: FlagTable = {
  "moriio-write-mode": ["bool", "not supported"],
  "moriio-decode-notify-port": ["int", "not supported"],
  "moriio-decode-handshake-port": ["int", "not supported"],
  "moriio-local-pod-ip": ["text", "not supported"],
  "moriio-parallel-dispatch": ["bool", "not supported"],
  "moriio-parallel-decode-wait-timeout": ["duration", "not supported"],
  "moriio-prefill-handshake-port": ["int", "not supported"],
  "moriio-prefill-notify-port": ["int", "not supported"],
  "moriio-tp-size": ["int", "not supported"],
  "moriio-dp-size": ["int", "not supported"],
  "moriio-dp-size-local": ["int", "not supported"],
  "moriio-remote-hosts": ["list", "not supported"],
  "moriio-decode-hosts": ["list", "not supported"],
};

/** Every flag of llm-d's routing sidecars from v0.2 to v0.10, and a few of our own. */
export const FLAGS: FlagTable = {
  port: ["int", "port that clients are served on (default 8000)"],
  "model-server-port": ["int", "port of the model server in this pod (default 8200)"],
  "data-parallel-size": [
    "int",
    "ranks in this pod: rank r is served on port+r and runs on model-server-port+r (default 1)",
  ],
  "kv-connector": ["text", "nixlv2, shared-storage, lmcache, sglang, mooncake or offloading (default nixlv2)"],
  "ec-connector": ["text", "ec-example or ec-nixl: images, video and audio are encoded by other pods"],
  "prefill-fallback": [
    "text",
    "local: the decode pod computes the prompt where the prefill pod cannot; none (default local)",
  ],
  "prefill-max-retries": ["int", "further tries of prefill after 502, 503 and 504 (default 0)"],
  "prefill-retry-backoff": ["duration", "time between two tries (default 200ms)"],
  "enable-prefiller-sampling": [
    "bool",
    "any of several prefill pods in place of the first (default $ENABLE_PREFILLER_SAMPLING)",
  ],
  "decode-chunk-size": ["int", "tokens that the engine is asked for at once, for chat completions; 0: all (default 0)"],
  "mooncake-bootstrap-port": [
    "int",
    "port of Mooncake's bootstrap server (default $MOONCAKE_BOOTSTRAP_PORT, then 8998)",
  ],
  "p2p-connector-port": ["int", "port that blocks are pulled from (default $P2P_CONNECTOR_PORT, then 7777)"],
  "enable-p2p-pull": ["bool", "have cached blocks pulled from the pod that the scheduler names; with nixlv2"],
  "secure-proxy": ["bool", "serve clients by TLS (default true)"],
  "cert-path": ["text", "folder of tls.crt and tls.key, followed while running (default: a self-signed certificate)"],
  "enable-tls": ["list", "of prefiller, decoder, encoder: servers that are spoken to by TLS"],
  "tls-insecure-skip-verify": ["list", "of prefiller, decoder, encoder: servers whose certificate may be any"],
  "enable-ssrf-protection": ["bool", "ask pods of the InferencePool only"],
  "inference-pool": ["text", "that pool, as NAMESPACE/NAME (default $INFERENCE_POOL)"],
  "pool-group": ["text", "API group of the pool that is read first (default inference.networking.k8s.io)"],
  "max-request-body-size": ["bytes", "largest body of a divided request, refused with 413 beyond (default 64MiB)"],
  "max-idle-conns-per-host": ["int", "connections to one server that are kept for later requests (default 1024)"],
  "metrics-port": ["int", "port of metrics; 0: none (default 0)"],
  tracing: ["bool", "spans, where an OTLP endpoint or exporter is configured"],
  ...LOG_FLAGS,
  configuration: ["text", "flags as YAML text, by name"],
  "configuration-file": ["text", "flags as a YAML file, by name"],
  version: ["bool", "print the version"],
  "vllm-port": ["int", "port of the model server"],
  connector: ["text", "nixlv2, lmcache or sglang"],
  "prefiller-use-tls": ["bool", "TLS to prefill pods"],
  "decoder-use-tls": ["bool", "TLS to the model server"],
  "prefiller-tls-insecure-skip-verify": ["bool", "any certificate of prefill pods"],
  "decoder-tls-insecure-skip-verify": ["bool", "any certificate of the model server"],
  "inference-pool-name": ["text", "name of the pool (default $INFERENCE_POOL_NAME)"],
  "inference-pool-namespace": ["text", "namespace of the pool (default $INFERENCE_POOL_NAMESPACE)"],
  ...MORIIO_FLAGS,
};

/** Former names of flags that have another one now. */
export const RENAMED: Readonly<Record<string, string>> = {
  "vllm-port": "model-server-port",
  connector: "kv-connector",
};

/** What the flags of former releases are replaced by. */
export const NOTES: FlagNotes = {
  deprecated: {
    "vllm-port": "--model-server-port",
    connector: "--kv-connector",
    "prefiller-use-tls": "--enable-tls=prefiller",
    "decoder-use-tls": "--enable-tls=decoder",
    "prefiller-tls-insecure-skip-verify": "--tls-insecure-skip-verify=prefiller",
    "decoder-tls-insecure-skip-verify": "--tls-insecure-skip-verify=decoder",
    "inference-pool-name": "--inference-pool=NAMESPACE/NAME",
    "inference-pool-namespace": "--inference-pool=NAMESPACE/NAME",
  },
  withoutEffect: {},
};

/** Booleans as the environment writes them; empty is false. */
export const SWITCHES: ReadonlyMap<string, boolean> = new Map([
  ["true", true],
  ["1", true],
  ["t", true],
  ["false", false],
  ["0", false],
  ["f", false],
  ["", false],
]);
