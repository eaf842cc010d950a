import { readFileSync, writeFileSync } from "node:fs";

const ROOT = new URL("..", import.meta.url).pathname;

/** A page of the repository that is written from the source, as it is there; `UPDATE_DOCS=1` (make docs) writes `text` first. */
export function generatedPage(page: string, text: string): string {
  if (process.env["UPDATE_DOCS"] === "1") writeFileSync(`${ROOT}${page}`, text);
  return readFileSync(`${ROOT}${page}`, "utf8");
}
