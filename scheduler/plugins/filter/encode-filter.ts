import { roleFilter } from "./roles.ts";

/** Keeps endpoints that encode images, video and audio. */
export const encodeFilter = roleFilter(
  "encode-filter",
  ["encode", "encode-prefill", "encode-decode", "encode-prefill-decode"],
  false,
);
