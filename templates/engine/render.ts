import { BUILTIN_NAMES, executeTemplate } from "./evaluator.ts";
import type { FunctionTable } from "./functions.ts";
import type { TrimSet } from "./lexer.ts";
import { parseTemplate } from "./parser.ts";
import type { Value } from "./values.ts";

/** What a template is rendered with. */
export interface RenderOptions {
  /** Name used in errors. */
  readonly name: string;
  readonly data: Value;
  readonly functions: FunctionTable;
  readonly trim?: TrimSet;
}

const names = new WeakMap<FunctionTable, ReadonlySet<string>>();

function knownNames(functions: FunctionTable): ReadonlySet<string> {
  const known = names.get(functions) ?? new Set([...BUILTIN_NAMES, ...Object.keys(functions)]);
  names.set(functions, known);
  return known;
}

/** Renders one Go template text. Errors: `TemplateError` naming template, line, column and expression. */
export function renderTemplate(text: string, { name, data, functions, trim = "whitespace" }: RenderOptions): string {
  return executeTemplate(parseTemplate(name, text, knownNames(functions), trim), functions, data);
}
