import { describe, expect, test } from "@jest/globals";
import { readShared } from "../../test/corpus.ts";
import { MADE_UP_GATES, WITH_MADE_UP } from "../../test/scheduler/made-up-plugins.ts";
import { loadConfig } from "./load.ts";
import type { PluginSpec, SchedulerConfig } from "./types.ts";

/** A file of the corpus with what its origin and the llm-d endpoint picker v0.10.0 say about it. */
interface Case {
  readonly path: string;
  /** What the origin's own test expects; "" where it has none. */
  readonly expect: string;
  /** Types that the file's release does not know. */
  readonly unregistered: readonly string[];
  readonly verdict: string;
  readonly detail: string;
}

/** Files that load although their origin refuses them, with the reason. */
const LOADS_HERE: Readonly<Record<string, string>> = {
  "loader-cases/gaie-v1.3.0-errormissingdataconfigtext-l364.yaml":
    "the gate dataLayer needs no section any more: metrics are scraped by default, as in v0.10",
};

/** Files that v0.10.0 refuses for something that is not an old spelling. */
const NOT_OLD: Readonly<Record<string, string>> = {
  "loader-cases/router-v0.10-successflowcontrolconfigtext-l251.yaml": "noEndpointRequestTTL is newer than v0.10.0",
  "loader-cases/router-v0.10-successdatalayeroptouttext-l494.yaml": "it loads, and only starting it fails",
  "samples/kserve-v0.20-llm-inference-service-latency-predictor-l14.yaml": "it loads, and the service is not there",
};

function cases(): Case[] {
  const cell = (text: string | undefined): string => (text ?? "").trim();
  const rows = readShared("corpus/epp-configs/README.md").matchAll(/^\| `([^`]+\.yaml)` \|(.*)\|$/gm);
  const told = new Map(
    readShared("corpus/golden/epp-configs.tsv")
      .split("\n")
      .map((line) => line.split("\t"))
      .map(([path = "", verdict = "", detail = ""]) => [path, { verdict, detail }] as const),
  );
  return [...rows].map(([, path = "", rest = ""]) => {
    const [, , , expected, unregistered] = rest.split("|");
    const types = cell(unregistered).split(",").map(cell);
    const golden = told.get(path) ?? { verdict: "", detail: "" };
    return { path, expect: cell(expected), unregistered: types.filter((type) => type !== ""), ...golden };
  });
}

const CASES = cases();
const ALL = CASES.map((item) => [item.path, item] as const);

/** A published configuration, with values in the place of placeholders. */
const textOf = (path: string): string =>
  readShared(`corpus/epp-configs/${path}`)
    .replaceAll(/"?\$\{PRIMARY_PORT\}"?/g, "8000")
    .replaceAll(/\$\{\w+\}/g, "value");

const load = (path: string): ReturnType<typeof loadConfig> =>
  loadConfig(textOf(path), { registry: WITH_MADE_UP, gates: MADE_UP_GATES });

const isMadeUp = (type: string): boolean =>
  !WITH_MADE_UP.has(type) && !["kv-cache-scorer", "predicted-latency-scorer"].includes(type);

const refuses = ({ path, expect: expected, unregistered }: Case): boolean =>
  LOADS_HERE[path] === undefined && (expected === "rejects" || unregistered.some(isMadeUp));

test("the corpus is whole", () => {
  expect(CASES.length).toBeGreaterThan(260);
  expect(CASES.filter(({ verdict }) => verdict === "")).toEqual([]);
});

describe("published configurations", () => {
  test.each(ALL)("%s has its documented outcome", (path, item) => {
    const { errors } = load(path);
    const made = item.unregistered.filter(isMadeUp);
    if (!refuses(item)) expect(errors).toEqual([]);
    else expect(errors).not.toEqual([]);
    if (made.length > 0)
      expect(errors.map(({ cause }) => cause)).toEqual(
        expect.arrayContaining(made.map((type) => `plugin type "${type}" is not registered`)),
      );
  });

  const older = ALL.filter(
    ([path, item]) =>
      item.verdict === "error" && !refuses(item) && item.unregistered.length === 0 && NOT_OLD[path] === undefined,
  );
  test.each(older)("%s, which v0.10.0 refuses, loads with a warning", (path) => {
    expect(load(path).warnings).not.toEqual([]);
  });
});

/** What a refusal of v0.10.0 is about, and how ours names the same thing. */
const SUBJECTS: readonly (readonly [RegExp, (found: RegExpExecArray) => string])[] = [
  [/plugin type '([^']+)' is not registered/, ([, type = ""]) => `plugin type "${type}" is not registered`],
  [/plugin '' is missing a type/, () => "plugins[0].type"],
  [/feature gate '(dataLayer)' is unknown/, ([, gate = ""]) => `gate ${gate} has no effect any more`],
  [/feature gate '([^']+)' is unknown/, ([, gate = ""]) => `feature gate "${gate}" is unknown`],
  [/plugin type '([^']+)' not found in registry/, ([, type = ""]) => type],
  [/the plugin "([^"]+)" is not a parser plugin/, ([, name = ""]) => `is not a parser (got "${name}")`],
  [/plugin "([^"]+)" not found/, ([, name = ""]) => `names no plugin (got "${name}")`],
  [/multiple profile handlers found/, () => "more than one profile handler"],
  [/already have a registered picker/, () => "more than one picker"],
  [/cannot support multiple scheduling profiles/, () => "takes one profile"],
  [/cannot unmarshal string into Go struct field DataLayerSource\.dataLayer\.sources\.(\w+)/, ([, key = ""]) => key],
  [/unknown field "(\w+)"/, ([, key = ""]) => key],
];

describe("refusals of v0.10.0", () => {
  const both = ALL.filter(([, item]) => item.verdict === "error" && refuses(item));
  test.each(both)("%s is refused for the same reason, besides others", (path, { detail }) => {
    const { errors, warnings } = loadConfig(textOf(path));
    const told = errors.map(({ path: at, cause, value }) => `${at}: ${cause} (got ${JSON.stringify(value)})`);
    const subject = SUBJECTS.flatMap(([pattern, name]) => {
      const found = pattern.exec(detail);
      return found === null ? [] : [name(found)];
    })[0];
    expect(subject).toBeDefined();
    expect([...told, ...warnings].join("\n")).toContain(subject);
  });
});

/** Types that v0.10.0 prints for instances of others. */
const PRINTED_TYPES: Readonly<Record<string, string>> = {
  "decode-filter": "by-label",
  "prefill-filter": "by-label",
  "encode-filter": "by-label",
};

/** The configuration in the words of v0.10.0. */
function describeConfig({ handler, profiles, plugins }: SchedulerConfig): unknown {
  const specOf = (name: string): PluginSpec | undefined => plugins.find((spec) => spec.name === name);
  const printed = (name: string): string => {
    const type = specOf(name)?.type ?? "";
    return `${name}/${PRINTED_TYPES[type] ?? type}`;
  };
  const of = (used: SchedulerConfig["profiles"][number]["plugins"], kind: "filter" | "scorer" | "picker") =>
    used.filter(({ plugin }) => specOf(plugin)?.definition.kinds.includes(kind));
  return {
    handler: printed(handler),
    profiles: Object.fromEntries(
      profiles.map(({ name, plugins: used }) => [
        name,
        {
          filters: of(used, "filter").map(({ plugin }) => printed(plugin)),
          scorers: of(used, "scorer").map(({ plugin, weight }) => `${printed(plugin)}: ${weight.toFixed(6)}`),
          pickers: of(used, "picker").map(({ plugin }) => printed(plugin)),
        },
      ]),
    ),
  };
}

function parseDescription(text: string): unknown {
  const [, handler = ""] = /^\{ProfileHandler: ([^,]+),/.exec(text) ?? [];
  const items = (part: string): string[] => (part === "" ? [] : part.split(", "));
  const profiles = text.matchAll(/([\w-]+):\{Filters: \[([^\]]*)\], Scorers: \[([^\]]*)\], Picker: ([^}]+)\}/g);
  return {
    handler,
    profiles: Object.fromEntries(
      [...profiles].map(([, name = "", filters = "", scorers = "", picker = ""]) => [
        name,
        { filters: items(filters), scorers: items(scorers), pickers: [picker] },
      ]),
    ),
  };
}

/** A profile made of everything has the order of chance in v0.10.0. */
function inAnyOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(String).toSorted((a, b) => (a < b ? -1 : 1));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, inAnyOrder(inner)]));
}

describe("effective profiles", () => {
  test.each(ALL.filter(([, item]) => item.verdict === "ok"))("%s has those of v0.10.0", (path, { detail }) => {
    const { config } = load(path);
    if (config === undefined) throw new Error("does not load");
    const ordered = textOf(path).includes("schedulingProfiles");
    const order = (value: unknown): unknown => (ordered ? value : inAnyOrder(value));
    expect(order(describeConfig(config))).toEqual(order(parseDescription(detail)));
  });
});
