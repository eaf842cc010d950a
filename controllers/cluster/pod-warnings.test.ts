import { expect, test } from "@jest/globals";
import type { KubeObject } from "../../kube/types.ts";
import { silentLogger } from "../../telemetry/log.ts";
import { ManualClock } from "../../test/manual-clock.ts";
import { PodWarnings } from "./pod-warnings.ts";

const pod = (ready: boolean): KubeObject => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name: "p", namespace: "ml", uid: "u" },
  status: { phase: "Running", conditions: [{ type: "Ready", status: ready ? "True" : "False" }] },
});

test("Events of a pod are listed ever more seldom until it serves, and told when they change", async () => {
  const clock = new ManualClock();
  const selectors: (string | undefined)[] = [];
  let current = pod(false);
  let changes = 0;
  const event = {
    apiVersion: "v1",
    kind: "Event",
    metadata: { name: "e" },
    reason: "FailedMount",
    message: "no such secret",
  };
  const warnings = new PodWarnings({
    client: {
      list: (_resource, options) => {
        selectors.push(options?.fieldSelector);
        return Promise.resolve({ items: [event], resourceVersion: "1" });
      },
    },
    logger: silentLogger,
    current: () => current,
    onChange: () => void changes++,
    clock,
  });
  expect(warnings.of(current)).toEqual([]);
  await clock.advance(1_000);
  expect(warnings.of(current)).toEqual([{ reason: "FailedMount", message: "no such secret" }]);
  expect([changes, selectors]).toEqual([1, ["involvedObject.uid=u,type=Warning"]]);
  await clock.advance(6_000);
  expect([changes, selectors.length]).toEqual([1, 3]);
  current = pod(true);
  await clock.advance(600_000);
  expect([warnings.of(current), selectors.length, clock.pending]).toEqual([[], 3, []]);
  warnings.close();
});
