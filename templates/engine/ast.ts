/** A stretch of the template's text. */
export interface Span {
  readonly start: number;
  readonly end: number;
}

/** What an operand starts from, before its field chain. */
export type Base =
  | { readonly kind: "dot" }
  | { readonly kind: "nil" }
  | { readonly kind: "constant"; readonly value: string | bigint | number | boolean }
  | { readonly kind: "function"; readonly name: string }
  | { readonly kind: "variable"; readonly name: string }
  | { readonly kind: "pipeline"; readonly pipeline: Pipeline };

/** `.A.B`, `$x.A`, `(…).A`, a constant, or a function name. */
export interface Operand extends Span {
  readonly base: Base;
  readonly fields: readonly string[];
}

/** Operands in a row: a function or value, and its arguments. */
export interface Command extends Span {
  readonly operands: readonly [Operand, ...Operand[]];
}

/** Commands joined by `|`, with the variables that the result is declared as or assigned to. */
export interface Pipeline extends Span {
  readonly variables: readonly string[];
  readonly declares: boolean;
  readonly commands: readonly Command[];
}

/** One element of a template body. */
export type Node =
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "print"; readonly pipeline: Pipeline }
  | {
      readonly kind: "if" | "with" | "range";
      readonly pipeline: Pipeline;
      readonly body: Body;
      readonly otherwise: Body;
    }
  | ({ readonly kind: "break" | "continue" } & Span)
  | ({ readonly kind: "template"; readonly name: string; readonly pipeline: Pipeline | undefined } & Span);

/** Nodes in order. */
export type Body = readonly Node[];

/** A parsed template: its own body and those it defines. */
export interface ParsedTemplate {
  readonly name: string;
  readonly source: string;
  readonly body: Body;
  readonly definitions: ReadonlyMap<string, Body>;
}
