/** A name or a chain of names, which the evaluator's own `has` takes. */
const PLAIN = /^\s*[A-Za-z_]\w*(\s*\.\s*[A-Za-z_]\w*)*\s*$/;
const LAST_FIELD = /^([^]*)\.\s*([A-Za-z_]\w*)\s*$/;
const QUOTES = ['"""', "'''", '"', "'"];

/**
 * Rewrites `has(a[0].b)` to `(a[0]).?b.hasValue()`: the evaluator takes only chains of names in `has`, CEL takes any
 * expression in front of the last field.
 */
export function widenHas(expression: string): string {
  let result = "";
  for (let index = 0; index < expression.length; ) {
    const literal = literalAt(expression, index);
    const call = literal === 0 ? argumentAt(expression, index) : undefined;
    if (call === undefined) {
      const length = Math.max(literal, 1);
      result += expression.slice(index, index + length);
      index += length;
    } else {
      result += rewritten(call);
      index += "has(".length + call.length + 1;
    }
  }
  return result;
}

function rewritten(argument: string): string {
  const [, left = "", field] = LAST_FIELD.exec(argument) ?? [];
  if (PLAIN.test(argument) || field === undefined) return `has(${argument})`;
  return `(${widenHas(left)}).?${field}.hasValue()`;
}

/** Length of the text literal that starts at a place; 0 where none does. */
function literalAt(text: string, start: number): number {
  const quote = QUOTES.find((candidate) => text.startsWith(candidate, start));
  if (quote === undefined) return 0;
  const isRaw = /[rR]$/.test(text.slice(0, start));
  for (let end = start + quote.length; end < text.length; end++) {
    if (text.startsWith(quote, end)) return end + quote.length - start;
    if (text[end] === "\\" && !isRaw) end++;
  }
  return text.length - start;
}

/** What a call of `has` that starts at a place holds; undefined where there is none, or no end. */
function argumentAt(text: string, start: number): string | undefined {
  if (!text.startsWith("has(", start) || /[\w.]$/.test(text.slice(Math.max(0, start - 1), start))) return undefined;
  let depth = 0;
  for (let end = start + "has".length; end < text.length; end++) {
    end += Math.max(literalAt(text, end) - 1, 0);
    if (text[end] === "(") depth++;
    if (text[end] === ")" && --depth === 0) return text.slice(start + "has(".length, end);
  }
  return undefined;
}
