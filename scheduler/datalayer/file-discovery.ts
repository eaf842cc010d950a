import { readFileSync, statSync, watch } from "node:fs";
import { dirname } from "node:path";
import { isRecord } from "../framework/parameters.ts";
import type { Logger } from "../../telemetry/log.ts";
import type { Discovery } from "./discovery.ts";
import { type EndpointFileKind, MAX_FILE_BYTES, readEndpointFile } from "./endpoint-file.ts";
import type { EndpointStore } from "./endpoint-store.ts";

/** A file that lists the endpoints. */
export interface FileSource {
  readonly path: string;
  /** Whether changes of the file are taken over. */
  readonly watchFile: boolean;
  readonly kind: EndpointFileKind;
}

/** The source that a discovery plugin's type and parameters describe. */
export function fileSourceOf({
  type,
  parameters,
}: {
  readonly type: string;
  readonly parameters: unknown;
}): FileSource {
  const { path = "", watchFile = false } = isRecord(parameters) ? parameters : {};
  const kind = type.startsWith("multicluster") ? "multicluster" : "cluster";
  return { path: String(path), watchFile: watchFile === true, kind };
}

/** Writers of a file replace it in several steps. */
const SETTLE_MS = 100;

/**
 * Keeps the store equal to the endpoints of a file. The folder is watched, so that a file that is replaced by renaming, or a
 * link that is swapped, is noticed. Throws when the first reading finds anything wrong; later a bad file changes nothing.
 */
export function startFileDiscovery(source: FileSource, store: EndpointStore, logger: Logger): Discovery {
  const { path, watchFile, kind } = source;
  let last = readBounded(path);
  const first = readEndpointFile(last, kind);
  if (first.problems.length > 0) throw new Error(`endpoint file ${path}: ${first.problems.join("; ")}`);
  const { added } = store.replace(first.endpoints);
  logger.info("endpoints of the file", { path, added });

  const reload = (): void => {
    try {
      const text = readBounded(path);
      if (text === last) return;
      last = text;
      const { endpoints, problems } = readEndpointFile(text, kind);
      if (problems.length > 0) throw new Error(problems.join("; "));
      logger.info("endpoints of the file changed", { path, ...store.replace(endpoints) });
    } catch (error) {
      logger.error("cannot use the changed endpoint file; the last good one stays in use", { path, error });
    }
  };
  let timer: NodeJS.Timeout | undefined;
  const watcher = watchFile
    ? watch(dirname(path), () => {
        clearTimeout(timer);
        timer = setTimeout(reload, SETTLE_MS).unref();
      })
    : undefined;
  return {
    known: () => true,
    pool: () => undefined,
    close: async () => {
      clearTimeout(timer);
      watcher?.close();
    },
  };
}

function readBounded(path: string): string {
  const { size } = statSync(path);
  if (size > MAX_FILE_BYTES) throw new Error(`endpoint file ${path}: larger than ${MAX_FILE_BYTES} bytes`);
  return readFileSync(path, "utf8");
}
