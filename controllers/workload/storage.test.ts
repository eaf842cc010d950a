import { describe, expect, test } from "@jest/globals";
import type { JsonObject } from "../../crds/schema/types.ts";
import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { type Example, conditionsOf, containerOf, exampleCluster, namesOf, podOf, run } from "../../test/examples.ts";
import { listAt, objectAt } from "../../crds/json.ts";

const podFor = (example: Partial<Example> & { readonly spec: JsonObject }): JsonObject =>
  podOf(run({ name: "s", ...example }).child("Deployment", "s-kserve"));
const initializerOf = (pod: JsonObject): JsonObject => containerOf(pod, "storage-initializer");

describe("where a model comes from", () => {
  test.each(["hf://a/b", "hf://a/b:rev", "s3://bucket/key", "gs://bucket/key", "ms://a/b", "https://host/file"])(
    "%s is downloaded",
    (uri) => {
      const pod = podFor({ spec: { model: { uri } } });
      expect(initializerOf(pod)["args"]).toEqual([uri, "/mnt/models"]);
      const tuned = namesOf(initializerOf(pod)["env"]).includes("HF_XET_HIGH_PERFORMANCE");
      expect(tuned).toBe(uri.startsWith("hf://"));
    },
  );

  test.each([
    ["pvc://claim", { name: "kserve-pvc-source", mountPath: "/mnt/models", readOnly: true }],
    ["pvc://claim/a/b", { name: "kserve-pvc-source", mountPath: "/mnt/models", readOnly: true, subPath: "a/b" }],
  ])("%s is mounted", (uri, mount) => {
    const pod = podFor({ spec: { model: { uri } } });
    expect(listAt(containerOf(pod), "volumeMounts").at(-1)).toEqual(mount);
    expect(listAt(pod, "volumes").at(-1)).toEqual({
      name: "kserve-pvc-source",
      persistentVolumeClaim: { claimName: "claim" },
    });
    expect(pod).not.toHaveProperty("initContainers");
  });

  test.each<[string, Example["global"]]>([
    ["oci+native://r/i:1", {}],
    ["oci://r/i:1", { storageInitializer: { ociModelMode: "native" } }],
  ])("%s is an image volume", (uri, global) => {
    const pod = podFor({ spec: { model: { uri } }, ...(global && { global }) });
    expect(listAt(pod, "volumes").at(-1)).toEqual({
      name: "mnt-models",
      image: { reference: "r/i:1", pullPolicy: "IfNotPresent" },
    });
    expect(listAt(containerOf(pod), "volumeMounts").at(-1)).toEqual({
      name: "mnt-models",
      mountPath: "/mnt/models",
      readOnly: true,
      subPath: "models",
    });
  });

  test("a cached model is read from the cache's claim", () => {
    const uri = "hf://meta-llama/Llama-3.2-1B";
    const key = "internal.serving.kserve.io/localmodel";
    const pod = podFor({
      labels: { [key]: "cache" },
      annotations: { [`${key}-sourceuri`]: uri, [`${key}-pvc-name`]: "claim" },
      spec: { model: { uri } },
    });
    expect(listAt(containerOf(pod), "volumeMounts").at(-1)).toMatchObject({ subPath: "models/57bc1d3e1da51dab/" });
  });

  test.each([
    ["no-scheme", /invalid model URI: no-scheme/],
    ["ftp://x", /unsupported schema in model URI: ftp:\/\/x/],
    ["pvc://", /invalid model URI: pvc:\/\/: a PersistentVolumeClaim must be named/],
    ["pvc:///path", /invalid model URI/],
    ["oci://", /invalid model URI: oci:\/\//],
  ])("%s is refused", (uri, message) => {
    const { status, names } = run({ name: "s", spec: { model: { uri } } });
    expect(conditionsOf(status)).toContain("MainWorkloadReady: False ReconcileSingleNodeWorkloadError");
    expect(JSON.stringify(status)).toMatch(message);
    expect(names).toEqual(["Secret s-kserve-self-signed-certs"]);
  });

  test.each(["hf://a/b", "pvc://claim", "oci+native://r/i:1"])("%s needs its place in the server free", (uri) => {
    const mounting = (name: string): JsonObject => ({
      model: { uri },
      template: {
        containers: [{ name: "main", volumeMounts: [{ name, mountPath: "/mnt/models" }] }],
        volumes: [{ name: "mine", emptyDir: {} }],
      },
    });
    const { status } = run({ name: "s", spec: mounting("mine") });
    expect(JSON.stringify(status)).toContain("container main mounts volume mine at /mnt/models, where the model goes");
    const off = { ...mounting("mine"), storageInitializer: { enabled: false } };
    expect(listAt(containerOf(podFor({ spec: off })), "volumeMounts").at(0)).toMatchObject({ name: "mine" });
  });

  test("nothing is attached where the initializer is off; the user's own one stays", () => {
    const own = { name: "storage-initializer", image: "mine", args: ["x"] };
    const spec = { model: { uri: "hf://a/b" }, storageInitializer: { enabled: false } };
    const pod = podFor({ spec: { ...spec, template: { initContainers: [own] } } });
    expect(pod["initContainers"]).toEqual([own]);
    expect(namesOf(pod["volumes"])).not.toContain("kserve-provision-location");
  });

  test("the user's own initializer adds to the operator's, whose command stays", () => {
    const own = {
      name: "storage-initializer",
      args: ["x"],
      env: [
        { name: "HF_XET_HIGH_PERFORMANCE", value: "0" },
        { name: "MORE", value: "1" },
      ],
      resources: { limits: { memory: "8Gi" } },
    };
    const initializer = initializerOf(
      podFor({ spec: { model: { uri: "hf://a/b" }, template: { initContainers: [own] } } }),
    );
    expect(initializer["args"]).toEqual(["hf://a/b", "/mnt/models"]);
    expect(objectAt(initializer, "resources", "limits")).toEqual({ cpu: "1", memory: "8Gi" });
    expect(initializer["env"]).toEqual(
      expect.arrayContaining([
        { name: "HF_XET_HIGH_PERFORMANCE", value: "0" },
        { name: "MORE", value: "1" },
      ]),
    );
  });

  test("the user's own initializer merges as a patch: mounts by path, variables by name", () => {
    const own = {
      name: "storage-initializer",
      env: [{ name: "CONFIDENTIAL_ENABLED", valueFrom: { fieldRef: { fieldPath: "metadata.name" } } }],
      volumeMounts: [
        { name: "cache", mountPath: "/cache" },
        { name: "fast", mountPath: "/mnt/models" },
      ],
      resources: { requests: { cpu: "2" } },
      securityContext: { runAsUser: 5 },
    };
    const model = { uri: "hf://a/b", confidential: { enabled: true } };
    const initializer = initializerOf(podFor({ spec: { model, template: { initContainers: [own] } } }));
    expect(initializer["volumeMounts"]).toEqual(own.volumeMounts);
    expect(listAt(initializer, "env")[0]).toEqual(own.env[0]);
    expect(objectAt(initializer, "resources", "requests")).toEqual({ cpu: "2", memory: "100Mi" });
    expect(initializer["securityContext"]).toEqual({ runAsUser: 5 });
  });

  test("an image in use stays when the configured one changes", () => {
    const cluster = exampleCluster("ns1");
    const spec = { model: { uri: "hf://a/b" } };
    podFor({ spec, cluster, global: { storageInitializer: { image: "first" } } });
    const pod = podFor({ spec, cluster, global: { storageInitializer: { image: "second" } } });
    expect(initializerOf(pod)["image"]).toBe("first");
  });

  test("a confidential model is told to the initializer, before everything else", () => {
    const confidential = { enabled: true, resourceId: "kbs:///r" };
    const initializer = initializerOf(podFor({ spec: { model: { uri: "hf://a/b", confidential } } }));
    expect(namesOf(initializer["env"]).slice(0, 2)).toEqual(["CONFIDENTIAL_ENABLED", "CONFIDENTIAL_RESOURCE_ID"]);
  });
});

describe("credentials for downloads", () => {
  const base64 = (text: string): string => Buffer.from(text).toString("base64");
  const secret = (name: string, data: Readonly<Record<string, string>>, annotations = {}): KubeObject => ({
    apiVersion: "v1",
    kind: "Secret",
    metadata: { namespace: "ns1", name, annotations },
    data: Object.fromEntries(Object.entries(data).map(([key, value]) => [key, base64(value)])),
  });
  const account = (name: string, secrets: readonly string[], annotations = {}): KubeObject => ({
    apiVersion: "v1",
    kind: "ServiceAccount",
    metadata: { namespace: "ns1", name, annotations },
    secrets: secrets.map((entry) => ({ name: entry })),
  });
  const spec = { model: { uri: "s3://b/k" } };
  const from = (name: string, key: string): JsonObject => ({ valueFrom: { secretKeyRef: { name, key } } });

  test.each<[string, Readonly<Record<string, string>>, readonly JsonObject[]]>([
    ["Hugging Face", { HF_TOKEN: "t" }, [{ name: "HF_TOKEN", ...from("cred", "HF_TOKEN") }]],
    [
      "ModelScope",
      { MODELSCOPE_API_TOKEN: "t" },
      [{ name: "MODELSCOPE_API_TOKEN", ...from("cred", "MODELSCOPE_API_TOKEN") }],
    ],
    [
      "S3",
      { AWS_ACCESS_KEY_ID: "a", AWS_SECRET_ACCESS_KEY: "s" },
      [
        { name: "AWS_ACCESS_KEY_ID", ...from("cred", "AWS_ACCESS_KEY_ID") },
        { name: "AWS_SECRET_ACCESS_KEY", ...from("cred", "AWS_SECRET_ACCESS_KEY") },
      ],
    ],
    [
      "an Azure storage key",
      { AZURE_STORAGE_ACCESS_KEY: "k" },
      [{ name: "AZURE_STORAGE_ACCESS_KEY", ...from("cred", "AZURE_STORAGE_ACCESS_KEY") }],
    ],
    ["a registry's, which is none", { ".dockerconfigjson": "{}" }, []],
  ])("%s", (_kind, data, expected) => {
    const pod = podFor({ spec, objects: [account("default", ["cred"]), secret("cred", data)] });
    expect(listAt(initializerOf(pod), "env")).toEqual(expected);
  });

  test("of Google come as a file", () => {
    const objects = [account("default", ["cred"]), secret("cred", { "gcloud-application-credentials.json": "{}" })];
    const pod = podFor({ spec, objects });
    expect(initializerOf(pod)["env"]).toEqual([
      { name: "GOOGLE_APPLICATION_CREDENTIALS", value: "/var/secrets/gcloud-application-credentials.json" },
    ]);
    expect(listAt(pod, "volumes")).toContainEqual({ name: "user-gcp-sa", secret: { secretName: "cred" } });
  });

  test("of S3 follow the Secret's annotations in their order", () => {
    const data = { AWS_ACCESS_KEY_ID: "a", AWS_SECRET_ACCESS_KEY: "s" };
    const prefix = "serving.kserve.io/s3-";
    const annotations = {
      [`${prefix}endpoint`]: "http://minio:9000",
      [`${prefix}region`]: "eu",
      [`${prefix}verifyssl`]: "0",
    };
    const pod = podFor({ spec, objects: [account("default", ["cred"]), secret("cred", data, annotations)] });
    expect(listAt(initializerOf(pod), "env").slice(2)).toEqual([
      { name: "S3_USE_HTTPS", value: "0" },
      { name: "S3_ENDPOINT", value: "minio:9000" },
      { name: "AWS_ENDPOINT_URL", value: "http://minio:9000" },
      { name: "S3_VERIFY_SSL", value: "0" },
      { name: "AWS_DEFAULT_REGION", value: "eu" },
    ]);
  });

  test("are those of the ServiceAccount that the template names, or of the Secret that an annotation names", () => {
    const objects = [account("own", ["mine"]), secret("mine", { HF_TOKEN: "t" }), secret("chosen", { HF_TOKEN: "t" })];
    const template = { serviceAccountName: "own", containers: [{ name: "main" }] };
    const tokenOf = (pod: JsonObject): unknown => listAt(initializerOf(pod), "env")[0];
    expect(tokenOf(podFor({ spec: { ...spec, template }, objects }))).toEqual({
      name: "HF_TOKEN",
      ...from("mine", "HF_TOKEN"),
    });
    const chosen = podFor({
      spec: { ...spec, template },
      objects,
      annotations: { "serving.kserve.io/storageSecretName": "chosen" },
    });
    expect(tokenOf(chosen)).toEqual({ name: "HF_TOKEN", ...from("chosen", "HF_TOKEN") });
  });

  test("a ServiceAccount or Secret that is not there is named", () => {
    const missing = run({ name: "s", spec: { ...spec, template: { serviceAccountName: "gone" } } });
    expect(JSON.stringify(missing.status)).toContain("service account ns1/gone");
    const empty = run({ name: "s", spec, objects: [account("default", ["gone"])] });
    expect(JSON.stringify(empty.status)).toContain("storage Secret ns1/gone does not exist");
  });

  test("image pull secrets of the namespace go to the accounts that the operator makes", () => {
    const pulls = { ...account("default", ["cred"]), imagePullSecrets: [{ name: "pull" }] } as KubeObject;
    const objects = [pulls, secret("cred", {})];
    const { child } = run({ name: "s", spec: { ...spec, prefill: {}, router: { scheduler: {} } }, objects });
    for (const name of ["s-kserve", "s-epp-sa"])
      expect(child(KINDS.ServiceAccount.kind, name)).toMatchObject({
        secrets: [{ name: "cred" }],
        imagePullSecrets: [{ name: "pull" }],
      });
  });
});
