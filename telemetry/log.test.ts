import { describe, expect, test } from "@jest/globals";
import { createLogger, describeError, VERBOSITY } from "./log.ts";

function capture(options: Parameters<typeof createLogger>[0] = {}) {
  let text = "";
  const log = createLogger({ ...options, now: () => 1_500, write: (chunk) => void (text += chunk) });
  const lines = () => {
    log.flush();
    return text
      .trim()
      .split("\n")
      .filter((line) => line !== "");
  };
  return { log, lines };
}

describe("json lines", () => {
  test("carry level, time, message, bound and own fields", () => {
    const { log, lines } = capture({ name: "scheduler" });
    log.child({ logger: "datalayer", pool: "p" }).warn("metrics stale", { endpoint: "10.0.0.1:8000" });
    expect(lines().map((line) => JSON.parse(line))).toEqual([
      {
        level: "warn",
        ts: 1.5,
        msg: "metrics stale",
        logger: "scheduler.datalayer",
        pool: "p",
        endpoint: "10.0.0.1:8000",
      },
    ]);
  });

  test("show an error with the chain of its causes", () => {
    const { log, lines } = capture();
    log.error("apply failed", { error: new Error("apply Deployment a/b", { cause: new Error("conflict") }) });
    expect(JSON.parse(lines()[0] ?? "")).toMatchObject({ error: "apply Deployment a/b: conflict" });
  });

  test.each([
    [2, ["info"]],
    [3, ["info", "info"]],
    [4, ["info", "info", "debug"]],
    [5, ["info", "info", "debug", "trace"]],
  ])("verbosity %d lets through %j", (verbosity, levels) => {
    const { log, lines } = capture({ verbosity });
    for (const level of Object.values(VERBOSITY)) log.v(level, "m");
    expect(lines().map((line) => JSON.parse(line).level)).toEqual(levels);
  });

  test("follow a changed threshold, also in children made before", () => {
    const { log, lines } = capture();
    const child = log.child({ a: 1 });
    log.setVerbosity(5);
    expect(child.enabled(5)).toBe(true);
    child.v(5, "m");
    expect(lines()).toHaveLength(1);
  });
});

test("console lines put level, time, name and message before the fields", () => {
  const { log, lines } = capture({ name: "epp", format: "console" });
  log.info("pool found", { pool: "a b", count: 2 });
  expect(lines()).toEqual(['1970-01-01T00:00:01.500Z INFO  epp: pool found pool="a b" count=2']);
});

test("describeError joins messages and names errors without one", () => {
  expect(describeError(new TypeError("", { cause: "why" }))).toBe("TypeError: why");
});
