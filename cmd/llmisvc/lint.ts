import { readFileSync, readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { defaultGlobalConfig } from "../../controllers/composition/global-config.ts";
import { type LintFinding, type LintReport, type LintSource, lint } from "../../controllers/lint/lint.ts";
import { describeError } from "../../telemetry/log.ts";
import { type LiveCluster, connect, dryRun, fetchBases } from "./lint-cluster.ts";
import { print } from "./output.ts";

const USAGE = `Usage: llmisvc lint [flags] FILE...

Finds everything that is wrong with the LLMInferenceServices and LLMInferenceServiceConfigs in files, in all YAML and JSON
files of folders, and in the standard input (-): fields, types, rules, templates, scheduler configurations, bases. Objects of
other kinds are left alone, except that bases and ConfigMaps among them are taken.

Flags:
  -o text|json               one line a finding (default), or all as JSON
  --strict                   warnings count as errors
  -n, --namespace NAME       namespace of objects that name none (default: that of the context, or default)
  --context NAME             ask the cluster of this kubeconfig context too: bases there, and a dry run of each object
  --kubeconfig FILE          as --context, with the current context of this file
  --system-namespace NAME    namespace of the operator (default kserve)

Exit codes: 0 nothing wrong, 1 errors found, 2 wrong flags or files that cannot be read.
`;

interface Flags {
  readonly output: string;
  readonly strict: boolean;
  readonly namespace: string | undefined;
  readonly context: string | undefined;
  readonly kubeconfig: string | undefined;
  readonly systemNamespace: string;
  readonly files: readonly string[];
}

class UsageError extends Error {}

/** Runs `llmisvc lint`. Returns the exit code. */
export async function runLint(args: readonly string[]): Promise<number> {
  try {
    if (args.some((arg) => arg === "-h" || arg === "--help")) {
      await print(USAGE);
      return 0;
    }
    const flags = parseFlags(args);
    return await lintFiles(flags);
  } catch (error) {
    process.stderr.write(`llmisvc lint: ${describeError(error)}\n${error instanceof UsageError ? `\n${USAGE}` : ""}`);
    return 2;
  }
}

function parseFlags(args: readonly string[]): Flags {
  const options = {
    output: { type: "string", short: "o", default: "text" },
    strict: { type: "boolean", default: false },
    namespace: { type: "string", short: "n" },
    context: { type: "string" },
    kubeconfig: { type: "string" },
    "system-namespace": { type: "string", default: "kserve" },
  } as const;
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
    if (!["text", "json"].includes(values.output)) throw new UsageError(`-o ${values.output}: must be text or json`);
    if (positionals.length === 0) throw new UsageError("no file given; use - for the standard input");
    const { output, strict, namespace, context, kubeconfig } = values;
    return {
      output,
      strict,
      namespace,
      context,
      kubeconfig,
      systemNamespace: values["system-namespace"],
      files: positionals,
    };
  } catch (error) {
    throw error instanceof UsageError ? error : new UsageError(describeError(error));
  }
}

async function lintFiles(flags: Flags): Promise<number> {
  const sources = flags.files.flatMap(readSources);
  const wantsCluster = flags.context !== undefined || flags.kubeconfig !== undefined;
  const cluster = wantsCluster ? await connect(flags) : undefined;
  try {
    const report = await reportOf(sources, flags, cluster);
    await print(flags.output === "json" ? jsonOf(report) : textOf(report));
    return exitCode(report, flags.strict);
  } finally {
    cluster?.client.close();
  }
}

async function reportOf(
  sources: readonly LintSource[],
  { namespace, systemNamespace }: Flags,
  cluster: LiveCluster | undefined,
): Promise<LintReport> {
  const place = namespace ?? cluster?.namespace ?? "default";
  const live =
    cluster === undefined ? undefined : await fetchBases(cluster, sources, { namespace: place, systemNamespace });
  const report = lint(sources, {
    namespace: place,
    systemNamespace,
    global: () => live?.global ?? defaultGlobalConfig(systemNamespace),
    live,
  });
  if (cluster === undefined) return report;
  return { ...report, findings: [...report.findings, ...(await dryRun(cluster, sources, place, report.findings))] };
}

const MANIFEST = /\.(ya?ml|json)$/;

function readSources(path: string): LintSource[] {
  if (path === "-") return [{ name: "<stdin>", text: readFileSync(0, "utf8") }];
  if (!statSync(path).isDirectory()) return [{ name: path, text: readFileSync(path, "utf8") }];
  return readdirSync(path, { withFileTypes: true })
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .flatMap((entry) => {
      const full = join(path, entry.name);
      return entry.isDirectory() || MANIFEST.test(entry.name) ? readSources(full) : [];
    });
}

const count = (findings: readonly LintFinding[], severity: LintFinding["severity"]): number =>
  findings.filter((finding) => finding.severity === severity).length;

function exitCode({ findings }: LintReport, strict: boolean): number {
  return count(findings, "error") > 0 || (strict && findings.length > 0) ? 1 : 0;
}

function textOf({ findings, checked, skipped }: LintReport): string {
  const lines = findings.map(({ source, line, severity, object, field, message }) => {
    const isNamed = message.includes(field);
    const about = [object, isNamed ? "" : field, message].filter((part) => part !== "");
    return `${source}:${line}: ${severity}: ${about.join(": ")}\n`;
  });
  const [errors, warnings] = [count(findings, "error"), count(findings, "warning")];
  const others = skipped === 0 ? "" : `, ${skipped} of other kinds left alone`;
  return `${lines.join("")}${checked} checked${others}: ${errors} errors, ${warnings} warnings\n`;
}

function jsonOf({ findings, checked, skipped }: LintReport): string {
  const summary = { checked, skipped, errors: count(findings, "error"), warnings: count(findings, "warning") };
  return `${JSON.stringify({ findings, summary }, null, 2)}\n`;
}
