/** Rows as aligned columns with a head, as kubectl prints them. Columns of numbers are aligned to the right. */
export function formatTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => (row[column] ?? "").length)));
  const numeric = head.map(
    (_, column) => rows.length > 0 && rows.every((row) => /^[-\d]/.test(row[column] ?? "") || row[column] === ""),
  );
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => (numeric[column] === true ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!)))
      .join("   ")
      .trimEnd();
  return `${all.map(line).join("\n")}\n`;
}
