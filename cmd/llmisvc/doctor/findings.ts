/** What a check found. */
export interface Finding {
  /** `ok`: as it should be; `warning`: works, with a risk; `error`: something does not work. */
  readonly level: "ok" | "warning" | "error";
  /** What was looked at: `operator`, or `LLMInferenceService ml/llama`. */
  readonly subject: string;
  /** What is the case, in a clause. */
  readonly cause: string;
  /** What to do about it, an imperative clause; absent where all is well. */
  readonly remedy?: string;
}

/** Findings about one subject. */
export class Subject {
  readonly #subject: string;
  readonly findings: Finding[] = [];

  constructor(subject: string) {
    this.#subject = subject;
  }

  ok(cause: string): void {
    this.findings.push({ level: "ok", subject: this.#subject, cause });
  }

  warn(cause: string, remedy: string): void {
    this.findings.push({ level: "warning", subject: this.#subject, cause, remedy });
  }

  fail(cause: string, remedy: string): void {
    this.findings.push({ level: "error", subject: this.#subject, cause, remedy });
  }
}

const MARKS: Readonly<Record<Finding["level"], string>> = { ok: "✓", warning: "!", error: "✗" };

/** The findings as text, grouped by subject, with a line of counts at the end. */
export function reportText(findings: readonly Finding[]): string {
  const subjects = [...new Set(findings.map(({ subject }) => subject))];
  const groups = subjects.map((subject) => {
    const lines = findings.filter((finding) => finding.subject === subject).flatMap(linesOf);
    return `${subject}\n${lines.join("\n")}\n`;
  });
  const count = (level: Finding["level"]): number => findings.filter((finding) => finding.level === level).length;
  return `${groups.join("\n")}\n${count("error")} errors, ${count("warning")} warnings, ${count("ok")} checks passed\n`;
}

function linesOf({ level, cause, remedy }: Finding): string[] {
  return [`  ${MARKS[level]} ${cause}`, ...(remedy === undefined ? [] : [`      → ${remedy}`])];
}
