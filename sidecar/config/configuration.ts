import { type FlagTable, type RawFlags, unknownFlag } from "../../flags/flags.ts";
import { isRecord } from "../../kube/wire.ts";
import { type PlainValue, parseYaml, YamlError } from "../../kube/yaml.ts";
import { describeError } from "../../telemetry/log.ts";

/** Flags that say where others are, and cannot be among these. */
const SOURCES = ["configuration", "configuration-file"] as const;

/**
 * The flags with those of the configuration that they name beneath: a mapping from names to values, written as text or as a
 * file. A flag that was given itself wins. What is wrong with the configuration is added to the errors.
 */
export function mergeConfiguration(flags: RawFlags, table: FlagTable, readFile: (path: string) => string): RawFlags {
  const { values, errors, help } = flags;
  const given = SOURCES.filter((name) => (values.get(name) ?? "") !== "");
  if (given.length === 2)
    errors.push("--configuration and --configuration-file cannot be set at the same time; remove one");
  const merged = new Map(values);
  for (const source of given)
    for (const [name, value] of entriesOf(source, values.get(source) ?? "", readFile, errors)) {
      const text = textOf(value);
      if (!Object.hasOwn(table, name)) errors.push(`--${source}: ${unknownFlag(name, table).slice(2)}`);
      else if (SOURCES.some((other) => other === name))
        errors.push(`--${source}: ${name}: cannot be set here; remove it`);
      else if (text === undefined)
        errors.push(`--${source}: ${name}: invalid value ${JSON.stringify(value)}; write a value or a list of values`);
      else if (!values.has(name)) merged.set(name, text);
    }
  return { values: merged, errors, help };
}

function entriesOf(
  source: (typeof SOURCES)[number],
  value: string,
  readFile: (path: string) => string,
  errors: string[],
): [string, PlainValue][] {
  try {
    const document = parseYaml(source === "configuration" ? value : readFile(value));
    if (document === null) return [];
    if (isRecord(document)) return Object.entries(document as Readonly<Record<string, PlainValue>>);
    errors.push(`--${source}: is no mapping; write lines like "port: 8000"`);
  } catch (error) {
    const remedy = error instanceof YamlError ? "mend the YAML" : "name a file that can be read";
    errors.push(`--${source}: ${describeError(error)}; ${remedy}`);
  }
  return [];
}

function textOf(value: PlainValue): string | undefined {
  if (value === null) return "";
  if (Array.isArray(value)) return value.every(isScalar) ? value.join(",") : undefined;
  return isScalar(value) ? String(value) : undefined;
}

const isScalar = (value: PlainValue): value is string | number | boolean =>
  typeof value === "string" || typeof value === "number" || typeof value === "boolean";
