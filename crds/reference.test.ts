import { expect, test } from "@jest/globals";
import { generatedPage } from "../test/generated-page.ts";
import { apiReference } from "./reference.ts";

test("docs/api.md is what the schemas say; make docs writes it", () => {
  expect(generatedPage("docs/api.md", apiReference())).toBe(apiReference());
});
