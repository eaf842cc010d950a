import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, test } from "@jest/globals";
import { parseYaml } from "../../kube/yaml.ts";
import { createTestContext, openExchange, plain, type PlainAnswer } from "../../test/extproc-exchange.ts";
import type { Message } from "../../test/extproc-client.ts";
import { createMetricsRegistry } from "../../telemetry/metrics.ts";

/** What gateways send, message by message, and what they are answered. */
const FOLDER = new URL("../../test/exchanges/", import.meta.url);

type Texts = Readonly<Record<string, string>>;
type Struct = Readonly<Record<string, unknown>>;

interface Sent {
  readonly metadata?: Readonly<Record<string, Struct>>;
  readonly attributes?: Readonly<Record<string, Struct>>;
  readonly [member: string]: unknown;
}

interface Recording {
  /** The member of HeaderValue that the gateway uses. */
  readonly encoding: "value" | "raw_value";
  readonly exchanges: readonly {
    readonly name: string;
    readonly steps: readonly { readonly send: Sent; readonly answers: readonly PlainAnswer[] }[];
    /** How the gateway leaves. */
    readonly close?: "half" | "cancel";
    /** How the scheduler has ended the stream. */
    readonly ends?: { readonly status: number };
    /** Lines of the metrics page after it. */
    readonly metrics?: readonly string[];
  }[];
}

const isRecord = (value: unknown): value is Struct => typeof value === "object" && value !== null;

/** Turns the short form of the files into a message. */
function message({ metadata, attributes, ...rest }: Sent, encoding: Recording["encoding"]): Message {
  const content = Object.entries(rest).map(([kind, value]) => [kind, expanded(value, encoding)] as const);
  return {
    ...Object.fromEntries(content),
    ...(metadata === undefined ? {} : { metadata_context: { filter_metadata: structs(metadata) } }),
    ...(attributes === undefined ? {} : { attributes: structs(attributes) }),
  };
}

function expanded(value: unknown, encoding: Recording["encoding"]): unknown {
  if (!isRecord(value)) return value;
  const map = (headers: unknown): Message => ({
    headers: Object.entries(headers as Texts).map(([key, text]) => ({ key, [encoding]: encoded(text, encoding) })),
  });
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => {
      if (key === "headers" || key === "trailers") return [key, map(member)];
      return [key, key === "body" ? Buffer.from(String(member)) : member];
    }),
  );
}

const encoded = (text: string, encoding: Recording["encoding"]): unknown =>
  encoding === "value" ? text : Buffer.from(text);

function structs(values: Readonly<Record<string, Struct>>): Message {
  return Object.fromEntries(Object.entries(values).map(([name, fields]) => [name, struct(fields)]));
}

const struct = (fields: Struct): Message => ({
  fields: Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, structValue(value)])),
});

function structValue(value: unknown): Message {
  if (Array.isArray(value)) return { list_value: { values: value.map(structValue) } };
  return typeof value === "string" ? { string_value: value } : { number_value: value };
}

describe.each(readdirSync(FOLDER))("%s", (file) => {
  // The files are this repository's own, and each member is compared below.
  const { encoding, exchanges } = parseYaml(readFileSync(new URL(file, FOLDER), "utf8")) as unknown as Recording;

  test.each(exchanges)("$name", async ({ steps, close, ends, metrics = [] }) => {
    const registry = createMetricsRegistry();
    const exchange = openExchange(createTestContext({ registry }));
    for (const [index, { send, answers }] of steps.entries())
      expect([index, exchange.send(message(send, encoding)).map(plain)]).toEqual([index, answers]);
    if (close === "half") exchange.halfClose();
    if (close === "cancel") exchange.cancel();
    if (ends !== undefined) expect(exchange.end?.status).toBe(ends.status);
    const page = await registry.render();
    for (const line of metrics) expect(page.split("\n")).toContain(line);
  });
});
