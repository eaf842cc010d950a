import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import fc from "fast-check";
import { OBJECT_SCHEMAS, customResourceDefinitions } from "../../crds/definitions.ts";
import { createRuleEngine } from "../../crds/schema/rules.ts";
import { createStructural } from "../../crds/schema/structural.ts";
import { foreignDefinitions } from "../../crds/foreign.ts";
import { KINDS } from "../../kube/resources.ts";
import { parseQuantity } from "../../kube/quantity.ts";
import { KubeError, type KubeObject } from "../../kube/types.ts";
import { damaged } from "../mutations.ts";
import { arbitraryOf } from "../schema-arbitrary.ts";
import { ROOT, processesWith } from "../e2e/process.ts";
import { until } from "../../playground/until.ts";
import { type Cluster, startCluster } from "./cluster.ts";
import { createDefinitions, referenceDefinitions } from "./definitions.ts";
import { describeWith } from "./real.ts";

const START_MS = 60_000;

const NAMED = { name: "random", namespace: "default" };

/** Fields that the server names when it refuses an object; those of its view on scaling apart. */
async function refusedFields(cluster: Cluster, object: object): Promise<string[]> {
  try {
    await cluster.client.create(object as KubeObject, { dryRun: true, fieldManager: "test" });
    return [];
  } catch (error) {
    if (!(error instanceof KubeError) || error.details.causes === undefined) throw error;
    const fields = error.details.causes.map(({ field = "" }) => field);
    return fields.filter((field) => field !== "<nil>" && !field.startsWith("."));
  }
}

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

  test(
    "refuses the objects that our schema engine refuses, for the same fields",
    async () => {
      const schema = OBJECT_SCHEMAS.LLMInferenceService.v1alpha2;
      const structural = createStructural(schema, { rules: createRuleEngine(parseQuantity) });
      await createDefinitions(cluster.client, customResourceDefinitions() as unknown as KubeObject[]);
      await until("our kind is served", () =>
        cluster.client.find(KINDS.LLMInferenceService, NAMED).then(
          () => true,
          () => false,
        ),
      );
      const specs = damaged(arbitraryOf(schema.properties!["spec"]!, { density: 12 }));
      for (const spec of fc.sample(specs, { numRuns: 120, seed: 1 })) {
        const object = { apiVersion: "serving.kserve.io/v1alpha2", kind: "LLMInferenceService", metadata: NAMED, spec };
        const copy = structuredClone(object);
        structural.prune(copy);
        structural.applyDefaults(copy);
        const own = new Set(structural.validate(copy).map(({ path }) => path));
        const fields = await refusedFields(cluster, object);
        // Ours tells what the server's rules find even where other fields are wrong.
        expect({ spec, missing: fields.filter((field) => !own.has(field)) }).toEqual({ spec, missing: [] });
        expect({ spec, refused: fields.length > 0 }).toEqual({ spec, refused: own.size > 0 });
      }
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
