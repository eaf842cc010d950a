import { readFileSync } from "node:fs";
import { expect, test } from "@jest/globals";
import { apiReference } from "./reference.ts";

test("docs/api.md is what the schemas say; make docs writes it", () => {
  expect(readFileSync(new URL("../docs/api.md", import.meta.url), "utf8")).toBe(apiReference());
});
