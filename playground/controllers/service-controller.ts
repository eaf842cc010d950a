import { listAll } from "../../kube/client.ts";
import { KINDS } from "../../kube/resources.ts";
import { type KubeObject, parseKey } from "../../kube/types.ts";
import { sameJson } from "../fields.ts";
import { type ControllerContext, FIELD_MANAGER } from "./deployment-controller.ts";
import { SERVICE_NAME, buildEndpointSlices } from "./endpoint-slice.ts";
import { isControlledBy } from "./ownership.ts";
import { ignoreMissing } from "./replica-set-controller.ts";

/** One pass over a Service: its EndpointSlices follow its pods. */
export async function reconcileService(context: ControllerContext, key: string): Promise<undefined> {
  const { client } = context;
  const service = await client.find(KINDS.Service, parseKey(key));
  if (service === undefined || service.metadata.deletionTimestamp !== undefined) return undefined;
  const { namespace, name } = service.metadata;
  const pods = await listAll(client, KINDS.Pod, { namespace });
  const wanted = buildEndpointSlices(service, pods.items);
  const labelSelector = `${SERVICE_NAME}=${name}`;
  const live = (await listAll(client, KINDS.EndpointSlice, { namespace, labelSelector })).items.filter((slice) =>
    isControlledBy(slice, service),
  );
  for (const slice of wanted)
    await write(
      context,
      slice,
      live.find((candidate) => candidate.metadata.name === slice.metadata.name),
    );
  const names = new Set(wanted.map((slice) => slice.metadata.name));
  for (const slice of live)
    if (!names.has(slice.metadata.name)) await client.delete(KINDS.EndpointSlice, slice.metadata).catch(ignoreMissing);
  return undefined;
}

async function write(context: ControllerContext, wanted: KubeObject, live: KubeObject | undefined): Promise<void> {
  if (live === undefined) {
    await context.client.create(wanted, FIELD_MANAGER);
    return;
  }
  if (["endpoints", "ports"].every((part) => sameJson(live[part], wanted[part]))) return;
  const body = { endpoints: wanted["endpoints"], ports: wanted["ports"], metadata: { labels: wanted.metadata.labels } };
  await context.client.patch(KINDS.EndpointSlice, live.metadata, { type: "merge", body }, FIELD_MANAGER);
}
