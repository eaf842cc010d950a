import { RequestError } from "../http/errors.ts";
import { readBody } from "../http/read-body.ts";
import type { Upstreams } from "../http/upstream.ts";
import { type HostPort, hostPortText } from "../wire.ts";
import { type MooncakeEngine, type MooncakeEngines, readEngines } from "./mooncake.ts";

const QUERY_MS = 5000;
const MAX_ANSWER_BYTES = 1024 * 1024;
/** Prefill pods whose engines are remembered. */
const MAX_KNOWN = 1024;

/** Asks the bootstrap servers of prefill pods, and remembers what they say until the pod fails. */
export function createMooncakeEngines(upstreams: Upstreams, bootstrapPort: number): MooncakeEngines {
  const known = new Map<string, readonly MooncakeEngine[]>();
  const forget = (prefill: HostPort): void => void known.delete(hostPortText(prefill));
  return {
    of: async (prefill, signal) => {
      const key = hostPortText(prefill);
      const remembered = known.get(key);
      if (remembered !== undefined) return remembered;
      const found = await query(upstreams, { host: prefill.host, port: bootstrapPort }, signal);
      if (known.size >= MAX_KNOWN) known.delete(known.keys().next().value!);
      known.set(key, found);
      return found;
    },
    forget,
  };
}

async function query(upstreams: Upstreams, server: HostPort, signal: AbortSignal): Promise<readonly MooncakeEngine[]> {
  try {
    const answer = await upstreams.send(
      { ...server, tls: undefined },
      {
        method: "GET",
        path: "/query",
        headers: ["host", hostPortText(server)],
        body: undefined,
        signal: AbortSignal.any([signal, AbortSignal.timeout(QUERY_MS)]),
      },
    );
    const body = await readBody(answer, MAX_ANSWER_BYTES);
    if (answer.statusCode !== 200) throw new Error(`status ${answer.statusCode}`);
    const found = readEngines(JSON.parse(body.toString("utf8")));
    if (found.length === 0) throw new Error("it lists no engine_id");
    return found;
  } catch (cause) {
    if (signal.aborted) throw cause;
    const message = `Mooncake's bootstrap server ${hostPortText(server)} cannot be asked`;
    throw new RequestError("BadGateway", message, { cause });
  }
}
