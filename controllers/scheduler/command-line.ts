/** An element of a command line: the flag it names without dashes, and its value where it is written `--flag=value`. */
export interface FlagElement {
  readonly flag: string;
  readonly value: string | undefined;
}

/** Reads one element of a command line; the flag of anything else is empty. One or two leading dashes. */
export function flagOf(element: string): FlagElement {
  const match = /^--?([A-Za-z][\w-]*)(?:=([\s\S]*))?$/.exec(element);
  return { flag: match?.[1] ?? "", value: match?.[2] };
}

/** The value of the last of these flags in a command line, written as one element or as two. */
export function flagValue(elements: readonly string[], flags: ReadonlySet<string>): string | undefined {
  return elements.reduce<string | undefined>((found, element, index) => {
    const { flag, value } = flagOf(element);
    return flags.has(flag) ? (value ?? elements[index + 1] ?? found) : found;
  }, undefined);
}

/** A command line without some flags, and what they were set to. */
export interface Stripped {
  readonly elements: readonly string[];
  /** By flag; a switch without a value is `true`. */
  readonly values: ReadonlyMap<string, string>;
}

/**
 * Takes flags with their values out of a command line. `switches` are flags that may stand alone: their value is only ever
 * part of their element.
 */
export function withoutFlags(
  elements: readonly string[],
  flags: ReadonlySet<string>,
  switches: ReadonlySet<string> = new Set(),
): Stripped {
  const kept: string[] = [];
  const values = new Map<string, string>();
  for (let index = 0; index < elements.length; index++) {
    const element = elements[index] ?? "";
    const { flag, value } = flagOf(element);
    if (!flags.has(flag)) kept.push(element);
    else if (value !== undefined || switches.has(flag)) values.set(flag, value ?? "true");
    else values.set(flag, elements[++index] ?? "");
  }
  return { elements: kept, values };
}
