import type { Json } from "../../crds/schema/types.ts";
import { at, textAt } from "../../crds/json.ts";
import { objectsOf } from "../json-edit.ts";
import { readsModelHeader } from "./http-route.ts";

type Bucket = "path" | "publisher" | "model-routing";

interface Candidate {
  readonly bucket: Bucket;
  readonly path: string;
  readonly onService: boolean;
}

function bucketOf(match: Json, path: string, header: string): Bucket | undefined {
  if (objectsOf(at(match, "headers")).length === 0) return path.startsWith("/publishers/") ? "publisher" : "path";
  return header !== "" && readsModelHeader(match, header) ? "model-routing" : undefined;
}

function candidatesOf(rule: Json, header: string): readonly Candidate[] {
  const onService = objectsOf(at(rule, "backendRefs")).some((ref) => (ref["kind"] ?? "Service") === "Service");
  const matches = objectsOf(at(rule, "matches"));
  return (matches.length === 0 ? [{}] : matches).flatMap((match) => {
    const path = textAt(match, "path", "value") ?? "/";
    const bucket = bucketOf(match, path, header);
    return bucket === undefined ? [] : [{ bucket, path, onService }];
  });
}

const depth = (path: string): number => path.split("/").length;

/** Fewest segments first, then shortest; the order given decides the rest. */
const byReach = (left: string, right: string): number => depth(left) - depth(right) || left.length - right.length;

/**
 * The paths under which a route's rules reach a service: of its own paths, of publisher paths and of routing by header, the
 * widest one each. Rules that end at a Service serve everything beneath their path and go before those of a pool. `/` where
 * there is none.
 */
export function basePaths(rules: Json | undefined, header: string): readonly string[] {
  const candidates = objectsOf(rules).flatMap((rule) => candidatesOf(rule, header));
  const chosen = (["path", "publisher", "model-routing"] as const).flatMap((bucket) => {
    const own = candidates.filter((candidate) => candidate.bucket === bucket);
    const served = own.filter((candidate) => candidate.onService);
    const [widest] = (served.length > 0 ? served : own).map(({ path }) => path).sort(byReach);
    return widest === undefined ? [] : [widest];
  });
  const unique = [...new Set(chosen)].sort(byReach);
  return unique.length === 0 ? ["/"] : unique;
}
