import { request as httpRequest } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { request as httpsRequest } from "node:https";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { describeError } from "../../telemetry/log.ts";
import { type Fields, numberAt, recordAt, recordsAt, textAt, textsAt } from "../fields.ts";

/** What one probe found; `message` says why it failed. */
export interface ProbeResult {
  readonly success: boolean;
  readonly message: string;
}

/** What probes are aimed at. */
export interface ProbeTarget {
  readonly podIP: string;
  readonly container: Fields;
  /** Runs a command in the container. */
  readonly exec: (command: readonly string[], timeoutMs: number) => Promise<ProbeResult>;
}

/** Runs a probe once: `httpGet`, `tcpSocket`, `grpc` or `exec` (core v1). Never rejects. */
export async function runProbe(probe: Fields, target: ProbeTarget): Promise<ProbeResult> {
  const timeoutMs = (numberAt(probe, "timeoutSeconds") ?? 1) * 1000;
  try {
    const http = recordAt(probe, "httpGet");
    if (http !== undefined) return await probeHttp(http, target, timeoutMs);
    const tcp = recordAt(probe, "tcpSocket");
    if (tcp !== undefined) return await probeTcp(tcp, target, timeoutMs);
    const grpc = recordAt(probe, "grpc");
    if (grpc !== undefined) return await probeGrpc(grpc, target, timeoutMs);
    return await target.exec(textsAt(probe, "exec", "command"), timeoutMs);
  } catch (error) {
    return { success: false, message: describeError(error) };
  }
}

function portOf(handler: Fields, container: Fields): number {
  const port = handler["port"];
  if (typeof port === "number") return port;
  const declared = recordsAt(container, "ports").find((candidate) => candidate["name"] === port);
  return numberAt(declared, "containerPort") ?? Number(port);
}

function probeHttp(handler: Fields, target: ProbeTarget, timeoutMs: number): Promise<ProbeResult> {
  const secure = textAt(handler, "scheme") === "HTTPS";
  const host = textAt(handler, "host") ?? target.podIP;
  const headers = recordsAt(handler, "httpHeaders").map((header) => [textAt(header, "name"), textAt(header, "value")]);
  const options = {
    host,
    port: portOf(handler, target.container),
    path: textAt(handler, "path") ?? "/",
    headers: { "user-agent": "kube-probe/1.32", ...Object.fromEntries(headers) },
    rejectUnauthorized: false,
    agent: false,
    signal: AbortSignal.timeout(timeoutMs),
  } as const;
  return new Promise((resolve, reject) => {
    const request = (secure ? httpsRequest : httpRequest)(options, (response) => {
      const status = response.statusCode ?? 0;
      response.resume();
      request.destroy();
      const success = status >= 200 && status < 400;
      resolve({ success, message: `HTTP probe failed with statuscode: ${status}` });
    });
    request.once("error", reject).end();
  });
}

function probeTcp(handler: Fields, target: ProbeTarget, timeoutMs: number): Promise<ProbeResult> {
  const host = textAt(handler, "host") ?? target.podIP;
  return new Promise((resolve) => {
    const socket = connect({ host, port: portOf(handler, target.container) });
    const settle = (success: boolean, message: string): void => {
      socket.destroy();
      resolve({ success, message });
    };
    socket.setTimeout(timeoutMs, () => settle(false, "dial timed out"));
    socket.once("connect", () => settle(true, ""));
    socket.once("error", (error) => settle(false, error.message));
  });
}

/** `grpc.health.v1.Health/Check` in plain text, framed by hand: field 1 of request and answer is service and status. */
function probeGrpc(handler: Fields, target: ProbeTarget, timeoutMs: number): Promise<ProbeResult> {
  const service = Buffer.from(textAt(handler, "service") ?? "");
  const message = service.length === 0 ? service : Buffer.concat([Buffer.from([0x0a, service.length]), service]);
  const frame = Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message]);
  return new Promise((resolve) => {
    const session = connectHttp2(`http://${target.podIP}:${portOf(handler, target.container)}`);
    const settle = (success: boolean, text: string): void => {
      clearTimeout(timer);
      session.destroy();
      resolve({ success, message: text });
    };
    const timer = setTimeout(() => settle(false, "timeout: health rpc did not complete in time"), timeoutMs);
    session.once("error", (error) => settle(false, describeError(error)));
    const stream = session.request({
      ":method": "POST",
      ":path": "/grpc.health.v1.Health/Check",
      "content-type": "application/grpc",
      te: "trailers",
    });
    const chunks: Buffer[] = [];
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.once("error", (error) => settle(false, describeError(error)));
    stream.once("end", () => {
      const body = Buffer.concat(chunks);
      const serving = body.length >= 7 && body[5] === 0x08 && body[6] === 1;
      settle(serving, "service unhealthy: the health check did not answer SERVING");
    });
    stream.end(frame);
  });
}

/** Pace of a probe. */
export interface ProbePace {
  /**
   * With a number, a probe runs at this interval (ms) from the start until its first success, whatever its initial delay and
   * period say, so that a playground is ready as soon as its processes are; failures count at the declared pace.
   */
  readonly eagerIntervalMs: number | undefined;
}

/** Repeats a probe until `signal` fires, telling each change of its verdict and each failure that counts. */
export async function repeatProbe(
  probe: Fields,
  target: ProbeTarget,
  pace: ProbePace,
  signal: AbortSignal,
  tell: { verdict(success: boolean, message: string): void; failure(message: string): void },
): Promise<void> {
  const periodMs = (numberAt(probe, "periodSeconds") ?? 10) * 1000;
  const thresholds = {
    success: numberAt(probe, "successThreshold") ?? 1,
    failure: numberAt(probe, "failureThreshold") ?? 3,
  };
  const initialMs = (numberAt(probe, "initialDelaySeconds") ?? 0) * 1000;
  const startMs = performance.now();
  let countFailuresFromMs = startMs + (pace.eagerIntervalMs === undefined ? initialMs : Math.max(initialMs, periodMs));
  let seenSuccess = false;
  let inRow = 0;
  let last: boolean | undefined;
  if (pace.eagerIntervalMs === undefined && !(await pause(initialMs, signal))) return;
  while (!signal.aborted) {
    const { success, message } = await runProbe(probe, target);
    if (signal.aborted) return;
    const counts = success || performance.now() >= countFailuresFromMs;
    if (counts) {
      inRow = success === last ? inRow + 1 : 1;
      last = success;
      seenSuccess ||= success;
      if (!success) tell.failure(message);
      if (!success) countFailuresFromMs = performance.now() + periodMs;
      if (inRow >= (success ? thresholds.success : thresholds.failure)) tell.verdict(success, message);
    }
    const eager = !seenSuccess && pace.eagerIntervalMs !== undefined;
    if (!(await pause(eager ? Math.min(pace.eagerIntervalMs, periodMs) : periodMs, signal))) return;
  }
}

/** Waits; false when the signal fired meanwhile. */
export async function pause(ms: number, signal: AbortSignal): Promise<boolean> {
  return await delay(ms, true, { signal, ref: false }).catch(() => false);
}
