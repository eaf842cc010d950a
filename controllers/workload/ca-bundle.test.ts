import { describe, expect, test } from "@jest/globals";
import type { KubeObject } from "../../kube/types.ts";
import { conditionsOf, containerOf, exampleCluster, namesOf, podOf, run } from "../../test/examples.ts";

const CONFIGURED = { storageInitializer: { caBundleConfigMapName: "authorities", cpuLimit: "1" } };
const source = {
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { namespace: "kserve", name: "authorities" },
  data: { "cabundle.crt": "PEM" },
} as KubeObject;
const bucket = { model: { uri: "s3://bucket/model" } };

describe("authorities for downloads", () => {
  test("are copied once for all services of a namespace, and mounted for S3", () => {
    const cluster = exampleCluster("ns1", [source]);
    for (const name of ["a", "b"]) {
      const { child } = run({ name, spec: bucket, global: CONFIGURED, cluster });
      const copy = child("ConfigMap", "global-ca-bundle");
      expect(copy).toMatchObject({ metadata: { namespace: "ns1" }, data: { "cabundle.crt": "PEM" } });
      expect(copy["metadata"]).not.toHaveProperty("ownerReferences");
      const pod = podOf(child("Deployment", `${name}-kserve`));
      const initializer = containerOf(pod, "storage-initializer");
      expect(initializer["env"]).toEqual(
        expect.arrayContaining([
          { name: "CA_BUNDLE_CONFIGMAP_NAME", value: "global-ca-bundle" },
          { name: "CA_BUNDLE_VOLUME_MOUNT_POINT", value: "/etc/ssl/custom-certs" },
        ]),
      );
      expect(namesOf(pod["volumes"])).toContain("cabundle-cert");
    }
  });

  test.each([
    ["of the hub alone: no", { uri: "hf://a/b" }, false],
    ["of several things: yes", { uri: "hf://a/b", lora: { adapters: [{ name: "x", uri: "hf://a/x" }] } }, true],
  ])("a download %s", (_what, model, mounted) => {
    const { child } = run({ name: "a", spec: { model }, global: CONFIGURED, objects: [source] });
    expect(namesOf(podOf(child("Deployment", "a-kserve"))["volumes"]).includes("cabundle-cert")).toBe(mounted);
  });

  test("that are not there are told, and nothing is made without them", () => {
    const { names, status } = run({ name: "a", spec: bucket, global: CONFIGURED });
    expect(names).toEqual([]);
    expect(conditionsOf(status)).toContain("MainWorkloadReady: False CABundleNotFound");
    expect(JSON.stringify(status)).toContain("ConfigMap kserve/authorities");
  });
});
