import { parseArgs } from "node:util";
import { wellKnownConfigs } from "../../controllers/composition/presets.ts";
import { listAll } from "../../kube/client.ts";
import { createKubeClient, loadKubeConfig } from "../../kube/http-client.ts";
import { KINDS } from "../../kube/resources.ts";
import { dumpYaml } from "../../kube/yaml.ts";
import { print } from "./output.ts";
import { type PresetUsers, presetUsers } from "./preset-users.ts";
import { formatTable } from "./table.ts";

const USAGE = `llmisvc presets: the presets of this version as YAML, what every service starts from; or who uses those of a cluster

Files of two versions can be compared:
  llmisvc render SERVICE.yaml --diff presets-of-another-version.yaml

Flags:
  --live               list the presets of the cluster of the current context, with the services that are made of each
  --context NAME       the same, of the cluster of that context
  --kubeconfig FILE    the same, with that kubeconfig
  -o, --output FORMAT  with a cluster: text or json (default text)
  --system-namespace NS  namespace of the operator (default kserve)
  -h, --help           show this text
`;

/** Services that one row names; the others are counted. */
const NAMED = 5;

/** Writes the presets of this version, or lists those of a cluster with their users. Returns the exit code. */
export async function presets(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      live: { type: "boolean", default: false },
      context: { type: "string" },
      kubeconfig: { type: "string" },
      output: { type: "string", short: "o", default: "text" },
      "system-namespace": { type: "string", default: "kserve" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.output !== "text" && values.output !== "json")
    throw new TypeError(`--output: "${values.output}" is not a format; give text or json`);
  const { context, kubeconfig } = values;
  if (values.help) await print(USAGE);
  else if (!values.live && context === undefined && kubeconfig === undefined)
    await print(wellKnownConfigs().map(dumpYaml).join("---\n"));
  else {
    const users = await usersIn({ context, path: kubeconfig }, values["system-namespace"]);
    await print(values.output === "json" ? `${JSON.stringify(users, undefined, 2)}\n` : tableOf(users));
  }
  return 0;
}

async function usersIn(
  where: { readonly context: string | undefined; readonly path: string | undefined },
  systemNamespace: string,
): Promise<readonly PresetUsers[]> {
  const client = createKubeClient(await loadKubeConfig(where));
  try {
    const [configs, services] = await Promise.all([
      listAll(client, KINDS.LLMInferenceServiceConfig),
      listAll(client, KINDS.LLMInferenceService),
    ]);
    return presetUsers(configs.items, services.items, systemNamespace);
  } finally {
    client.close();
  }
}

function tableOf(users: readonly PresetUsers[]): string {
  const rows = users.map(({ namespace, name, exists, services }) => {
    const more = services.length > NAMED ? [`and ${services.length - NAMED} more`] : [];
    return [
      `${namespace}/${name}`,
      exists ? "" : "deleted",
      String(services.length),
      [...services.slice(0, NAMED), ...more].join(", "),
    ];
  });
  return formatTable(["PRESET", "STATE", "SERVICES", "USED BY"], rows);
}
