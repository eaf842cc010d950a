import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { customResourceDefinitions } from "../crds/definitions.ts";
import { valuesSchema } from "./values-schema.ts";

const ROOT = new URL("..", import.meta.url).pathname;
const SOURCE = join(ROOT, "charts/llmisvc");

/**
 * Writes the complete chart to `target/llmisvc`: what is in `charts/llmisvc`, and what has its source elsewhere: custom
 * resource definitions and the values' schema.
 */
export function writeChart(target: string): string {
  const chart = join(target, "llmisvc");
  rmSync(chart, { recursive: true, force: true });
  cpSync(SOURCE, chart, { recursive: true });
  mkdirSync(join(chart, "files/crds"), { recursive: true });
  for (const definition of customResourceDefinitions()) {
    const { name } = definition["metadata"] as { readonly name: string };
    writeFileSync(join(chart, `files/crds/${name}.json`), JSON.stringify(definition));
  }
  const schema = valuesSchema(readFileSync(join(SOURCE, "values.yaml"), "utf8"));
  writeFileSync(join(chart, "values.schema.json"), `${JSON.stringify(schema, undefined, 2)}\n`);
  return chart;
}
