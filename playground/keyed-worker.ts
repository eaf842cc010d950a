import { startController } from "../kube/controller.ts";
import { keyOf } from "../kube/types.ts";
import type { Logger } from "../telemetry/log.ts";

/** A controller over text keys. */
export interface KeyedWorker {
  add(key: string): void;
  /** Drops what waits and resolves when the running pass ended. */
  close(): Promise<void>;
}

/**
 * Starts a controller with one worker. `handle` brings one key into the wanted state and returns a delay in ms after which
 * it wants to look again.
 */
export function createKeyedWorker(
  name: string,
  handle: (key: string) => Promise<number | undefined>,
  logger: Logger,
): KeyedWorker {
  const controller = startController({
    name,
    logger,
    reconcile: async (key) => ({ requeueAfterMs: await handle(keyOf(key)) }),
  });
  return { add: (key) => controller.enqueue(key), close: () => controller.close() };
}
