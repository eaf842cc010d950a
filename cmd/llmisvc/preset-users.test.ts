import { expect, test } from "@jest/globals";
import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { presetUsers } from "./preset-users.ts";

const config = (namespace: string, name: string): KubeObject => ({
  apiVersion: KINDS.LLMInferenceServiceConfig.apiVersion,
  kind: "LLMInferenceServiceConfig",
  metadata: { namespace, name },
});
const service = (namespace: string, name: string, ...applied: readonly string[]): KubeObject => ({
  apiVersion: KINDS.LLMInferenceService.apiVersion,
  kind: "LLMInferenceService",
  metadata: { namespace, name },
  status: {
    appliedConfigs: applied.map((text) => {
      const [source, place, config] = text.split(" ");
      return { source, namespace: place, name: config };
    }),
  },
});

test("presets are told with the services that are made of them, by their status", () => {
  const found = presetUsers(
    [config("kserve", "kserve-config-llm-template"), config("kserve", "unused"), config("team", "base")],
    [
      service("team", "b", "Preset kserve kserve-config-llm-template", "UserRef team base"),
      service("team", "a", "Preset kserve kserve-config-llm-template", "Preset team own"),
      service("other", "c", "Preset kserve 1a2b3c4d-kserve-config-llm-template", "UserRef kserve unused"),
      service("other", "new"),
    ],
    "kserve",
  );
  const line = ({ namespace, name, exists, services }: (typeof found)[number]): string =>
    `${namespace}/${name}${exists ? "" : " (gone)"}: ${services.join(" ")}`;
  expect(found.map(line)).toEqual([
    "kserve/1a2b3c4d-kserve-config-llm-template (gone): other/c",
    "kserve/kserve-config-llm-template: team/a team/b",
    "kserve/unused: other/c",
    "team/own (gone): team/a",
  ]);
});
