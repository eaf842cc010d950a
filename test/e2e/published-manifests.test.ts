import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { listAt } from "../../crds/json.ts";
import type { Json } from "../../crds/schema/types.ts";
import { parseYaml } from "../../kube/yaml.ts";
import { SERVER } from "../bed-server.ts";
import { readShared, sharedPath } from "../corpus.ts";
import { differencesOfChildren, unexplained } from "../golden.ts";
import { describeWithKubectl } from "./kubectl.ts";
import { type TestPlayground, at, post, readyUrl, startPlayground } from "./playground.ts";

const FOLDER = "manifests/kserve/samples/v0.20.0/opt-125m-cpu/";
const NAME = "facebook-opt-125m-single";
const KINDS =
  "deployments,services,serviceaccounts,roles,rolebindings,secrets,configmaps,httproutes,inferencepools.inference.networking.k8s.io";

/**
 * What this cluster defaults beside the API server of the recording: the fields are in what it stores, and not in what the
 * operator applies.
 */
const DEFAULTED =
  /\b(clusterIPs?|ipFamil\w+|nodePort|sessionAffinity|internalTrafficPolicy)\b|annotations\.deployment\.kubernetes\.io\/revision/;
/** What Kubernetes 1.31 stores beside that. */
const DEFAULTED_BY_OLDER = /template\.metadata\.creationTimestamp: null/;

const isDefaulted = (text: string): boolean =>
  DEFAULTED.test(text) || (SERVER === "older" && DEFAULTED_BY_OLDER.test(text));

/** Children of the service, as the cluster holds them. */
async function childrenIn(playground: TestPlayground): Promise<Json[]> {
  const list: Json = JSON.parse(await playground.kubectl("get", KINDS, "-o", "json"));
  return listAt(list, "items").filter((item) =>
    listAt(item, "metadata", "ownerReferences").some((owner) => at(owner, "kind") === "LLMInferenceService"),
  );
}

/** What the recorded controller made of the same file, in our namespace. */
function recorded(file: string): readonly Json[] {
  const text = readShared(`corpus/golden/${FOLDER.slice("manifests/".length)}${file}`);
  const children = listAt(parseYaml(text.replaceAll(/\bNS\b/g, "default")), "children");
  return children.filter((child) => listAt(child, "metadata", "ownerReferences").length > 0);
}

describeWithKubectl("published manifests, unchanged", () => {
  let playground: TestPlayground;

  beforeAll(async () => {
    playground = await startPlayground();
  }, 120_000);
  afterAll(async () => await playground?.stop(), 60_000);

  test.each([
    "llm-inference-service-facebook-opt-125m-cpu.yaml",
    "llm-inference-service-facebook-opt-125m-cpu-no-scheduler.yaml",
  ])(
    "%s becomes Ready, answers, and has the children that KServe gives it",
    async (file) => {
      const path = sharedPath(`corpus/${FOLDER}${file}`);
      await playground.kubectl("apply", "-f", path);
      const url = await readyUrl(playground, NAME);
      const answer = await post(`${url}/v1/completions`, {
        model: "facebook/opt-125m",
        prompt: "Hello",
        max_tokens: 4,
      });
      expect(answer.status).toBe(200);
      expect(JSON.parse(answer.text)).toMatchObject({ usage: { completion_tokens: 4 } });
      const differences = unexplained(differencesOfChildren(await childrenIn(playground), recorded(file)));
      expect(differences.filter((text) => !isDefaulted(text))).toEqual([]);
      await playground.kubectl("delete", "-f", path, "--timeout=60s");
    },
    120_000,
  );
});
