import { readdirSync } from "node:fs";
import { expect, test } from "@jest/globals";
import { generatedPage } from "../../test/generated-page.ts";
import { pluginReference } from "./reference.ts";
import { PLUGINS } from "./registry.ts";

test("docs/plugins.md is that of the declarations (make docs writes it)", () => {
  expect(generatedPage("docs/plugins.md", pluginReference())).toBe(pluginReference());
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
