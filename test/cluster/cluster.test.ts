import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { customResourceDefinitions } from "../../crds/definitions.ts";
import { foreignDefinitions } from "../../crds/foreign.ts";
import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { ROOT, processesWith, until } from "../e2e/process.ts";
import { type Cluster, startCluster } from "./cluster.ts";
import { createDefinitions, referenceDefinitions } from "./definitions.ts";
import { describeWith } from "./real.ts";

const START_MS = 60_000;

describeWith("a real API server", "kubernetes")("a real API server", () => {
  let cluster: Cluster;

  beforeAll(async () => {
    cluster = await startCluster();
  }, START_MS);
  afterAll(async () => await cluster?.close());

  test(
    "takes and serves our definitions and the official ones that installations have",
    async () => {
      const ours = customResourceDefinitions() as unknown as KubeObject[];
      await createDefinitions(cluster.client, [...ours, ...referenceDefinitions()]);
      for (const resource of [KINDS.LLMInferenceService, KINDS.InferencePool, KINDS.HTTPRoute])
        expect(await cluster.client.serves(resource)).toBe(true);
    },
    START_MS,
  );

  test("would take the outlines of foreign definitions that the playground has", async () => {
    const refused: string[] = [];
    for (const outline of foreignDefinitions() as unknown as KubeObject[]) {
      const named = { ...outline, metadata: { ...outline.metadata } };
      await cluster.client
        .apply(named, { fieldManager: "outline", force: true, dryRun: true })
        .catch((error: unknown) => {
          refused.push(String(error));
        });
    }
    expect(refused).toEqual([]);
  });

  test(
    "keeps its state over restarts of each component",
    async () => {
      const object = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "kept", namespace: "default" } };
      await cluster.client.create(object);
      for (const component of ["etcd", "kube-apiserver", "kube-controller-manager"] as const)
        await cluster.restart(component);
      const kept = await until("the ConfigMap", () =>
        cluster.client.find(KINDS.ConfigMap, { namespace: "default", name: "kept" }).catch(() => undefined),
      );
      expect(kept.metadata.name).toBe("kept");
    },
    START_MS,
  );
});

describeWith("a killed runner", "kubernetes")("a cluster whose starter is killed", () => {
  test(
    "ends with it",
    async () => {
      const folder = mkdtempSync(join(tmpdir(), "llmisvc-killed-"));
      const script = `const { startCluster } = await import("${ROOT}test/cluster/cluster.ts"); await startCluster(); console.log("up");`;
      const env = { ...process.env, TMPDIR: folder };
      const starter = spawn(process.execPath, ["--input-type=module", "-e", script], { env });
      await once(starter.stdout, "data");
      const servers = () => processesWith(`HOME=${folder}`).length;
      expect(servers()).toBe(3);
      starter.kill("SIGKILL");
      await until("no component and no file left", () => servers() === 0 && readdirSync(folder).length === 0);
      rmSync(folder, { recursive: true });
    },
    START_MS,
  );
});
