import { readFileSync, writeFileSync } from "node:fs";
import { expect, test } from "@jest/globals";
import { apiReference } from "./reference.ts";

test("docs/api.md is what the schemas say; make docs writes it", () => {
  const page = new URL("../docs/api.md", import.meta.url);
  if (process.env["UPDATE_DOCS"] === "1") writeFileSync(page, apiReference());
  expect(readFileSync(page, "utf8")).toBe(apiReference());
});
