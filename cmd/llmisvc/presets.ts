import { wellKnownConfigs } from "../../controllers/composition/presets.ts";
import { dumpYaml } from "../../kube/yaml.ts";

const USAGE = `Usage: llmisvc presets

Writes the presets of this version as YAML: what every service starts from. Files of two versions can be compared:
  llmisvc render SERVICE.yaml --diff presets-of-another-version.yaml
`;

/** Writes the presets of this version as a YAML stream. Returns the exit code. */
export async function presets(args: readonly string[]): Promise<number> {
  const [first] = args;
  if (first !== undefined && !/^--?h(elp)?$/.test(first)) {
    process.stderr.write(`unknown argument ${JSON.stringify(first)}\n\n${USAGE}`);
    return 2;
  }
  process.stdout.write(first === undefined ? wellKnownConfigs().map(dumpYaml).join("---\n") : USAGE);
  return 0;
}
