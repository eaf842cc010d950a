import type { FaultId } from "./faults.ts";

/** Last words of a failing container that tell why it fails; the first match counts. */
const PATTERNS: readonly (readonly [pattern: RegExp, fault: FaultId])[] = [
  [/certificate has expired|certificate is not yet valid|CERT_HAS_EXPIRED/i, "certificate-expired"],
  [
    /GatedRepo|gated repo|\b40[13]\b.*(client error|unauthorized|forbidden)|AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch/i,
    "model-denied",
  ],
  [
    /RepositoryNotFound|RevisionNotFound|EntryNotFound|\b404\b.*(client error|not found)|NoSuchKey|NoSuchBucket|not a valid model identifier|no model found/i,
    "model-not-found",
  ],
  [
    /CUDA out of memory|OutOfMemoryError|larger than the available KV cache memory|No available memory for the cache/i,
    "accelerator-memory",
  ],
  [
    /No CUDA GPUs are available|Failed to infer device type|no NVIDIA driver|Found no NVIDIA driver/i,
    "accelerator-missing",
  ],
];

/** Longest quotation of a container's output. */
const MAX_QUOTE = 300;

/** What the last words of a container say about its end; undefined where they say nothing that is known. */
export function faultOfOutput(output: string): FaultId | undefined {
  return PATTERNS.find(([pattern]) => pattern.test(output))?.[1];
}

/**
 * The line of a termination message worth quoting: the last one that a known cause shows in, else the last one with text.
 * Python puts the exception there. Cut to 300 characters.
 */
export function tellingLine(output: string): string {
  const lines = output
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");
  const line = lines.findLast((text) => faultOfOutput(text) !== undefined) ?? lines.at(-1) ?? "";
  return line.length <= MAX_QUOTE ? line : `${line.slice(0, MAX_QUOTE - 1)}…`;
}
