import { PassError } from "../llminferenceservice/pass.ts";

/** A release of the endpoint picker: major, minor, patch. */
export type Release = readonly [number, number, number];

/** Whether a release is at least that one. */
export function isSince(release: Release, major: number, minor: number): boolean {
  return release[0] > major || (release[0] === major && release[1] >= minor);
}

/** Annotation of scheduler pods that tells the release of the endpoint picker in them. */
export const VERSION_ANNOTATION = "app.kubernetes.io/version";

/** Reads a release; absent or empty is the oldest. Throws `PassError` for anything else. */
export function parseRelease(text: string | undefined, reason: string): Release {
  if (text === undefined || text === "") return [0, 0, 0];
  const match = /^v?(\d+)(?:\.(\d+))?(?:\.(\d+))?(?:[-+].*)?$/.exec(text);
  if (match === null)
    throw new PassError(
      reason,
      `spec.router.scheduler.annotations[${VERSION_ANNOTATION}]: ${JSON.stringify(text)} is no version: write it as 0.10.0`,
    );
  return [Number(match[1]), Number(match[2] ?? 0), Number(match[3] ?? 0)];
}
