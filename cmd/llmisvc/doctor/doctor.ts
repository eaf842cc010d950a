import { parseArgs } from "node:util";
import { KINDS } from "../../../kube/resources.ts";
import { createKubeClient, currentNamespace, loadKubeConfig } from "../../../kube/http-client.ts";
import { METRICS_READER } from "../../../controllers/operator-role.ts";
import { checkAccess } from "./access-checks.ts";
import { checkCluster } from "./cluster-checks.ts";
import { type Finding, reportText } from "./findings.ts";
import { checkService } from "./service-checks.ts";
import { type Snapshot, takeSnapshot } from "./snapshot.ts";

const USAGE = `llmisvc doctor: looks at a cluster from outside and names what is wrong, why, and what to do

Usage:
  llmisvc doctor [SERVICE…] [flags]

Flags:
  -n, --namespace NAME       namespace of the services (default: that of the context)
  -A, --all-namespaces       services of all namespaces
  --system-namespace NAME    namespace of the operator (default kserve)
  --reader NAMESPACE/NAME    ServiceAccount by whose token schedulers are read
                             (default llmisvc-metrics-reader of the operator's namespace)
  --context NAME             context of the kubeconfig
  -o, --output FORMAT        text or json (default text)
  -h, --help                 show this text

Exit code: 0 without errors, 1 with errors, 2 for a wrong call or a cluster that cannot be reached.
`;

interface Flags {
  readonly services: readonly string[];
  readonly namespace: string | undefined;
  readonly allNamespaces: boolean;
  readonly systemNamespace: string;
  readonly reader: string;
  readonly context: string | undefined;
  readonly json: boolean;
}

/** Reads the flags; undefined asks for the usage text. Throws `TypeError` for what it does not understand. */
function readFlags(args: readonly string[]): Flags | undefined {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      namespace: { type: "string", short: "n" },
      "all-namespaces": { type: "boolean", short: "A", default: false },
      "system-namespace": { type: "string", default: "kserve" },
      reader: { type: "string" },
      context: { type: "string" },
      output: { type: "string", short: "o", default: "text" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return undefined;
  if (values.output !== "text" && values.output !== "json")
    throw new TypeError(`--output: "${values.output}" is not a format; use text or json`);
  return {
    services: positionals,
    namespace: values.namespace,
    allNamespaces: values["all-namespaces"],
    systemNamespace: values["system-namespace"],
    reader: values.reader ?? `${values["system-namespace"]}/${METRICS_READER}`,
    context: values.context,
    json: values.output === "json",
  };
}

/** Every finding about a cluster and about its services, or about those of these names alone. Pure. */
export function diagnose(snapshot: Snapshot, systemNamespace: string, names: readonly string[]): Finding[] {
  const services = snapshot
    .list(KINDS.LLMInferenceService)
    .filter(({ metadata }) => names.length === 0 || names.includes(metadata.name));
  const missing = names
    .filter((name) => !services.some(({ metadata }) => metadata.name === name))
    .map(
      (name): Finding => ({
        level: "error",
        subject: `LLMInferenceService ${name}`,
        cause: "does not exist",
        remedy: "apply its manifest, or name its namespace with -n",
      }),
    );
  return [
    ...checkAccess(snapshot),
    ...checkCluster(snapshot, systemNamespace),
    ...services.flatMap((service) => checkService(snapshot, service)),
    ...missing,
  ];
}

/** Runs the command; resolves to the exit code. */
export async function doctor(args: readonly string[]): Promise<number> {
  const flags = readFlags(args);
  if (flags === undefined) {
    process.stdout.write(USAGE);
    return 0;
  }
  const config = await loadKubeConfig({ context: flags.context });
  const client = createKubeClient(config);
  try {
    const namespace = flags.allNamespaces ? undefined : (flags.namespace ?? currentNamespace(config));
    const scope = { namespace, systemNamespace: flags.systemNamespace, reader: flags.reader };
    const snapshot = await takeSnapshot(client, scope, Date.now());
    const findings = diagnose(snapshot, flags.systemNamespace, flags.services);
    process.stdout.write(flags.json ? `${JSON.stringify(findings, undefined, 2)}\n` : reportText(findings));
    return findings.some(({ level }) => level === "error") ? 1 : 0;
  } finally {
    client.close();
  }
}
