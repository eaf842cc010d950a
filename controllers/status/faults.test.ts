import { describe, expect, test } from "@jest/globals";
import { SCENARIOS } from "../../test/fault-scenarios.ts";
import { statusOf } from "../../test/fault-status.ts";
import { parseConditions } from "./conditions.ts";
import { FAULTS, type FaultId } from "./faults.ts";

const REMEDY =
  /: (.*\b)?(create|correct|raise|see|add|install|give|lower|use|let|make|bring|change|renew|apply|delete|request|check)\b/;

describe("the status names the cause and what to do", () => {
  test.each(Object.entries(SCENARIOS))("%s", (_what, scenario) => {
    const fault = FAULTS[scenario.fault];
    const conditions = parseConditions(statusOf(scenario)["conditions"]);
    const ready = conditions.find(({ type }) => type === "Ready")!;
    expect(ready.status).toBe("False");
    const named = conditions.filter(
      ({ status, reason = "", message = "" }) =>
        status === "False" &&
        (fault.reasons as readonly string[]).includes(reason) &&
        scenario.words.every((word) => message.includes(word)),
    );
    expect({ conditions, named: named.length > 0 }).toMatchObject({ named: true });
    // The cause is on the object's first line too, not only in a sub-condition.
    expect(scenario.words.filter((word) => !(ready.message ?? "").includes(word))).toEqual([]);
    expect(ready.message).toMatch(REMEDY);
  });

  test("every fault has a scenario", () => {
    const covered = new Set(Object.values(SCENARIOS).map(({ fault }) => fault));
    expect(Object.keys(FAULTS).filter((id) => !covered.has(id as FaultId))).toEqual([]);
    expect(covered.size).toBeGreaterThanOrEqual(25);
  });
});
