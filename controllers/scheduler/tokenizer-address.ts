import { objectAt } from "../../crds/json.ts";
import type { Pass } from "../llminferenceservice/pass.ts";
import { runsScheduler } from "../router/pool-reference.ts";

/** Port of the tokenizer's Service. */
export const TOKENIZER_PORT = 8000;

/** Whether the operator runs a tokenizer for the service's scheduler. */
export function runsTokenizer(pass: Pass): boolean {
  return runsScheduler(pass) && objectAt(pass.spec, "router", "scheduler", "tokenizer", "template") !== undefined;
}

/** Where the tokenizer answers; undefined where there is none. */
export function tokenizerUrl(pass: Pass): string | undefined {
  if (!runsTokenizer(pass)) return undefined;
  const scheme = pass.global.ingress.enableTls ? "https" : "http";
  return `${scheme}://${pass.names.tokenizer}.${pass.namespace}.svc.${pass.settings.clusterDomain}:${TOKENIZER_PORT}`;
}
