import { readFileSync } from "node:fs";
import { VERSIONS } from "./versions.ts";

/** A section of the page: what it is about, and what a user types. */
export interface Step {
  readonly title: string;
  readonly text: string;
  readonly commands: readonly string[];
}

/** A command that ran, and its standard output. */
export interface Recorded {
  readonly command: string;
  readonly output: string;
}

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  readonly version: string;
};

const SCHEDULER = "app.kubernetes.io/component=llminferenceservice-scheduler";
const SET_URL = "URL=$(kubectl get llmisvc quickstart -o jsonpath='{.status.url}')";
const BODY = '{"model": "facebook/opt-125m", "prompt": "Who schedules tokens?", "max_tokens": 8}';

/** From an empty cluster to a completion and back, as a user types it. */
export const STEPS: readonly Step[] = [
  {
    title: "Install",
    text: "One line brings the definitions, the operator with its rights, its configuration, and the Gateway that services attach to.",
    commands: [
      `helm install llmisvc dist/llmisvc-${version}.tgz --namespace kserve --create-namespace --set gateway.create=true`,
      "kubectl -n kserve rollout status deployment/llmisvc-controller-manager",
      "helm test llmisvc --namespace kserve --logs",
    ],
  },
  {
    title: "Create a service",
    text: "[samples/quickstart.yaml](../samples/quickstart.yaml) is a model with three replicas behind a scheduler.",
    commands: [
      "kubectl apply -f samples/quickstart.yaml",
      "kubectl wait --for=condition=Ready llmisvc/quickstart --timeout=120s",
      "kubectl get llmisvc,pods",
    ],
  },
  {
    title: "Send a request",
    text: "Envoy asks the scheduler for the pod; the simulated model server says which one it is.",
    commands: [`${SET_URL}\ncurl -si $URL/v1/completions -H 'content-type: application/json' -d '${BODY}'`],
  },
  {
    title: "See why it went there",
    text: "The scheduler writes a line for each decision (`--v=4` in the sample), and keeps the last ones.",
    commands: [`kubectl logs -l ${SCHEDULER} --tail=-1 | grep scores`, "llmisvc why", "llmisvc top"],
  },
  {
    title: "Read its metrics",
    text: "The metrics port asks the cluster who reads. The chart has an account for it. From a machine that does not reach pods, go through `kubectl port-forward`.",
    commands: [
      `IP=$(kubectl get pods -l ${SCHEDULER} -o jsonpath='{.items[0].status.podIP}')
TOKEN=$(kubectl -n kserve create token llmisvc-metrics-reader)
curl -s -H "authorization: Bearer $TOKEN" http://$IP:9090/metrics | grep ^endpoint_picker | grep -v _bucket`,
    ],
  },
  { title: "Check everything", text: "", commands: ["llmisvc doctor"] },
  {
    title: "Remove it",
    text: "The definitions stay, so that no service is lost by an uninstall.",
    commands: ["kubectl delete -f samples/quickstart.yaml", "helm uninstall llmisvc --namespace kserve"],
  },
];

/** The page, from what every command of `STEPS` wrote, in their order. */
export function quickstartPage(recorded: readonly Recorded[]): string {
  const outputs = new Map(recorded.map(({ command, output }) => [command, output]));
  const sections = STEPS.map(({ title, text, commands }) => {
    const blocks = commands.map((command) => block("sh", command) + outputBlock(outputs.get(command) ?? ""));
    return `## ${title}\n\n${text === "" ? "" : `${text}\n\n`}${blocks.join("\n")}`;
  });
  return `# From an empty cluster to a completion

Written by \`make quickstart\`, which runs these commands with Helm ${VERSIONS.helm} and kubectl against Kubernetes ${VERSIONS.kubernetes.newest} (API server, controller manager, etcd) and Envoy ${VERSIONS.envoy}; do not edit. Every pod runs under its own ServiceAccount, with the rights that the chart gives it and no more. Model servers are simulated. A test compares every run with this page.

\`make chart\` wrote the archive. The cluster has the CRDs of the Gateway API and its inference extension, and a gateway of class \`envoy\`.

${sections.join("\n")}`;
}

const block = (language: string, text: string): string => `\`\`\`${language}\n${text}\n\`\`\`\n`;

/** Lines that tell of a wait come as often as it takes. */
function outputBlock(output: string): string {
  const lines = output.replaceAll("\r", "").trimEnd().split("\n");
  const kept = lines.filter((line) => !line.startsWith("Waiting for deployment"));
  return kept.join("").trim() === "" ? "" : `\n${block("text", kept.join("\n"))}`;
}

/** What differs from run to run, and what stands for it; in this order. */
const VOLATILE: readonly (readonly [pattern: RegExp, stands: string])[] = [
  [/^(LAST DEPLOYED|Last Started|Last Completed|date): .*$/gm, "$1: TIME"],
  [/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/g, "ID"],
  [/-[0-9a-z]{8,10}-[0-9a-z]{5}\b/g, "-POD"],
  [/\d{4}-\d\d-\d\dT[\d:.]+Z/g, "TIME"],
  [/\b(\d+[dhms])+\b/g, "AGE"],
  [/\d+(\.\d+)?(e[+-]?\d+)?/g, "0"],
  [/ +/g, " "],
];

/** A transcript without what differs from run to run. */
export function shapeOf(page: string): string {
  return VOLATILE.reduce((text, [pattern, stands]) => text.replaceAll(pattern, stands), page);
}
