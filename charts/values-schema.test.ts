import { readFileSync } from "node:fs";
import { expect, test } from "@jest/globals";
import { commentsByPath, valuesSchema } from "./values-schema.ts";

const VALUES = `# Pods.
replicas: 1

# Where pods
# may run.
nodeSelector: {}

image:
  # Name without tag.
  repository: a # not this
  tag: ""
`;

test("comments belong to the key below them", () => {
  expect([...commentsByPath(VALUES)]).toEqual([
    ["replicas", "Pods."],
    ["nodeSelector", "Where pods may run."],
    ["image.repository", "Name without tag."],
  ]);
});

test("defaults give types, and unknown keys are refused where the defaults are complete", () => {
  expect(valuesSchema(VALUES)).toEqual({
    $schema: "http://json-schema.org/draft-07/schema#",
    type: "object",
    additionalProperties: false,
    properties: {
      replicas: { description: "Pods.", type: "number" },
      nodeSelector: { description: "Where pods may run.", type: "object" },
      image: {
        type: "object",
        additionalProperties: false,
        properties: { repository: { description: "Name without tag.", type: "string" }, tag: { type: "string" } },
      },
    },
  });
});

test("every value of the chart is explained", () => {
  const text = readFileSync(new URL("llmisvc/values.yaml", import.meta.url), "utf8");
  const comments = commentsByPath(text);
  const unexplained = (schema: Schema, path: string): string[] =>
    Object.entries(schema.additionalProperties === true ? {} : (schema.properties ?? {})).flatMap(([key, inner]) => {
      const place = path === "" ? key : `${path}.${key}`;
      return [...(comments.has(place) ? [] : [place]), ...unexplained(inner, place)];
    });
  expect(unexplained(valuesSchema(text) as Schema, "")).toEqual([]);
});

interface Schema {
  readonly additionalProperties?: boolean;
  readonly properties?: Readonly<Record<string, Schema>>;
}
