import { existsSync, readFileSync, readdirSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { spawnSync } from "node:child_process";
import { describe, expect, test } from "@jest/globals";
import { OPERATOR_USAGE } from "../cmd/operator/options.ts";
import { type Fault, FAULTS } from "../controllers/status/faults.ts";
import { schedulerUsage } from "../scheduler/options.ts";
import { sidecarUsage } from "../sidecar/config/options.ts";
import { generatedPage } from "./generated-page.ts";

const ROOT = new URL("..", import.meta.url).pathname;
const PAGES = ["README.md", ...readdirSync(join(ROOT, "docs")).map((name) => `docs/${name}`)].filter((name) =>
  name.endsWith(".md"),
);
const read = (page: string): string => readFileSync(join(ROOT, page), "utf8");

const NOTE = "Written from the source by `make docs`; do not edit.";

function flagsPage(): string {
  return `# Flags\n\n${NOTE}\n\n## Scheduler\n\n\`\`\`\n${schedulerUsage()}\`\`\`\n\n## Routing sidecar\n\n\`\`\`\n${sidecarUsage()}\`\`\`\n\n## Operator\n\n\`\`\`\n${OPERATOR_USAGE}\`\`\`\n`;
}

function faultsPage(): string {
  const rows = Object.values<Fault>(FAULTS).map(
    ({ title, reasons, remedy }) => `| ${title} | ${reasons.map((reason) => `\`${reason}\``).join(", ")} | ${remedy} |`,
  );
  return `# Troubleshooting

${NOTE}

\`kubectl get llmisvc\` shows the reason of \`Ready\`, \`kubectl describe llmisvc NAME\` the message with cause and remedy, and
\`llmisvc doctor\` looks at what no condition can tell: whether the operator runs, its webhooks answer, and pools reach pods.

| Symptom | Reason in the conditions | What to do |
|---|---|---|
${rows.join("\n")}
`;
}

const GENERATED: Readonly<Record<string, () => string>> = {
  "docs/flags.md": flagsPage,
  "docs/troubleshoot.md": faultsPage,
};

describe("pages that are written from the source", () => {
  test.each(Object.entries(GENERATED))("%s is current (make docs writes it)", (page, write) => {
    expect(generatedPage(page, write())).toBe(write());
  });
});

/** Links of a page to files of this repository, relative to its root. */
function linksOf(page: string): string[] {
  return [...read(page).matchAll(/\]\((?!https?:)([\w./-]+)(?:#[\w-]*)?\)/g)].map(([, target = ""]) =>
    normalize(join(dirname(page), target)),
  );
}

/** Commands in the shell blocks of a page. */
function commandsOf(page: string): string[] {
  return [...read(page).matchAll(/^ *```sh\n([\s\S]*?)```/gm)].flatMap(([, block = ""]) =>
    block.split("\n").map((line) => line.trim()),
  );
}

/** The list of commands. */
const llmisvc = spawnSync(join(ROOT, "bin/llmisvc"), ["help"], { encoding: "utf8" }).stdout;

describe.each(PAGES)("%s", (page) => {
  test("links to files that exist", () => {
    expect(linksOf(page).filter((target) => !existsSync(join(ROOT, target)))).toEqual([]);
  });

  test("names targets of make, commands of llmisvc and files that exist", () => {
    const makefile = read("Makefile");
    const wrong = commandsOf(page).filter((line) => {
      const [, target] = /^make (\w+)/.exec(line) ?? [];
      const [, command] = /^(?:kubectl )?llmisvc (\w+)/.exec(line) ?? [];
      const [, file] = /-f (samples\/\S+)/.exec(line) ?? [];
      return (
        (target !== undefined && !new RegExp(`^${target}:`, "m").test(makefile)) ||
        (command !== undefined && !llmisvc.includes(`llmisvc ${command} `)) ||
        (file !== undefined && !existsSync(join(ROOT, file)))
      );
    });
    expect(wrong).toEqual([]);
  });
});
