import { isObject } from "../../crds/json.ts";
import { until } from "../../playground/until.ts";
import type { Json, JsonObject, Step } from "./step.ts";
import { type Difference, differencesOf } from "./compare.ts";
import { type Server, runScenario } from "./run.ts";

/** Groups whose kinds both servers have; of the built-in ones the embedded server has a part. */
const BUILTIN = ["/api/v1", "/apis/apps/v1", "/apis/rbac.authorization.k8s.io/v1", "/apis/coordination.k8s.io/v1"];
const GROUP = "conformance.example.com";
const AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";

async function read(server: Server, path: string, accept = "application/json"): Promise<Json> {
  const step: Step = { label: "", method: "GET", path, accept };
  const [outcome] = await runScenario(server, { namespace: "", steps: [step] });
  return outcome!.body;
}

const membersOf = (body: Json, field: string): readonly JsonObject[] =>
  ((body as JsonObject)[field] ?? []) as readonly JsonObject[];

/** Hashes and addresses that each server has of its own. */
const OWN: ReadonlySet<string> = new Set(["storageVersionHash", "serverAddressByClientCIDRs"]);

function withoutOwn(value: Json): Json {
  if (Array.isArray(value)) return (value as readonly Json[]).map(withoutOwn);
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value as JsonObject).filter(([key]) => !OWN.has(key));
  return Object.fromEntries(entries.map(([key, item]) => [key, withoutOwn(item)]));
}

const PUBLISHED_MS = 30_000;

/** OpenAPI of the custom kind, which a real server publishes some time after it serves the kind. */
async function documentOf(server: Server): Promise<JsonObject> {
  let document: Json = null;
  return await until(
    `OpenAPI of ${GROUP}`,
    async () => {
      document = await read(server, `/openapi/v3/apis/${GROUP}/v1`);
      return isObject(document) && "components" in document && document;
    },
    { timeoutMs: PUBLISHED_MS, detail: () => JSON.stringify(document) },
  );
}

/** What a server says of its kinds: only what clients take decisions on, by a label and a name each. */
async function descriptionsOf(server: Server): Promise<ReadonlyMap<string, Json>> {
  const found = new Map<string, Json>();
  for (const path of [...BUILTIN, `/apis/${GROUP}/v1`])
    for (const resource of membersOf(await read(server, path), "resources"))
      found.set(`discovery ${path} ${String(resource["name"] as string)}`, resource);
  found.set(`discovery /apis/${GROUP}`, await read(server, `/apis/${GROUP}`));
  for (const group of membersOf(await read(server, "/apis"), "groups"))
    found.set(`discovery /apis ${String(group["name"] as string)}`, group);
  for (const item of membersOf(await read(server, "/apis", AGGREGATED), "items"))
    if ((item["metadata"] as JsonObject)["name"] === GROUP) found.set("aggregated discovery", item);
  const document = await documentOf(server);
  const schemas = (document["components"] as JsonObject)["schemas"] as JsonObject;
  found.set("openapi schema", schemas["com.example.conformance.v1.Widget"] ?? null);
  for (const [path, item] of Object.entries(document["paths"] as JsonObject))
    found.set(
      `openapi path ${path}`,
      Object.keys(item as JsonObject)
        .filter((key) => key !== "parameters")
        .sort(),
    );
  return found;
}

/** Compares what two servers say of the kinds that the second one has, and of the custom kind whatever either says. */
export async function compareDescriptions(real: Server, embedded: Server): Promise<Difference[]> {
  const [left, right] = await Promise.all([descriptionsOf(real), descriptionsOf(embedded)]);
  const names = new Set([...right.keys(), ...[...left.keys()].filter((name) => name.includes(GROUP))]);
  return [...names].flatMap((label) =>
    differencesOf(label, withoutOwn(left.get(label) ?? null), withoutOwn(right.get(label) ?? null)),
  );
}
