import type { Base, Body, Command, Node, Operand, ParsedTemplate, Pipeline, Span } from "./ast.ts";
import { TemplateError } from "./errors.ts";
import { Lexer } from "./lexer.ts";
import type { Piece, Token, TrimSet } from "./lexer.ts";

/** Control structures nested in one another, parentheses included, at most. */
const MAX_DEPTH = 100;
/** Characters of a number. */
const MAX_DIGITS = 64;

type Action = Extract<Piece, { kind: "action" }>;

/** What ends a body. */
type Terminator = "end" | "else" | "eof";

/** Reads the tokens of one action. */
class ActionReader {
  readonly action: Action;
  readonly #fail: (at: Span, detail: string) => never;
  readonly #functions: ReadonlySet<string>;
  readonly #variables: string[];
  #index = 0;
  #depth = 0;

  constructor(
    action: Action,
    functions: ReadonlySet<string>,
    variables: string[],
    fail: (at: Span, detail: string) => never,
  ) {
    this.action = action;
    this.#functions = functions;
    this.#variables = variables;
    this.#fail = fail;
  }

  peek(ahead = 0): Token | undefined {
    return this.action.tokens[this.#index + ahead];
  }

  take(): Token {
    const token = this.peek();
    if (token === undefined) return this.#fail(this.action, "missing value for command");
    this.#index++;
    return token;
  }

  /** Consumes an identifier or symbol if it is next. */
  accept(text: string): boolean {
    const token = this.peek();
    if (token === undefined || (token.kind !== "identifier" && token.kind !== "symbol") || token.text !== text)
      return false;
    this.#index++;
    return true;
  }

  finish(context: string): void {
    const token = this.peek();
    if (token !== undefined) this.#fail(token, `unexpected ${JSON.stringify(token.text)} in ${context}`);
  }

  /** A pipeline up to the end of the action or the closing parenthesis. */
  pipeline(context: string, inRange = false): Pipeline {
    const start = this.peek()?.start ?? this.action.start;
    const { variables, declares } = this.#declarations(inRange);
    const commands = [this.#command(context)];
    while (this.accept("|")) commands.push(this.#command(context));
    this.#checkCommands(commands);
    if (declares) this.#variables.push(...variables);
    const end = commands.at(-1)?.end ?? start;
    return { variables, declares, commands, start, end };
  }

  #declarations(inRange: boolean): { variables: readonly string[]; declares: boolean } {
    const [first, second] = [this.peek(), this.peek(1)];
    if (first?.kind !== "variable" || second?.kind !== "symbol") return { variables: [], declares: false };
    if (second.text === ":=" || second.text === "=") {
      this.#index += 2;
      return this.#declared([first], second.text === ":=");
    }
    const [third, fourth] = [this.peek(2), this.peek(3)];
    if (!inRange || second.text !== "," || third?.kind !== "variable") return { variables: [], declares: false };
    if (fourth?.text !== ":=" && fourth?.text !== "=") this.#fail(third, "range can only initialize variables");
    this.#index += 4;
    return this.#declared([first, third], fourth?.text === ":=");
  }

  #declared(tokens: readonly Token[], declares: boolean): { variables: readonly string[]; declares: boolean } {
    if (!declares) for (const token of tokens) this.#known(token);
    return { variables: tokens.map((token) => token.text), declares };
  }

  #checkCommands(commands: readonly Command[]): void {
    for (const [index, { operands, ...span }] of commands.entries()) {
      const kind = operands[0].base.kind;
      if (index > 0 && (kind === "constant" || kind === "nil"))
        this.#fail(span, `non executable command in pipeline stage ${index + 1}`);
      if (kind === "nil" && operands.length === 1) this.#fail(span, "nil is not a command");
    }
  }

  #command(context: string): Command {
    const operands: Operand[] = [];
    for (let token = this.peek(); token !== undefined && !this.#endsCommand(token); token = this.peek()) {
      if (operands.length > 0 && !token.spaced && token.text !== "(")
        this.#fail(token, `unexpected ${JSON.stringify(token.text)} in operand`);
      operands.push(this.#operand(context));
    }
    const [first, ...rest] = operands;
    if (first === undefined) return this.#fail(this.action, `missing value for ${context}`);
    return { operands: [first, ...rest], start: first.start, end: operands.at(-1)?.end ?? first.end };
  }

  #endsCommand(token: Token): boolean {
    return token.kind === "symbol" && (token.text === "|" || token.text === ")");
  }

  #operand(context: string): Operand {
    const token = this.take();
    const { base, fields } = this.#base(token, context);
    const chain = [...fields];
    let end = this.action.tokens[this.#index - 1]?.end ?? token.end;
    for (let next = this.peek(); next?.kind === "field" && !next.spaced; next = this.peek()) {
      if (base.kind === "constant" || base.kind === "nil")
        this.#fail(next, `unexpected <.> after term "${token.text}"`);
      chain.push(next.text);
      end = next.end;
      this.#index++;
    }
    return { base, fields: chain, start: token.start, end };
  }

  #base(token: Token, context: string): { base: Base; fields: readonly string[] } {
    switch (token.kind) {
      case "dot":
        return { base: { kind: "dot" }, fields: [] };
      case "field":
        return { base: { kind: "dot" }, fields: [token.text] };
      case "variable":
        this.#known(token);
        return { base: { kind: "variable", name: token.text }, fields: [] };
      case "string":
        return { base: { kind: "constant", value: token.text }, fields: [] };
      case "character":
        return { base: { kind: "constant", value: BigInt(token.text.codePointAt(0) ?? 0) }, fields: [] };
      case "number":
        return { base: { kind: "constant", value: this.#number(token) }, fields: [] };
      case "identifier":
        return { base: this.#identifier(token), fields: [] };
      case "symbol":
        return { base: this.#parenthesis(token, context), fields: [] };
    }
  }

  #known(token: Token): void {
    if (!this.#variables.includes(token.text)) this.#fail(token, `undefined variable "${token.text}"`);
  }

  #identifier(token: Token): Base {
    if (token.text === "true" || token.text === "false") return { kind: "constant", value: token.text === "true" };
    if (token.text === "nil") return { kind: "nil" };
    if (!this.#functions.has(token.text)) this.#fail(token, `function "${token.text}" not defined`);
    return { kind: "function", name: token.text };
  }

  #parenthesis(token: Token, context: string): Base {
    if (token.text !== "(") return this.#fail(token, `unexpected ${JSON.stringify(token.text)} in ${context}`);
    if (++this.#depth > MAX_DEPTH) this.#fail(token, `parentheses nested deeper than ${MAX_DEPTH}`);
    const pipeline = this.pipeline("parenthesized pipeline");
    if (!this.accept(")")) this.#fail(token, "unclosed left paren");
    this.#depth--;
    return { kind: "pipeline", pipeline };
  }

  #number(token: Token): bigint | number {
    if (token.text.length > MAX_DIGITS) return this.#fail(token, `number longer than ${MAX_DIGITS} characters`);
    const text = token.text.replaceAll("_", "").replace(/^\+/, "");
    const negative = text.startsWith("-");
    const digits = negative ? text.slice(1) : text;
    if (/^(?:0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+|\d+)$/.test(digits)) {
      const octal = /^0[0-7]+$/.test(digits) ? `0o${digits.slice(1)}` : digits;
      if (/^0\d+$/.test(octal)) return this.#fail(token, `bad number syntax: "${token.text}"`);
      return negative ? -BigInt(octal) : BigInt(octal);
    }
    const value = Number(text);
    return Number.isNaN(value) ? this.#fail(token, `bad number syntax: "${token.text}"`) : value;
  }
}

class Parser {
  readonly #name: string;
  readonly #source: string;
  readonly #pieces: readonly Piece[];
  readonly #functions: ReadonlySet<string>;
  readonly #definitions = new Map<string, Body>();
  #variables: string[] = ["$"];
  #index = 0;
  #depth = 0;
  #loops = 0;

  constructor(name: string, source: string, trim: TrimSet, functions: ReadonlySet<string>) {
    this.#name = name;
    this.#source = source;
    this.#functions = functions;
    this.#pieces = new Lexer(name, source, trim).run();
  }

  parse(): ParsedTemplate {
    const { body, terminator, reader } = this.#body();
    if (terminator !== "eof" && reader !== undefined) this.#fail(reader.action, `unexpected {{${terminator}}}`);
    return { name: this.#name, source: this.#source, body, definitions: this.#definitions };
  }

  readonly #fail = (at: Span, detail: string): never => {
    throw new TemplateError("parse", this.#name, this.#source, at, detail);
  };

  /** Nodes up to `{{end}}`, `{{else}}` or the end of the text; the reader stands behind the terminating keyword. */
  #body(): { body: Body; terminator: Terminator; reader: ActionReader | undefined } {
    const nodes: Node[] = [];
    for (let piece = this.#pieces[this.#index++]; piece !== undefined; piece = this.#pieces[this.#index++]) {
      if (piece.kind === "text") {
        nodes.push(piece);
        continue;
      }
      const reader = new ActionReader(piece, this.#functions, this.#variables, this.#fail);
      if (reader.accept("end")) return { body: nodes, terminator: "end", reader };
      if (reader.accept("else")) return { body: nodes, terminator: "else", reader };
      const node = this.#node(reader);
      if (node !== undefined) nodes.push(node);
    }
    return { body: nodes, terminator: "eof", reader: undefined };
  }

  #node(reader: ActionReader): Node | undefined {
    const { action } = reader;
    const keyword = reader.peek()?.kind === "identifier" ? reader.peek()?.text : undefined;
    if ((keyword === "break" || keyword === "continue") && !this.#functions.has(keyword)) {
      reader.take();
      return this.#loopControl(keyword, reader);
    }
    if (reader.accept("if")) return this.#control("if", reader);
    if (reader.accept("with")) return this.#control("with", reader);
    if (reader.accept("range")) return this.#control("range", reader);
    if (reader.accept("define")) return this.#define(reader);
    if (reader.accept("block")) return this.#block(reader);
    if (reader.accept("template")) return this.#invocation(reader);
    const pipeline = reader.pipeline("command");
    reader.finish("command");
    return { kind: "print", pipeline: { ...pipeline, start: pipeline.start, end: Math.min(pipeline.end, action.end) } };
  }

  #loopControl(kind: "break" | "continue", reader: ActionReader): Node {
    reader.finish(`{{${kind}}}`);
    if (this.#loops === 0) this.#fail(reader.action, `{{${kind}}} outside {{range}}`);
    return { kind, start: reader.action.start, end: reader.action.end };
  }

  #control(kind: "if" | "with" | "range", reader: ActionReader): Node {
    if (++this.#depth > MAX_DEPTH) this.#fail(reader.action, `control structures nested deeper than ${MAX_DEPTH}`);
    const scope = this.#variables.length;
    const pipeline = reader.pipeline(kind, kind === "range");
    reader.finish(kind);
    if (kind === "range") this.#loops++;
    const first = this.#body();
    if (kind === "range") this.#loops--;
    const otherwise = first.terminator === "else" ? this.#otherwise(kind, first.reader, reader.action) : [];
    if (first.terminator === "eof") this.#fail(reader.action, `unclosed {{${kind}}}: missing {{end}}`);
    if (first.terminator === "end") first.reader?.finish("end");
    this.#variables.length = scope;
    this.#depth--;
    return { kind, pipeline, body: first.body, otherwise };
  }

  #otherwise(kind: string, reader: ActionReader | undefined, opened: Span): Body {
    if (kind !== "range" && reader?.accept(kind) === true)
      return [this.#control(kind === "if" ? "if" : "with", reader)];
    reader?.finish("else");
    const { body, terminator, reader: last } = this.#body();
    if (terminator === "eof") this.#fail(opened, `unclosed {{${kind}}}: missing {{end}}`);
    if (terminator === "else") this.#fail(last?.action ?? opened, "unexpected {{else}}");
    last?.finish("end");
    return body;
  }

  #quotedName(reader: ActionReader, context: string): string {
    const token = reader.take();
    return token.kind === "string"
      ? token.text
      : this.#fail(token, `unexpected ${JSON.stringify(token.text)} in ${context}`);
  }

  /** The body of a definition; it sees no variable of the text around it. */
  #definition(name: string, opened: Span): void {
    const [variables, loops] = [this.#variables, this.#loops];
    [this.#variables, this.#loops] = [["$"], 0];
    const { body, terminator } = this.#body();
    if (terminator !== "end") this.#fail(opened, `unclosed definition of "${name}": missing {{end}}`);
    [this.#variables, this.#loops] = [variables, loops];
    this.#definitions.set(name, body);
  }

  #define(reader: ActionReader): undefined {
    const name = this.#quotedName(reader, "define clause");
    reader.finish("define clause");
    if (this.#depth > 0) this.#fail(reader.action, "unexpected {{define}}");
    this.#definition(name, reader.action);
  }

  #block(reader: ActionReader): Node {
    if (++this.#depth > MAX_DEPTH) this.#fail(reader.action, `control structures nested deeper than ${MAX_DEPTH}`);
    const name = this.#quotedName(reader, "block clause");
    const pipeline = reader.pipeline("block clause");
    reader.finish("block clause");
    this.#definition(name, reader.action);
    this.#depth--;
    return { kind: "template", name, pipeline, start: reader.action.start, end: reader.action.end };
  }

  #invocation(reader: ActionReader): Node {
    const name = this.#quotedName(reader, "template clause");
    const pipeline = reader.peek() === undefined ? undefined : reader.pipeline("template clause");
    reader.finish("template clause");
    return { kind: "template", name, pipeline, start: reader.action.start, end: reader.action.end };
  }
}

/**
 * Parses a Go `text/template`. `functions` are the names that may be called.
 * Errors: `TemplateError` with the place of the first mistake.
 */
export function parseTemplate(
  name: string,
  source: string,
  functions: ReadonlySet<string>,
  trim: TrimSet = "whitespace",
): ParsedTemplate {
  return new Parser(name, source, trim, functions).parse();
}
