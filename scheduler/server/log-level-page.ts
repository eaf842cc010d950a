import type { RootLogger } from "../../telemetry/log.ts";
import { parseVerbosity } from "../../flags/verbosity.ts";
import { BadText, type DebugPage } from "./metrics-server.ts";

/** Where the log level is shown and changed. */
export const LOG_LEVEL_PATH = "/debug/log-level";

/** The log level of the process: shown, and changed by `PUT` with a name or number. */
export function logLevelPage(logger: RootLogger): DebugPage {
  return {
    about: "log level; PUT error, info, debug or a number from 0 to 5 to change it",
    render: () => ({ verbosity: logger.verbosity }),
    put: (text) => {
      const verbosity = parseVerbosity(text);
      if (verbosity === undefined)
        throw new BadText(`log level ${JSON.stringify(text)} is invalid; write error, info, debug or a whole number`);
      logger.info("log level changed", { from: logger.verbosity, to: verbosity });
      logger.setVerbosity(verbosity);
    },
  };
}
