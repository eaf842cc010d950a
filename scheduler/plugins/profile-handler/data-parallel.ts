import type { Decision } from "../../framework/cycle.ts";

const RANK_HEADER = "x-data-parallel-host-port";

/** Sends the request to the pod's primary port, and tells the sidecar there which rank was picked. */
export function viaPrimaryPort(decision: Decision, primaryPort: number): void {
  const [first] = decision.destinations;
  decision.removeHeader(RANK_HEADER);
  if (first === undefined || primaryPort === 0) return;
  decision.setHeader(RANK_HEADER, first);
  decision.destinations = decision.destinations.map((hostPort) => hostPort.replace(/:\d+$/, `:${primaryPort}`));
}
