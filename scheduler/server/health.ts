import type { Logger } from "../../telemetry/log.ts";
import { BackwardWriter, WireError, WireReader } from "../extproc/wire.ts";
import { type Call, GRPC_STATUS, type Method, type Methods } from "./transport.ts";

/** `grpc.health.v1.HealthCheckResponse.ServingStatus`. */
const SERVING_STATUS = { serving: 1, notServing: 2 } as const;

/** The service that proxies check. */
export const EXT_PROC_SERVICE = "envoy.service.ext_proc.v3.ExternalProcessor";
const READINESS_SERVICES: ReadonlySet<string> = new Set(["", "readiness", EXT_PROC_SERVICE]);

/** State of a process that its health answers tell. */
export interface HealthState {
  /** The pool is known and what it asks for is served. */
  readonly live: boolean;
  /** Plugins have what they need, too. */
  readonly ready: boolean;
  readonly draining: boolean;
}

/**
 * Health by service name: `readiness`, the empty name and the external processor ask for readiness, all others for
 * liveness. Every replica may serve: there is no leader. A change is logged, an answer is not.
 */
export function createHealthMethods(state: () => HealthState, logger: Logger): Methods {
  const last = new Map<string, boolean>();
  const serving = (service: string): number => {
    const { live, ready, draining } = state();
    const readiness = READINESS_SERVICES.has(service);
    const answer = !draining && (readiness ? live && ready : live);
    const aspect = readiness ? "readiness" : "liveness";
    if (last.get(aspect) !== answer) logger.info("health changed", { aspect, serving: answer, live, ready, draining });
    last.set(aspect, answer);
    return answer ? SERVING_STATUS.serving : SERVING_STATUS.notServing;
  };
  return new Map<string, Method>([
    ["/grpc.health.v1.Health/Check", unary((request) => statusMessage(serving(serviceOf(request))))],
    ["/grpc.health.v1.Health/List", unary(() => listMessage([EXT_PROC_SERVICE, "liveness", "readiness"], serving))],
  ]);
}

/** Health of the external processor's own port: constant, for that service alone. */
export function createStaticHealthMethods(): Methods {
  const check = unary((request) => (serviceOf(request) === EXT_PROC_SERVICE ? statusMessage(1) : undefined));
  return new Map([["/grpc.health.v1.Health/Check", check]]);
}

/** A method with one request and one answer; no answer is NOT_FOUND. */
function unary(answer: (request: Buffer) => Buffer | undefined): Method {
  return (call) => {
    let request: Buffer = Buffer.alloc(0);
    return {
      onMessage: (message) => void (request = message),
      onHalfClose: () => respond(call, request, answer),
      onCancel: () => undefined,
    };
  };
}

function respond(call: Call, request: Buffer, answer: (request: Buffer) => Buffer | undefined): void {
  try {
    const message = answer(request);
    if (message === undefined) return call.end(GRPC_STATUS.notFound, "unknown service");
    call.send(message);
    call.end(GRPC_STATUS.ok);
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    call.end(GRPC_STATUS.invalidArgument, error.message);
  }
}

/** HealthCheckRequest {1 service}. */
function serviceOf(request: Buffer): string {
  const reader = new WireReader(request);
  let service = "";
  while (!reader.done) {
    const tag = reader.varint();
    if (tag === 0x0a) service = reader.text();
    else reader.skip(tag & 7);
  }
  return service;
}

/** HealthCheckResponse {1 status}. */
function statusMessage(status: number): Buffer {
  const writer = new BackwardWriter(16);
  writer.uint(1, status);
  writer.frame(0);
  return writer.finish();
}

/** HealthListResponse {1 map of statuses}. */
function listMessage(services: readonly string[], status: (service: string) => number): Buffer {
  const writer = new BackwardWriter(256);
  for (const service of services.toReversed()) {
    const entry = writer.mark();
    writer.uint(1, status(service));
    writer.close(2, entry);
    writer.text(1, service);
    writer.close(1, entry);
  }
  writer.frame(0);
  return writer.finish();
}
