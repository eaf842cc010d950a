import { randomBytes } from "node:crypto";
import { type Logger, describeError } from "../telemetry/log.ts";
import type { KubeClient } from "./client.ts";
import { KINDS } from "./resources.ts";
import { type KubeObject, isNotFound } from "./types.ts";

/** Events that are remembered so that a repetition raises their count. */
const REMEMBERED = 1024;
/** Events that may wait for the server; later ones are dropped. */
const MAX_WAITING = 1000;
/** Longest message that the API takes (core v1 validation). */
const MAX_MESSAGE = 1024;

/** Writes Events about objects (core v1); never throws and never blocks. */
export interface EventRecorder {
  record(object: KubeObject, type: "Normal" | "Warning", reason: string, message: string): void;
  /** Resolves when everything recorded so far is written or given up. */
  flush(): Promise<void>;
}

/** What a recorder needs of a client. */
type EventClient = Pick<KubeClient, "create" | "patch">;

/** Parts of a recorder; `now` is the wall clock in ms. */
export interface RecorderOptions {
  /** `source.component` of the Events. */
  readonly component: string;
  readonly logger: Logger;
  readonly now?: () => number;
}

/** Creates a recorder. The same type, reason and message about the same object is one Event with a count. */
export function createEventRecorder(client: EventClient, options: RecorderOptions): EventRecorder {
  return new Recorder(client, options);
}

class Recorder implements EventRecorder {
  readonly #client: EventClient;
  readonly #options: RecorderOptions;
  readonly #known = new Map<string, { readonly name: string; count: number }>();
  #tail = Promise.resolve();
  #waiting = 0;

  constructor(client: EventClient, options: RecorderOptions) {
    this.#client = client;
    this.#options = options;
  }

  record(object: KubeObject, type: "Normal" | "Warning", reason: string, message: string): void {
    if (this.#waiting >= MAX_WAITING) return;
    this.#waiting++;
    this.#tail = this.#tail
      .then(() => this.#write(object, { type, reason, message: message.slice(0, MAX_MESSAGE) }))
      .catch((error: unknown) =>
        this.#options.logger.warn("Event not written", { reason, error: describeError(error) }),
      )
      .finally(() => void this.#waiting--);
  }

  flush(): Promise<void> {
    return this.#tail;
  }

  async #write(object: KubeObject, event: { type: string; reason: string; message: string }): Promise<void> {
    const key = JSON.stringify([object.metadata.uid, event]);
    if (await this.#repeat(object, key)) return;
    const { apiVersion, kind } = object;
    const { namespace = "default", name, uid, resourceVersion } = object.metadata;
    const eventName = `${name}.${randomBytes(8).toString("hex")}`;
    const time = this.#time();
    await this.#client.create({
      apiVersion: KINDS.Event.apiVersion,
      kind: KINDS.Event.kind,
      metadata: { name: eventName, namespace },
      involvedObject: { apiVersion, kind, namespace, name, uid, resourceVersion },
      ...event,
      source: { component: this.#options.component },
      reportingComponent: this.#options.component,
      reportingInstance: "",
      firstTimestamp: time,
      lastTimestamp: time,
      count: 1,
    });
    if (this.#known.size >= REMEMBERED) this.#known.delete(this.#known.keys().next().value ?? "");
    this.#known.set(key, { name: eventName, count: 1 });
  }

  /** Counts a known Event up; false when it is new or its record is gone from the server. */
  async #repeat(object: KubeObject, key: string): Promise<boolean> {
    const known = this.#known.get(key);
    if (known === undefined) return false;
    const eventKey = { namespace: object.metadata.namespace ?? "default", name: known.name };
    const body = { count: ++known.count, lastTimestamp: this.#time() };
    try {
      await this.#client.patch(KINDS.Event, eventKey, { type: "merge", body });
      return true;
    } catch (error) {
      if (!isNotFound(error)) throw error;
      this.#known.delete(key);
      return false;
    }
  }

  #time(): string {
    return new Date((this.#options.now ?? Date.now)()).toISOString().replace(/\.\d+Z$/, "Z");
  }
}
