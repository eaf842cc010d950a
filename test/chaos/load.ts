import { Agent, request } from "node:http";

/** A request that got no whole answer of a model server. */
export interface Failure {
  readonly id: string;
  readonly route: string;
  /** Wall clock in ms. */
  readonly startedAt: number;
  readonly endedAt: number;
  readonly cause: string;
}

/** Requests of a run so far. */
export interface LoadCounts {
  readonly sent: number;
  readonly served: number;
  readonly failures: readonly Failure[];
  /** Of served requests, ms, in no order. */
  readonly latenciesMs: readonly number[];
}

/** A running load. */
export interface Load {
  readonly counts: LoadCounts;
  /** Sends no more, and resolves when the last answer is in. */
  stop(): Promise<void>;
}

/** What is sent. */
export interface LoadOptions {
  /** URL by name of a route; they are used in turn. */
  readonly urls: ReadonlyMap<string, string>;
  readonly model: string;
  readonly perSecond: number;
}

/** One in so many requests asks for a stream of some length. */
const STREAM_EVERY = 4;
const STREAM_TOKENS = 40;
const ANSWER_LIMIT_MS = 120_000;

/** Sends requests at a steady rate, however long answers take. */
export function startLoad({ urls, model, perSecond }: LoadOptions): Load {
  const agent = new Agent({ keepAlive: true, maxSockets: Infinity });
  const routes = [...urls];
  const open = new Set<Promise<void>>();
  const failures: Failure[] = [];
  const latenciesMs: number[] = [];
  let sent = 0;
  let served = 0;

  const one = async (index: number): Promise<void> => {
    const [route = "", url = ""] = routes[index % routes.length] ?? [];
    const id = `c${index}`;
    const startedAt = Date.now();
    const cause = await complete(agent, `${url}/v1/chat/completions`, id, bodyOf(model, index));
    const endedAt = Date.now();
    if (cause === undefined) {
      served++;
      latenciesMs.push(endedAt - startedAt);
    } else failures.push({ id, route, startedAt, endedAt, cause });
  };

  const startedAt = performance.now();
  const timer = setInterval(() => {
    for (const due = ((performance.now() - startedAt) / 1000) * perSecond; sent < due; ) {
      const request = one(sent++);
      open.add(request);
      void request.finally(() => open.delete(request));
    }
  }, 1000 / perSecond);
  return {
    get counts() {
      return { sent, served, failures, latenciesMs };
    },
    stop: async () => {
      clearInterval(timer);
      await Promise.all(open);
      agent.destroy();
    },
  };
}

function bodyOf(model: string, index: number): string {
  const stream = index % STREAM_EVERY === 0;
  const content = `question ${index % 50}: ${"why is it so? ".repeat(20)}`;
  return JSON.stringify({
    model,
    messages: [{ role: "user", content }],
    max_tokens: stream ? STREAM_TOKENS : 3,
    ...(stream ? { stream: true } : {}),
  });
}

/** Sends one request; resolves with why it was not served. */
function complete(agent: Agent, url: string, id: string, body: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const headers = { "content-type": "application/json", "content-length": Buffer.byteLength(body), "x-chaos-id": id };
    const sent = request(url, { method: "POST", agent, headers, timeout: ANSWER_LIMIT_MS }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk: string) => (text += chunk));
      response.once("error", (error) => resolve(`answer cut: ${error.message}`));
      response.once("end", () => {
        const whole = text.includes('"usage"') || /data: \[DONE\]\s*$/.test(text);
        const status = response.statusCode ?? 0;
        resolve(status === 200 && whole ? undefined : `${status} ${text.slice(-200)}`);
      });
    });
    sent.once("timeout", () => sent.destroy(new Error(`no answer within ${ANSWER_LIMIT_MS / 1000} s`)));
    sent.once("error", (error) => resolve(error.message));
    sent.end(body);
  });
}
