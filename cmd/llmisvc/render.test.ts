import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, jest, test } from "@jest/globals";
import { parseYamlDocuments } from "../../kube/yaml.ts";
import { ManifestError, readManifests } from "./manifests.ts";
import { presets } from "./presets.ts";
import { render } from "./render.ts";

const SERVICE = `apiVersion: serving.kserve.io/v1alpha1
kind: LLMInferenceService
metadata: {name: s}
spec:
  model: {uri: "hf://a/b"}
  replicas: REPLICAS
  router: {route: {}, gateway: {}, scheduler: {}}
`;

let folder: string;
const file = (name: string, text: string): string => {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
};

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "render-"));
});
afterAll(() => rmSync(folder, { recursive: true }));

/** Runs a command in this process, its output kept. */
async function run(
  command: (args: readonly string[]) => Promise<number>,
  ...args: readonly string[]
): Promise<{ code: number; out: string; err: string }> {
  const [out, err]: [string[], string[]] = [[], []];
  const into =
    (texts: string[]) =>
    (text: string | Uint8Array, ...rest: readonly unknown[]): boolean => {
      texts.push(String(text));
      for (const done of rest) if (typeof done === "function") done();
      return true;
    };
  const spies = [
    jest.spyOn(process.stdout, "write").mockImplementation(into(out)),
    jest.spyOn(process.stderr, "write").mockImplementation(into(err)),
  ];
  try {
    return { code: await command(args), out: out.join(""), err: err.join("") };
  } finally {
    for (const spy of spies) spy.mockRestore();
  }
}

describe("llmisvc render", () => {
  const service = (replicas: number): string => SERVICE.replace("REPLICAS", String(replicas));

  test("writes the effective spec and every child", async () => {
    const { code, out, err } = await run(render, file("one.yaml", service(1)));
    expect([code, err]).toEqual([0, ""]);
    const kinds = parseYamlDocuments(out).map((document) => (document as { kind: string }).kind);
    expect(kinds[0]).toBe("LLMInferenceService");
    expect(kinds).toEqual(expect.arrayContaining(["Secret", "Deployment", "InferencePool", "HTTPRoute"]));
  });

  test("as JSON, in a namespace of choice", async () => {
    const { code, out } = await run(render, file("one.yaml", service(1)), "-o", "json", "-n", "prod");
    expect(code).toBe(0);
    expect(JSON.parse(out)).toMatchObject({ services: [{ namespace: "prod", name: "s", problems: [] }] });
  });

  test("tells what another file changes", async () => {
    const [one, two] = [file("one.yaml", service(1)), file("two.yaml", service(2))];
    expect(await run(render, one, "--diff", one)).toEqual({ code: 0, out: "", err: "" });
    const { code, out } = await run(render, one, "--diff", two);
    expect(code).toBe(1);
    expect(out).toContain("~ Deployment default/s-kserve spec.replicas: 1 → 2\n");
    const json = await run(render, one, "--diff", two, "--output=json");
    expect(JSON.parse(json.out)).toMatchObject({ changes: [{ path: "spec.replicas" }, { before: 1, after: 2 }] });
  });

  test("tells what the presets of another version change", async () => {
    const written = await run(presets);
    const other = written.out.replaceAll("terminationGracePeriodSeconds: 60", "terminationGracePeriodSeconds: 90");
    const { code, out } = await run(render, file("one.yaml", service(1)), "--diff", file("presets.yaml", other));
    expect(code).toBe(1);
    expect(out).toContain("~ Deployment default/s-kserve spec.template.spec.terminationGracePeriodSeconds: 60 → 90\n");
  });

  test.each<[string, readonly string[], number, RegExp]>([
    ["no file", [], 2, /name at least one file/],
    ["an unknown flag", ["x", "--colour"], 2, /Exit codes/],
    ["an unknown format", ["x", "-o", "xml"], 2, /"xml" is not a format/],
    ["a file that is not there", ["/nowhere.yaml"], 2, /ENOENT/],
  ])("%s is wrong usage", async (_what, args, expected, message) => {
    const { code, err } = await run(render, ...args);
    expect(code).toBe(expected);
    expect(err).toMatch(message);
  });

  test("a service that cannot be made is exit code 3, with every cause", async () => {
    const broken = service(1).replace("replicas: 1", "baseRefs: [{name: a}, {name: b}]");
    const { code, err } = await run(render, file("broken.yaml", broken));
    expect(code).toBe(3);
    expect(err).toMatch(/^error: default\/s: [^]*"a" not found[^]*"b" not found/);
  });
});

describe("manifests", () => {
  test("of folders, streams and lists", () => {
    mkdirSync(join(folder, "tree/sub"), { recursive: true });
    file("tree/b.yaml", "kind: B\n---\n---\nkind: C\n");
    file("tree/sub/d.json", '{"kind": "KList", "items": [{"kind": "D"}, {"kind": "E"}]}');
    file("tree/notes.txt", "not yaml: [");
    const found = readManifests([join(folder, "tree")]);
    expect(found.map(({ object }) => object["kind"])).toEqual(["B", "C", "D", "E"]);
    expect(found[1]?.place).toMatch(/b.yaml, document 2$/);
  });

  test.each([
    ["broken", "a: [}\n", /broken.yaml: line 1/],
    ["scalar", "just text\n", /scalar.yaml: must be a mapping/],
    [
      "bomb",
      `a: &a [x,x,x,x,x,x,x,x,x,x]\n${"bcdefghij"
        .split("")
        .map((key, index) => `${key}: &${key} [${Array(10).fill(`*${"abcdefghi"[index]}`).join()}]`)
        .join("\n")}\n`,
      /bomb.yaml: .*alias/i,
    ],
    ["deep", `a: ${"[".repeat(5_000)}${"]".repeat(5_000)}\n`, /deep.yaml: /],
  ])("%s is refused by name", (name, text, message) => {
    const path = file(`${name}.yaml`, text);
    expect(() => readManifests([path])).toThrow(ManifestError);
    expect(() => readManifests([path])).toThrow(message);
  });
});
