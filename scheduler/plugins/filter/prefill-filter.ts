import { roleFilter } from "./roles.ts";

/** Keeps endpoints that prefill. */
export const prefillFilter = roleFilter(
  "prefill-filter",
  ["prefill", "encode-prefill", "prefill-decode", "both", "encode-prefill-decode"],
  false,
);
