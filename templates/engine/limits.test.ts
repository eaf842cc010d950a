import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { TemplateError } from "./errors.ts";
import { renderTemplate } from "./render.ts";
import { Struct, type Value } from "./values.ts";

const DATA: Value = new Struct(
  "Service",
  (field) => (field === "Name" ? "demo" : undefined),
  () => "{demo}",
);
const render = (text: string): string => renderTemplate(text, { name: "t", data: DATA, functions: {} });

const MEGABYTE = 1 << 20;
const fill = (part: string): string => part.repeat(Math.ceil(MEGABYTE / part.length));
const doubling = (levels: number): string =>
  Array.from(
    { length: levels },
    (_, index) => `{{define \`d${index}\`}}${`{{template \`d${index + 1}\`}}`.repeat(2)}{{end}}`,
  ).join("");

/** Texts of about a megabyte, or far smaller ones that ask for endless work, and how they end. */
const HOSTILE: readonly (readonly [string, string, RegExp])[] = [
  ["openings", fill("{{"), /unexpected "\{"/],
  ["empty actions", fill("{{}}"), /more than 20000 tokens/],
  ["actions", fill("{{.Name}}"), /more than 20000 tokens/],
  ["parentheses", `{{${fill("(")}`, /more than 20000 tokens/],
  ["nested parentheses", `{{${"(".repeat(101)}.Name${")".repeat(101)}}}`, /parentheses nested deeper than 100/],
  ["nested ifs", `${"{{if .Name}}".repeat(101)}${"{{end}}".repeat(101)}`, /control structures nested deeper than 100/],
  ["a long pipeline", `{{.Name${fill("|print")}}}`, /more than 20000 tokens/],
  ["many arguments", `{{print ${"1 ".repeat(33)}}}`, /more than 32 arguments/],
  ["a long loop", "{{range 1000000000}}{{end}}", /range over more than 50000 numbers/],
  ["loops in loops", "{{range 50000}}{{range 50000}}{{end}}{{end}}", /more than 50000 steps/],
  ["a text that doubles", `{{$x := \`abcdefgh\`}}${"{{$x = print $x $x}}".repeat(40)}`, /functions made more than/],
  ["output that grows", `{{range 5000}}${"x".repeat(1000)}{{end}}`, /output longer than/],
  ["definitions that double", `${doubling(45)}{{define \`d45\`}}{{end}}{{template \`d0\`}}`, /more than 50000 steps/],
  [
    "a definition of itself",
    "{{define `a`}}{{template `a`}}{{end}}{{template `a`}}",
    /exceeded maximum template depth/,
  ],
  ["a wide number", "{{printf `%999999999d` 1}}", /width above 1000/],
  ["a long number", `{{${fill("9")}}}`, /number longer than 64 characters/],
  ["a long literal", `{{"${fill("\\n")}"}}`, /literal longer than 100000 characters/],
  ["an open string", fill('{{"'), /unexpected|unterminated/],
];

describe("hostile templates", () => {
  test.each(HOSTILE)("%s end early, with a short message", (_what, text, message) => {
    let caught: unknown;
    try {
      render(text);
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(TemplateError);
    expect((caught as TemplateError).message).toMatch(message);
    expect((caught as TemplateError).message.length).toBeLessThan(400);
  });

  test("a loop that ends at once costs nothing", () => {
    expect(render("{{range 40000}}{{range 40000}}{{break}}{{end}}{{break}}{{end}}done")).toBe("done");
  });

  test("a damaged preset is rendered or refused, never anything else", () => {
    const preset =
      "{{ with .Name }}{{- if eq . `demo` }}a{{ else if ne . `x` }}b{{ end -}}{{ end }}{{ range $i, $e := 3 }}{{ $i }}{{ end }}{{ printf `%s-%d` .Name 3 | len }}";
    const splice = fc.tuple(fc.nat(preset.length), fc.nat(5), fc.string({ maxLength: 4, unit: "grapheme" }));
    fc.assert(
      fc.property(fc.array(splice, { minLength: 1, maxLength: 4 }), (splices) => {
        const text = splices.reduce((now, [at, drop, put]) => now.slice(0, at) + put + now.slice(at + drop), preset);
        try {
          expect(typeof render(text)).toBe("string");
        } catch (error) {
          expect(error).toBeInstanceOf(TemplateError);
        }
      }),
      { numRuns: 500 },
    );
  });
});
