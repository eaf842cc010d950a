import type { EndpointView } from "../../../scheduler/datalayer/fleet-report.ts";
import type { Subject } from "./findings.ts";
import type { Snapshot } from "./snapshot.ts";

/** Older metrics say nothing about the present (`--metrics-staleness-threshold` by default). */
const STALE_MS = 2_000;
/** Endpoints that are named. */
const MAX_NAMED = 3;

/** Whether the metrics ports of a service's schedulers can be read, and schedulers those of its pods. */
export function checkMetrics(subject: Subject, snapshot: Snapshot, namespace: string, service: string): void {
  const own = snapshot.schedulers.filter((one) => one.namespace === namespace && one.service === service);
  for (const { pod, reading } of own) {
    const title = `scheduler ${pod}`;
    if (reading.kind === "failed")
      subject.warn(
        `the metrics port of ${title} cannot be read: ${reading.cause}`,
        "check the NetworkPolicies of the namespace and that port 9090 is open; Prometheus cannot read it either",
      );
    else tellEndpoints(subject, title, reading.endpoints);
  }
}

function tellEndpoints(subject: Subject, title: string, endpoints: readonly EndpointView[]): void {
  const stale = endpoints.filter(({ ageMs }) => ageMs === null || ageMs > STALE_MS);
  if (endpoints.length === 0) return subject.fail(`${title} knows no endpoint`, "see the pool below");
  if (stale.length === 0) return subject.ok(`${title} reads the metrics of all ${endpoints.length} endpoints`);
  const named = stale.slice(0, MAX_NAMED).map(({ pod, metricsAddress }) => `${pod} (${metricsAddress})`);
  const more = stale.length > MAX_NAMED ? ` and ${stale.length - MAX_NAMED} more` : "";
  subject.fail(
    `${title} is blind for ${stale.length} of ${endpoints.length} endpoints: no fresh metrics from ${named.join(", ")}${more}`,
    "see that these pods answer /metrics on that address, by http or https as the configuration says, and that NetworkPolicies let the scheduler in",
  );
}
