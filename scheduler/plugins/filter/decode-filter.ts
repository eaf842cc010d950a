import { roleFilter } from "./roles.ts";

/** Keeps endpoints that decode; those without a role do. */
export const decodeFilter = roleFilter(
  "decode-filter",
  ["decode", "prefill-decode", "both", "encode-prefill-decode", "encode-decode"],
  true,
);
