import { X509Certificate } from "node:crypto";
import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { type SecureContext, createSecureContext, rootCertificates } from "node:tls";

/** Versions and ciphers of all connections: TLS 1.2 with forward secrecy and authenticated encryption, or 1.3. */
export const TLS_LIMITS = {
  minVersion: "TLSv1.2",
  ciphers: [
    "TLS_AES_128_GCM_SHA256",
    "TLS_AES_256_GCM_SHA384",
    "TLS_CHACHA20_POLY1305_SHA256",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
  ].join(":"),
} as const;

const PEM = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g;

/** Folders that `SSL_CERT_DIR` names, as OpenSSL and Go read it: separated by colons. */
export function authorityFolders(env: Readonly<Record<string, string | undefined>>): string[] {
  return (env["SSL_CERT_DIR"] ?? "").split(":").filter((folder) => folder !== "");
}

/** The certificates in a text; what is none is left out. */
export function certificatesIn(text: string): string[] {
  return (text.match(PEM) ?? []).filter((pem) => {
    try {
      void new X509Certificate(pem);
      return true;
    } catch {
      return false;
    }
  });
}

/**
 * Certificates in the files of the folders of `SSL_CERT_DIR`, and in `SSL_CERT_FILE`. Node.js itself reads neither as Go does,
 * which the presets count on. Folders and files that are not there are passed over.
 */
export function readAuthorities(env: Readonly<Record<string, string | undefined>>): string[] {
  const file = env["SSL_CERT_FILE"];
  const files = [...authorityFolders(env).flatMap(filesOf), ...(file ? [file] : [])];
  return [...new Set(files.flatMap((path) => certificatesIn(textOf(path))))];
}

function filesOf(folder: string): string[] {
  try {
    return readdirSync(folder)
      .map((name) => join(folder, name))
      .filter((path) => statSync(path).isFile());
  } catch {
    return [];
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "latin1");
  } catch {
    return "";
  }
}

/**
 * Trust in these authorities and in those that Node.js brings. A server's own certificate counts as an authority for it, as with
 * Go: the operator signs the certificate of all pods of a service with its own key.
 */
export function clientContext(authorities: readonly string[]): SecureContext {
  return createSecureContext({
    ...TLS_LIMITS,
    ca: [...rootCertificates, ...authorities],
    allowPartialTrustChain: true,
  });
}
