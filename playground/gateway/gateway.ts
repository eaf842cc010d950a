import type { KubeClient } from "../../kube/client.ts";
import { KINDS, type Resource } from "../../kube/resources.ts";
import { type KubeObject, isNotFound } from "../../kube/types.ts";
import { type Logger, silentLogger } from "../../telemetry/log.ts";
import { timestamp } from "../conditions.ts";
import { labelsOf } from "../controllers/selector.ts";
import { type Fields, numberAt, recordsAt, sameJson, textAt } from "../fields.ts";
import { createKeyedWorker } from "../keyed-worker.ts";
import { type Mirror, mirrorObjects } from "../mirror.ts";
import { type Attached, attachRoute, routesByPort } from "./attachment.ts";
import type { BackendSources } from "./backends.ts";
import {
  CONTROLLER_NAME,
  gatewayClassStatus,
  gatewayStatus,
  gatewaysOfPool,
  poolStatus,
  routeStatus,
} from "./gateway-status.ts";
import { type CreateDataPlane, createProxy } from "./data-plane.ts";

/** Kinds whose objects the gateway follows. */
const FOLLOWED = {
  classes: KINDS.GatewayClass,
  gateways: KINDS.Gateway,
  routes: KINDS.HTTPRoute,
  grants: KINDS.ReferenceGrant,
  namespaces: KINDS.Namespace,
  services: KINDS.Service,
  slices: KINDS.EndpointSlice,
  pods: KINDS.Pod,
  poolsV1: KINDS.InferencePool,
  poolsV1Alpha2: KINDS.InferencePoolV1Alpha2,
} as const satisfies Readonly<Record<string, Resource>>;

/** Kinds that change with every request or probe and that routes do not depend on. */
const WITHOUT_STATUS = new Set<Resource>([KINDS.EndpointSlice, KINDS.Pod]);

/** What a gateway needs. */
export interface GatewayOptions {
  readonly client: KubeClient;
  /** Address to listen on, which is also the address in the status of Gateways; default 127.0.0.1. */
  readonly host?: string;
  /** A port that is held whether or not a listener asks for it; default 0, any free port. */
  readonly port?: number;
  readonly logger?: Logger;
  /** What carries the requests; default the proxy of this process. */
  readonly dataPlane?: CreateDataPlane;
  /** Wall clock in ms. */
  readonly now?: () => number;
  /** Numbers in [0, 1). */
  readonly random?: () => number;
}

/** A running gateway. */
export interface Gateway {
  /** The port that is always held. */
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Starts an HTTP front that programs itself from the Gateways of its class, their HTTPRoutes and InferencePools, asks
 * endpoint pickers as Envoy's `ext_proc` filter does, and writes the status of these kinds. Kinds whose definitions come
 * later are looked for with growing delays, so create them first where the start is to be quick.
 */
export async function createGateway(options: GatewayOptions): Promise<Gateway> {
  const { client } = options;
  const host = options.host ?? "127.0.0.1";
  const logger = (options.logger ?? silentLogger).child({ logger: "gateway" });
  const now = options.now ?? Date.now;

  const worker = createKeyedWorker("gateway", async () => await program(), logger);
  const mirrors = mapValues(FOLLOWED, (resource) =>
    mirrorObjects(client, resource, {
      logger,
      onChange: () => {
        if (plane.followsEndpoints || !WITHOUT_STATUS.has(resource)) worker.add("");
      },
    }),
  );
  const sources: BackendSources = { ...mirrors, pools: [mirrors.poolsV1, mirrors.poolsV1Alpha2] };
  const plane = (options.dataPlane ?? createProxy)({ host, sources, logger, random: options.random ?? Math.random });

  const program = async (): Promise<undefined> => {
    const classes = mirrors.classes.list().filter((one) => textAt(one, "spec", "controllerName") === CONTROLLER_NAME);
    const names = new Set(classes.map((one) => one.metadata.name));
    const gateways = mirrors.gateways.list().filter((one) => names.has(textAt(one, "spec", "gatewayClassName") ?? ""));
    const labels = (namespace: string) => labelsOf(mirrors.namespaces.get({ name: namespace }));
    const attached = mirrors.routes.list().map((route) => attachRoute(route, gateways, labels));
    await plane.program(portsOf(gateways), port, routesByPort(attached));
    await writeStatuses(classes, gateways, attached);
    return undefined;
  };

  const writeStatuses = async (
    classes: readonly KubeObject[],
    gateways: readonly KubeObject[],
    attached: readonly Attached[],
  ): Promise<void> => {
    const time = timestamp(now());
    for (const one of classes) await writeStatus(KINDS.GatewayClass, one, gatewayClassStatus(one, time));
    for (const gateway of gateways)
      await writeStatus(KINDS.Gateway, gateway, gatewayStatus(gateway, attached, host, plane.failures, time));
    for (const one of attached)
      if (one.attachments.length > 0) await writeStatus(KINDS.HTTPRoute, one.route, routeStatus(one, sources, time));
    for (const mirror of sources.pools)
      for (const pool of mirror.list()) {
        const parents = gatewaysOfPool(pool, attached, sources);
        const known = recordsAt(pool, "status", "parents").length + recordsAt(pool, "status", "parent").length;
        if (parents.length + known > 0)
          await writeStatus(mirror.resource, pool, poolStatus(pool, parents, sources, time));
      }
  };

  const writeStatus = async (resource: Resource, object: KubeObject, status: Fields): Promise<void> => {
    const changed = Object.entries(status).some(([name, value]) => !sameJson(part(object, name), value));
    if (!changed) return;
    const patch = { type: "merge", body: { metadata: { uid: object.metadata.uid }, status } } as const;
    const write = { subresource: "status", fieldManager: "playground-gateway" };
    await client.patch(resource, object.metadata, patch, write).catch((error: unknown) => {
      if (!isNotFound(error)) throw error;
    });
  };

  const port = await plane.open(options.port ?? 0);
  worker.add("");
  return {
    port,
    close: async () => {
      await Promise.all(Object.values(mirrors).map((mirror) => mirror.close()));
      await worker.close();
      await plane.close();
    },
  };
}

function part(object: KubeObject, name: string): unknown {
  const status = object["status"];
  return typeof status === "object" && status !== null ? Reflect.get(status, name) : undefined;
}

function portsOf(gateways: readonly KubeObject[]): ReadonlySet<number> {
  const listeners = gateways.flatMap((gateway) => recordsAt(gateway, "spec", "listeners"));
  const plain = listeners.filter((listener) => textAt(listener, "protocol") === "HTTP");
  return new Set(plain.flatMap((listener) => numberAt(listener, "port") ?? []));
}

function mapValues<K extends string>(
  record: Readonly<Record<K, Resource>>,
  make: (resource: Resource) => Mirror,
): Record<K, Mirror> {
  const entries = Object.entries<Resource>(record).map(([name, resource]) => [name, make(resource)]);
  return Object.fromEntries(entries) as Record<K, Mirror>;
}
