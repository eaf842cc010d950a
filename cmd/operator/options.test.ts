import { describe, expect, test } from "@jest/globals";
import { parseOperatorFlags } from "./options.ts";

describe("flags of the operator", () => {
  test("without any, the defaults of KServe's manager", () => {
    const { options, errors } = parseOperatorFlags([], {});
    expect(errors).toEqual([]);
    expect(options).toMatchObject({
      webhook: { host: "0.0.0.0", port: 9443 },
      health: { host: "0.0.0.0", port: 8081 },
      leaderElect: false,
      verbosity: 2,
      settings: { systemNamespace: "kserve", clusterDomain: "cluster.local", wildcardHostname: "inference" },
      pinned: true,
      protectPresets: true,
    });
  });

  test("flags of KServe's manifests are accepted, with one dash or two", () => {
    const args = [
      "--metrics-addr=127.0.0.1:8443",
      "-leader-elect",
      "--health-probe-addr",
      ":9000",
      "--zap-encoder=console",
    ];
    const { options, errors } = parseOperatorFlags(args, { POD_NAMESPACE: "llm" });
    expect(errors).toEqual([]);
    expect(options).toMatchObject({
      leaderElect: true,
      logFormat: "console",
      health: { port: 9000 },
      settings: { systemNamespace: "llm" },
    });
  });

  test("all that is wrong is told at once", () => {
    const { errors } = parseOperatorFlags(["--webhook-port=x", "--zap-encoder=xml", "--twice", "-v=loud"], {});
    expect(errors).toEqual([
      "--twice: unknown flag; --help lists the flags",
      '--zap-encoder: "xml" is not known; use json or console',
      '-v: "loud" is not a verbosity; give a number from 0 to 5',
      '--webhook-port: "x" is not a port; give a number from 0 to 65535',
    ]);
  });

  test.each([
    ["T", true],
    ["false", false],
    ["yes", false],
    ["", true],
  ])("LLM_INFERENCE_SERVICE_VERSIONED_CONFIG=%j pins presets: %s", (text, pinned) => {
    expect(parseOperatorFlags([], { LLM_INFERENCE_SERVICE_VERSIONED_CONFIG: text }).options.pinned).toBe(pinned);
  });
});
