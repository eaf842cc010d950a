import { readFileSync, watch } from "node:fs";
import { createServer as createHttpServer, type RequestListener, type Server } from "node:http";
import { createServer as createHttpsServer, type Server as HttpsServer } from "node:https";
import { dirname } from "node:path";
import type { SimulatorOptions } from "./options.ts";

/** Creates the server, by TLS where there is a certificate; with `--enable-ssl-refresh` it follows the files. */
export function createListener(options: SimulatorOptions, handler: RequestListener): Server {
  const { sslCertfile, sslKeyfile, sslRefresh } = options;
  if (sslCertfile === undefined || sslKeyfile === undefined) return createHttpServer(handler);
  const read = () => ({ cert: readFileSync(sslCertfile), key: readFileSync(sslKeyfile) });
  const server = createHttpsServer(read(), handler);
  if (sslRefresh) followFiles(server, [sslCertfile, sslKeyfile], read);
  return server;
}

/** Takes new files for new connections. The folder is watched, since mounted Secrets change by links. */
function followFiles(server: HttpsServer, files: readonly string[], read: () => { cert: Buffer; key: Buffer }): void {
  const refresh = (): void => {
    try {
      server.setSecureContext(read());
    } catch {
      // One of the two is new and the other is not yet: that is another change.
    }
  };
  for (const folder of new Set(files.map((file) => dirname(file)))) {
    const watcher = watch(folder, { persistent: false }, refresh);
    watcher.on("error", () => watcher.close());
    server.once("close", () => watcher.close());
  }
  refresh();
}
