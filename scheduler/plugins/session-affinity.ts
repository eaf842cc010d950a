/** Ties sessions to endpoints: what the session-affinity filter and scorer share. */
import type { Cycle } from "../framework/cycle.ts";
import { createTokens } from "./session-token.ts";
import { type DataHandle, type DataUse, SESSION_ID, type SessionId } from "../framework/data.ts";
import { choice, integer, list, object, text } from "../framework/parameters.ts";
import type { HeaderWrites, Plugin, PluginContext } from "../framework/plugin.ts";

const DEFAULT_PRODUCER = "session-id-producer";
const AGENTS = "agent-identity";
const MAX_SESSIONS = 200_000;
const MS = 1000;

const source = object(
  {
    header: text({ doc: "Request header.", default: "" }),
    attribute: text({ doc: "Request attribute: SessionIDDataKey or agent-identity.", default: "" }),
    producer: text({ doc: "Producer of the attribute.", default: DEFAULT_PRODUCER }),
  },
  {
    check: ({ header, attribute }, path, report) => {
      if ((header === "") !== (attribute === "")) return;
      const cause = "must have exactly one of header and attribute";
      report.error({ path, value: { header, attribute }, cause, remedy: "give one of them" });
    },
  },
);
const DEFAULT_SOURCE = { header: "x-session-id", attribute: "", producer: DEFAULT_PRODUCER };

/** Parameters of session affinity. */
export const sessionParameters = object({
  strategy: choice({
    doc: "`encoded_endpoint_header`: the answer carries a token that names the endpoint; `session_id`: ids are remembered.",
    default: "encoded_endpoint_header",
    of: ["encoded_endpoint_header", "session_id"],
  }),
  encodedEndpointHeaderConfig: object({
    header: text({ doc: "Header of the token.", default: "x-session-token" }),
    signingKeyEnv: text({
      doc: "Environment variable with a key that tokens are signed with (HMAC-SHA256); empty: not signed.",
      default: "",
    }),
  }),
  sessionIdConfig: object({
    sources: list(source, { doc: "Where the id is; the first that is not empty.", default: [DEFAULT_SOURCE] }),
    evictionTtlSeconds: integer({ doc: "Idle time after which an id is forgotten.", default: 300, min: 0 }),
    evictionSweepSeconds: integer({ doc: "Pause between clean-ups.", default: 10, min: 0 }),
  }),
  profileName: text({ doc: "Profile whose target is remembered; empty: the primary one.", default: "" }),
});
type Parameters = typeof sessionParameters.fallback;

/** Name of the plugin that makes the attribute. The one of agents has its plugin's name. */
function keyOf({ attribute, producer }: Parameters["sessionIdConfig"]["sources"][number]): string {
  if (attribute.includes("/") && !attribute.endsWith("/")) return attribute.slice(attribute.indexOf("/") + 1);
  return attribute === SESSION_ID.name ? producer : attribute.replace(/\/$/, "");
}

/** Session data that the sources read. */
export function sessionUses({ strategy, sessionIdConfig }: Parameters): readonly DataUse[] {
  if (strategy !== "session_id") return [];
  return sessionIdConfig.sources.flatMap((item) =>
    item.attribute === "" ? [] : [{ key: SESSION_ID, producer: keyOf(item), optional: keyOf(item) === AGENTS }],
  );
}

/** Where a session's requests go, and what follows from a decision. */
export interface SessionAffinity
  extends Required<Pick<Plugin, "preRequest" | "onEndpointRemoved">>,
    Pick<Plugin, "onResponseHeaders" | "dumpState"> {
  /** Slot among the given ones that the request's session is tied to; -1: none. */
  boundSlot(cycle: Cycle, slots: Int32Array, count: number): number;
}

/** Creates session affinity by the configured strategy. */
export function createSessionAffinity(given: Parameters, context: PluginContext): SessionAffinity {
  return given.strategy === "session_id" ? bySessionId(given, context) : byToken(given, context);
}

/** The answer carries the endpoint's name; the client sends it back. */
function byToken({ encodedEndpointHeaderConfig, profileName }: Parameters, context: PluginContext): SessionAffinity {
  const header = encodedEndpointHeaderConfig.header.trim().toLowerCase();
  const { seal, open } = createTokens(encodedEndpointHeaderConfig.signingKeyEnv, context.environment);
  const idOf = (slot: number): string => {
    const { namespace, name } = context.endpoints.metadata(slot);
    return `${namespace}/${name}`;
  };
  return {
    boundSlot: ({ request }, slots, count) => {
      const token = request.headers.get(header) ?? "";
      if (token === "") return -1;
      const id = open(token);
      if (id === undefined) return -1;
      for (let i = 0; i < count; i++) if (idOf(slots[i] ?? 0) === id) return slots[i] ?? -1;
      return -1;
    },
    preRequest: (cycle, decision) => {
      const result = profileName === "" ? decision.primary : decision.results.get(profileName);
      const targets = result?.slots.subarray(0, Math.max(1, result.targetCount)) ?? new Int32Array(0);
      const tokens = Array.from(targets, (slot) => {
        return [cycle.endpoints.metadata(slot).hostPort, seal(idOf(slot))] as const;
      });
      decision.ticket.states[context.index] = tokens;
    },
    onResponseHeaders: (ticket, _, served): HeaderWrites | undefined => {
      // `preRequest` of this instance wrote it.
      const tokens = (ticket.states[context.index] ?? []) as readonly (readonly [string, string])[];
      const token = (tokens.find(([hostPort]) => hostPort === served) ?? tokens[0])?.[1];
      return token === undefined ? undefined : [[header, token]];
    },
    onEndpointRemoved: () => undefined,
  };
}

interface Binding {
  readonly slot: number;
  readonly generation: number;
  readonly lastSeenMs: number;
}

/** Ids that clients send are remembered with the endpoint of their first request. */
function bySessionId({ sessionIdConfig, profileName }: Parameters, context: PluginContext): SessionAffinity {
  const readers = sessionIdConfig.sources.map((item) => reader(item, context));
  const ttlMs = (sessionIdConfig.evictionTtlSeconds || 300) * MS;
  const sweepMs = (sessionIdConfig.evictionSweepSeconds || 10) * MS;
  /** Least recently seen first. */
  const bindings = context.keep(() => new Map<string, Binding>());
  let sweptAtMs = 0;
  /** Profiles of the request that is being decided whose candidates lack its endpoint. */
  const lacking = new Set<string>();
  let lackedBy: Cycle["request"] | undefined;

  const idOf = (cycle: Cycle): string => {
    for (const read of readers) {
      const id = read(cycle);
      if (id !== "") return id;
    }
    return "";
  };
  const sweep = (nowMs: number): void => {
    if (nowMs - sweptAtMs < sweepMs && bindings.size <= MAX_SESSIONS) return;
    sweptAtMs = nowMs;
    for (const [id, { lastSeenMs }] of bindings) {
      if (nowMs - lastSeenMs <= ttlMs && bindings.size <= MAX_SESSIONS) break;
      bindings.delete(id);
    }
  };
  return {
    boundSlot: (cycle, slots, count) => {
      if (lackedBy !== cycle.request) lacking.clear();
      lackedBy = cycle.request;
      const binding = bindings.get(idOf(cycle));
      if (binding === undefined) return -1;
      const lives = cycle.endpoints.generation[binding.slot] === binding.generation;
      for (let i = 0; lives && i < count; i++) if (slots[i] === binding.slot) return binding.slot;
      lacking.add(cycle.profile);
      return -1;
    },
    preRequest: (cycle, decision) => {
      sweep(cycle.nowMs);
      const result = profileName === "" ? decision.primary : decision.results.get(profileName);
      const slot = result?.slots[0];
      const id = idOf(cycle);
      if (slot === undefined || id === "") return;
      const known = bindings.get(id);
      const generation = cycle.endpoints.generation[slot] ?? 0;
      const isLacking = lackedBy === cycle.request && lacking.has(result?.profile ?? "");
      lackedBy = undefined;
      if (known !== undefined && (known.slot !== slot || known.generation !== generation) && !isLacking) return;
      bindings.delete(id);
      bindings.set(id, { slot, generation, lastSeenMs: cycle.nowMs });
    },
    onEndpointRemoved: () => undefined,
    dumpState: () => ({ sessions: bindings.size }),
  };
}

function reader(
  item: Parameters["sessionIdConfig"]["sources"][number],
  context: PluginContext,
): (cycle: Cycle) => string {
  if (item.attribute === "") {
    const header = item.header.trim().toLowerCase();
    return ({ request }) => request.headers.get(header) ?? "";
  }
  const handle: DataHandle<SessionId> = context.data(SESSION_ID, keyOf(item));
  return (cycle) => handle.of(cycle).id;
}
