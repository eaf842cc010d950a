import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { listShared, readShared } from "../../test/corpus.ts";
import { storeOf } from "../../test/scheduler/plugin-bench.ts";
import { parseYaml } from "../../kube/yaml.ts";
import { silentLogger } from "../../telemetry/log.ts";
import { createMetricsRegistry } from "../../telemetry/metrics.ts";
import { createPipeline } from "../scheduling/pipeline.ts";
import { loadConfig } from "./load.ts";

const RUNS = Number(process.env.FUZZ_RUNS ?? 400);
const DOCUMENTS = listShared("corpus/epp-configs", ".yaml").map((path) => parseYaml(readShared(path)));

/** Every place of a document. */
function placesOf(value: unknown, path: readonly (string | number)[] = []): (readonly (string | number)[])[] {
  if (typeof value !== "object" || value === null) return [path];
  const inner = Array.isArray(value) ? [...value.entries()] : Object.entries(value);
  return [path, ...inner.flatMap(([key, item]) => placesOf(item, [...path, key]))];
}

/** A copy with another value at a place. */
function replaced(value: unknown, [key, ...rest]: readonly (string | number)[], other: unknown): unknown {
  if (key === undefined) return other;
  if (Array.isArray(value)) return value.map((item, index) => (index === key ? replaced(item, rest, other) : item));
  const members = value as Record<string, unknown>;
  return { ...members, [key]: replaced(members[key], rest, other) };
}

const mutated = fc
  .tuple(fc.constantFrom(...DOCUMENTS), fc.nat(), fc.anything({ withNullPrototype: false, maxDepth: 3 }))
  .map(([document, at, other]) => {
    const places = placesOf(document);
    return replaced(document, places[at % places.length] ?? [], other);
  });

test("a damaged configuration is refused with reasons, or runs", () => {
  fc.assert(
    fc.property(mutated, (document) => {
      const { config, errors } = loadConfig(document);
      expect(config === undefined).toBe(errors.length > 0);
      if (config === undefined) return;
      const common = { endpoints: storeOf([]), random: { next: () => 0 }, logger: silentLogger };
      createPipeline({ config, ...common, metrics: createMetricsRegistry() });
    }),
    { numRuns: RUNS },
  );
});

test("any text is read or refused", () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 200 }), (text) => {
      const { config, errors } = loadConfig(text);
      expect(config === undefined).toBe(errors.length > 0);
    }),
    { numRuns: RUNS },
  );
});
