import type { Logger } from "../../telemetry/log.ts";
import type { Ticket } from "../framework/cycle.ts";
import type { Plugin } from "../framework/plugin.ts";
import type { Pipeline } from "../scheduling/pipeline.ts";
import type { Director, HeaderChange, MetadataValue, ResponseSummary } from "./types.ts";

/** A ticket knows the plugins that decided, so that a reload in between does not confuse them. */
export interface RoutedTicket extends Ticket {
  readonly pipeline: Pipeline;
}

/** The end of a request that was decided about and not sent. */
const UNSENT: ResponseSummary = {
  termination: "error",
  status: undefined,
  usage: undefined,
  responseBytes: 0,
  firstByteMs: undefined,
  durationMs: 0,
};

/** The part of a director that follows answers. */
type ResponseHooks = Pick<
  Director,
  "onResponseHeaders" | "onResponseBody" | "onFirstChunk" | "responseMetadata" | "onComplete"
> & {
  /** Ends a request that was decided about and is not sent. */
  unsent(ticket: RoutedTicket): void;
};

/** Passes what becomes of a request on to the plugins that decided about it. One that fails does not keep others from it. */
export function createResponseHooks(logger: Logger): ResponseHooks {
  const each = (ticket: unknown, call: (plugin: Plugin, ticket: Ticket) => void): void => {
    // Tickets are made by this director alone.
    const routed = ticket as RoutedTicket;
    for (const plugin of routed.pipeline.plugins) {
      try {
        call(plugin, routed);
      } catch (error) {
        logger.error("response hook failed", { requestId: routed.request.id, error });
      }
    }
  };
  return {
    unsent: (ticket) => each(ticket, (plugin, own) => plugin.onComplete?.(own, UNSENT)),
    onResponseHeaders: (ticket, headers, served) => {
      const writes: HeaderChange[] = [];
      each(ticket, (plugin, own) => {
        const added = plugin.onResponseHeaders?.(own, headers, served);
        if (added !== undefined) writes.push(...added);
      });
      return writes;
    },
    onResponseBody: (ticket, chunk, first, end) =>
      each(ticket, (plugin, own) => plugin.onResponseBody?.(own, chunk, first, end)),
    onFirstChunk: (ticket) => each(ticket, (plugin, own) => plugin.onFirstChunk?.(own)),
    responseMetadata: (ticket, usage) => {
      let merged: Map<string, ReadonlyMap<string, MetadataValue>> | undefined;
      each(ticket, (plugin, own) => {
        const writes = usage === undefined ? undefined : plugin.onUsage?.(own, usage);
        for (const [namespace, values] of writes ?? []) {
          merged ??= new Map();
          merged.set(namespace, new Map([...(merged.get(namespace) ?? []), ...values]));
        }
      });
      return merged;
    },
    onComplete: (ticket, summary) => each(ticket, (plugin, own) => plugin.onComplete?.(own, summary)),
  };
}
