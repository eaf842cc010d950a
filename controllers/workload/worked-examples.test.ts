import { describe, expect, test } from "@jest/globals";
import type { JsonObject } from "../../crds/schema/types.ts";
import { type Example, WITH_TLS, containerOf, namesOf, podOf, run, scriptOf } from "../../test/examples.ts";
import { at, listAt, objectAt, textAt } from "../../crds/json.ts";

const ROUTED: JsonObject = { scheduler: {}, route: {}, gateway: {} };
const mounts = (container: JsonObject): string[] =>
  listAt(container, "volumeMounts").map((mount) => {
    const subPath = textAt(mount, "subPath");
    const options = [...(at(mount, "readOnly") === true ? ["ro"] : []), ...(subPath === undefined ? [] : [subPath])];
    return [`${textAt(mount, "name")}→${textAt(mount, "mountPath")}`, ...options].join(" ");
  });

describe("worked examples of workloads", () => {
  test("minimal", () => {
    const { names, child, status } = run({ name: "opt", spec: { model: { uri: "hf://facebook/opt-125m" } } });
    expect(names).toEqual([
      "Deployment opt-kserve",
      "Secret opt-kserve-self-signed-certs",
      "Service opt-kserve-workload-svc",
    ]);
    expect(status["appliedConfigs"]).toEqual([
      { name: "kserve-config-llm-template", namespace: "kserve", source: "Preset" },
    ]);
    expect(Object.keys(objectAt(status, "annotations") ?? {})).toHaveLength(11);
    const deployment = child("Deployment", "opt-kserve");
    const pod = podOf(deployment);
    const main = containerOf(pod);
    expect(objectAt(deployment, "spec")).not.toHaveProperty("replicas");
    expect(scriptOf(main)).toContain("--served-model-name opt publishers/ns1/models/opt");
    expect(scriptOf(main)).not.toMatch(/tensor|ssl-certfile/);
    expect(mounts(main).at(-1)).toBe("kserve-provision-location→/mnt/models ro");
    expect(containerOf(pod, "storage-initializer")).toMatchObject({
      args: ["hf://facebook/opt-125m", "/mnt/models"],
      resources: { requests: { cpu: "100m", memory: "100Mi" }, limits: { cpu: "1", memory: "1Gi" } },
      volumeMounts: [{ name: "kserve-provision-location", mountPath: "/mnt/models" }],
    });
    expect(namesOf(pod["volumes"])).toEqual([
      "home",
      "dshm",
      "model-cache",
      "tmp-dir",
      "tls-certs",
      "kserve-provision-location",
    ]);
    expect(pod).toMatchObject({ terminationGracePeriodSeconds: 60 });
    expect(pod).not.toHaveProperty("serviceAccountName");
    expect(objectAt(child("Service", "opt-kserve-workload-svc"), "spec")).toEqual({
      type: "ClusterIP",
      selector: {
        "app.kubernetes.io/name": "opt",
        "app.kubernetes.io/part-of": "llminferenceservice",
        "kserve.io/component": "workload",
      },
      ports: [{ name: "http", appProtocol: "http", protocol: "TCP", port: 8000, targetPort: 8000 }],
    });
  });

  test("the CPU sample with a scheduler: lists keep Kubernetes' order", () => {
    const name = "facebook-opt-125m-single";
    const main = {
      name: "main",
      image: "docker.io/vllm/vllm-openai-cpu:v0.23.0",
      securityContext: { runAsNonRoot: false },
      env: [
        { name: "VLLM_LOGGING_LEVEL", value: "DEBUG" },
        { name: "VLLM_CPU_KVCACHE_SPACE", value: "1" },
      ],
      livenessProbe: { initialDelaySeconds: 30, periodSeconds: 30, timeoutSeconds: 30, failureThreshold: 5 },
    };
    const model = { uri: "hf://facebook/opt-125m", name: "facebook/opt-125m" };
    const { child } = run({ name, spec: { model, replicas: 1, router: ROUTED, template: { containers: [main] } } });
    const container = containerOf(podOf(child("Deployment", `${name}-kserve`)));
    expect(namesOf(container["env"])).toEqual(["HOME", "VLLM_LOGGING_LEVEL", "VLLM_CPU_KVCACHE_SPACE", "HF_HUB_CACHE"]);
    expect(container["livenessProbe"]).toEqual({
      httpGet: { path: "/health", port: 8000, scheme: "HTTP" },
      initialDelaySeconds: 30,
      periodSeconds: 30,
      timeoutSeconds: 30,
      failureThreshold: 5,
    });
    expect(container["securityContext"]).toMatchObject({ runAsNonRoot: false, allowPrivilegeEscalation: false });
    const scheduler = child("Deployment", `${name}-kserve-router-scheduler`);
    expect(objectAt(scheduler, "spec")).toMatchObject({ strategy: { type: "Recreate" } });
    const ports = listAt(child("Service", `${name}-epp-service`), "spec", "ports");
    expect(namesOf([...ports])).toEqual(["grpc", "grpc-health", "metrics", "zmq"]);
    expect(objectAt(child("InferencePool", `${name}-inference-pool`), "spec")).toMatchObject({
      targetPorts: [{ number: 8000 }],
      endpointPickerRef: { name: `${name}-epp-service`, port: { number: 9002 }, failureMode: "FailOpen" },
    });
  });

  test("prefill and decode on single nodes, TLS on", () => {
    const { names, child } = run({
      name: "llama",
      global: WITH_TLS,
      spec: {
        model: { uri: "hf://meta-llama/Llama-3.1-8B-Instruct", name: "meta-llama/Llama-3.1-8B-Instruct" },
        replicas: 1,
        parallelism: { tensor: 2 },
        prefill: { replicas: 2, parallelism: { tensor: 1 } },
        router: ROUTED,
      },
    });
    expect(names).toEqual(
      expect.arrayContaining(["ServiceAccount llama-kserve", "Role llama-kserve-role", "RoleBinding llama-kserve-rb"]),
    );
    const pod = podOf(child("Deployment", "llama-kserve"));
    expect(pod).toMatchObject({ serviceAccountName: "llama-kserve" });
    expect(namesOf(pod["initContainers"])).toEqual(["llm-d-routing-sidecar", "storage-initializer"]);
    const sidecar = containerOf(pod, "llm-d-routing-sidecar");
    expect(sidecar["command"]).toEqual([
      "/app/pd-sidecar",
      "--port=8000",
      "--vllm-port=8001",
      "--kv-connector=nixlv2",
      "--enable-ssrf-protection=true",
      "--pool-group=inference.networking.k8s.io",
      "--inference-pool=ns1/llama-inference-pool",
      "--secure-proxy=true",
      "--cert-path=/var/run/kserve/tls",
      "--enable-tls=decoder",
      "--enable-tls=prefiller",
    ]);
    expect(namesOf(sidecar["env"])).toEqual(["INFERENCE_POOL_NAMESPACE", "SSL_CERT_DIR", "INFERENCE_POOL_NAME"]);
    expect(sidecar["readinessProbe"]).toMatchObject({ httpGet: { port: 8000, scheme: "HTTPS" } });
    const main = containerOf(pod);
    expect(main["ports"]).toEqual([{ containerPort: 8001, protocol: "TCP" }]);
    expect(main["readinessProbe"]).toMatchObject({ httpGet: { port: 8001, scheme: "HTTPS" } });
    expect(scriptOf(main)).toContain("--tensor-parallel-size 2");
    const prefill = child("Deployment", "llama-kserve-prefill");
    expect(objectAt(prefill, "spec")).toMatchObject({
      replicas: 2,
      template: { metadata: { labels: { "llm-d.ai/role": "prefill" } } },
    });
    expect(podOf(prefill)).not.toHaveProperty("serviceAccountName");
    expect(scriptOf(containerOf(podOf(prefill)))).toContain("--tensor-parallel-size 1");
    expect(listAt(child("Service", "llama-kserve-workload-svc"), "spec", "ports")).toMatchObject([{ name: "https" }]);
  });

  test("LoRA adapters, KV-cache tiers and tracing", () => {
    const { child } = run({
      name: "sql",
      spec: {
        model: {
          uri: "pvc://models/qwen",
          name: "qwen",
          lora: {
            maxRank: 64,
            adapters: [
              { name: "sql", uri: "hf://acme/sql-lora" },
              { name: "chat", uri: "hf://acme/chat-lora" },
            ],
          },
        },
        kvCacheOffloading: {
          cpu: "10Gi",
          secondary: [
            { fileSystem: { emptyDir: { size: "100Gi" } } },
            { fileSystem: { pvc: { ref: { name: "shared", path: "kv" } } } },
          ],
        },
        tracing: {},
        template: { containers: [{ name: "main", args: ["--max-model-len", "4096"] }] },
      },
    });
    const pod = podOf(child("Deployment", "sql-kserve"));
    const main = containerOf(pod);
    const module = (name: string, folder: string): string => `'{"name":"${name}","path":"/mnt/lora/${folder}"}'`;
    expect(main["args"]).toEqual([
      "--enable-lora",
      "--max-lora-rank=64",
      "--lora-modules",
      module("chat", "chat"),
      module("publishers/ns1/models/chat", "chat"),
      module("sql", "sql"),
      module("publishers/ns1/models/sql", "sql"),
      "--max-model-len",
      "4096",
      "--otlp-traces-endpoint",
      "http://otel-collector:4317",
      "--collect-detailed-traces",
      "all",
    ]);
    expect(scriptOf(main)).toContain(
      String.raw`--kv-transfer-config '{\"kv_connector\":\"OffloadingConnector\",\"kv_connector_extra_config\":{\"cpu_bytes_to_use\":10737418240,\"eviction_policy\":\"lru\",\"secondary_tiers\":[{\"root_dir\":\"/mnt/kv-cache-0\",\"type\":\"fs\"},{\"root_dir\":\"/mnt/kv-cache-1\",\"type\":\"fs\"}],\"spec_name\":\"TieringOffloadingSpec\"},\"kv_role\":\"kv_both\"}'`,
    );
    expect(mounts(main).slice(-5)).toEqual([
      "kserve-pvc-source→/mnt/models ro qwen",
      "kserve-lora-location→/mnt/lora/chat ro chat",
      "kserve-lora-location→/mnt/lora/sql ro sql",
      "kv-cache-secondary-0→/mnt/kv-cache-0",
      "kv-cache-secondary-1→/mnt/kv-cache-1 kv",
    ]);
    expect(listAt(pod, "volumes").slice(-4)).toEqual([
      { name: "kserve-pvc-source", persistentVolumeClaim: { claimName: "models" } },
      { name: "kserve-lora-location", emptyDir: {} },
      { name: "kv-cache-secondary-0", emptyDir: { sizeLimit: "100Gi" } },
      { name: "kv-cache-secondary-1", persistentVolumeClaim: { claimName: "shared" } },
    ]);
    expect(objectAt(main, "resources", "requests")).toEqual({ "ephemeral-storage": "100Gi" });
    expect(containerOf(pod, "storage-initializer")["args"]).toEqual([
      "hf://acme/chat-lora",
      "/mnt/lora/chat",
      "hf://acme/sql-lora",
      "/mnt/lora/sql",
    ]);
    expect(namesOf(main["env"]).slice(-8)).toEqual([
      "OTEL_SERVICE_NAME",
      "OTEL_EXPORTER_OTLP_ENDPOINT",
      "OTEL_TRACES_EXPORTER",
      "OTEL_TRACES_SAMPLER",
      "OTEL_TRACES_SAMPLER_ARG",
      "OTEL_RESOURCE_ATTRIBUTES_NODE_NAME",
      "OTEL_RESOURCE_ATTRIBUTES_POD_NAME",
      "OTEL_RESOURCE_ATTRIBUTES",
    ]);
  });

  const OCI: Example = {
    name: "oci",
    labels: { "kueue.x-k8s.io/queue-name": "gpu" },
    annotations: {
      "serving.kserve.io/exp-dra-device-class": "gpu.nvidia.com",
      "serving.kserve.io/exp-dra-device-count": "2",
      "serving.kserve.io/exp-dra-container-name": "main",
    },
    spec: {
      model: { uri: "oci://quay.io/acme/qwen:1" },
      replicas: 3,
      rolloutStrategy: { maxSurge: 0, maxUnavailable: 1 },
    },
  };

  test("a model in an image, Kueue, claimed devices, rollout", () => {
    const { child } = run(OCI);
    expect(objectAt(child("ResourceClaimTemplate", "oci-managed-dra"), "spec", "spec", "devices")).toEqual({
      requests: [{ name: "device", exactly: { deviceClassName: "gpu.nvidia.com", count: 2 } }],
    });
    const deployment = child("Deployment", "oci-kserve");
    expect(deployment).toMatchObject({
      metadata: { labels: { "kueue.x-k8s.io/queue-name": "gpu" } },
      spec: {
        replicas: 3,
        strategy: { type: "RollingUpdate", rollingUpdate: { maxUnavailable: 1, maxSurge: 0 } },
        template: { metadata: { labels: { "kueue.x-k8s.io/queue-name": "gpu" } } },
      },
    });
    const pod = podOf(deployment);
    expect(pod).toMatchObject({
      shareProcessNamespace: true,
      resourceClaims: [{ name: "managed-device", resourceClaimTemplateName: "oci-managed-dra" }],
    });
    const main = containerOf(pod);
    expect(main).toMatchObject({
      resources: { claims: [{ name: "managed-device" }] },
      securityContext: { runAsUser: 1010 },
    });
    expect(main["env"]).toEqual(expect.arrayContaining([{ name: "MODEL_INIT_MODE", value: "async" }]));
    expect(mounts(main).at(-1)).toBe("kserve-provision-location→/mnt");
    expect(containerOf(pod, "modelcar")).toMatchObject({
      image: "quay.io/acme/qwen:1",
      args: ["sh", "-c", "ln -sf /proc/$$$$/root/models /mnt/models && sleep infinity"],
      resources: { limits: { cpu: "10m", memory: "15Mi" }, requests: { cpu: "10m", memory: "15Mi" } },
      securityContext: { runAsUser: 1010 },
    });
    expect(namesOf(pod["initContainers"])).toEqual(["modelcar-init"]);
  });

  test("stopped, then separated, then started: nothing is left, nothing conflicts", () => {
    const spec = { model: { uri: "hf://a/b" }, router: ROUTED };
    const started = run({ name: "x", spec });
    const stopped = run({
      name: "x",
      spec,
      cluster: started.cluster,
      annotations: { "serving.kserve.io/stop": "True" },
    });
    const owned = stopped.cluster.objects.filter(({ metadata }) => (metadata.ownerReferences ?? []).length > 0);
    expect(owned.map(({ kind, metadata }) => `${kind} ${metadata.name}`)).toEqual([]);
    expect(stopped.status).not.toHaveProperty("workloads");
    const again = run({ name: "x", spec: { ...spec, prefill: {} }, cluster: stopped.cluster });
    expect(objectAt(again.child("Deployment", "x-kserve"), "spec", "template", "metadata", "labels")).toMatchObject({
      "llm-d.ai/role": "decode",
    });
    expect(again.settled.plan.replacements).toEqual([]);
  });

  test("base refs below the service's own spec", () => {
    const uri = "hf://Qwen/Qwen2.5-7B-Instruct";
    const gpu = (count: string): JsonObject => ({ limits: { "nvidia.com/gpu": count } });
    const { child, status } = run({
      name: "q",
      configs: {
        gpu: {
          model: { uri },
          labels: { team: "x" },
          template: { containers: [{ name: "main", resources: gpu("1"), env: [{ name: "A", value: "1" }] }] },
        },
        routed: {
          model: { uri },
          router: { route: {}, scheduler: {} },
          template: {
            tolerations: [{ key: "gpu" }],
            containers: [
              {
                name: "main",
                env: [
                  { name: "A", value: "2" },
                  { name: "B", value: "3" },
                ],
              },
            ],
          },
        },
      },
      spec: {
        model: { uri, name: "qwen" },
        baseRefs: [{ name: "gpu" }, { name: "routed" }],
        parallelism: { tensor: 2 },
        template: { containers: [{ name: "main", resources: gpu("2"), args: ["--max-model-len", "8192"] }] },
      },
    });
    expect(
      listAt(status, "appliedConfigs").map((applied) =>
        ["name", "namespace", "source"].map((key) => textAt(applied, key)).join(" "),
      ),
    ).toEqual([
      "kserve-config-llm-scheduler kserve Preset",
      "kserve-config-llm-router-route kserve Preset",
      "kserve-config-llm-template kserve Preset",
      "gpu ns1 UserRef",
      "routed ns1 UserRef",
    ]);
    const deployment = child("Deployment", "q-kserve");
    const main = containerOf(podOf(deployment));
    expect(namesOf(main["env"])).toEqual(["A", "B", "HOME", "VLLM_LOGGING_LEVEL", "HF_HUB_CACHE"]);
    expect(main).toMatchObject({ resources: gpu("2"), args: ["--max-model-len", "8192"] });
    expect(podOf(deployment)["tolerations"]).toEqual([{ key: "gpu" }]);
    expect(scriptOf(main)).toContain("--tensor-parallel-size 2");
    expect(objectAt(deployment, "spec", "template", "metadata", "labels")).toMatchObject({ team: "x" });
  });

  test("a missing base ref makes no child", () => {
    const { names, status } = run({ name: "q", spec: { model: { uri: "hf://a/b" }, baseRefs: [{ name: "gone" }] } });
    expect(names).toEqual([]);
    expect(listAt(status, "conditions")).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          type: "PresetsCombined",
          status: "False",
          reason: "ConfigNotFound",
          message: expect.stringContaining('LLMInferenceServiceConfig "gone" not found in namespaces [ns1 kserve]'),
        }),
      ]),
    );
  });
});
