import type { RootLogger } from "../telemetry/log.ts";

/** Tells what is wrong with a command line. Ends the process with code 2 where that is more than a warning. */
export function checkFlags(
  { warnings, errors }: { readonly warnings: readonly string[]; readonly errors: readonly string[] },
  logger: RootLogger,
): void {
  for (const warning of warnings) logger.warn(warning);
  if (errors.length === 0) return;
  for (const error of errors) logger.error("invalid flag", { error });
  logger.flush();
  process.exit(2);
}

/** For the error of a start: tells it, and ends the process with code 1. */
export function failStart(message: string, logger: RootLogger): (error: unknown) => never {
  return (error) => {
    logger.error(message, { error });
    logger.flush();
    process.exit(1);
  };
}

/** Ends the process in order, with code 0, when it is asked to by a signal. */
export function stopOnSignal(logger: RootLogger, stop: () => Promise<void>): void {
  const end = async (): Promise<void> => {
    logger.info("shutting down");
    await stop();
    logger.flush();
    process.exit(0);
  };
  for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => void end());
}
