import { sessionFilter } from "./session-affinity.ts";

/** `session-affinity-filter` for endpoints that are clusters. */
export const multiclusterSessionAffinityFilter = sessionFilter("multicluster-session-affinity-filter");
