import type { Environment } from "@marcbachmann/cel-js";
import { stringFormat } from "./formats.ts";

/** Value of a Kubernetes quantity in billionths; undefined for any other text. */
export type ParseQuantity = (text: string) => bigint | undefined;

type Scalar = string | number | bigint | boolean;

const less = (a: Scalar, b: Scalar): boolean => a < b;

/** A Kubernetes quantity in rules: its value in billionths. */
class Quantity {
  readonly nano: bigint;

  constructor(nano: bigint) {
    this.nano = nano;
  }
}

const NANO = 1_000_000_000n;
const compare = (a: bigint, b: bigint): bigint => (a < b ? -1n : a > b ? 1n : 0n);

const isUrl = (text: string): boolean => text.startsWith("/") || URL.canParse(text);
const isFormat = (format: string, text: string): boolean => stringFormat(format)?.(text) === true;

function extreme(items: readonly Scalar[], better: (a: Scalar, b: Scalar) => boolean): Scalar {
  const [first, ...rest] = items;
  if (first === undefined) throw new Error("min and max need a list that is not empty");
  return rest.reduce((best, item) => (better(item, best) ? item : best), first);
}

function sum(items: readonly (number | bigint)[]): number | bigint {
  return items.reduce<number | bigint>(
    (total, item) =>
      typeof total === "bigint" && typeof item === "bigint" ? total + item : Number(total) + Number(item),
    items.every((item) => typeof item === "bigint") ? 0n : 0,
  );
}

function findAll(text: string, pattern: string, limit: number): string[] {
  return [...text.matchAll(new RegExp(pattern, "g"))].slice(0, limit).map(([found]) => found);
}

/** Functions that Kubernetes adds to CEL (libraries of lists, regular expressions, URLs, addresses and quantities). */
export function registerKubernetesFunctions(environment: Environment, parse: ParseQuantity): Environment {
  return registerQuantities(registerTexts(registerLists(environment)), parse);
}

function registerLists(environment: Environment): Environment {
  return environment
    .registerFunction("list<dyn>.isSorted(): bool", (items: Scalar[]) =>
      items.every((item, index) => index === 0 || !less(item, items[index - 1]!)),
    )
    .registerFunction("list<dyn>.sum(): dyn", sum)
    .registerFunction("list<dyn>.min(): dyn", (items: Scalar[]) => extreme(items, less))
    .registerFunction("list<dyn>.max(): dyn", (items: Scalar[]) => extreme(items, (a, b) => less(b, a)))
    .registerFunction("list<dyn>.indexOf(dyn): int", (items: Scalar[], item: Scalar) => BigInt(items.indexOf(item)))
    .registerFunction("list<dyn>.lastIndexOf(dyn): int", (items: Scalar[], item: Scalar) =>
      BigInt(items.lastIndexOf(item)),
    );
}

function registerTexts(environment: Environment): Environment {
  return environment
    .registerFunction("string.charAt(int): string", (text: string, index: bigint) => text.charAt(Number(index)))
    .registerFunction("string.replace(string, string): string", (text: string, from: string, to: string) =>
      text.replaceAll(from, to),
    )
    .registerFunction(
      "string.find(string): string",
      (text: string, pattern: string) => findAll(text, pattern, 1)[0] ?? "",
    )
    .registerFunction("string.findAll(string): list<string>", (text: string, pattern: string) =>
      findAll(text, pattern, Infinity),
    )
    .registerFunction("string.findAll(string, int): list<string>", (text: string, pattern: string, limit: bigint) =>
      findAll(text, pattern, Number(limit)),
    )
    .registerFunction("isURL(string): bool", isUrl)
    .registerFunction("isIP(string): bool", (text: string) => isFormat("ipv4", text) || isFormat("ipv6", text))
    .registerFunction("isCIDR(string): bool", (text: string) => isFormat("cidr", text));
}

function registerQuantities(environment: Environment, parse: ParseQuantity): Environment {
  const quantityOf = (text: string): Quantity => {
    const value = parse(text);
    if (value === undefined) throw new Error(`quantity(${JSON.stringify(text)}): not a quantity`);
    return new Quantity(value);
  };
  const nano = (value: Quantity | bigint): bigint => (value instanceof Quantity ? value.nano : value * NANO);
  return environment
    .registerType("Quantity", { ctor: Quantity, fields: {} })
    .registerFunction("isQuantity(string): bool", (text: string) => parse(text) !== undefined)
    .registerFunction("quantity(string): Quantity", quantityOf)
    .registerFunction("Quantity.isInteger(): bool", (value: Quantity) => value.nano % NANO === 0n)
    .registerFunction("Quantity.asInteger(): int", (value: Quantity) => value.nano / NANO)
    .registerFunction("Quantity.asApproximateFloat(): double", (value: Quantity) => Number(value.nano) / 1e9)
    .registerFunction("Quantity.sign(): int", (value: Quantity) => compare(value.nano, 0n))
    .registerFunction("Quantity.isGreaterThan(Quantity): bool", (a: Quantity, b: Quantity) => a.nano > b.nano)
    .registerFunction("Quantity.isLessThan(Quantity): bool", (a: Quantity, b: Quantity) => a.nano < b.nano)
    .registerFunction("Quantity.compareTo(Quantity): int", (a: Quantity, b: Quantity) => compare(a.nano, b.nano))
    .registerFunction(
      "Quantity.add(dyn): Quantity",
      (a: Quantity, b: Quantity | bigint) => new Quantity(a.nano + nano(b)),
    )
    .registerFunction(
      "Quantity.sub(dyn): Quantity",
      (a: Quantity, b: Quantity | bigint) => new Quantity(a.nano - nano(b)),
    );
}
