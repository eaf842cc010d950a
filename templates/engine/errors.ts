/** Where an error lies in a template's text; line and column count from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** Line and column of an offset in a text. */
export function placeOf(text: string, offset: number): Place {
  const before = text.slice(0, offset);
  return { line: before.split("\n").length, column: offset - (before.lastIndexOf("\n") + 1) + 1 };
}

/** Characters of an expression that a message shows. */
const MAX_SHOWN = 80;

/** A template that cannot be parsed or executed. */
export class TemplateError extends Error {
  readonly template: string;
  readonly place: Place;
  /** Source text of the failing expression, empty where the text could not be read that far. */
  readonly expression: string;
  /** What is wrong, without place and expression. */
  readonly detail: string;
  readonly phase: "parse" | "execute";

  constructor(
    phase: "parse" | "execute",
    template: string,
    source: string,
    at: { readonly start: number; readonly end: number },
    detail: string,
  ) {
    const place = placeOf(source, at.start);
    const whole = source.slice(at.start, Math.min(at.end, at.start + 2 * MAX_SHOWN)).trim();
    const expression = whole.length > MAX_SHOWN ? `${whole.slice(0, MAX_SHOWN)}…` : whole;
    super(
      `template: ${template}:${place.line}:${place.column}: ${expression === "" ? "" : `at <${expression}>: `}${detail}`,
    );
    this.phase = phase;
    this.template = template;
    this.place = place;
    this.expression = expression;
    this.detail = detail;
  }
}
