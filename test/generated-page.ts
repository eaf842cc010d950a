import { readFileSync, writeFileSync } from "node:fs";

const ROOT = new URL("..", import.meta.url).pathname;

/** A page of the repository that is written from the source, as it is there; `UPDATE_DOCS=1` (make docs) writes `text` first. */
export function generatedPage(page: string, text: string): string {
  if (process.env["UPDATE_DOCS"] === "1") writeFileSync(`${ROOT}${page}`, text);
  return readFileSync(`${ROOT}${page}`, "utf8");
}

/** As `generatedPage`, for what stands between the comments `<!-- NAME -->` and `<!-- /NAME -->` of a page. */
export function generatedSection(page: string, name: string, text: string): string {
  const [start, end] = [`<!-- ${name} -->\n`, `<!-- /${name} -->`];
  const whole = readFileSync(`${ROOT}${page}`, "utf8");
  const [before, rest] = [whole.slice(0, whole.indexOf(start)), whole.slice(whole.indexOf(start) + start.length)];
  if (!whole.includes(start) || !rest.includes(end)) throw new Error(`${page} has no comments ${start}${end}`);
  const after = rest.slice(rest.indexOf(end));
  const current = generatedPage(page, `${before}${start}${text}${after}`);
  return current.slice(before.length + start.length, current.length - after.length);
}
