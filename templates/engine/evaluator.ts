import type { Body, Command, Node, Operand, ParsedTemplate, Pipeline, Span } from "./ast.ts";
import { TemplateError } from "./errors.ts";
import { sprint, sprintf, sprintln } from "./format.ts";
import { COMPARISON_FUNCTIONS, FunctionError, escapeHtml, escapeJs, escapeQuery, stringArgument } from "./functions.ts";
import type { FunctionTable } from "./functions.ts";
import { Pointer, Struct, formatValue, indirect, isList, isMap, isTrue, sortedEntries, typeName } from "./values.ts";
import type { Value } from "./values.ts";

/** Nodes and calls that one execution may visit: a template cannot stall its caller. */
const MAX_STEPS = 50_000;
/** Characters that one execution may write. */
const MAX_OUTPUT = 4 * 1024 * 1024;
const MAX_TEMPLATE_DEPTH = 50;
/** Arguments of one call. */
const MAX_ARGUMENTS = 32;

/** What Go's escaping functions make of an argument before they print it. */
const printable = (value: Value): Value => (value === null ? "<no value>" : indirect(value));

/** Go's built-in functions, `and` and `or` excepted. */
const BUILTINS: FunctionTable = {
  ...COMPARISON_FUNCTIONS,
  print: sprint,
  println: sprintln,
  printf: (args) => sprintf(stringArgument(args, 0), args.slice(1)),
  html: (args) => escapeHtml(sprint(args.map(printable))),
  js: (args) => escapeJs(sprint(args.map(printable))),
  urlquery: (args) => escapeQuery(sprint(args.map(printable))),
};

/** Names of Go's built-in functions. */
export const BUILTIN_NAMES: readonly string[] = ["and", "or", ...Object.keys(BUILTINS)];

type Flow = "next" | "break" | "continue";

interface Variable {
  readonly name: string;
  value: Value;
}

class Evaluator {
  readonly #template: ParsedTemplate;
  readonly #functions: FunctionTable;
  readonly #output: string[] = [];
  #variables: Variable[];
  #written = 0;
  /** Characters that functions have made, whether or not they are written. */
  #made = 0;
  #steps = 0;
  #depth = 0;

  constructor(template: ParsedTemplate, functions: FunctionTable, data: Value) {
    this.#template = template;
    this.#functions = functions;
    this.#variables = [{ name: "$", value: data }];
  }

  run(data: Value): string {
    this.#body(this.#template.body, data);
    return this.#output.join("");
  }

  #fail(at: Span, detail: string): never {
    throw new TemplateError("execute", this.#template.name, this.#template.source, at, detail);
  }

  #write(text: string): void {
    this.#written += text.length;
    if (this.#written > MAX_OUTPUT) this.#fail({ start: 0, end: 0 }, `output longer than ${MAX_OUTPUT} characters`);
    this.#output.push(text);
  }

  /** Texts that go through functions count too: a template could double one until no memory holds it. */
  #make(value: Value, at: Span): void {
    if (typeof value === "string") this.#made += value.length;
    if (this.#made > MAX_OUTPUT) this.#fail(at, `functions made more than ${MAX_OUTPUT} characters`);
  }

  #step(at: Span): void {
    if (++this.#steps > MAX_STEPS) this.#fail(at, `more than ${MAX_STEPS} steps`);
  }

  #body(body: Body, dot: Value): Flow {
    for (const node of body) {
      const flow = this.#node(node, dot);
      if (flow !== "next") return flow;
    }
    return "next";
  }

  #node(node: Node, dot: Value): Flow {
    switch (node.kind) {
      case "text":
        this.#write(node.text);
        return "next";
      case "print":
        this.#print(node.pipeline, dot);
        return "next";
      case "break":
      case "continue":
        return node.kind;
      case "template":
        this.#invoke(node.name, node.pipeline === undefined ? null : this.#pipeline(node.pipeline, dot), node);
        return "next";
      case "range":
        return this.#scoped(() => this.#range(node, dot));
      case "if":
      case "with":
        return this.#scoped(() => this.#branch(node, dot));
    }
  }

  #scoped(run: () => Flow): Flow {
    const mark = this.#variables.length;
    const flow = run();
    this.#variables.length = mark;
    return flow;
  }

  #print(pipeline: Pipeline, dot: Value): void {
    const value = this.#pipeline(pipeline, dot);
    if (pipeline.variables.length === 0) this.#write(value === null ? "<no value>" : formatValue(value));
  }

  #branch(node: Extract<Node, { kind: "if" | "with" | "range" }>, dot: Value): Flow {
    const value = this.#pipeline(node.pipeline, dot);
    if (!isTrue(value)) return this.#body(node.otherwise, dot);
    return this.#body(node.body, node.kind === "with" ? value : dot);
  }

  #range(node: Extract<Node, { kind: "if" | "with" | "range" }>, dot: Value): Flow {
    const { pipeline } = node;
    const given = this.#pipeline({ ...pipeline, variables: [] }, dot);
    let empty = true;
    for (const [key, value] of this.#entries(given, pipeline)) {
      empty = false;
      this.#step(pipeline);
      const flow = this.#scoped(() => {
        const [first, second] = pipeline.variables;
        if (first !== undefined) this.#bind(first, second === undefined ? value : key, pipeline);
        if (second !== undefined) this.#bind(second, value, pipeline);
        return this.#body(node.body, value);
      });
      if (flow === "break") break;
    }
    return empty ? this.#body(node.otherwise, dot) : "next";
  }

  /** Made one by one, as far as the loop goes: what a loop that ends early does not reach costs nothing. */
  *#entries(given: Value, at: Span): Iterable<readonly [Value, Value]> {
    const value = indirect(given);
    if (value === null) return;
    if (isList(value)) for (const [index, item] of value.entries()) yield [BigInt(index), item];
    else if (isMap(value)) {
      this.#steps += value.size;
      yield* sortedEntries(value);
    } else if (typeof value === "bigint") {
      if (value > BigInt(MAX_STEPS)) this.#fail(at, `range over more than ${MAX_STEPS} numbers`);
      for (let index = 0n; index < value; index++) yield [index, index];
    } else this.#fail(at, `range can't iterate over ${formatValue(given)}`);
  }

  #bind(name: string, value: Value, pipeline: Pipeline): void {
    if (pipeline.declares) {
      this.#variables.push({ name, value });
      return;
    }
    this.#variable(name, pipeline).value = value;
  }

  #variable(name: string, at: Span): Variable {
    return (
      this.#variables.findLast((variable) => variable.name === name) ?? this.#fail(at, `undefined variable: ${name}`)
    );
  }

  #invoke(name: string, data: Value, at: Span): void {
    this.#step(at);
    const body = this.#template.definitions.get(name);
    if (body === undefined) this.#fail(at, `template "${name}" not defined`);
    if (++this.#depth > MAX_TEMPLATE_DEPTH) this.#fail(at, "exceeded maximum template depth");
    const variables = this.#variables;
    this.#variables = [{ name: "$", value: data }];
    this.#body(body, data);
    this.#variables = variables;
    this.#depth--;
  }

  #pipeline(pipeline: Pipeline, dot: Value): Value {
    let value: Value | undefined;
    for (const command of pipeline.commands) value = this.#command(command, dot, value);
    const result = value ?? null;
    for (const name of pipeline.variables) this.#bind(name, result, pipeline);
    return result;
  }

  /** `piped` is the value of the stage before, undefined in the first stage. */
  #command(command: Command, dot: Value, piped: Value | undefined): Value {
    this.#step(command);
    const [first, ...rest] = command.operands;
    if (first.base.kind === "function") {
      const value = this.#call(first.base.name, rest, dot, piped, command);
      return first.fields.length === 0 ? value : this.#fields(value, first);
    }
    if (rest.length > 0 || piped !== undefined)
      this.#fail(
        first,
        first.fields.length > 0
          ? `${first.fields.at(-1)} has arguments but cannot be invoked as function`
          : "can't give argument to non-function",
      );
    return this.#operand(first, dot);
  }

  #operand(operand: Operand, dot: Value): Value {
    this.#step(operand);
    const { base } = operand;
    switch (base.kind) {
      case "dot":
        return this.#fields(dot, operand);
      case "nil":
        return null;
      case "constant":
        return base.value;
      case "variable":
        return this.#fields(this.#variable(base.name, operand).value, operand);
      case "pipeline":
        return this.#fields(this.#pipeline(base.pipeline, dot), operand);
      case "function":
        return this.#fields(this.#call(base.name, [], dot, undefined, operand), operand);
    }
  }

  #fields(start: Value, operand: Operand): Value {
    let value = start;
    for (const name of operand.fields) value = this.#field(value, name, operand);
    return value;
  }

  #field(given: Value, name: string, at: Span): Value {
    if (given instanceof Pointer && given.target === undefined)
      this.#fail(at, `nil pointer evaluating *${given.typeName}.${name}`);
    const value = indirect(given);
    if (value === null) this.#fail(at, `nil data; no entry for key "${name}"`);
    if (isMap(value)) return value.get(name) ?? this.#fail(at, `map has no entry for key "${name}"`);
    const found = value instanceof Struct ? value.field(name) : undefined;
    return found ?? this.#fail(at, `can't evaluate field ${name} in type ${typeName(given)}`);
  }

  #call(name: string, operands: readonly Operand[], dot: Value, piped: Value | undefined, at: Span): Value {
    if (name === "and" || name === "or") return this.#logic(name === "or", operands, dot, piped, at);
    const own = Object.hasOwn(this.#functions, name) ? this.#functions[name] : undefined;
    const implementation = own ?? BUILTINS[name];
    if (implementation === undefined) this.#fail(at, `function "${name}" not defined`);
    const args = operands.map((operand) => this.#operand(operand, dot));
    if (piped !== undefined) args.push(piped);
    if (args.length > MAX_ARGUMENTS) this.#fail(at, `more than ${MAX_ARGUMENTS} arguments`);
    for (const arg of args) this.#make(arg, at);
    try {
      const value = implementation(args);
      this.#make(value, at);
      return value;
    } catch (error) {
      if (error instanceof FunctionError) this.#fail(at, `error calling ${name}: ${error.message}`);
      throw error;
    }
  }

  /** The first argument whose truth is `stop`, else the last; later arguments are not evaluated. */
  #logic(stop: boolean, operands: readonly Operand[], dot: Value, piped: Value | undefined, at: Span): Value {
    let value: Value | undefined;
    for (const operand of operands) {
      value = this.#operand(operand, dot);
      if (isTrue(value) === stop) return value;
    }
    if (piped !== undefined) return piped;
    return value === undefined ? this.#fail(at, "wrong number of args: want at least 1 got 0") : value;
  }
}

/**
 * Executes a parsed template with `missingkey=error`. Pure: the same template, functions and data give the same text.
 * Errors: `TemplateError` with the failing expression; also when it runs too long or writes too much.
 */
export function executeTemplate(template: ParsedTemplate, functions: FunctionTable, data: Value): string {
  return new Evaluator(template, functions, data).run(data);
}
