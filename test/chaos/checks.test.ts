import { expect, test } from "@jest/globals";
import { judge } from "./checks.ts";
import type { Failure } from "./load.ts";

const failure = (id: string, route: string, startedAt: number, endedAt: number): Failure => ({
  id,
  route,
  startedAt,
  endedAt,
  cause: "503",
});
const line = (id: string, host: string | null, details: string) => ({ id, status: 503, flags: "UC", host, details });

test("a failure is explained by a kill of its own pod while it ran, and by nothing else", () => {
  const kills = [
    { kind: "model", ip: "10.0.0.1", at: 10_000 },
    { kind: "scheduler", ip: "10.0.0.9", at: 50_000 },
  ] as const;
  const failures = [
    failure("during", "buffered", 9_000, 10_100),
    failure("unnoticed", "buffered", 11_000, 11_010),
    failure("long after", "buffered", 13_000, 13_010),
    failure("another pod", "buffered", 9_000, 10_100),
    failure("before", "buffered", 9_000, 9_900),
    failure("given away", "duplex", 49_000, 50_010),
    failure("given away, no kill", "duplex", 39_000, 40_010),
    failure("could be sent elsewhere", "buffered", 49_000, 50_010),
    failure("unknown to the proxy", "duplex", 1_000, 2_000),
  ];
  const lines = failures
    .filter(({ id }) => id !== "unknown to the proxy")
    .map(({ id }) => {
      const host = id === "another pod" || id.startsWith("given away") ? "10.0.0.2:8000" : "10.0.0.1:8000";
      return line(id, host, id.startsWith("given away") ? "ext_proc_error_gRPC_error_14" : "");
    });
  const { onKilledPods, onKilledSchedulers, lost } = judge(failures, lines, kills);
  expect(onKilledPods.map(({ id }) => id)).toEqual(["during", "unnoticed"]);
  expect(onKilledSchedulers.map(({ id }) => id)).toEqual(["given away"]);
  expect(lost.map(({ id }) => id)).toEqual([
    "long after",
    "another pod",
    "before",
    "given away, no kill",
    "could be sent elsewhere",
    "unknown to the proxy",
  ]);
});
