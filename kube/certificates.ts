import { type FSWatcher, readFileSync, watch } from "node:fs";
import { join } from "node:path";
import { type CertificatePair, createSelfSigned } from "./x509.ts";
import type { Logger } from "../telemetry/log.ts";

/** Writers replace certificate and key one after the other; what follows within this time belongs together. */
const SETTLE_MS = 250;
const SELF_SIGNED_YEARS = 10;

/** A certificate for as long as a process lives; proxies do not verify it. */
export function selfSignedCertificate(now: Date): CertificatePair {
  const notAfter = new Date(now);
  notAfter.setUTCFullYear(notAfter.getUTCFullYear() + SELF_SIGNED_YEARS);
  return createSelfSigned({
    organization: "llmisvc",
    dnsNames: ["localhost"],
    ipAddresses: [],
    notBefore: now,
    notAfter,
  });
}

/** Reads `tls.crt` and `tls.key`. Throws the file system's error. */
export function readCertificate(folder: string): CertificatePair {
  return {
    certificate: readFileSync(join(folder, "tls.crt"), "utf8"),
    privateKey: readFileSync(join(folder, "tls.key"), "utf8"),
  };
}

/**
 * Calls `use` with the pair in `folder` whenever files change there, the folder itself watched because Kubernetes swaps
 * links. A pair that cannot be read or used is logged, and the old one stays. Returns how to stop.
 */
export function watchCertificate(folder: string, use: (pair: CertificatePair) => void, logger: Logger): () => void {
  let timer: NodeJS.Timeout | undefined;
  const reload = (): void => {
    try {
      use(readCertificate(folder));
      logger.info("certificate reloaded", { folder });
    } catch (error) {
      logger.error("cannot reload the certificate; the old one stays in use", { folder, error });
    }
  };
  const watcher: FSWatcher = watch(folder, () => {
    clearTimeout(timer);
    timer = setTimeout(reload, SETTLE_MS).unref();
  });
  return () => {
    clearTimeout(timer);
    watcher.close();
  };
}
