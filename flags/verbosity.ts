import { VERBOSITY } from "../telemetry/log.ts";
import type { FlagReader, FlagTable } from "./flags.ts";

/** Flags about the log: those of Go's zap, and `-v`. */
export const LOG_FLAGS: FlagTable = {
  v: ["int", "verbosity of the log, 0 to 5; 3 is one line a request, 4 explains each decision (default 2)"],
  "zap-devel": ["bool", "accepted"],
  "zap-encoder": ["text", "json or console (default json)"],
  "zap-log-level": ["text", "error, info, debug or a number; wins over -v"],
  "zap-stacktrace-level": ["text", "accepted"],
  "zap-time-encoding": ["text", "accepted"],
};

const LOG_LEVELS: Readonly<Record<string, number>> = { error: 0, info: VERBOSITY.default, debug: VERBOSITY.debug };

/** A log level by its name or number; undefined where the text is neither. */
export function parseVerbosity(text: string): number | undefined {
  return LOG_LEVELS[text] ?? (/^\d{1,2}$/.test(text) ? Number(text) : undefined);
}

/** `--zap-log-level`, by name or number, wins over `-v`; a negative verbosity is the default one. */
export function readVerbosity(flags: FlagReader, errors: string[]): number {
  const level = flags.text("zap-log-level");
  const verbosity = flags.int("v", VERBOSITY.default);
  if (level === undefined) return verbosity < 0 ? VERBOSITY.default : verbosity;
  const named = parseVerbosity(level);
  if (named === undefined)
    errors.push(`--zap-log-level: invalid value "${level}"; write error, info, debug or a whole number`);
  return named ?? VERBOSITY.default;
}
