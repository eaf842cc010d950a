import { readdirSync, readFileSync } from "node:fs";
import { expect, test } from "@jest/globals";
import { pluginReference } from "./reference.ts";
import { PLUGINS } from "./registry.ts";

const PAGE = new URL("../../docs/plugins.md", import.meta.url);

test("docs/plugins.md is that of the declarations (make docs writes it)", () => {
  expect(readFileSync(PAGE, "utf8")).toBe(pluginReference());
});

test("each type has a file of its name, and a description", () => {
  const folder = new URL(".", import.meta.url);
  const files = readdirSync(folder, { recursive: true }).map(String);
  const names = files.map((path) => path.replace(/^.*\//, "").replace(/\.ts$/, ""));
  for (const { type, description } of PLUGINS.values()) {
    expect(names).toContain(type);
    expect(description).toMatch(/^\S.*\.$/);
  }
});
