import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { TemplateError } from "./errors.ts";
import { sprintf } from "./format.ts";
import { requireArguments, stringArgument } from "./functions.ts";
import type { FunctionTable } from "./functions.ts";
import type { TrimSet } from "./lexer.ts";
import { renderTemplate } from "./render.ts";
import { Pointer, Struct, TextMap } from "./values.ts";
import type { Value } from "./values.ts";

const struct = (name: string, fields: Readonly<Record<string, Value>>): Struct =>
  new Struct(name, (field) => fields[field]);

const FUNCTIONS: FunctionTable = {
  join: (args) => {
    requireArguments(args, 2);
    return `${stringArgument(args, 0)}${stringArgument(args, 1)}`;
  },
};

const DATA: Value = struct("Service", {
  Name: "demo",
  Count: 3n,
  Ratio: 0.5,
  On: true,
  Off: false,
  Empty: "",
  Zero: new Pointer("int32", 0n),
  Four: new Pointer("int32", 4n),
  Nil: new Pointer("ParallelismSpec", undefined),
  NilName: new Pointer("string", undefined),
  Model: struct("Model", { Name: new Pointer("string", "opt"), URI: "hf://a/b" }),
  Spec: new Pointer("Spec", struct("Spec", { Tensor: 2n })),
  Labels: new TextMap([
    ["b", "2"],
    ["a", "1"],
  ]),
  Args: ["x", "y", "z"],
  None: [],
});

const render = (text: string, trim: TrimSet = "whitespace"): string =>
  renderTemplate(text, { name: "t", data: DATA, functions: FUNCTIONS, trim });

/** Text and what Go 1.24's text/template makes of it. */
const RESULTS: readonly (readonly [string, string])[] = [
  ["plain { text }", "plain { text }"],
  ["{{.Name}}", "demo"],
  ["{{ or false nil }}{{ or .Nil nil | print }}", "<no value><nil>"],
  ['{{ printf "%+v" .Count }} {{ printf "%+d" .Count }} {{ printf "%+v" .Ratio }}', "3 +3 0.5"],
  ["{{ html nil }}{{ js .Model.Name .Four }}", "&lt;no value&gt;opt4"],
  ["{{ .Model.Name }}/{{ .Model.URI }}", "opt/hf://a/b"],
  ["{{ .Spec.Tensor }}", "2"],
  ["{{ (.Spec).Tensor }}", "2"],
  ["{{ $.Name }}", "demo"],
  ["{{ .Nil }}|{{ .NilName }}", "<nil>|<nil>"],
  ["{{ .Labels.a }}{{ .Labels.b }}", "12"],
  ["{{ .Labels }}", "map[a:1 b:2]"],
  ["{{ .Args }}", "[x y z]"],
  ["a {{- .Name -}} b", "ademob"],
  ["a\n {{- .Name -}} \n b", "ademob"],
  ["{{ 3 -}} x", "3x"],
  ["{{- /* note */ -}} x", "x"],
  ["a {{/* note }} */}} b", "a  b"],
  ["{{if .On}}y{{end}}{{if .Off}}n{{end}}", "y"],
  ["{{if .Off}}a{{else if .Nil}}b{{else}}c{{end}}", "c"],
  ["{{if .Zero}}set{{else}}unset{{end}}", "set"],
  ["{{if .Empty}}a{{else}}b{{end}}{{if .None}}a{{else}}b{{end}}", "bb"],
  ["{{if and .Nil .Nil.Expert}}a{{else}}b{{end}}", "b"],
  ["{{if or .On .Nil.Expert}}a{{end}}", "a"],
  ["{{ or .Nil 1 }} {{ or .Four 1 }} {{ and .On .Name }}", "1 4 demo"],
  ["{{ not .On }} {{ not .Nil }}", "false true"],
  ["{{with .Spec}}{{.Tensor}}{{$.Name}}{{end}}", "2demo"],
  ["{{with .Nil}}a{{else}}{{.Name}}{{end}}", "demo"],
  ["{{with .Nil}}a{{else with .Spec}}{{.Tensor}}{{end}}", "2"],
  ["{{with $x := .Spec.Tensor}}{{$x}}{{end}}", "2"],
  ["{{range .Args}}<{{.}}>{{end}}", "<x><y><z>"],
  ["{{range $i, $e := .Args}}{{$i}}={{$e}};{{end}}", "0=x;1=y;2=z;"],
  ["{{range $k, $v := .Labels}}{{$k}}{{$v}}{{end}}", "a1b2"],
  ["{{range .None}}a{{else}}none{{end}}", "none"],
  ["{{range $i := 3}}{{$i}}{{end}}", "012"],
  ["{{range .Args}}{{if eq . `y`}}{{continue}}{{end}}{{if eq . `z`}}{{break}}{{end}}{{.}}{{end}}", "x"],
  ["{{$x := 1}}{{if .On}}{{$x = 2}}{{end}}{{$x}}", "2"],
  ["{{$x := 1}}{{if .On}}{{$x := 2}}{{end}}{{$x}}", "1"],
  ["{{ .Name | printf `%s-%s` `a` }}", "a-demo"],
  ['{{ "a\\tb\\u00e9" }}{{ `r\\n` }}', "a\tbér\\n"],
  ["{{ 'a' }} {{ 0x1F }} {{ 1_000 }} {{ 017 }} {{ -5 }} {{ 1.5 }} {{ 1e3 }}", "97 31 1000 15 -5 1.5 1000"],
  ["{{ true }} {{ print nil }}", "true <nil>"],
  [
    "{{ eq 1 1 }} {{ eq 1 2 3 1 }} {{ ne `a` `b` }} {{ lt 1 2 }} {{ le 2 2 }} {{ gt 1 2 }} {{ ge `b` `a` }}",
    "true true true true true false true",
  ],
  ["{{ eq .Model.Name `opt` }}", "true"],
  ["{{ len .Args }}{{ len .Name }}{{ len `é` }}", "342"],
  ["{{ index .Args 1 }} {{ index .Labels `a` }} [{{ index .Labels `zz` }}]", "y 1 []"],
  ["{{ slice .Args 1 }} {{ slice .Name 1 3 }}", "[y z] em"],
  ["{{ print 1 2 `a` 3 4 }} {{ println `a` 1 }}", "1 2a3 4 a 1\n"],
  ['{{ html `<a b="c">&\'` }}', "&lt;a b=&#34;c&#34;&gt;&amp;&#39;"],
  ["{{ urlquery `a b&c/d` }}", "a+b%26c%2Fd"],
  ["{{ js `it's <b>` }}", "it\\'s \\u003Cb\\u003E"],
  ["{{ join `a` `b` | len }}", "2"],
  ["{{ join (join `a` `b`) .Model.Name }}", "abopt"],
  ["{{define `x`}}[{{.}}]{{end}}{{template `x` .Name}}{{template `x` 1}}", "[demo][1]"],
  ["{{block `b` .Name}}<{{.}}>{{end}}", "<demo>"],
  ['{{ "{{" }} {{ `}}` }}', "{{ }}"],
];

/** Text, and what its error must say: place, expression and cause. */
const ERRORS: readonly (readonly [string, string])[] = [
  ["{{ x }}", 'template: t:1:4: at <x>: function "x" not defined'],
  ["a\nb {{ .Nope }}", "template: t:2:6: at <.Nope>: can't evaluate field Nope in type Service"],
  ["{{ .Nil.Expert }}", "at <.Nil.Expert>: nil pointer evaluating *ParallelismSpec.Expert"],
  ["{{ .Labels.zz }}", 'at <.Labels.zz>: map has no entry for key "zz"'],
  ["{{ .Name.X }}", "can't evaluate field X in type string"],
  ["{{ join `a` .Count }}", "at <join `a` .Count>: error calling join: wrong type for value; expected string; got int"],
  ["{{ join `a` .NilName }}", "dereference of nil pointer of type *string"],
  ["{{ join `a` }}", "wrong number of args: want 2 got 1"],
  ["{{ eq 1 `a` }}", "incompatible types for comparison"],
  ["{{ lt .Labels 1 }}", "invalid type for comparison"],
  ["{{ index .Args 3 }}", "index out of range: 3"],
  ["{{ .Name `a` }}", "Name has arguments but cannot be invoked as function"],
  ["{{ if .On }}a", "unclosed {{if}}: missing {{end}}"],
  ["a{{ end }}", "unexpected {{end}}"],
  ["{{ else }}", "unexpected {{else}}"],
  ["{{ .Name", "unclosed action"],
  ["{{ /* a", "unclosed comment"],
  ["{{ `a }}", "unterminated raw quoted string"],
  ['{{ "a }}', "unterminated quoted string"],
  ['{{ ChildName .Name \\"x\\" }}', 'unexpected "\\\\" in operand'],
  ["{{ }}", "missing value for command"],
  ["{{ nil }}", "nil is not a command"],
  ["{{ $x }}", 'undefined variable "$x"'],
  ["{{ (.Name }}", "unclosed left paren"],
  ["{{ .Name | 1 }}", "non executable command in pipeline stage 2"],
  ["{{ break }}", "{{break}} outside {{range}}"],
  ["{{ template `nope` }}", 'template "nope" not defined'],
  ["{{ range .Name }}{{ end }}", "range can't iterate over demo"],
  ["{{ define `x` }}{{ template `x` }}{{ end }}{{ template `x` }}", "exceeded maximum template depth"],
  ["{{ range 999999 }}{{ end }}", "range over more than"],
];

describe("template engine", () => {
  test.each(RESULTS)("%j gives %j", (text, expected) => {
    expect(render(text)).toBe(expected);
  });

  test.each(ERRORS)("%j is refused: %s", (text, message) => {
    expect(() => render(text)).toThrow(TemplateError);
    expect(() => render(text)).toThrow(message);
  });

  test("trims only blanks where the text stands for a JSON encoding", () => {
    expect(render("a \\\n  {{- if .On }} b{{- end }}\n", "blanks")).toBe("a \\\n b\n");
    expect(render("{{ .Name -}}  \n x", "blanks")).toBe("demo\n x");
  });

  test("an error carries template, place, expression and phase", () => {
    const failed = (): unknown => {
      try {
        return render("one\ntwo {{ .Nil.X }}");
      } catch (error) {
        return error;
      }
    };
    expect(failed()).toMatchObject({
      template: "t",
      phase: "execute",
      place: { line: 2, column: 8 },
      expression: ".Nil.X",
      detail: "nil pointer evaluating *ParallelismSpec.X",
    });
  });

  test("text without actions is its own rendering", () => {
    fc.assert(
      fc.property(
        fc.string().filter((text) => !text.includes("{{")),
        (text) => render(text) === text,
      ),
    );
  });

  test("any string survives as a raw or quoted constant", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        expect(render(`{{ ${sprintf("%q", [text])} }}`)).toBe(text);
      }),
    );
  });

  test("garbage is rendered or refused with a TemplateError, never anything else", () => {
    const part = fc.constantFrom(
      "{{",
      "}}",
      "{{-",
      " -}}",
      "{{if ",
      "{{end}}",
      "{{else}}",
      "{{range ",
      ".",
      ".Name",
      ".Args",
      "$",
      "$x",
      ":=",
      "=",
      "|",
      "(",
      ")",
      "eq",
      "and",
      "printf",
      "`",
      '"',
      "'",
      "%d",
      "1",
      "-",
      " ",
      "\n",
      "/*",
      "*/",
      "{{define `x`}}",
      "\\",
    );
    fc.assert(
      fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
        try {
          render(parts.join(""));
        } catch (error) {
          expect(error).toBeInstanceOf(TemplateError);
        }
      }),
      { numRuns: 2000 },
    );
  });
});

describe("printf", () => {
  test.each<[string, Value[], string]>([
    ["%d|%5d|%-5d|%05d|%+d", [7n, 7n, 7n, 7n, 7n], "7|    7|7    |00007|+7"],
    ["%s|%10s|%-4s|%.2s", ["ab", "ab", "ab", "abc"], "ab|        ab|ab  |ab"],
    ["%q %v %t", ['a"b\n', [1n, "x"], true], '"a\\"b\\n" [1 x] true'],
    ["%x %X %o %b %c", [255n, 255n, 8n, 5n, 65n], "ff FF 10 101 A"],
    ["%f %.2f %g %e", [1.5, 1.255, 0.1, 12345.678], "1.500000 1.25 0.1 1.234568e+04"],
    ["%d %s", ["a", 1n], "%!d(string=a) %!s(int=1)"],
    ["%d", [], "%!d(MISSING)"],
    ["%%", ["x"], "%%!(EXTRA string=x)"],
    ["%v %v %v", [1e21, 1e-5, 100000], "1e+21 1e-05 100000"],
  ])("%j of %j", (format, values, expected) => {
    expect(sprintf(format, values)).toBe(expected);
  });
});
