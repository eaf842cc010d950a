import { parseArgs } from "node:util";
import { DEFAULT_PRESET_PREFIX, wellKnownConfigs } from "../../controllers/composition/presets.ts";
import { whenKnown } from "../../controllers/cluster/references.ts";
import { isObject } from "../../crds/json.ts";
import type { ClusterView } from "../../controllers/llminferenceservice/pass.ts";
import { type Change, changeText, changesBetween } from "../../controllers/preview/changes.ts";
import { ObjectView } from "../../controllers/preview/object-view.ts";
import { type Preview, asObject, previewService } from "../../controllers/preview/preview.ts";
import { stored } from "../../controllers/preview/stored-form.ts";
import { LiveView, OfflineView } from "../../controllers/preview/views.ts";
import type { JsonObject } from "../../crds/schema/types.ts";
import { type HttpKubeClient, createKubeClient, currentNamespace, loadKubeConfig } from "../../kube/http-client.ts";
import { KINDS } from "../../kube/resources.ts";
import type { KubeObject } from "../../kube/types.ts";
import { dumpYaml } from "../../kube/yaml.ts";
import { describeError } from "../../telemetry/log.ts";
import { ManifestError, readManifests } from "./manifests.ts";
import { flagsOrExitCode, print } from "./output.ts";

const USAGE = `llmisvc render FILE…: what the operator makes of services: effective spec and every object, as YAML

FILE is a file, a folder, or - for the standard input. LLMInferenceServices are rendered; configs, ConfigMaps, Gateways,
routes and other objects in the files are what they refer to. Without a cluster the presets of this version apply, and
Gateways and ServiceAccounts that are named count as existing.

Flags:
  --diff FILE          show what changes from these services to those of FILE; a FILE of configs alone is taken as
                       other presets for the same services (llmisvc presets writes those of a version)
  -o, --output FORMAT  yaml or json (default yaml)
  --live               read what the files do not hold from the cluster of the current context
  --context NAME       the same, from the cluster of that context
  --kubeconfig FILE    the same, with that kubeconfig
  -n, --namespace NS   namespace of objects that name none (default: that of the context, else default)
  --system-namespace NS  namespace of the operator (default kserve)
  -h, --help           show this text

Exit codes: 0 rendered, and with --diff no difference; 1 differences; 2 wrong usage or unreadable files; 3 a service
cannot be rendered, or not completely.
`;

const OK = 0;
const DIFFERENT = 1;
const USAGE_ERROR = 2;
const NOT_RENDERED = 3;

interface Flags {
  readonly paths: readonly string[];
  readonly diff: string | undefined;
  readonly json: boolean;
  readonly live: boolean;
  readonly context: string | undefined;
  readonly kubeconfig: string | undefined;
  readonly namespace: string | undefined;
  readonly systemNamespace: string;
}

/** Reads the flags; undefined asks for the usage text. Throws `TypeError` for what it does not understand. */
function readFlags(args: readonly string[]): Flags | undefined {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: {
      diff: { type: "string" },
      output: { type: "string", short: "o", default: "yaml" },
      live: { type: "boolean", default: false },
      context: { type: "string" },
      kubeconfig: { type: "string" },
      namespace: { type: "string", short: "n" },
      "system-namespace": { type: "string", default: "kserve" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return undefined;
  if (positionals.length === 0) throw new TypeError("name at least one file, folder, or - for the standard input");
  if (values.output !== "yaml" && values.output !== "json")
    throw new TypeError(`--output: "${values.output}" is not a format; give yaml or json`);
  return {
    paths: positionals,
    diff: values.diff,
    json: values.output === "json",
    live: values.live || values.context !== undefined || values.kubeconfig !== undefined,
    context: values.context,
    kubeconfig: values.kubeconfig,
    namespace: values.namespace,
    systemNamespace: values["system-namespace"],
  };
}

/** Where the manifests are rendered. */
interface Place {
  readonly namespace: string;
  readonly systemNamespace: string;
  readonly client: HttpKubeClient | undefined;
}

async function placeOf(flags: Flags): Promise<Place> {
  const { systemNamespace } = flags;
  if (!flags.live) return { namespace: flags.namespace ?? "default", systemNamespace, client: undefined };
  const config = await loadKubeConfig({ path: flags.kubeconfig, context: flags.context });
  return {
    namespace: flags.namespace ?? currentNamespace(config),
    systemNamespace,
    client: createKubeClient(config),
  };
}

const isService = (object: JsonObject): boolean => object["kind"] === KINDS.LLMInferenceService.kind;
const isConfig = (object: JsonObject): boolean => object["kind"] === KINDS.LLMInferenceServiceConfig.kind;

const CLUSTER_SCOPED: ReadonlySet<string> = new Set(
  Object.values(KINDS).flatMap((resource) => (resource.namespaced ? [] : [resource.kind])),
);

function placed(object: JsonObject, namespace: string): KubeObject {
  const whole = asObject(object, namespace);
  if (!CLUSTER_SCOPED.has(whole.kind)) return whole;
  const { namespace: _none, ...metadata } = whole.metadata;
  return { ...whole, metadata };
}

function viewOf(place: Place, objects: readonly JsonObject[]): ClusterView {
  const given = objects.map((object) => placed(stored(object).object, place.namespace));
  if (place.client !== undefined) return new LiveView(place.client, new ObjectView(given));
  return new OfflineView([...wellKnownConfigs({ namespace: place.systemNamespace }), ...given]);
}

/** Renders the services among the objects; all the others are what these refer to. */
async function renderAll(
  place: Place,
  services: readonly JsonObject[],
  others: readonly JsonObject[],
): Promise<readonly Preview[]> {
  const view = viewOf(place, [...others, ...services]);
  const { systemNamespace } = place;
  const options = {
    presets: { prefix: DEFAULT_PRESET_PREFIX, pinned: true },
    settings: { systemNamespace, clusterDomain: "cluster.local", wildcardHostname: "inference" },
  };
  const previews: Preview[] = [];
  for (const service of services) {
    const manifest = asObject(service, place.namespace);
    previews.push(await whenKnown(() => previewService(manifest, view, options)));
  }
  return previews;
}

const objectsOf = ({ effective, children }: Preview): readonly JsonObject[] => [
  ...(effective === undefined ? [] : [effective]),
  ...children,
];

function complain(previews: readonly Preview[]): number {
  for (const { namespace, name, warnings, problems } of previews) {
    for (const warning of warnings) process.stderr.write(`warning: ${namespace}/${name}: ${warning}\n`);
    for (const problem of problems) process.stderr.write(`error: ${namespace}/${name}: ${problem}\n`);
  }
  return previews.some(({ problems }) => problems.length > 0) ? NOT_RENDERED : OK;
}

async function write(previews: readonly Preview[], json: boolean): Promise<number> {
  const code = complain(previews);
  const yaml = (): string => previews.flatMap(objectsOf).map(dumpYaml).join("---\n");
  await print(json ? `${JSON.stringify({ services: previews }, undefined, 2)}\n` : yaml());
  return code;
}

async function writeChanges(changes: readonly Change[], json: boolean): Promise<number> {
  const lines = (): string => changes.map((change) => `${changeText(change)}\n`).join("");
  await print(json ? `${JSON.stringify({ changes }, undefined, 2)}\n` : lines());
  return changes.length > 0 ? DIFFERENT : OK;
}

const documents = (paths: readonly string[]): readonly JsonObject[] =>
  readManifests(paths)
    .map(({ object }) => object)
    .filter(isObject);

async function run(flags: Flags, place: Place): Promise<number> {
  const own = documents(flags.paths);
  const services = own.filter(isService);
  if (services.length === 0) throw new ManifestError("there is no LLMInferenceService in the files");
  const others = own.filter((object) => !isService(object));
  const before = await renderAll(place, services, others);
  if (flags.diff === undefined) return await write(before, flags.json);
  const theirs = documents([flags.diff]);
  const presetsAlone = theirs.length > 0 && theirs.every(isConfig);
  const after = presetsAlone
    ? await renderAll(place, services, [...others, ...theirs])
    : await renderAll(
        place,
        theirs.filter(isService),
        theirs.filter((object) => !isService(object)),
      );
  const failed = complain([...before, ...after]);
  const changed = await writeChanges(changesBetween(before.flatMap(objectsOf), after.flatMap(objectsOf)), flags.json);
  return failed === OK ? changed : failed;
}

/** `llmisvc render`. Returns the exit code. */
export async function render(args: readonly string[]): Promise<number> {
  const flags = await flagsOrExitCode(USAGE, () => readFlags(args));
  if (typeof flags === "number") return flags;
  try {
    const place = await placeOf(flags);
    try {
      return await run(flags, place);
    } finally {
      place.client?.close();
    }
  } catch (error) {
    process.stderr.write(`${describeError(error)}\n`);
    return error instanceof ManifestError ? USAGE_ERROR : NOT_RENDERED;
  }
}
