import { sessionFilter } from "./session-affinity.ts";

/** Keeps only the endpoint that served the session before. */
export const sessionAffinityFilter = sessionFilter("session-affinity-filter");
