import { readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { onPath, required } from "../cluster/toolbox.ts";
import { ROOT, run } from "./process.ts";

/** Number in a cell. */
const FIGURE = /\d+(?:\.\d+)?/;

/** What each bench prints at least: a row's label, and what follows it. */
const ROWS: Readonly<Record<string, Readonly<Record<string, RegExp>>>> = {
  churn: {
    "requests:": /^[1-9]\d* sent .* 0 lost$/,
    "changes:": /^[1-9]\d* add, /,
    "destination after:": /^p50 \S+ ms, p99 \S+ ms$/,
    "CPU around them:": FIGURE,
    "0  ": FIGURE,
    "1  ": FIGURE,
  },
  "hot-path": {
    "split HTTP/2 frames, decode header block": FIGURE,
    "decode ext_proc messages": FIGURE,
    "parse the body, prompt bytes": FIGURE,
    "hash the prompt": FIGURE,
    "encode the answers": FIGURE,
    "find the values": FIGURE,
  },
  reconcile: {
    "cold: until every service has a status": FIGURE,
    // Of each of the five services at least its Deployment, Service, route, pool and scheduler.
    "cold: children": /^\d{2,}$/,
    "cold: requests": /PATCH \d+/,
    "cold: reconciles": /^[1-9]\d*$/,
    "at rest, 0.5 s: requests": /\bPATCH 0\b/,
    "edit to effect: p50, p99": /^\d+\.\d, \d+\.\d ms$/,
    "RSS in the end": /^\d+ MiB$/,
    "restart: requests": /GET \d+/,
    "restart: CPU, RSS": FIGURE,
  },
  render: {
    "model alone": FIGURE,
    "with scheduler and route": FIGURE,
    "adapters, offloading, tracing": FIGURE,
    openings: FIGURE,
    "plain text": FIGURE,
  },
  scheduler: {
    "reading the metrics of a busy pool:": /cores$/,
    // Every one of the 64 bodies once: the bench itself throws where one of them is not answered by a pick.
    "2 KB": /^64 /,
    "idle: scheduler": /cores, RSS \d+ MiB/,
  },
  validate: {
    "schema and rules": FIGURE,
    "prune and default a copy": FIGURE,
    "whole admission check": FIGURE,
  },
};

const names = readdirSync(join(ROOT, "bench"))
  .filter((file) => file.endsWith(".ts") && file !== "run.ts")
  .map((file) => file.slice(0, -".ts".length));

/** Whether a bench can run here; says what is left out where not, and throws with `CI=true`. */
function isPossible(name: string): boolean {
  if (name !== "scheduler" || onPath("h2load") !== undefined) return true;
  const text = "bench of the scheduler: h2load is not installed (Debian and Ubuntu: nghttp2-client)";
  if (required()) throw new Error(text);
  process.stderr.write(`left out: ${text}\n`);
  return false;
}

test.each(names.filter(isPossible))("the bench %s prints its figures at the smallest scale", async (name) => {
  const { code, stdout, stderr } = await run(process.execPath, ["--no-warnings", "bench/run.ts", name, "--smallest"]);
  expect({ code, stderr: code === 0 ? "" : stderr }).toEqual({ code: 0, stderr: "" });
  expect(stdout).not.toMatch(/NaN|undefined|Infinity/);
  const lines = stdout.split("\n");
  const shown = Object.entries(ROWS[name] ?? {}).map(([label, value]) => {
    const line = lines.find((candidate) => candidate.startsWith(label));
    return [label, line === undefined ? "missing" : value.test(line.slice(label.length).trim()) || line] as const;
  });
  expect(shown.length).toBeGreaterThan(0);
  expect(Object.fromEntries(shown)).toEqual(Object.fromEntries(shown.map(([label]) => [label, true])));
});
