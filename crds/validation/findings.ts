import type { FieldError, FieldErrorKind, Json } from "../schema/types.ts";

/** What a validation found; warnings do not refuse an object. */
export interface Findings {
  readonly errors: readonly FieldError[];
  readonly warnings: readonly string[];
}

/** Collects errors, so that all of them are told at once. */
export class Collector {
  readonly errors: FieldError[] = [];
  readonly warnings: string[] = [];

  add(kind: FieldErrorKind, path: string, message: string, value?: Json): void {
    this.errors.push({ kind, path, message, value });
  }

  warn(message: string): void {
    this.warnings.push(message);
  }
}

/** The fields of the two workloads of a service: the main one, and the one of the prefill phase. */
export const WORKLOADS = ["spec", "spec.prefill"] as const;
