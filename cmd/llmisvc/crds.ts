import { customResourceDefinitions } from "../../crds/definitions.ts";
import { dumpYaml } from "../../kube/yaml.ts";
import { print } from "./output.ts";

const USAGE = `Usage: llmisvc crds

Writes the CustomResourceDefinitions of LLMInferenceService and LLMInferenceServiceConfig as YAML, for
  llmisvc crds | kubectl apply --server-side -f -
The operator adds the conversion webhook when it starts.
`;

/** Writes our definitions as a YAML stream. Returns the exit code. */
export async function crds(args: readonly string[]): Promise<number> {
  const [first] = args;
  if (first === undefined) await print(customResourceDefinitions().map(dumpYaml).join("---\n"));
  else if (/^--?h(elp)?$/.test(first)) await print(USAGE);
  else {
    process.stderr.write(`unknown argument ${JSON.stringify(first)}\n\n${USAGE}`);
    return 2;
  }
  return 0;
}
