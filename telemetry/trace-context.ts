/** What a caller says about its trace (W3C Trace Context, `traceparent`). */
export interface TraceParent {
  readonly traceId: string;
  readonly spanId: string;
  readonly isSampled: boolean;
}

const TRACE_PARENT = /^([\da-f]{2})-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})(?:-.*)?$/;
const SAMPLED = 1;

/** Reads a `traceparent`; undefined where it is none. */
export function parseTraceParent(header: string | undefined): TraceParent | undefined {
  const [, version, traceId = "", spanId = "", flags = "0"] = TRACE_PARENT.exec(header ?? "") ?? [];
  if (version === undefined || version === "ff" || /^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined;
  if (version === "00" && header?.length !== 55) return undefined;
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & SAMPLED) !== 0 };
}

/**
 * Whether a request is traced: as its caller decided, else by chance. It is decided before any span is made, since an unsampled
 * span costs as much as a sampled one.
 */
export function isTraced(
  parent: TraceParent | undefined,
  { ratio, followsParent }: { readonly ratio: number; readonly followsParent: boolean },
  random: () => number,
): boolean {
  if (parent !== undefined && followsParent) return parent.isSampled;
  return ratio > 0 && random() < ratio;
}
