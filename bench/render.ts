import { wellKnownConfigs } from "../controllers/composition/presets.ts";
import { compositionOf } from "../controllers/llminferenceservice/composition-of.ts";
import { type ClusterView } from "../controllers/llminferenceservice/pass.ts";
import { plan } from "../controllers/llminferenceservice/plan.ts";
import { OfflineView } from "../controllers/preview/views.ts";
import type { JsonObject } from "../crds/schema/types.ts";
import type { KubeObject } from "../kube/types.ts";
import { TemplateError } from "../templates/engine/errors.ts";
import { renderTemplate } from "../templates/engine/render.ts";
import { Struct } from "../templates/engine/values.ts";
import { type Bench, cpuMs, printTable, readOptions } from "./support/bench.ts";

const SYSTEM_NAMESPACE = "kserve";
const PARALLELISM = { data: 16, dataLocal: 8, tensor: 1 };
const PODS = { containers: [{ name: "main" }] };
const MODEL = { uri: "hf://meta-llama/Llama-3.1-8B-Instruct", name: "meta-llama/Llama-3.1-8B-Instruct" };
const ROUTER = { route: {}, gateway: {}, scheduler: {} };
const ADAPTERS = Array.from({ length: 7 }, (_, index) => ({
  name: `adapter-${index}`,
  uri: `hf://acme/lora-${index}`,
}));

/** Services from the smallest to the largest kind. */
const SERVICES: Readonly<Record<string, JsonObject>> = {
  "model alone": { model: MODEL },
  "with scheduler and route": { model: MODEL, router: ROUTER },
  "prefill and decode": { model: MODEL, router: ROUTER, prefill: {}, parallelism: { tensor: 2 } },
  "multi-node prefill and decode": {
    model: MODEL,
    router: ROUTER,
    parallelism: PARALLELISM,
    template: PODS,
    worker: PODS,
    prefill: { parallelism: PARALLELISM, template: PODS, worker: PODS },
  },
  "adapters, offloading, tracing": {
    model: { ...MODEL, lora: { adapters: ADAPTERS } },
    router: ROUTER,
    tracing: {},
    kvCacheOffloading: { cpu: "10Gi", secondary: [{ fileSystem: { emptyDir: { size: "100Gi" } } }] },
  },
};

function serviceOf(spec: JsonObject): KubeObject {
  const metadata = { name: "service", namespace: "namespace", uid: "", generation: 1 };
  return { apiVersion: "serving.kserve.io/v1alpha2", kind: "LLMInferenceService", metadata, spec };
}

/** Composes the service and builds all its children; their number. */
function renderOnce(service: KubeObject, cluster: ClusterView): number {
  const presets = { prefix: "kserve-", pinned: true };
  const { composition, global } = compositionOf(service, cluster, { systemNamespace: SYSTEM_NAMESPACE, presets });
  if (composition.kind === "failed") throw new Error(composition.message);
  const settings = {
    systemNamespace: SYSTEM_NAMESPACE,
    clusterDomain: "cluster.local",
    wildcardHostname: "inference",
  };
  const issueCertificate = () => ({ certificate: "", privateKey: "", authority: "" });
  const planned = plan({ service, composition, global, settings, cluster, nowMs: 0, issueCertificate });
  planned.conclude({});
  return planned.children.length;
}

function renderings(rounds: number): void {
  const cluster = new OfflineView(wellKnownConfigs({ namespace: SYSTEM_NAMESPACE }));
  const rows = Object.entries(SERVICES).map(([what, spec]) => {
    const service = serviceOf(spec);
    for (let round = 0; round < rounds / 4; round++) renderOnce(service, cluster);
    let children = 0;
    const total = cpuMs(() => {
      for (let round = 0; round < rounds; round++) children = renderOnce(service, cluster);
    });
    return [what, String(children), (total / rounds).toFixed(2)];
  });
  printTable([["service", "children", "CPU ms each"], ...rows]);
}

const MEGABYTE = 1 << 20;
const fill = (part: string): string => part.repeat(Math.ceil(MEGABYTE / part.length));

const HOSTILE: Readonly<Record<string, string>> = {
  openings: fill("{{"),
  actions: fill("{{.Name}}"),
  parentheses: `{{${fill("(")}`,
  pipeline: `{{.Name${fill("|print")}}}`,
  arguments: `{{eq 1 ${fill("2 ")}}}`,
  "else ifs": `{{if .Name}}${fill("{{else if .Name}}")}{{end}}`,
  loops: "{{range 50000}}{{range 50000}}{{.}}{{end}}{{end}}",
  "doubling text": `{{$x := \`abcdefgh\`}}${"{{$x = print $x $x}}".repeat(40)}`,
  "escaped output": `{{html \`${fill("<")}\`}}`,
  "plain text": fill("x"),
};

/** What texts of a megabyte cost that no person wrote. */
function hostileTemplates(): void {
  const data = new Struct(
    "Service",
    (field) => (field === "Name" ? "demo" : undefined),
    () => "{demo}",
  );
  const rows = Object.entries(HOSTILE).map(([what, text]) => {
    const cost = cpuMs(() => {
      try {
        renderTemplate(text, { name: "bench", data, functions: {} });
      } catch (error) {
        if (!(error instanceof TemplateError)) throw error;
      }
    });
    return [what, cost.toFixed(0)];
  });
  printTable([["hostile template", "CPU ms"], ...rows]);
}

const bench: Bench = {
  description: "effective spec and complete child set of a service, without a cluster (--rounds=400)",
  smallest: ["--rounds=1"],
  async run(args) {
    const { rounds } = readOptions(args, { rounds: "400" });
    renderings(Number(rounds));
    console.log();
    hostileTemplates();
  },
};

export default bench;
