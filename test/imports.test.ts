import { existsSync, readFileSync, readdirSync, statSync } from "node:fs";
import { dirname, join, normalize, relative } from "node:path";
import { describe, expect, test } from "@jest/globals";

const ROOT = new URL("..", import.meta.url).pathname;

/** Which top-level folders each folder may import besides itself (docs/architecture.md shows the same picture). */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  telemetry: [],
  crds: [],
  json: [],
  flags: ["crds/suggest.ts", "telemetry"],
  templates: [],
  simulator: [],
  kube: ["telemetry"],
  controllers: ["kube", "crds", "templates", "telemetry", "scheduler/config"],
  scheduler: ["kube", "crds", "telemetry", "flags", "json"],
  sidecar: ["kube", "telemetry", "flags", "json"],
  playground: ["kube", "crds", "templates", "telemetry", "controllers", "scheduler", "simulator"],
  cmd: ["kube", "crds", "templates", "telemetry", "controllers", "scheduler", "sidecar", "simulator", "playground"],
};

/** Packages that only one room may know. */
const PACKAGE_ROOMS: Readonly<Record<string, readonly string[]>> = {
  winston: ["telemetry"],
  "prom-client": ["telemetry"],
  "@opentelemetry": ["telemetry"],
  "@grpc/grpc-js": ["scheduler/server", "playground/gateway", "bench"],
  "@kubernetes/client-node": ["kube", "crds"],
  "js-yaml": ["kube/yaml.ts", "kube/yaml-lines.ts"],
  "@marcbachmann/cel-js": ["crds/schema", "scheduler/plugins/response-body"],
};

const IMPORT = /^\s*(?:import|export)\s[^;]*?from\s+"([^"]+)"|\bimport\("([^"]+)"\)|^\s*import\s+"([^"]+)"/gm;

function sources(folder: string): string[] {
  if (!existsSync(join(ROOT, folder))) return [];
  return readdirSync(join(ROOT, folder)).flatMap((name) => {
    const path = join(folder, name);
    if (name === "node_modules") return [];
    if (statSync(join(ROOT, path)).isDirectory()) return sources(path);
    return path.endsWith(".ts") && !path.endsWith(".test.ts") ? [path] : [];
  });
}

function importsOf(file: string): string[] {
  const text = readFileSync(join(ROOT, file), "utf8");
  return [...text.matchAll(IMPORT)].map((match) => match[1] ?? match[2] ?? match[3] ?? "");
}

const inside = (path: string, room: string) => path === room || path.startsWith(`${room}/`);

function violations(folder: string, allowed: readonly string[]): string[] {
  return sources(folder).flatMap((file) =>
    importsOf(file)
      .filter((target) => target.startsWith("."))
      .map((target) => relative(".", normalize(join(dirname(file), target))))
      .filter((target) => ![folder, ...allowed].some((room) => inside(target, room)))
      .map((target) => `${file} imports ${target}`),
  );
}

describe("import direction", () => {
  test.each(Object.entries(ALLOWED))("%s imports only its lower rooms", (folder, allowed) => {
    expect(violations(folder, allowed)).toEqual([]);
  });

  test.each(Object.entries(PACKAGE_ROOMS))("%s is known to its room alone", (name, rooms) => {
    const users = [...Object.keys(ALLOWED), "bench"]
      .flatMap(sources)
      .filter((file) => importsOf(file).some((target) => target === name || target.startsWith(`${name}/`)))
      .filter((file) => !rooms.some((room) => inside(file, room)));
    expect(users).toEqual([]);
  });
});
