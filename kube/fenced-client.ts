import type { KubeClient, WriteOptions } from "./client.ts";

/** Until when writes are allowed. */
export interface Fence {
  /** Aborts writes that are on their way. */
  readonly signal: AbortSignal;
  /** Whether a write may begin. Timers of a process that was stopped are late, so that this must not depend on one. */
  readonly holds: () => boolean;
}

/** A client that reads as ever and writes only within a fence; beyond it writes reject with the signal's reason or an error. */
export function fencedClient(client: KubeClient, fence: Fence): KubeClient {
  const within = async <T, O extends WriteOptions>(
    options: O | undefined,
    write: (options: O) => Promise<T>,
  ): Promise<T> => {
    fence.signal.throwIfAborted();
    if (!fence.holds()) throw new Error("this process no longer leads");
    const signals = options?.signal === undefined ? [fence.signal] : [fence.signal, options.signal];
    return await write({ ...options, signal: AbortSignal.any(signals) } as O);
  };
  return {
    get: (...args) => client.get(...args),
    find: (...args) => client.find(...args),
    list: (...args) => client.list(...args),
    watch: (...args) => client.watch(...args),
    serves: (...args) => client.serves(...args),
    getRaw: (...args) => client.getRaw(...args),
    create: (object, options) => within(options, (fenced) => client.create(object, fenced)),
    update: (object, options) => within(options, (fenced) => client.update(object, fenced)),
    updateStatus: (object, options) => within(options, (fenced) => client.updateStatus(object, fenced)),
    apply: (object, options) => within(options, (fenced) => client.apply(object, fenced)),
    applyStatus: (object, options) => within(options, (fenced) => client.applyStatus(object, fenced)),
    patch: (resource, key, patch, options) => within(options, (fenced) => client.patch(resource, key, patch, fenced)),
    delete: (resource, key, options) => within(options, (fenced) => client.delete(resource, key, fenced)),
  };
}
