import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { doctorRules } from "../cmd/llmisvc/doctor/snapshot.ts";
import { METRICS_READER_RULES, operatorNamespaceRules, operatorRules } from "../controllers/operator-role.ts";
import { customResourceDefinitions } from "../crds/definitions.ts";
import { dumpYaml } from "../kube/yaml.ts";
import { alertGroups } from "./alerts.ts";
import { DASHBOARDS, grafanaDashboard } from "./dashboards.ts";
import { valuesSchema } from "./values-schema.ts";

const ROOT = new URL("..", import.meta.url).pathname;
const SOURCE = join(ROOT, "charts/llmisvc");

/**
 * Writes the complete chart to `target/llmisvc`: what is in `charts/llmisvc`, and what has its source elsewhere: custom
 * resource definitions, the operator's rights, dashboards and alerts, the values' schema, and the version. Returns its folder.
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
  writeFileSync(join(chart, "files/cluster-role.yaml"), dumpYaml({ rules: operatorRules() }));
  writeFileSync(join(chart, "files/role.yaml"), dumpYaml({ rules: operatorNamespaceRules() }));
  writeFileSync(join(chart, "files/doctor-role.yaml"), dumpYaml({ rules: doctorRules() }));
  writeFileSync(join(chart, "files/metrics-reader-role.yaml"), dumpYaml({ rules: METRICS_READER_RULES }));
  mkdirSync(join(chart, "files/dashboards"));
  for (const dashboard of DASHBOARDS)
    writeFileSync(join(chart, `files/dashboards/${dashboard.name}.json`), JSON.stringify(grafanaDashboard(dashboard)));
  writeFileSync(join(chart, "files/alerts.yaml"), dumpYaml(alertGroups()));
  const schema = valuesSchema(readFileSync(join(SOURCE, "values.yaml"), "utf8"));
  writeFileSync(join(chart, "values.schema.json"), `${JSON.stringify(schema, undefined, 2)}\n`);
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { readonly version: string };
  const about = readFileSync(join(SOURCE, "Chart.yaml"), "utf8");
  writeFileSync(join(chart, "Chart.yaml"), about.replace(/^(version|appVersion):.*$/gm, `$1: ${version}`));
  return chart;
}

if (import.meta.main) process.stdout.write(`${writeChart(process.argv[2] ?? join(ROOT, "dist/chart"))}\n`);
