import { readFileSync, watch } from "node:fs";
import { dirname } from "node:path";
import { describeError, type Logger } from "../../telemetry/log.ts";

/** Writers of a file replace it in several steps. */
const SETTLE_MS = 250;

/**
 * Calls `onChange` with the text of a file whenever it has changed. Its folder is watched, since a mounted ConfigMap swaps
 * links there. What `onChange` throws is logged, and the file is looked at again at its next change.
 */
export function watchFile(path: string, onChange: (text: string) => void, logger: Logger): () => void {
  let timer: NodeJS.Timeout | undefined;
  let last = readFileSync(path, "utf8");
  const look = (): void => {
    try {
      const text = readFileSync(path, "utf8");
      if (text === last) return;
      last = text;
      onChange(text);
      logger.info("configuration reloaded", { file: path });
    } catch (error) {
      const reason = describeError(error);
      logger.error("cannot use the changed configuration; the last good one stays in use", {
        file: path,
        error: reason,
      });
    }
  };
  const watcher = watch(dirname(path), () => {
    clearTimeout(timer);
    timer = setTimeout(look, SETTLE_MS).unref();
  });
  watcher.on("error", (error) =>
    logger.error("the configuration file is not followed any more", { file: path, error }),
  );
  return () => {
    clearTimeout(timer);
    watcher.close();
  };
}
