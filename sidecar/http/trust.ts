import { type FSWatcher, watch } from "node:fs";
import type { SecureContext } from "node:tls";
import type { Logger } from "../../telemetry/log.ts";
import { authorityFolders, clientContext, readAuthorities } from "./authorities.ts";

/** Whom this process trusts as a client. */
export interface Trust {
  readonly context: () => SecureContext;
  close(): void;
}

/** Files of a folder are replaced one after the other; what follows within this time belongs together. */
const SETTLE_MS = 250;

/**
 * Trusts the authorities that the environment names, and follows their folders: the operator renews certificates while this
 * process runs. Connections made before a change stay.
 */
export function followTrust(env: Readonly<Record<string, string | undefined>>, logger: Logger): Trust {
  let authorities = readAuthorities(env);
  let context = clientContext(authorities);
  let timer: NodeJS.Timeout | undefined;
  const reload = (): void => {
    const read = readAuthorities(env);
    if (read.join() === authorities.join()) return;
    authorities = read;
    context = clientContext(read);
    logger.info("authorities reloaded", { certificates: read.length });
  };
  const watchers = authorityFolders(env).flatMap((folder) =>
    follow(folder, () => {
      clearTimeout(timer);
      timer = setTimeout(reload, SETTLE_MS).unref();
    }),
  );
  return {
    context: () => context,
    close: () => {
      clearTimeout(timer);
      for (const watcher of watchers) watcher.close();
    },
  };
}

/** A folder that is not there has no authorities, and gets none later: mounts are there from the start. */
function follow(folder: string, onChange: () => void): FSWatcher[] {
  try {
    return [watch(folder, onChange).unref()];
  } catch {
    return [];
  }
}
