import { EVENT_ID, type Event, getScalarValue, parseEvents } from "js-yaml";

/** Nesting of one document, at most; as in `parseYamlDocuments`. */
const MAX_DEPTH = 100;

/** Where the fields of one document stand in a text. */
export interface YamlLines {
  /** Line, counted from 1, of a field (`spec.ports[0].name`), or of the nearest object around it that the text has. */
  lineOf(path: string): number;
}

/**
 * Where the fields of each document of a YAML stream stand, in the order of `parseYamlDocuments`: empty documents are left
 * out. Fields that come by aliases and merge keys have the line of what refers to them. Errors: those of the parser.
 */
export function yamlLines(text: string): readonly YamlLines[] {
  const reader = new LineReader(text, parseEvents(text, { maxDepth: MAX_DEPTH }));
  return reader.documents();
}

class LineReader {
  readonly #text: string;
  readonly #events: readonly Event[];
  readonly #starts: readonly number[];
  #next = 0;

  constructor(text: string, events: readonly Event[]) {
    this.#text = text;
    this.#events = events;
    this.#starts = [...text.matchAll(/\n/g)].map(({ index }) => index + 1);
  }

  documents(): readonly YamlLines[] {
    const found: YamlLines[] = [];
    while (this.#next < this.#events.length) {
      const event = this.#events[this.#next++]!;
      if (event.type !== EVENT_ID.DOCUMENT) continue;
      const lines = new Map<string, number>();
      const first = this.#events[this.#next];
      if (first !== undefined) this.#node("", lines);
      if (first !== undefined && !this.#isEmpty(first)) found.push({ lineOf: (path) => nearest(lines, path) });
    }
    return found;
  }

  #isEmpty(event: Event): boolean {
    if (event.type === EVENT_ID.POP) return true;
    return event.type === EVENT_ID.SCALAR && /^(~|null|Null|NULL)?$/.test(getScalarValue(this.#text, event));
  }

  #node(path: string, lines: Map<string, number>): void {
    const event = this.#events[this.#next++];
    if (event === undefined || event.type === EVENT_ID.POP) return;
    const place = this.#placeOf(event);
    if (place !== undefined && !lines.has(path)) lines.set(path, this.#lineAt(place));
    if (event.type === EVENT_ID.SEQUENCE) this.#sequence(path, lines);
    if (event.type === EVENT_ID.MAPPING) this.#mapping(path, lines);
  }

  #sequence(path: string, lines: Map<string, number>): void {
    for (let index = 0; !this.#ends(); index++) this.#node(`${path}[${index}]`, lines);
  }

  #mapping(path: string, lines: Map<string, number>): void {
    while (!this.#ends()) {
      const key = this.#events[this.#next]!;
      const name = key.type === EVENT_ID.SCALAR ? getScalarValue(this.#text, key) : "?";
      const field = path === "" ? name : `${path}.${name}`;
      const place = this.#placeOf(key);
      if (place !== undefined) lines.set(field, this.#lineAt(place));
      this.#node("?", new Map());
      this.#node(field, lines);
    }
  }

  /** Whether the collection ends here; takes its end. */
  #ends(): boolean {
    const event = this.#events[this.#next];
    if (event !== undefined && event.type !== EVENT_ID.POP) return false;
    this.#next++;
    return true;
  }

  #placeOf(event: Event): number | undefined {
    if (event.type === EVENT_ID.SCALAR) return event.valueStart;
    if (event.type === EVENT_ID.ALIAS) return event.anchorStart;
    if (event.type === EVENT_ID.MAPPING || event.type === EVENT_ID.SEQUENCE) return event.start;
    return undefined;
  }

  #lineAt(offset: number): number {
    let [low, high] = [0, this.#starts.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#starts[middle]! <= offset) low = middle + 1;
      else high = middle;
    }
    return low + 1;
  }
}

/** The line of the longest known beginning of a path. */
function nearest(lines: ReadonlyMap<string, number>, path: string): number {
  for (let part = path; ; part = part.replace(/(^|\.)[^.[\]]*$|\[[^\]]*\]$/, "")) {
    const line = lines.get(part);
    if (line !== undefined) return line;
    if (part === "") return 1;
    // A part that no rule above shortens, such as one with a stray bracket.
    if (part.replace(/(^|\.)[^.[\]]*$|\[[^\]]*\]$/, "") === part) return 1;
  }
}
