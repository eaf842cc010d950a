import type { ConfigError } from "../framework/problem.ts";
import { loadConfig } from "./load.ts";

/** Checks an EndpointPickerConfig, as text or as a value, without using it. All errors are told at once. */
export function validateEndpointPickerConfig(textOrValue: unknown): {
  readonly errors: readonly ConfigError[];
  readonly warnings: readonly string[];
} {
  const { errors, warnings } = loadConfig(textOrValue);
  return { errors, warnings };
}
