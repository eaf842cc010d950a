import type { Json, JsonObject } from "../../crds/schema/types.ts";
import { TemplateError } from "../../templates/engine/errors.ts";
import { renderTemplate } from "../../templates/engine/render.ts";
import type { Value } from "../../templates/engine/values.ts";
import { isObject } from "../../crds/json.ts";
import type { Layer } from "./merge.ts";
import { CONFIG_FUNCTIONS } from "./template-functions.ts";
import type { CompositionError } from "./types.ts";

/** A rendered spec, and what could not be rendered. */
export interface Rendering {
  readonly spec: JsonObject;
  readonly errors: readonly CompositionError[];
}

/** Templates in one spec: far above what presets and people write together. */
const MAX_TEMPLATES = 5_000;

const holdsTemplate = (text: string): boolean => text.includes("{{");

function mentions(value: Json, text: string): boolean {
  if (typeof value === "string") return value === text;
  if (Array.isArray(value)) return value.some((item) => mentions(item, text));
  return isObject(value) && Object.entries(value).some(([key, item]) => key === text || mentions(item, text));
}

class Renderer {
  readonly #data: Value;
  readonly #layers: readonly Layer[];
  readonly errors: CompositionError[] = [];
  #count = 0;

  constructor(data: Value, layers: readonly Layer[]) {
    this.#data = data;
    this.#layers = layers;
  }

  /** Which layer brought the text: the last that has it. */
  #origin(text: string): string {
    const layer = this.#layers.findLast(({ spec }) => mentions(spec, text));
    return layer === undefined ? "" : ` (from ${layer.label})`;
  }

  text(text: string, path: string): string {
    if (!holdsTemplate(text) || this.#count > MAX_TEMPLATES) return text;
    if (++this.#count > MAX_TEMPLATES) {
      this.errors.push({ path, message: `more than ${MAX_TEMPLATES} templates in one spec` });
      return text;
    }
    try {
      // In KServe a line break is two characters of JSON text, which trim markers do not touch.
      return renderTemplate(text, { name: path, data: this.#data, functions: CONFIG_FUNCTIONS, trim: "blanks" });
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      this.errors.push({ path, message: `${error.message}${this.#origin(text)}` });
      return text;
    }
  }

  /** What holds no template comes back as it is. */
  value(value: Json, path: string): Json {
    if (typeof value === "string") return this.text(value, path);
    if (Array.isArray(value)) return this.#list(value, path);
    return isObject(value) ? this.object(value, path) : value;
  }

  #list(list: Json[], path: string): Json[] {
    const rendered = list.map((item, index) => this.value(item, `${path}[${index}]`));
    return rendered.some((item, index) => item !== list[index]) ? rendered : list;
  }

  object(value: JsonObject, path: string): JsonObject {
    const entries = Object.entries(value).map(
      ([key, item]) => [this.text(key, path), this.value(item, `${path}.${key}`)] as const,
    );
    const changed = entries.some(([key, item]) => item !== value[key]);
    return changed ? Object.fromEntries(entries) : value;
  }
}

/**
 * Renders every string of a merged spec that holds a Go template. Each is a template of its own, so that a value needs no
 * escaping and an error has a field. All errors are reported; a string with an error stays as it is.
 */
export function renderSpec(spec: JsonObject, data: Value, layers: readonly Layer[]): Rendering {
  const renderer = new Renderer(data, layers);
  return { spec: renderer.object(spec, "spec"), errors: renderer.errors };
}
