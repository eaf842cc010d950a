import { describeError } from "../../telemetry/log.ts";

/**
 * The flags that `read` finds. Where it finds none, the usage text is printed; where it throws, that and why on the standard
 * error: the command is over with the exit code that is returned then.
 */
export async function flagsOrExitCode<Flags extends object>(
  usage: string,
  read: () => Flags | undefined,
): Promise<Flags | number> {
  try {
    const flags = read();
    if (flags !== undefined) return flags;
  } catch (error) {
    process.stderr.write(`${describeError(error)}\n\n${usage}`);
    return 2;
  }
  await print(usage);
  return 0;
}

/** Writes to the standard output and waits until it is written: a process that ends at once would cut a pipe short. */
export async function print(text: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    process.stdout.once("error", (error: NodeJS.ErrnoException) => {
      // Whoever read the pipe has enough of it.
      if (error.code === "EPIPE") resolve();
      else reject(error);
    });
    process.stdout.write(text, () => resolve());
  });
}
