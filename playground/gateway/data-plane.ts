import type { Logger } from "../../telemetry/log.ts";
import type { BackendSources } from "./backends.ts";
import { createListeners } from "./listeners.ts";
import { createPickerClients } from "./picker-client.ts";
import { proxyRequest } from "./proxy.ts";
import type { RouteEntry } from "./route-match.ts";
import { createUpstreams } from "./upstream.ts";

/** What carries requests by the routes that a gateway worked out. */
export interface DataPlane {
  /** Ports that cannot be listened on, and why. */
  readonly failures: ReadonlyMap<number, string>;
  /** Whether it has to be programmed again when pods and endpoints change, since it does not look for them itself. */
  readonly followsEndpoints: boolean;
  /** Holds a port; 0 takes any. Rejects where that is not possible. Returns the port. */
  open(port: number): Promise<number>;
  /** Serves exactly these ports, and `kept`, by these routes. */
  program(ports: ReadonlySet<number>, kept: number, routes: ReadonlyMap<number, readonly RouteEntry[]>): Promise<void>;
  close(): Promise<void>;
}

/** What a data plane is made of. */
export interface DataPlaneOptions {
  /** Address to listen on. */
  readonly host: string;
  readonly sources: BackendSources;
  readonly logger: Logger;
  /** Numbers in [0, 1). */
  readonly random: () => number;
}

/** Creates a data plane. */
export type CreateDataPlane = (options: DataPlaneOptions) => DataPlane;

/** The proxy of this process, which finds the endpoints of each request when it comes. */
export function createProxy(options: DataPlaneOptions): DataPlane {
  const upstreams = createUpstreams();
  const pickers = createPickerClients();
  let routes: ReadonlyMap<number, readonly RouteEntry[]> = new Map();
  const context = { ...options, upstreams, pickers, routes: (port: number) => routes.get(port) ?? [] };
  const listeners = createListeners(options.host, (port, request, response) => {
    void proxyRequest(context, port, request, response);
  });
  return {
    failures: listeners.failures,
    followsEndpoints: false,
    open: (port) => listeners.open(port),
    program: async (ports, kept, next) => {
      await listeners.adjust(ports, kept);
      routes = next;
    },
    close: async () => {
      await listeners.close();
      pickers.close();
      upstreams.close();
    },
  };
}
