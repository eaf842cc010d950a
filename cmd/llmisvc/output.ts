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
