import type { Random } from "../framework/cycle.ts";
import { API_TRAITS } from "../parsers/traits.ts";
import { drawTarget, type RewriteTable } from "./rewrite.ts";
import { type Headers, type ParsedBody, RequestError } from "./types.ts";

/** The value of a control header under its name or under its former one; the present name counts even when empty. */
export function controlHeader(headers: Headers, name: string): string | undefined {
  return headers.get(`x-llm-d-${name}`) ?? headers.get(`x-gateway-${name}`);
}

/** Which model serves a request. */
export interface ResolvedModel {
  readonly targetModel: string;
  /** Name of the InferenceModelRewrite that gave it, if one did. */
  readonly rewrittenBy: string | undefined;
}

/**
 * The model for a request: of the rule that matches the incoming model, else of the rewrite header, else the incoming one. A
 * body that cannot be rewritten keeps its own. Throws `RequestError` (400) where there is none.
 */
export function resolveModel(body: ParsedBody, headers: Headers, table: RewriteTable, random: Random): ResolvedModel {
  if (!API_TRAITS[body.api].canRewriteModel) return { targetModel: body.model, rewrittenBy: undefined };
  const rule = table.find(body.model);
  const asked = controlHeader(headers, "model-name-rewrite") || body.model;
  const targetModel = rule === undefined ? asked : drawTarget(rule, random);
  if (targetModel === "") throw new RequestError("BadRequest", "model not found in request body");
  return { targetModel, rewrittenBy: rule?.name };
}
