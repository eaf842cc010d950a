import type { MetricsRegistry } from "../../telemetry/metrics.ts";
import { type Call, type CallHandler, GRPC_STATUS, type Method } from "../server/transport.ts";

const SECONDS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 120, 300, 600];

/** Names of status codes as Go's gRPC prints them. */
const CODE_NAMES: ReadonlyMap<number, string> = new Map([
  [GRPC_STATUS.ok, "OK"],
  [GRPC_STATUS.cancelled, "Canceled"],
  [GRPC_STATUS.unknown, "Unknown"],
  [GRPC_STATUS.invalidArgument, "InvalidArgument"],
  [GRPC_STATUS.notFound, "NotFound"],
  [GRPC_STATUS.resourceExhausted, "ResourceExhausted"],
  [GRPC_STATUS.unimplemented, "Unimplemented"],
  [GRPC_STATUS.internal, "Internal"],
  [GRPC_STATUS.unavailable, "Unavailable"],
]);

/** The method with each of its streams counted and timed. `now` is in monotonic milliseconds. */
export function measuredMethod(method: Method, registry: MetricsRegistry, now: () => number): Method {
  const inFlight = registry
    .gauge({ name: "llm_d_epp_extproc_streams_inflight", help: "[ALPHA] ext_proc streams that are open." })
    .labels();
  const duration = registry
    .histogram({
      name: "llm_d_epp_extproc_stream_duration_seconds",
      help: "[ALPHA] Time that ext_proc streams were open.",
      buckets: SECONDS,
    })
    .labels();
  const total = registry.counter({
    name: "llm_d_epp_extproc_streams_total",
    help: "[ALPHA] ext_proc streams that ended, by code.",
    labels: ["code"],
  });
  return (call) => {
    const openedAtMs = now();
    let open = true;
    inFlight.inc();
    const close = (status: number): void => {
      if (!open) return;
      open = false;
      inFlight.dec();
      duration.observe((now() - openedAtMs) / 1000);
      total.labels(CODE_NAMES.get(status) ?? String(status)).inc();
    };
    return followed(method, call, close);
  };
}

function followed(method: Method, call: Call, close: (status: number) => void): CallHandler {
  const handler = method({
    send: (frames) => call.send(frames),
    hold: (bytes) => call.hold(bytes),
    end: (status, message) => {
      close(status);
      call.end(status, message);
    },
  });
  return {
    onMessage: (message) => handler.onMessage(message),
    onHalfClose: () => handler.onHalfClose(),
    onCancel: () => {
      close(GRPC_STATUS.cancelled);
      handler.onCancel();
    },
  };
}
