import { closest } from "../../crds/suggest.ts";

/** One thing wrong with a configuration, told so that its author can mend it. */
export interface ConfigError {
  /** Place in the document, such as `schedulingProfiles[0].plugins[2].weight`; "" for the whole document. */
  readonly path: string;
  /** The offending value; undefined when something is missing. */
  readonly value: unknown;
  /** What is wrong, in lower case and without a final period. */
  readonly cause: string;
  /** What to do about it. */
  readonly remedy: string;
}

/** Collects errors and warnings of one reading. */
export interface Report {
  /** Whether an unknown parameter is an error or a warning. */
  readonly unknownKeys: "error" | "warn";
  error(error: ConfigError): void;
  warn(text: string): void;
}

/** A report that keeps everything in arrays. */
export interface CollectedReport extends Report {
  readonly errors: ConfigError[];
  readonly warnings: string[];
}

/** Creates an empty report. */
export function createReport(unknownKeys: "error" | "warn" = "error"): CollectedReport {
  const errors: ConfigError[] = [];
  const warnings: string[] = [];
  return {
    unknownKeys,
    errors,
    warnings,
    error: (error) => void errors.push(error),
    warn: (text) => {
      if (!warnings.includes(text)) warnings.push(text);
    },
  };
}

/** One line: path, cause, value and remedy. */
export function formatConfigError(error: ConfigError): string {
  const where = error.path === "" ? "" : `${error.path}: `;
  const value = error.value === undefined ? "" : ` (got ${shorten(JSON.stringify(error.value) ?? "undefined")})`;
  return `${where}${error.cause}${value}; ${error.remedy}`;
}

function shorten(text: string): string {
  return text.length <= 120 ? text : `${text.slice(0, 117)}...`;
}

/** Remedy for an unknown name: the likely intended one, else all that exist. */
export function suggest(name: string, candidates: readonly string[]): string {
  const likely = closest(name, candidates);
  if (likely !== undefined) return `did you mean "${likely}"?`;
  return candidates.length === 0 ? "remove it" : `known: ${candidates.join(", ")}`;
}
