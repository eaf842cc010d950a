import type { ParsedTemplate } from "./ast.ts";
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

/** Parsed templates kept, the least recently used going first, and the longest text that is kept. */
const KEPT = 512;
const KEPT_LENGTH = 16_384;

/** Parsed texts of one table of functions. */
class Parses {
  readonly #known: ReadonlySet<string>;
  readonly #parsed = new Map<string, ParsedTemplate>();

  constructor(functions: FunctionTable) {
    this.#known = new Set([...BUILTIN_NAMES, ...Object.keys(functions)]);
  }

  /** The same few texts of presets are rendered for every service. */
  parse(name: string, text: string, trim: TrimSet): ParsedTemplate {
    if (text.length > KEPT_LENGTH) return parseTemplate(name, text, this.#known, trim);
    const key = `${trim} ${text}`;
    const kept = this.#parsed.get(key);
    const parsed = kept ?? parseTemplate(name, text, this.#known, trim);
    this.#parsed.delete(key);
    this.#parsed.set(key, parsed);
    if (this.#parsed.size > KEPT) this.#parsed.delete(this.#parsed.keys().next().value ?? "");
    return { ...parsed, name };
  }
}

const parses = new WeakMap<FunctionTable, Parses>();

function parsesOf(functions: FunctionTable): Parses {
  const found = parses.get(functions) ?? new Parses(functions);
  parses.set(functions, found);
  return found;
}

/** Renders one Go template text. Errors: `TemplateError` naming template, line, column and expression. */
export function renderTemplate(text: string, { name, data, functions, trim = "whitespace" }: RenderOptions): string {
  return executeTemplate(parsesOf(functions).parse(name, text, trim), functions, data);
}
